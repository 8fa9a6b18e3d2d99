/** What one proxy sees of the mesh: its Sidecar's (or the default) egress, the DestinationRules in force and the VirtualServices that apply. */

import type { ResourceOf, Sidecar } from '../api/index.ts';
import { fullHostname } from '../lib/hostname.ts';
import { matchesLabels } from '../lib/labels.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import { once } from '../lib/once.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { destinationRuleLookup } from '../registry/destination-rules.ts';
import { joined } from '../registry/index.ts';
import type { Service } from '../registry/model.ts';
import type { Mesh } from './model.ts';
import { MESH_GATEWAY } from './names.ts';
import { type EgressScope, sidecarEgress } from './scope-egress.ts';
import { preparedVirtualServices, visibleVirtualServices } from './scope-virtual-services.ts';

export type { EgressScope } from './scope-egress.ts';

interface OutboundTrafficPolicy {
  readonly mode: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  /** Cluster that takes unknown traffic in place of the passthrough; the host is fully qualified. */
  readonly egressProxy: { readonly host: string; readonly subset: string; readonly port: number } | undefined;
}

export interface Scope {
  /** The Sidecar resource in force; undefined for routers and where none concerns this proxy. */
  readonly sidecar: ResourceOf<'Sidecar'> | undefined;
  /**
   * Those with a port first, in the Sidecar's order, then at most one without. A router has one, with all that its namespace sees and no
   * VirtualServices.
   */
  readonly egress: readonly EgressScope[];
  /**
   * The services of all egress entries, oldest first, and those that imported VirtualServices route to; each has a cluster for each of its
   * ports. Several may have one hostname (declared by several objects of one namespace), but no port of it twice.
   */
  readonly services: readonly Service[];
  readonly outboundTrafficPolicy: OutboundTrafficPolicy;
  /** Those of `services` with this hostname. */
  servicesNamed(hostname: string): readonly Service[];
  /** The service with clusters under this (fully qualified, maybe wildcard) hostname; with the ports of all that have it. */
  serviceFor(hostname: string): Service | undefined;
  /**
   * The DestinationRule in force for this service's host: the client's namespace, then the service's, then the root namespace; the most
   * specific host in the first of these that has any. Several for one host in a namespace are merged, the oldest first.
   */
  destinationRuleFor(hostname: string): ResourceOf<'DestinationRule'> | undefined;
  /**
   * VirtualServices that name this gateway (`namespace/name`), visible to the proxy's namespace, the one that decides first; delegates merged
   * in, hosts and destinations fully qualified.
   */
  virtualServicesForGateway(gateway: string): readonly ResourceOf<'VirtualService'>[];
}

export function scopeFor(proxy: ProxyIdentity, mesh: Mesh): Scope {
  const prepared = preparedVirtualServices(mesh);
  const virtualServices = (gateway: string) => visibleVirtualServices(prepared.byGateway.get(gateway) ?? NONE, proxy.namespace);
  const sidecar = proxy.type === 'sidecar' ? sidecarFor(proxy, mesh) : undefined;
  const meshServices = () => (proxy.type === 'sidecar' ? virtualServices(MESH_GATEWAY) : []);
  const reach = once(() => sidecarEgress(sidecar?.spec, proxy, mesh.registry, meshServices()));
  const byHostname = once(() => indexes.get([reach().services], NO_INPUTS, () => indexOf(reach().services)));
  const serviceFor = (hostname: string) => byHostname().get(hostname)?.joined;
  const ruleFor = destinationRuleLookup(mesh, proxy);
  return {
    sidecar,
    // Worked out when asked for: a call into the workload does not need what it sees itself.
    get egress() {
      return reach().egress;
    },
    get services() {
      return reach().services;
    },
    servicesNamed: (hostname) => byHostname().get(hostname)?.services ?? [],
    outboundTrafficPolicy: outboundTrafficPolicy(sidecar, proxy, mesh),
    serviceFor,
    destinationRuleFor(hostname) {
      const service = serviceFor(hostname);
      return service && ruleFor(service);
    },
    virtualServicesForGateway: virtualServices,
  };
}

const NONE: readonly never[] = [];

/** The services of one hostname, and the one that they are together. */
interface Named {
  readonly services: readonly Service[];
  readonly joined: Service;
}

const indexes = new Memo<ReadonlyMap<string, Named>>();
const joinedServices = new Memo<Service>();

function indexOf(services: readonly Service[]): ReadonlyMap<string, Named> {
  const groups = Map.groupBy(services, ({ hostname }) => hostname);
  return new Map([...groups].map(([hostname, named]) => [hostname, { services: named, joined: together(named) }]));
}

function together(services: readonly Service[]): Service {
  const first = services[0]!;
  return services.length === 1 ? first : joinedServices.get([first], services, () => joined(services)!);
}

/** Of the proxy's namespace the oldest that selects it, then the oldest without a selector; then the root namespace's without one. */
function sidecarFor(proxy: ProxyIdentity, mesh: Mesh): ResourceOf<'Sidecar'> | undefined {
  const all = mesh.snapshot.list('Sidecar');
  const own = all.filter(({ metadata }) => metadata.namespace === proxy.namespace);
  return (
    own.find(({ spec }) => hasSelector(spec) && matchesLabels(spec.workloadSelector?.labels ?? {}, proxy.labels)) ??
    own.find(({ spec }) => !hasSelector(spec)) ??
    all.find(({ metadata, spec }) => metadata.namespace === mesh.config.rootNamespace && !hasSelector(spec))
  );
}

function hasSelector(spec: Sidecar): boolean {
  return Object.keys(spec.workloadSelector?.labels ?? {}).length > 0;
}

function outboundTrafficPolicy(sidecar: ResourceOf<'Sidecar'> | undefined, proxy: ProxyIdentity, mesh: Mesh): OutboundTrafficPolicy {
  const own = sidecar?.spec.outboundTrafficPolicy;
  const { mode } = own ?? mesh.config.outboundTrafficPolicy;
  const egressProxy = own?.egressProxy;
  if (!egressProxy) return { mode, egressProxy: undefined };
  // A short name in the root namespace's Sidecar is a Service of the workload's own namespace.
  const host = fullHostname(egressProxy.host, proxy.namespace).toLowerCase();
  return { mode, egressProxy: { host, subset: egressProxy.subset ?? '', port: egressProxy.port?.number ?? 0 } };
}
