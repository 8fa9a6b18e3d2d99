/** Who a proxy is: what translation, engines and the questions asked of a mesh have to know of it. */
export interface ProxyIdentity {
  readonly type: 'sidecar' | 'router';
  /** Name of its workload (Pod or WorkloadEntry). */
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** Addresses of its workload; empty if it has none of its own (the local sidecar of `up`). */
  readonly addresses: readonly string[];
  /** `region/zone/subzone`, or empty. */
  readonly locality: string;
  /** Standalone only: where wildcard listeners bind instead of 0.0.0.0, e.g. 127.0.100.1 for a local router. */
  readonly bindAddress?: string;
  /** Standalone only: adds the explicit proxy's listener at this address and port (see xds/names.ts). */
  readonly explicitProxy?: { readonly address: string; readonly port: number };
  /**
   * How it counts Istio's metrics: an Envoy by access loggers, where something beside it serves them as Istio's; the embedded data plane by itself. Undefined
   * for a client that is not known to do either.
   */
  readonly countsBy?: 'envoy' | 'embedded';
  /** False of an Envoy, which can not put credentials into requests as we state it. */
  readonly injects?: false;
}

/** What of an identity its engine decides. */
export type OfEngine = Pick<ProxyIdentity, 'countsBy' | 'injects'>;
