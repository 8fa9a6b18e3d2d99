/** What formats in header values may ask of a simulated request. */
import type { FormatRecord } from '../http/format/record.ts';
import type { Head } from '../http/head.ts';
import type { CompiledRoute } from '../http/routes/route.ts';
import type { Call } from './call.ts';

/** Times, sizes and the like are not simulated: they are those of `at`, in milliseconds since the epoch. */
export function recordOf(route: CompiledRoute | undefined, head: Head, { source, destination, payload }: Call, at: number): FormatRecord {
  const { method, path, authority, scheme, headers, protocol } = head;
  return {
    downstream: {
      id: at,
      remoteAddress: head.client ?? source,
      localAddress: destination,
      directRemoteAddress: source,
      directLocalAddress: destination,
      filterChainName: '',
      serverName: payload.tls?.serverName ?? '',
      alpn: '',
      tls: undefined,
      startTime: at,
    },
    protocol,
    startTime: at,
    started: 0,
    requestReceived: 0,
    upstreamFirstByteSent: 0,
    responseStarted: 0,
    responseEnded: 0,
    ended: 0,
    method,
    path,
    authority,
    scheme,
    requestHeaders: headers,
    responseHeaders: undefined,
    responseTrailers: undefined,
    responseCode: 0,
    responseCodeDetails: '',
    connectionTerminationDetails: '',
    flags: [],
    bytesReceived: 0,
    bytesSent: 0,
    routeName: route?.name ?? '',
    upstreamCluster: '',
    upstreamHost: undefined,
    upstreamLocalAddress: undefined,
    upstreamTransportFailureReason: '',
    attempts: 0,
  };
}
