import type { Duration } from '@bufbuild/protobuf/wkt';

/** 24.8 days: a timer of more goes off at once. */
const LONGEST_TIMER_MS = 0x7fff_ffff;

/**
 * Milliseconds to wait, fractions kept, and at most what a timer can wait: control planes say "never" by some hundred years (Istio, of `cleanup_interval`). `missing`
 * where there is no duration.
 */
export function durationMs<T extends number | undefined>(duration: Duration | undefined, missing: T): number | T {
  return duration ? Math.min(Number(duration.seconds) * 1000 + duration.nanos / 1e6, LONGEST_TIMER_MS) : missing;
}
