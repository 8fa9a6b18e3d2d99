/** What `analyze` reads, and finds in it. */
import { analyzeFiles } from '../analysis/files.ts';
import type { AnalysisOptions } from '../analysis/index.ts';
import { loadMeshNetworks } from '../config/mesh-networks.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding } from '../lib/finding.ts';
import { sortFindings } from '../lib/finding-form.ts';
import { readFiles, readMeshConfig } from './files.ts';
import { type ReaderHost, readSource, type SourceOptions } from './reader.ts';

export interface AnalyzedOptions extends SourceOptions, Pick<AnalysisOptions, 'suppress' | 'hints'> {
  /** The file with the MeshNetworks, where they are not among the files. */
  readonly meshNetworks?: string;
  /** Paths with the objects of the mesh's other clusters, by their names. */
  readonly remoteCluster: ReadonlyMap<string, readonly string[]>;
  /** Whether the gateways of an installation are taken to exist where the files leave them out. */
  readonly defaultGateways: boolean;
}

export interface Analyzed {
  /** In order, each once. */
  readonly findings: readonly Finding[];
  /** How many objects were read. */
  readonly objects: number;
}

/** @param now ms since the epoch: certificates are judged by it. Rejects with what reading throws. */
export async function analyzeSource(
  paths: readonly string[],
  options: AnalyzedOptions,
  host: Pick<ReaderHost, 'tell' | 'access'>,
  now: number,
): Promise<Analyzed> {
  const snapshot = await readSource(paths, options, host);
  const { config: mesh, findings } = readMeshConfig(snapshot, options);
  const { networks: meshNetworks, findings: networkFindings } = loadMeshNetworks(snapshot, options.meshNetworks);
  const remoteClusters = new Map<string, Snapshot>();
  for (const [name, remotePaths] of options.remoteCluster) remoteClusters.set(name, await readFiles(remotePaths, options, host.tell));
  const { suppress, hints, defaultGateways } = options;
  const found = analyzeFiles(
    { snapshot, mesh, meshNetworks, remoteClusters, defaultGateways, now },
    { suppress, hints, also: [...findings, ...networkFindings] },
  );
  return { findings: sortFindings(found), objects: snapshot.all().filter(({ derivedFrom }) => !derivedFrom).length };
}
