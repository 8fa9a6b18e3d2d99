/** The files of a command that asks about a configuration: read once, with their MeshConfig. */
import { openFiles } from '../config/files.ts';
import { loadMeshConfig } from '../config/mesh-config.ts';
import type { MeshInput } from '../config/mesh-source.ts';
import type { Finding } from '../lib/finding.ts';
import { findingJson } from '../lib/finding-form.ts';
import { plain } from './colours.ts';
import { printFindings } from './findings.ts';

export interface ReadMeshOptions {
  readonly namespace: string;
  readonly meshConfig?: string;
}

/** What is wrong with the MeshConfig goes to stderr: an answer that rests on its defaults must not pass for one that rests on the file. */
export async function readMesh(paths: readonly string[], { namespace, meshConfig }: ReadMeshOptions): Promise<Omit<MeshInput, 'findings'>> {
  const source = await openFiles(paths, { namespace });
  const { config, findings } = loadMeshConfig(source.snapshot, meshConfig);
  await tellFindings(findings);
  return { snapshot: source.snapshot, mesh: config };
}

/** On stderr, each once. */
export async function tellFindings(findings: readonly Finding[]): Promise<void> {
  const distinct = [...new Map(findings.map((finding) => [JSON.stringify(findingJson(finding)), finding])).values()];
  if (distinct.length > 0) process.stderr.write(await printFindings(distinct, { output: 'text', paint: plain }));
}
