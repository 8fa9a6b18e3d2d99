/** What commands that ask about a configuration read: its files, with their MeshConfig. */

import type { Command } from 'commander';
import type { MeshConfig } from '../api/index.ts';
import { openFiles } from '../config/files.ts';
import { loadMeshConfig } from '../config/mesh-config.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding } from '../lib/finding.ts';
import { findingJson } from '../lib/finding-form.ts';
import { type SimulatedFiles, simulateFiles } from '../prove/simulated.ts';
import { plain } from './colours.ts';
import { printFindings } from './findings.ts';
import { printError } from './print.ts';

export interface ReadMeshOptions {
  readonly namespace: string;
  readonly meshConfig?: string;
}

export interface Mesh {
  readonly snapshot: Snapshot;
  readonly mesh: MeshConfig;
}

/** The options that say how files are read. */
export function addReadOptions(command: Command): Command {
  return command
    .option('--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among the files, else the defaults)')
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'default');
}

/** The resources of files and folders (`-` for stdin). Rejects with `path-not-found`. */
export async function readSnapshot(paths: readonly string[], { namespace }: ReadMeshOptions): Promise<Snapshot> {
  const source = await openFiles(paths, { namespace });
  return source.snapshot;
}

/** What is wrong with the MeshConfig goes to stderr: an answer that rests on its defaults must not pass for one that rests on the file. */
export async function readMesh(paths: readonly string[], options: ReadMeshOptions): Promise<Mesh> {
  const snapshot = await readSnapshot(paths, options);
  const { config, findings } = loadMeshConfig(snapshot, options.meshConfig);
  await tellFindings(findings);
  return { snapshot, mesh: config };
}

/** The same, ready for simulation. */
export async function readSimulated(paths: readonly string[], options: ReadMeshOptions): Promise<SimulatedFiles> {
  const { snapshot, mesh } = await readMesh(paths, options);
  return simulateFiles(snapshot, mesh);
}

/** On stderr, each once. */
export async function tellFindings(findings: readonly Finding[]): Promise<void> {
  const distinct = [...new Map(findings.map((finding) => [JSON.stringify(findingJson(finding)), finding])).values()];
  if (distinct.length > 0) printError(await printFindings(distinct, { output: 'text', paint: plain }));
}
