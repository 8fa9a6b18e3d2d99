/** The parameters of messages, which a client may have made of anything. */
import { fileURLToPath } from 'node:url';
import type { Position, Range } from 'vscode-languageserver-protocol';
import { RequestError, RPC } from './connection.ts';

export type Params = Readonly<Record<string, unknown>>;

function wrong(what: string): RequestError {
  return new RequestError(RPC.invalidParams, `the parameters have no valid ${what}`);
}

/** Empty where there are none. */
export function paramsOf(value: unknown): Params {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Params) : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Throws `RequestError`. */
export function text(params: Params, name: string): string {
  const value = Object.hasOwn(params, name) ? params[name] : undefined;
  if (typeof value !== 'string') throw wrong(name);
  return value;
}

/** Throws `RequestError`. */
export function count(params: Params, name: string): number {
  const value = params[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw wrong(name);
  return value;
}

/** Of a document; undefined where the client does not count. */
export function version(document: Params): number | undefined {
  return Number.isSafeInteger(document.version) ? (document.version as number) : undefined;
}

/** Throws `RequestError`. */
export function position(value: unknown): Position {
  const params = paramsOf(value);
  return { line: count(params, 'line'), character: count(params, 'character') };
}

/** Throws `RequestError`. */
export function range(value: unknown): Range {
  const params = paramsOf(value);
  return { start: position(params.start), end: position(params.end) };
}

/** The path of a URI; undefined for what is no file of this machine. */
export function filePath(uri: string): string | undefined {
  try {
    return fileURLToPath(uri);
  } catch {
    return undefined;
  }
}
