import type { Duration } from '@bufbuild/protobuf/wkt';

/** A protobuf duration in milliseconds; undefined stays undefined. */
export function durationMs(duration: Duration | undefined): number | undefined {
  return duration && Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
