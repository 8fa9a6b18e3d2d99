/** The programs behind the calls that somebody watches. Looking one up reads /proc in the thread that carries the traffic, so it has a tenth of the time at most. */
import type { FlowProcess } from '../../flows/flow.ts';
import type { ProcessOf } from '../../flows/hub.ts';
import { addressText } from '../../lib/socket-address.ts';
import type { Caller } from './calls.ts';

const SHARE = 0.1;
/** Time that can be saved up, ms: a burst of calls after a pause is looked up whole. */
const MOST_SAVED_MS = 200;
/** So long a client's port is taken to be the same program's, ms. */
const KEPT_MS = 2000;
/** So many are remembered. */
const MOST_KEPT = 1000;

interface Kept {
  readonly process: FlowProcess | undefined;
  readonly until: number;
}

/** @param now ms that only grow */
export function flowCallers(
  callerOf: (client: { readonly ip: string; readonly port: number }) => Caller | undefined,
  now: () => number,
): ProcessOf {
  const kept = new Map<string, Kept>();
  let saved = MOST_SAVED_MS;
  let last = now();
  return (source) => {
    const began = now();
    const key = addressText(source);
    const known = kept.get(key);
    if (known && known.until > began) return known.process;
    saved = Math.min(MOST_SAVED_MS, saved + (began - last) * SHARE);
    last = began;
    if (saved <= 0) return undefined;
    const caller = callerOf(source);
    const process = caller && { pid: caller.pid, name: caller.command };
    const ended = now();
    saved -= ended - began;
    if (kept.size >= MOST_KEPT) kept.clear();
    kept.set(key, { process, until: ended + KEPT_MS });
    return process;
  };
}
