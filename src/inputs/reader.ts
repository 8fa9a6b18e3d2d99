/** Reads the configuration that a question is about: files, revisions, a cluster. What is not valid is told, and remembered. */
import { isBroken } from '../api/codes.ts';
import type { MeshConfig } from '../api/index.ts';
import type { MeshConfigDecoded } from '../api/mesh-config-document.ts';
import type { ClusterAccess } from '../config/kubernetes/access.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { SallyportError } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import { findingJson } from '../lib/finding-form.ts';
import { type SimulatedFiles, simulateFiles } from '../prove/simulated.ts';
import { type ClusterOptions, readLiveCluster } from './cluster.ts';
import { type ReadFilesOptions, readFiles, readMeshConfig, type Tell } from './files.ts';
import { isRevision, readRevision } from './revision.ts';

/** What says which configuration is meant: files, a cluster, or both. */
export type SourceOptions = ReadFilesOptions & ClusterOptions;

/** Whoever asks. */
export interface ReaderHost {
  /** Told as soon as it is read, before the answer. */
  readonly tell: Tell;
  /** Told of so many objects that are not valid, or can't be read, and that the answer leaves out. */
  readonly leftOut: (broken: number) => void;
  /** The access to the cluster that is meant. */
  readonly access: (options: ClusterOptions) => Promise<ClusterAccess>;
}

export interface Mesh {
  readonly snapshot: Snapshot;
  readonly mesh: MeshConfig;
  /** Where it is written. */
  readonly position: MeshConfigDecoded['position'];
}

/** What is read: the files; with `kube` the cluster, or the cluster with the files laid over it. Rejects with what reading throws. */
export async function readSource(
  paths: readonly string[],
  options: SourceOptions,
  { tell, access }: Pick<ReaderHost, 'tell' | 'access'>,
): Promise<Snapshot> {
  if (!options.kube) return readFiles(paths, options, tell);
  const cluster = await readLiveCluster(await access(options), options);
  return paths.length === 0 ? cluster.snapshot : cluster.with(await readFiles(paths, { ...options, namespace: cluster.namespace }, tell));
}

function simulated({ snapshot, mesh, position }: Mesh): SimulatedFiles {
  return simulateFiles(snapshot, mesh, position);
}

async function readSide(spec: string, options: ReadFilesOptions, tell: Tell): Promise<Snapshot> {
  if (isRevision(spec)) return readRevision(spec, options, tell);
  try {
    return await readFiles([spec], options, tell);
  } catch (error) {
    if (!(error instanceof SallyportError && error.code === 'path-not-found')) throw error;
    throw new SallyportError(error.code, `${error.message} (a git revision is written git:REV or git:REV:PATH)`, { cause: error });
  }
}

/** Reads for one answer, and keeps whether all of it is valid. */
export class Reader {
  readonly #host: ReaderHost;
  readonly #told = new Set<string>();
  #broken = 0;

  constructor(host: ReaderHost) {
    this.#host = host;
  }

  /** Whether all that was read so far is valid. */
  get isSound(): boolean {
    return this.#broken === 0;
  }

  /** For output that others take as it is. @throws SallyportError `invalid-input` unless all that was read so far is valid */
  demandSound(): void {
    if (!this.isSound)
      throw new SallyportError('invalid-input', 'what is invalid is not in force, and the output would leave it out: mend it first');
  }

  /**
   * What is wrong with the MeshConfig counts too: an answer that rests on its defaults must not pass for one that rests on the file.
   */
  async mesh(paths: readonly string[], options: SourceOptions): Promise<Mesh> {
    return this.take(await readSource(paths, options, this.#host), options);
  }

  /** The same, ready for simulation. */
  async simulated(paths: readonly string[], options: SourceOptions): Promise<SimulatedFiles> {
    return simulated(await this.mesh(paths, options));
  }

  /** One side of a comparison: a path, or `git:REV[:PATH]`. */
  async side(spec: string, options: ReadFilesOptions): Promise<SimulatedFiles> {
    return simulated(await this.take(await readSide(spec, options, this.#host.tell), options));
  }

  /** A cluster, and the same with one side laid over it. */
  async sidesOfCluster(spec: string, options: SourceOptions): Promise<readonly [SimulatedFiles, SimulatedFiles]> {
    const cluster = await readLiveCluster(await this.#host.access(options), options);
    const before = simulated(await this.take(cluster.snapshot, options));
    const files = await readSide(spec, { ...options, namespace: cluster.namespace }, this.#host.tell);
    return [before, simulated(await this.take(cluster.with(files), options))];
  }

  /** What was read otherwise. */
  async take(snapshot: Snapshot, options: ReadFilesOptions): Promise<Mesh> {
    const { config, findings, position } = readMeshConfig(snapshot, options);
    await this.#tell([...snapshot.findings.filter(isBroken), ...findings]);
    return { snapshot, mesh: config, position };
  }

  /** Each once. */
  async #tell(findings: readonly Finding[]): Promise<void> {
    const fresh = new Map(findings.map((finding) => [JSON.stringify(findingJson(finding)), finding]));
    for (const key of this.#told) fresh.delete(key);
    for (const key of fresh.keys()) this.#told.add(key);
    if (fresh.size === 0) return;
    await this.#host.tell([...fresh.values()]);
    const broken = [...fresh.values()].filter(isBroken).length;
    this.#broken += broken;
    if (broken > 0) this.#host.leftOut(broken);
  }
}
