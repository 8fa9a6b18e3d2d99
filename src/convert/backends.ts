/** Destinations of VirtualServices as backends. */
import type { Destination } from '../api/common.ts';
import type { PathStep } from '../api/resource.ts';
import { fullHostname } from '../lib/hostname.ts';
import type { ConvertInput, Problems } from './model.ts';

export type BackendOf = (destination: Destination, path: readonly PathStep[], problems: Problems) => object;

export interface BackendPlace {
  /** Of the VirtualService: short names are of it. */
  readonly namespace: string;
  /** Of the route that is made. */
  readonly routeNamespace: string;
  /** Of the proxies that send. */
  readonly clientNamespace: string;
  /** Ports on which the route listens; a destination without a port means the port of the request. */
  readonly ports: readonly number[];
}

export function backends(
  { snapshot, registry }: ConvertInput,
  { namespace, routeNamespace, clientNamespace, ports }: BackendPlace,
): BackendOf {
  return (destination, path, problems) => {
    if (destination.subset) problems.add([...path, 'subset'], 'a backend has no subsets: give the subset a Service of its own');
    const host = fullHostname(destination.host, namespace).toLowerCase();
    const service = registry.lookup(host, clientNamespace);
    const port =
      destination.port?.number || (service?.ports.length === 1 ? service.ports[0]!.number : ports.length === 1 ? ports[0] : undefined);
    if (port === undefined) problems.add(path, 'a backend needs a port');
    else if (!service?.ports.some(({ number }) => number === port))
      problems.add(
        path,
        `${host} has no port ${port} that namespace ${clientNamespace} sees: a VirtualService answers that with 503, an HTTPRoute with 500`,
      );
    const suffix = `.${routeNamespace}.svc.cluster.local`;
    const name = host.endsWith(suffix) ? host.slice(0, -suffix.length) : '';
    if (name && snapshot.get('Service', routeNamespace, name)) return { name, port };
    // Any host that the mesh knows, in any namespace, without a ReferenceGrant.
    return { group: 'networking.istio.io', kind: 'Hostname', name: host, port };
  };
}
