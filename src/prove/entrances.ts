/** How a caller finds a gateway to which the configuration does not send it: by the gateway's address, or by the address or name of a Service in front of it. */
import type { Registry, Service } from '../registry/model.ts';
import type { Endpoint } from '../simulate/call.ts';
import type { SimulatedProxy } from '../simulate/proxy.ts';
import { listenerAddresses } from '../xds/match/listener.ts';

/** What the cluster's DNS answers a workload of `namespace`: the addresses of a Service, or of its endpoints if it is headless. */
export function clusterDns(registry: Registry): (name: string, namespace: string) => readonly string[] | undefined {
  const byName = new Map<string, Service>();
  for (const service of registry.services) if (service.registry === 'Kubernetes') byName.set(service.hostname, service);
  const domain = [...byName.keys()].find((name) => name.includes('.svc.'))?.replace(/^.*?\.svc\./, '') ?? '';
  const addressesOf = (service: Service) =>
    service.headless
      ? service.ports.flatMap((port) => registry.endpoints(service, port).map(({ address }) => address))
      : service.addresses.filter((address) => !address.includes('/'));
  return (text, namespace) => {
    const name = text.toLowerCase().replace(/\.$/, '');
    const suffixes = ['', `.${domain}`, `.svc.${domain}`, `.${namespace}.svc.${domain}`];
    const service = suffixes.map((suffix) => byName.get(`${name}${suffix}`)).find((found) => found !== undefined);
    return service && [...new Set(addressesOf(service))];
  };
}

/** Where these routers take calls: at the ports of their listeners, and at the ports of the Services that have them as endpoints. */
export function entrancesOf(registry: Registry, routers: readonly SimulatedProxy[]): Endpoint[] {
  const own = routers.flatMap(({ addresses, all }) =>
    addresses.flatMap((ip) =>
      [...new Set(all.flatMap((listener) => listenerAddresses(listener).map(({ port }) => port)))].map((port) => ({ ip, port })),
    ),
  );
  const taken = new Set(routers.flatMap(({ addresses }) => addresses));
  const services = registry.services
    .filter((service) => service.registry === 'Kubernetes')
    .flatMap((service) =>
      service.ports
        .filter((port) => registry.endpoints(service, port).some(({ address }) => taken.has(address)))
        .flatMap(({ number }) => service.addresses.filter((ip) => !ip.includes('/')).map((ip) => ({ ip, port: number }))),
    );
  return [...own, ...services];
}
