/** The settings of HTTP/2 that both sides of a proxy have. */
import type { Http2ProtocolOptions } from '../../xds/gen/envoy/config/core/v3/protocol_pb.js';
import { durationMs } from '../../xds/match/duration.ts';

/** `connection_keepalive`: PINGs that find out whether the peer is still there. */
export interface KeepAliveOptions {
  /** Milliseconds from one to the next. */
  readonly intervalMs: number;
  /** Milliseconds in which each is to be answered. */
  readonly timeoutMs: number;
}

/** Undefined where no PING is sent. The interval's jitter and `connection_idle_interval` have no effect. */
export function keepAliveOptions(options: Http2ProtocolOptions | undefined): KeepAliveOptions | undefined {
  const intervalMs = durationMs(options?.connectionKeepalive?.interval, 0);
  const timeoutMs = durationMs(options?.connectionKeepalive?.timeout, 0);
  return intervalMs > 0 && timeoutMs > 0 ? { intervalMs, timeoutMs } : undefined;
}
