/** What one proxy sees of the mesh. */
import type { ResourceOf } from '../api/index.ts';
import type { Service } from '../registry/model.ts';

/** One `egress` entry of the Sidecar, or the single one that stands for no Sidecar. */
export interface EgressScope {
  /** The port of this listener; undefined for the one that takes every port that no other listener has. */
  readonly port: { readonly number: number; readonly protocol: string; readonly name: string } | undefined;
  /** An IP address or `unix://path`; empty for the default. */
  readonly bind: string;
  readonly captureMode: 'DEFAULT' | 'IPTABLES' | 'NONE';
  /** Services that this listener serves, oldest first. A listener with a port has the services with that one port only. */
  readonly services: readonly Service[];
  /** VirtualServices for `mesh` that this listener imports, oldest first; delegates merged in, hosts and destinations fully qualified. */
  readonly virtualServices: readonly ResourceOf<'VirtualService'>[];
}

export interface OutboundTrafficPolicy {
  readonly mode: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  /** Cluster that takes unknown traffic in place of the passthrough. */
  readonly egressProxy: { readonly host: string; readonly subset: string; readonly port: number } | undefined;
}

export interface Scope {
  /** The Sidecar resource in force; undefined for routers and where none concerns this proxy. */
  readonly sidecar: ResourceOf<'Sidecar'> | undefined;
  /** Never empty; the one without a port is the last. A router has one with all that its namespace sees, and no VirtualServices in it. */
  readonly egress: readonly EgressScope[];
  /** The services of all egress entries, oldest first, one for each hostname; each has a cluster for each of its ports. */
  readonly services: readonly Service[];
  readonly outboundTrafficPolicy: OutboundTrafficPolicy;
  /** The service with a cluster under this (fully qualified, maybe wildcard) hostname. */
  serviceFor(hostname: string): Service | undefined;
  /** The DestinationRule in force for this host: the client's namespace, then the service's, then the root namespace; same-namespace rules merged. */
  destinationRuleFor(hostname: string): ResourceOf<'DestinationRule'> | undefined;
  /**
   * VirtualServices that name this gateway (`namespace/name`), visible to the proxy's namespace, oldest first; delegates merged in,
   * hosts and destinations fully qualified.
   */
  virtualServicesForGateway(gateway: string): readonly ResourceOf<'VirtualService'>[];
}
