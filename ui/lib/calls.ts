/** A call that was seen, as explain asks about it. */
import type { Flow } from '../../src/flows/flow.ts';
import type { AskedCall } from '../parts/explained.tsx';
import { hostPortText } from './format.ts';
import { state } from './store.ts';

/** Whether it is told by the proxy of a workload that may be asked about: one elsewhere has no name here. */
export function isOwn({ proxy }: Flow): boolean {
  return state.value?.namespaces === undefined || proxy.includes('/');
}

/** Undefined for a question for a name: which port would be called is not known. */
export function askedCall({ protocol, host, port, path, method, proxy, destination }: Flow): AskedCall | undefined {
  if (protocol === 'dns') return undefined;
  const authority = hostPortText(host, port);
  const url = protocol === 'http' ? `http://${authority}${path ?? '/'}` : `${protocol}://${authority}`;
  const ip = destination?.slice(0, destination.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  return { url, from: proxy, method, to: ip && ip !== host ? ip : undefined };
}

/** A call to a name that was asked for. */
export function callTo({ host, proxy }: Flow, scheme: 'https' | 'http'): AskedCall {
  return { url: `${scheme}://${host}/`, from: proxy };
}

/** What a proxy says of a call that it has no way for (`NOT_ALLOWED` of the traffic's threads). */
const NO_WAY = 'not allowed';

/** Why a call ended as it did, for people. */
export function reasonText({ reason, responseCodeDetails, route, cluster, role }: Flow): string {
  if (reason !== NO_WAY) return reason ?? responseCodeDetails ?? '';
  // By these names translation refuses what is not declared, as Istio's does.
  const isUndeclared = role === 'sidecar' && (route === 'block_all' || cluster === 'BlackHoleCluster');
  return isUndeclared ? 'not declared for this caller' : 'no resource allows it';
}

/** Who calls, for people: the workload of an identity of the mesh. */
export function callerText({ workload, proxy, process }: Flow): string {
  const identity = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(workload ?? '');
  const name = identity ? `${identity[1]}/${identity[2]}` : (workload ?? proxy);
  return process ? `${process.name} (${process.pid})` : name;
}
