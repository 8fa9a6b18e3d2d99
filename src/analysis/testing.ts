/** For tests: the findings on a text. */
import { defaultMeshConfig } from '../api/mesh-config-document.ts';
import { snapshotFromText } from '../config/memory.ts';
import { loadMeshNetworks } from '../config/mesh-networks.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding } from '../lib/finding.ts';
import { buildRegistry } from '../registry/index.ts';
import { withDefaultGateways } from './default-gateways.ts';
import { type AnalysisOptions, analyze } from './index.ts';

/** Certificates in tests are judged on this day. */
export const TEST_DAY = Date.UTC(2026, 0, 1);

export function findingsOf(yaml: string, options: AnalysisOptions = {}): Finding[] {
  return findingsIn(snapshotFromText(yaml), options);
}

export function findingsIn(files: Snapshot, options: AnalysisOptions = {}, mesh = defaultMeshConfig()): Finding[] {
  const snapshot = withDefaultGateways(files, mesh.rootNamespace);
  const { registry } = buildRegistry(snapshot, mesh);
  const { networks: meshNetworks } = loadMeshNetworks(snapshot);
  return analyze({ snapshot, registry, mesh, meshNetworks, now: TEST_DAY }, options);
}

/** The codes of the findings, sorted, each once. */
export function codesOf(yaml: string, options: AnalysisOptions = {}): string[] {
  return [...new Set(findingsOf(yaml, options).map(({ code }) => code))].sort();
}
