/** A call as the audit tells of it. Headers and queries are in no flow; paths may hold secrets and are left out unless they are asked for. */
import type { ProxyFlow } from '../../flows/flow.ts';

export interface CallContext {
  /** `namespace/name` of the proxy's workload. */
  readonly proxy: string;
  readonly role: 'sidecar' | 'router';
  readonly paths: boolean;
}

/**
 * In canonical form: the fields stand in their order.
 * @param config hash of the configuration that the proxy has in force
 */
export function callEntry(flow: ProxyFlow, config: string, { proxy, role, paths }: CallContext): string {
  return JSON.stringify({
    bytesReceived: flow.bytesReceived,
    bytesSent: flow.bytesSent,
    cluster: wellFormed(flow.cluster),
    config,
    destination: flow.destination,
    duration: flow.duration,
    host: wellFormed(flow.host),
    kind: 'call',
    method: wellFormed(flow.method),
    origins: flow.origins?.map(({ kind, name, namespace }) => ({ kind, name, namespace })),
    path: paths ? wellFormed(flow.path) : undefined,
    port: flow.port,
    protocol: flow.protocol,
    proxy,
    reason: wellFormed(flow.reason),
    responseCodeDetails: wellFormed(flow.responseCodeDetails),
    responseFlags: flow.responseFlags,
    role,
    route: wellFormed(flow.route),
    source: flow.source,
    status: flow.status,
    time: flow.time,
    undeclared: flow.undeclared,
    upstream: flow.upstream,
    verdict: flow.verdict,
    workload: wellFormed(flow.workload),
  });
}

/** Longer texts are cut, so that a line has its bound. */
const LONGEST_TEXT = 1024;

function wellFormed(text: string | undefined): string | undefined {
  return text?.slice(0, LONGEST_TEXT).toWellFormed();
}
