/** An access record with nothing in it but when it began; `started` in ms of the monotonic clock. */
import type { AccessRecord, Downstream } from './types.ts';

export function newRecord(downstream: Downstream, startTime: number, started: number): AccessRecord {
  return {
    downstream,
    protocol: '',
    startTime,
    started,
    requestReceived: 0,
    upstreamFirstByteSent: 0,
    responseStarted: 0,
    responseEnded: 0,
    ended: 0,
    method: '',
    path: '',
    authority: '',
    scheme: '',
    requestHeaders: undefined,
    responseHeaders: undefined,
    responseTrailers: undefined,
    responseCode: 0,
    responseCodeDetails: '',
    connectionTerminationDetails: '',
    flags: [],
    bytesReceived: 0,
    bytesSent: 0,
    routeName: '',
    routeMetadata: undefined,
    clusterMetadata: undefined,
    dynamicMetadata: undefined,
    upstreamCluster: '',
    upstreamHost: undefined,
    upstreamLocalAddress: undefined,
    upstreamTransportFailureReason: '',
    attempts: 0,
  };
}
