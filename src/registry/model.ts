import type { Resource } from '../api/resource.ts';

/** Istio's protocol of a service port; `Unsupported` is what is to be sniffed. */
export type Protocol =
  | 'HTTP'
  | 'HTTP2'
  | 'GRPC'
  | 'GRPC-Web'
  | 'HTTPS'
  | 'TLS'
  | 'TCP'
  | 'Mongo'
  | 'MySQL'
  | 'Redis'
  | 'UDP'
  | 'Unsupported';

/** How a client finds a service's endpoints; Istio's names. */
export type Resolution = 'ClientSideLB' | 'DNSLB' | 'DNSRoundRobinLB' | 'Passthrough' | 'DynamicDNS' | 'Alias';

export interface ServicePort {
  readonly number: number;
  readonly name: string;
  readonly protocol: Protocol;
  /** The port of an endpoint that names none itself; the service's own port unless `targetPort` says otherwise. */
  readonly targetPort: number;
}

/** Who sees an object: `*` everyone, `.` its own namespace, `~` nobody, else the namespaces named. */
export type Visibility = ReadonlySet<string>;

/** One host of a Kubernetes Service or of a ServiceEntry (a ServiceEntry with several hosts makes several). */
export interface Service {
  /** Fully qualified, lower-case; may be a wildcard (`*.example.com`). */
  readonly hostname: string;
  readonly namespace: string;
  readonly registry: 'Kubernetes' | 'External';
  readonly resource: Resource;
  readonly order: number;
  readonly ports: readonly ServicePort[];
  readonly resolution: Resolution;
  readonly meshExternal: boolean;
  /** Declared VIPs and CIDRs; the ClusterIPs of a Kubernetes Service. Empty for headless services. */
  readonly addresses: readonly string[];
  /** Allocated address (IPv4 in 240.240/16, IPv6 in 2001:2::/64) of an external host without one; see Istio's DNS auto allocation. */
  readonly autoAddresses: readonly string[];
  readonly headless: boolean;
  readonly exportTo: Visibility;
  readonly subjectAltNames: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** `spec.selector` of a Service, the labels of a ServiceEntry's workloadSelector; empty without one. */
  readonly selector: Readonly<Record<string, string>>;
  /** Target of a Service of type ExternalName. */
  readonly externalName?: string;
  /** Full names of the Services of type ExternalName that stand for this one; absent without any. */
  readonly aliases?: readonly string[];
}

/** One address that serves one port of a service. */
export interface Endpoint {
  /** An IP address, a host name (DNS resolutions) or `unix:///path`. */
  readonly address: string;
  /** 0 for unix sockets. */
  readonly port: number;
  readonly servicePortName: string;
  readonly labels: Readonly<Record<string, string>>;
  /** 0 counts as not set, i.e. 1. */
  readonly weight: number;
  /** `region/zone/subzone`, parts from the right may be missing. */
  readonly locality: string;
  readonly network: string;
  readonly serviceAccount: string;
  readonly namespace: string;
  /** Name of the Pod or WorkloadEntry behind it, or empty. */
  readonly workload: string;
  readonly healthy: boolean;
  /** `istio`: the workload has a proxy that takes the mesh's mTLS. */
  readonly tlsMode: 'istio' | 'disabled';
}

/** A Pod or WorkloadEntry: something that can have a proxy. */
export interface Workload {
  readonly kind: 'Pod' | 'WorkloadEntry';
  readonly name: string;
  readonly namespace: string;
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly locality: string;
  readonly resource: Resource;
}

/** What `translate` and `analysis` know of services, at one moment. Pure and immutable. */
export interface Registry {
  /** Oldest first. Of two with one hostname and namespace the younger has only the ports that the older lacks; beside a Kubernetes Service none is. */
  readonly services: readonly Service[];
  /** Ports that an object declares though an older one of its namespace has them, as services of their own. Oldest first. */
  readonly repeats: readonly Service[];
  readonly workloads: readonly Workload[];
  /**
   * The service that a client in `namespace` sees under `hostname`: its own namespace's first, then Kubernetes', then the oldest visible one; with
   * the ports of all objects of that namespace that declare the host.
   */
  lookup(hostname: string, namespace: string): Service | undefined;
  /** What declares `hostname` first in each namespace, whoever sees it: a Kubernetes Service, else the oldest object, with its own ports alone. */
  firstOf(hostname: string): readonly Service[];
  /** What the objects of one namespace make of one hostname, oldest first, with the repeats. */
  declaring(hostname: string, namespace: string): readonly Service[];
  /**
   * Those that a client in `namespace` sees: first what is exported to it by name, then what everybody sees, each oldest first. With the repeats:
   * ports that an older object of the same namespace and hostname has, too. A client that sees both has one cluster for them, but listens at
   * the addresses of both.
   */
  visibleTo(namespace: string): readonly Service[];
  /** Every endpoint of a service's port, in a stable order. */
  endpoints(service: Service, port: ServicePort): readonly Endpoint[];
  /** What a workload serves; of a service's ports at one place the first. */
  servicesOf(
    workload: Pick<Workload, 'namespace' | 'addresses' | 'labels'>,
  ): readonly { service: Service; port: ServicePort; endpointPort: number }[];
}
