/** What may be called, written short, as the whole set of resources that leads it through an egress gateway. */

import { propose } from '../learn/propose.ts';
import { SallyportError } from '../lib/errors.ts';
import { isShortName } from '../lib/hostname.ts';
import { type Allowed, onePerHost } from './allow.ts';
import { onlyRequests, type RouteShape } from './routes.ts';

/** From the sidecar to the gateway, or from there to the host. */
type HttpRoute = RouteShape & {
  readonly route: readonly { readonly destination: { readonly host: string; readonly port: { readonly number: number } } }[];
};

interface VirtualServiceShape {
  readonly kind: string;
  readonly spec: { readonly hosts: readonly string[]; readonly http?: readonly HttpRoute[] };
}

/**
 * Kubernetes objects: one Gateway for all hosts, a ServiceEntry and a VirtualService for each, and a Service for ports of the gateway that carry no name.
 * Methods and paths are held to at the gateway, where the application has no hand in it.
 * @throws SallyportError `usage` for a name without a dot: of no Gateway may it be a host, and one that is not valid serves none of the others either
 */
export function resourcesThroughGateway(allowed: readonly Allowed[]): object[] {
  const hosts = onePerHost(allowed);
  const short = hosts.find(({ host }) => isShortName(host));
  if (short)
    throw new SallyportError('usage', `${short.host} is a short name, which no Gateway serves: write it in full, or leave out --gateway`);
  const own = hosts.find(({ ports, injections }) => injections || ports.some(({ originate }) => originate !== undefined));
  if (own)
    throw new SallyportError(
      'usage',
      `${own.host}: credentials, and TLS that is originated or intercepted, are for the proxy beside the caller (sallyport run): leave --gateway out, or the entry`,
    );
  const observed = hosts.flatMap(({ host, ports }) =>
    ports.map(({ port, protocol }) => ({
      host,
      port,
      protocol,
      originatedAt: undefined,
      addresses: [],
      clients: undefined,
      count: 0,
      lastSeen: '',
    })),
  );
  const proposed = propose(observed, { namespace: 'default', wildcardAfter: Number.POSITIVE_INFINITY, gatewayName: 'allowed-egress' });
  return proposed.map(({ resource }) => narrowed(resource, hosts));
}

function narrowed(resource: object, hosts: readonly Allowed[]): object {
  const { kind, spec } = resource as VirtualServiceShape;
  if (kind !== 'VirtualService' || !spec.http) return resource;
  const http = spec.http.flatMap((route) => {
    const { host, port } = route.route[0]!.destination;
    const only = hosts.find((one) => one.host === host)?.ports.find((one) => one.port === port.number)?.only;
    return only ? onlyRequests(host, port.number, only, route) : [route];
  });
  return { ...resource, spec: { ...spec, http } };
}
