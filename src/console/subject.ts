/** What a console shows: a mesh that runs, resources that were read, or dumps of proxies. */
import type { MeshConfig } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { LearnedSoFar } from '../control/learning/learning.ts';
import type { Reach } from '../control/serving/mesh-flows.ts';
import type { FlowHub } from '../flows/hub.ts';
import { SallyportError } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Json } from '../xds/config-dump/dump.ts';
import type { XdsResources } from '../xds/resources.ts';

/** A proxy and what it runs. */
export interface ShownProxy {
  readonly identity: Pick<ProxyIdentity, 'type' | 'namespace' | 'name' | 'addresses'>;
  readonly version: string;
  /** What it refused, a sentence each. */
  readonly refusals: readonly string[];
  readonly resources: XdsResources;
}

/** At one moment. */
export interface Moment {
  /** Another one for everything that answers differently. */
  readonly version: string;
  readonly snapshot: Snapshot;
  readonly config: MeshConfig;
  readonly findings: readonly Finding[];
  readonly proxies: readonly ShownProxy[];
  /** Sidecars that run beside those of the workloads. */
  readonly running: readonly ProxyIdentity[];
}

export interface MeshShown {
  readonly kind: 'up' | 'files' | 'cluster';
  readonly paths: readonly string[];
  readonly meshConfig: string | undefined;
  readonly namespace: string | undefined;
  readonly flows: FlowHub | undefined;
  /** The proxies that are connected, where calls are theirs to tell. */
  readonly reach?: (() => Reach) | undefined;
  /** What is recorded and proposed (`up --learn`), without the hosts that are left out. Undefined: nothing is. */
  readonly learned?: ((leftOut: ReadonlySet<string>) => LearnedSoFar) | undefined;
  /** Files may be changed from here: told that one was. Undefined: nothing is written. */
  readonly edited?: (() => Promise<void>) | undefined;
  /** What is in force, or was read. */
  now(): Moment;
}

export interface DumpsShown {
  readonly kind: 'dump';
  readonly paths: readonly string[];
  readonly dumps: readonly { readonly name: string; readonly dump: Json }[];
}

export type Shown = MeshShown | DumpsShown;

/** Throws `no-resources` for dumps. */
export function momentOf(shown: Shown): Moment {
  if (shown.kind === 'dump') throw new SallyportError('no-resources', 'a config dump holds no resources: open the files instead');
  return shown.now();
}
