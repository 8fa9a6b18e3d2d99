import type { MeshConfig } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding } from '../lib/finding.ts';
import type { Registry } from '../registry/model.ts';
import type { XdsResources } from '../xds/resources.ts';

/** The proxy for which xDS is built. */
export interface Proxy {
  readonly type: 'sidecar' | 'router';
  /** Name of its workload (Pod or WorkloadEntry). */
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** Addresses of its workload; empty if it has none of its own (the local sidecar of `up`). */
  readonly addresses: readonly string[];
  readonly locality: string;
  /** Standalone only: where wildcard listeners bind instead of 0.0.0.0, e.g. 127.0.100.1 for a local router. */
  readonly bindAddress?: string;
  /** Standalone only: adds the explicit proxy's listener at this address and port (see xds/names.ts). */
  readonly explicitProxy?: { readonly address: string; readonly port: number };
}

/** What translation reads: one moment's resources and what follows from them. */
export interface Mesh {
  readonly snapshot: Snapshot;
  readonly registry: Registry;
  readonly config: MeshConfig;
}

export interface Translation {
  readonly resources: XdsResources;
  /** What could not be honoured and became a refusing route or filter chain. */
  readonly findings: readonly Finding[];
}
