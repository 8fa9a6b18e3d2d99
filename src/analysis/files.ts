/** `analyze` over the resources of files: everything that is wrong with them, of every stage. Pure. */
import type { MeshConfig } from '../api/mesh-config.ts';
import type { MeshNetworksResource } from '../config/mesh-networks.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding } from '../lib/finding.ts';
import { finished } from '../lib/pace.ts';
import { buildRegistry } from '../registry/index.ts';
import { withDefaultGateways } from './default-gateways.ts';
import { type AnalysisOptions, analysisSteps } from './index.ts';

export interface AnalyzedFiles {
  readonly snapshot: Snapshot;
  readonly mesh: MeshConfig;
  readonly meshNetworks?: MeshNetworksResource | undefined;
  /** The objects of the mesh's other clusters, by their names. */
  readonly remoteClusters?: ReadonlyMap<string, Snapshot>;
  /** Whether the gateways of an installation are taken to exist where the files leave them out. */
  readonly defaultGateways: boolean;
  /** Milliseconds since the epoch: certificates are judged by it. */
  readonly now: number;
}

/** What of another cluster's files concerns this mesh: that they could not be read, and what is wrong with its Services. */
const OF_READING = /^SP000[1-5]$/;

/** `options.also` takes what reading the files found. */
export function analyzeFiles(files: AnalyzedFiles, options: AnalysisOptions = {}): Finding[] {
  return finished(fileAnalysisSteps(files, options));
}

/** The same in steps, for whoever has something else to do in between. */
export function* fileAnalysisSteps(files: AnalyzedFiles, { also = [], ...options }: AnalysisOptions = {}): Generator<void, Finding[]> {
  const { mesh, meshNetworks, remoteClusters = new Map<string, Snapshot>(), defaultGateways, now } = files;
  // A cluster says itself which gateways there are.
  const snapshot = defaultGateways && !files.snapshot.complete ? withDefaultGateways(files.snapshot, mesh.rootNamespace) : files.snapshot;
  const { registry, findings: conflicts } = buildRegistry(snapshot, mesh);
  const remote = [...remoteClusters.values()].flatMap(({ findings }) =>
    findings.filter(({ code, origin }) => OF_READING.test(code) || origin.kind === 'Service'),
  );
  const input = { snapshot, registry, mesh, meshNetworks, remoteClusters, now };
  return yield* analysisSteps(input, { ...options, also: [...also, ...conflicts, ...remote] });
}
