import type { ResourceOf, Sidecar } from '../api/index.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { joinable } from '../registry/index.ts';
import type { Registry, Service, ServicePort } from '../registry/model.ts';
import { isVisible } from '../registry/visibility.ts';
import { type Imports, importsOf } from './scope-imports.ts';

/** One `egress` entry of the Sidecar, or the single one that stands for no Sidecar. */
export interface EgressScope {
  /** The port of this listener; undefined for the one that takes every port that no other listener has. */
  readonly port: { readonly number: number; readonly protocol: string; readonly name: string } | undefined;
  /** An IP address or `unix://path`; empty for the default. */
  readonly bind: string;
  readonly captureMode: 'DEFAULT' | 'IPTABLES' | 'NONE';
  /**
   * Services that this listener serves, oldest first. Several may have one hostname, and even one port of it: that of the oldest has the
   * cluster, that of the youngest the virtual host. A listener with a port has them with that one port only.
   */
  readonly services: readonly Service[];
  /** VirtualServices for `mesh` that this listener imports, the one that decides first; delegates merged in, hosts and destinations fully qualified. */
  readonly virtualServices: readonly ResourceOf<'VirtualService'>[];
}

type VirtualService = ResourceOf<'VirtualService'>;
type EgressListener = Sidecar['egress'][number];

const kept = {
  imports: new Memo<Imports>(),
  oneNamespace: new Memo<readonly Service[]>(),
  listenerServices: new Memo<readonly Service[]>(),
  listenerVirtualServices: new Memo<readonly VirtualService[]>(),
  clusterServices: new Memo<readonly Service[]>(),
  narrowed: new Memo<Service>(),
  sameList: new Memo<readonly Service[]>(),
};

/**
 * The egress entries of a Sidecar (or the default one, which imports all that is visible) and all services that get clusters. A router has no
 * namespace of its own that it prefers.
 */
export function sidecarEgress(
  sidecar: Sidecar | undefined,
  { namespace, type }: Pick<ProxyIdentity, 'namespace' | 'type'>,
  registry: Registry,
  virtualServices: readonly VirtualService[],
): { egress: readonly EgressScope[]; services: readonly Service[] } {
  const visible = registry.visibleTo(namespace);
  if (!sidecar?.egress.length) {
    const own = type === 'sidecar' ? namespace : '';
    const services = kept.oneNamespace.get([visible, own], NO_INPUTS, () => oneNamespacePerHostname(visible, own));
    const clusters = kept.clusterServices.get([services], NO_INPUTS, () => withClusters(services));
    return { egress: [{ port: undefined, bind: '', captureMode: 'DEFAULT', services, virtualServices }], services: clusters };
  }
  const entries = sidecar.egress.map((listener) => entryOf(listener, namespace, visible, registry, virtualServices));
  const egress = [...entries.filter(({ port }) => port), ...entries.filter(({ port }) => !port)];
  const services = clusterServices(egress, namespace, registry);
  // Most changes of a VirtualService leave the list as it is: whoever asks shall see that.
  return { egress, services: kept.sameList.get([sidecar, namespace], services, () => services) };
}

function entryOf(
  listener: EgressListener,
  namespace: string,
  visible: readonly Service[],
  registry: Registry,
  virtualServices: readonly VirtualService[],
): EgressScope {
  const imports = kept.imports.get([listener, namespace], NO_INPUTS, () => importsOf(listener.hosts, namespace));
  const number = listener.port?.number;
  return {
    port: number ? { number, protocol: listener.port?.protocol ?? '', name: listener.port?.name ?? '' } : undefined,
    bind: listener.bind ?? '',
    captureMode: listener.captureMode,
    services: kept.listenerServices.get([listener, visible, namespace], NO_INPUTS, () =>
      importedServices(visible, imports, namespace, registry, number || undefined),
    ),
    virtualServices: kept.listenerVirtualServices.get([listener, virtualServices, namespace], NO_INPUTS, () =>
      virtualServices.filter(({ metadata, spec }) => spec.hosts.some((host) => imports.takeHost(metadata.namespace, host))),
    ),
  };
}

/** @param port of the listener, where it has one: of a host the namespace counts that has the port, too */
function importedServices(
  visible: readonly Service[],
  imports: Imports,
  namespace: string,
  registry: Registry,
  port: number | undefined,
): readonly Service[] {
  const matching = visible.filter((service) => imports.takeService(service.namespace, service.hostname));
  // Exact names are looked up in their namespaces, and of several objects that declare one there the first is found.
  const found = imports.exact ? matching.filter((service) => registry.firstOf(service.hostname).includes(service)) : matching;
  const taken = port === undefined ? found : found.flatMap((service) => withPorts(service, [port]));
  return oneNamespacePerHostname(taken, namespace).map((service) => {
    if (!service.aliases) return service;
    const aliases = service.aliases.filter((alias) => imports.takeService(service.namespace, alias));
    return kept.narrowed.get([service], aliases, () => ({ ...service, aliases }));
  });
}

/** Of the namespaces that declare one hostname the client's own (empty for none), then Kubernetes', then the first. */
function oneNamespacePerHostname(services: readonly Service[], own: string): readonly Service[] {
  const chosen = new Map<string, Service>();
  let repeated = false;
  for (const service of services) {
    const other = chosen.get(service.hostname);
    if (!other) {
      chosen.set(service.hostname, service);
      continue;
    }
    repeated = true;
    if (rank(service, own) < rank(other, own)) chosen.set(service.hostname, service);
  }
  return repeated ? services.filter((service) => chosen.get(service.hostname)?.namespace === service.namespace) : services;
}

function rank(service: Service, own: string): number {
  if (service.namespace === own) return 0;
  return service.registry === 'Kubernetes' ? 1 : 2;
}

/** Of several with one hostname those that can be joined to the first: the ports of the others have listeners and routes, but no clusters. */
function withClusters(services: readonly Service[]): readonly Service[] {
  const byHostname = new Map<string, Service[]>();
  return services.flatMap((service) => added(byHostname, service));
}

/** The services of the listeners, in their order, and those that the VirtualServices that each imports route to, though it imports them not itself. */
function clusterServices(egress: readonly EgressScope[], namespace: string, registry: Registry): readonly Service[] {
  const byHostname = new Map<string, Service[]>();
  for (const entry of egress) {
    for (const service of entry.services) added(byHostname, service);
    for (const [hostname, ports] of destinations(entry.virtualServices, namespace)) {
      const service = destinationService(registry, hostname, namespace);
      // A listener with a port brings that port of a destination and no other, whichever the route names.
      if (service) for (const narrowed of withPorts(service, entry.port ? [entry.port.number] : ports)) added(byHostname, narrowed);
    }
  }
  return [...byHostname.values()].flat().sort((a, b) => a.order - b.order);
}

/** Of those that the client sees its own namespace's, else Kubernetes', else the oldest. Istio asks its own namespace's for no visibility (docs/compatibility.md). */
function destinationService(registry: Registry, hostname: string, namespace: string): Service | undefined {
  const seen = registry.firstOf(hostname).filter((service) => isVisible(service.exportTo, service.namespace, namespace));
  return seen.find((service) => service.namespace === namespace) ?? seen.find((service) => service.registry === 'Kubernetes') ?? seen[0];
}

/** What is new of the service, now among those of its hostname: listeners and objects may have brought the same port of it, or different ones. */
function added(byHostname: Map<string, Service[]>, service: Service): readonly Service[] {
  const siblings = byHostname.get(service.hostname);
  if (!siblings) {
    byHostname.set(service.hostname, [service]);
    return [service];
  }
  if (!joinable(siblings[0]!, service)) return [];
  const ports = service.ports.filter(({ number }) => siblings.every((other) => other.ports.every((port) => port.number !== number)));
  if (ports.length === 0) return [];
  const added = service.resolution === 'Passthrough' ? dialled(service, ports) : withThese(service, ports);
  siblings.push(added);
  return [added];
}

/** As Istio joins services whose names are not looked up: calls go on to the port that was dialled, whatever target port the younger object has. */
function dialled(service: Service, ports: readonly ServicePort[]): Service {
  const plain = ports.map((port) => (port.targetPort === port.number ? port : { ...port, targetPort: port.number }));
  return withThese(service, plain.every((port) => service.ports.includes(port)) ? ports : plain);
}

/** The service with these ports: the same object each time. */
function withThese(service: Service, ports: readonly ServicePort[]): Service {
  if (ports.length === service.ports.length && ports.every((port, i) => port === service.ports[i])) return service;
  const numbers = ports.map(({ number, targetPort }) => `${number}:${targetPort}`).join();
  return kept.narrowed.get([service, numbers], NO_INPUTS, () => ({ ...service, ports }));
}

/** The service with these of its ports; with all of them where 0 is among those asked for, and none at all where it has none of them. */
function withPorts(service: Service, numbers: readonly number[]): Service[] {
  if (numbers.includes(0)) return [service];
  const ports = service.ports.filter(({ number }) => numbers.includes(number));
  if (ports.length === 0) return [];
  return [withThese(service, ports)];
}

/** Hostnames that VirtualServices route calls of the client's namespace to, with the ports that they name; 0 where a route names none. */
function destinations(virtualServices: readonly VirtualService[], namespace: string): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, number[]>();
  const note = (destination: { host: string; port?: { number: number } | undefined } | undefined) => {
    if (!destination) return;
    const port = destination.port?.number ?? 0;
    const ports = found.get(destination.host);
    if (!ports) found.set(destination.host, [port]);
    else if (!ports.includes(port)) ports.push(port);
  };
  for (const { spec } of virtualServices) {
    for (const rule of spec.http) {
      if (!isForNamespace(rule.match, namespace)) continue;
      for (const { destination } of rule.route) note(destination);
      for (const { destination } of rule.mirrors) note(destination);
      note(rule.mirror);
    }
    for (const rule of [...spec.tls, ...spec.tcp]) for (const { destination } of rule.route) note(destination);
  }
  return found;
}

/** Of matches that name namespaces one has to name this one, whatever those that name none say: as in Istio. */
function isForNamespace(matches: readonly { readonly sourceNamespace?: string | undefined }[], namespace: string): boolean {
  return matches.every(({ sourceNamespace }) => !sourceNamespace) || matches.some(({ sourceNamespace }) => sourceNamespace === namespace);
}
