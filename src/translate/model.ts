import type { MeshConfig } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding } from '../lib/finding.ts';
import type { Registry } from '../registry/model.ts';
import type { XdsResources } from '../xds/resources.ts';
import type { KeySets } from './authorization/key-sources.ts';

/** Calls that a proxy makes for its workload, those through a gateway among them, or that come to the workload. */
export type LogMode = 'CLIENT' | 'SERVER';

/** What translation reads: one moment's resources and what follows from them. */
export interface Mesh {
  readonly snapshot: Snapshot;
  readonly registry: Registry;
  readonly config: MeshConfig;
  /** There is no CA that gives proxies identities: what needs mutual TLS of the mesh is refused, and what may do without does. */
  readonly withoutIdentities?: boolean;
  /** Keys of tokens that were fetched; undefined where nothing is fetched. */
  readonly keys?: KeySets;
}

export interface Translation {
  readonly resources: XdsResources;
  /** What could not be honoured and became a refusing route or filter chain. */
  readonly findings: readonly Finding[];
  /** Whether the proxy needs its identity (SDS `default` and `ROOTCA`), which is none of the resources. */
  readonly wantsIdentity: boolean;
}
