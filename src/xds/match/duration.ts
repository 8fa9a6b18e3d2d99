import type { Duration } from '@bufbuild/protobuf/wkt';

/** Milliseconds, fractions kept; `missing` where there is no duration. */
export function durationMs<T extends number | undefined>(duration: Duration | undefined, missing: T): number | T {
  return duration ? Number(duration.seconds) * 1000 + duration.nanos / 1e6 : missing;
}
