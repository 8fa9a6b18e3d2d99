/** The access-log record of a request, begun when its head is there. */
import type { Head } from '../../http/head.ts';
import type { CompiledRoute } from '../../http/routes/route.ts';
import { newRecord } from '../record.ts';
import type { AccessRecord, Cluster, ClusterManager } from '../types.ts';
import type { ConnectionFacts } from './connection-facts.ts';
import type { HttpManagerDeps } from './contract.ts';

export function requestRecord({ now, timeOrigin }: HttpManagerDeps, { downstream, scheme }: ConnectionFacts, head: Head): AccessRecord {
  const started = now();
  const record = newRecord(downstream, timeOrigin + started, started);
  record.protocol = head.protocol;
  if (!head.hasBody) record.requestReceived = started;
  nameRequest(record, head);
  record.scheme = scheme;
  record.requestHeaders = head.headers;
  return record;
}

/** What is asked for, as it is now: routes and filters may change it. */
export function nameRequest(record: AccessRecord, { method, path, authority }: Head): void {
  record.method = method;
  record.path = path;
  record.authority = authority;
}

/** Where its route leads it. */
export function nameCluster(record: AccessRecord, { name, config }: Cluster): void {
  record.upstreamCluster = name;
  record.clusterMetadata = config.metadata?.filterMetadata;
}

/** Whether an HTTP/1 client has all that the head promised: it may leave then, though the upstream's own end of the response is yet to come. */
export function hasWholeResponse({ responseHeaders, bytesSent, protocol }: AccessRecord, { method }: Head): boolean {
  if (!protocol.startsWith('HTTP/1')) return false;
  return method === 'HEAD' || responseHeaders?.get('content-length') === String(bytesSent);
}

/** Logs name the cluster of the route, also where the request never got to it. */
export function nameRouteCluster(record: AccessRecord, route: CompiledRoute | undefined, head: Head, clusters: ClusterManager): void {
  const action = route?.action;
  if (action?.kind !== 'forward') return;
  const name = action.choose(head)?.cluster;
  const cluster = name === undefined ? undefined : clusters.get(name);
  if (cluster) nameCluster(record, cluster);
}
