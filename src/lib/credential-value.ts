/** The value of a credential, and who is asked for it. */
import { fieldValue } from './field-value.ts';
import { Redacted } from './redacted.ts';

/** A value, or why there is none: a clause that holds nothing of what was read. */
export type Value = Redacted | { readonly problem: string };

/** `done` is called once, possibly before it returns. */
export type Source = (done: (value: Value) => void) => void;

/** Makes a value of what was read. @param where it stands, for the reason why it is none */
export type Reader = (text: string, where: string) => Value;

/** For how long what does not say so holds. */
export const DEFAULT_TTL_MS = 5 * 60_000;
/** A token is not used in its last seconds: it could expire on its way. */
export const MARGIN_MS = 10_000;
export const MOST_BYTES = 64 * 1024;

export function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? { ...json } : {};
  } catch {
    return {};
  }
}

/** As header fields take it. */
export function valueOf(text: string, where: string): Value {
  const value = fieldValue(text);
  return 'problem' in value ? { problem: `${where} ${value.problem}` } : new Redacted(Buffer.from(value.text, 'latin1'));
}
