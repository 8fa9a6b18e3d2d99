/** A value that takes time to get: it is kept for as long as it holds, and asked for once, however many wait for it. */
import type { Source, Value } from './credential-value.ts';

export interface Obtained {
  readonly value: Value;
  /** For how long it holds, ms. */
  readonly lifeMs: number;
  /** After how long it is asked for anew, ms, though it still holds; without: when it holds no more. */
  readonly renewMs?: number;
}

/** What could not be had is not asked for at each call. */
export const FAILED_MS = 1000;

export function failed(problem: string): Obtained {
  return { value: { problem }, lifeMs: FAILED_MS };
}

/**
 * Nothing is asked for while nobody calls. A value that still holds outlives a failure to renew it, and never its own end.
 * @param obtain calls `done` once, possibly before it returns
 * @param now milliseconds that only grow
 */
export function remembered(obtain: (done: (obtained: Obtained) => void) => void, now: () => number): Source {
  let known: { readonly value: Value; readonly until: number } | undefined;
  let renewAt = 0;
  let waiting: ((value: Value) => void)[] | undefined;
  const holds = () => known !== undefined && now() < known.until;
  const take = ({ value, lifeMs, renewMs = lifeMs }: Obtained) => {
    const keeps = 'problem' in value && holds() && !('problem' in known!.value);
    if (!keeps) known = { value, until: now() + lifeMs };
    renewAt = now() + renewMs;
    const asked = waiting!;
    waiting = undefined;
    for (const done of asked) done(known!.value);
  };
  return (done) => {
    const held = holds() ? known : undefined;
    const renews = waiting === undefined && (!held || now() >= renewAt);
    if (renews) waiting = [];
    if (!held) waiting!.push(done);
    if (renews) obtain(take);
    if (held) done(held.value);
  };
}
