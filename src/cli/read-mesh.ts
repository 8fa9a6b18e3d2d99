/** What commands that ask about a configuration read, and the rule that no answer on what is not valid passes for a good one. */

import type { Command } from 'commander';
import type { MeshConfig } from '../api/index.ts';
import type { MeshConfigDecoded } from '../api/mesh-config-document.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { SallyportError } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import { findingJson } from '../lib/finding-form.ts';
import { type SimulatedFiles, simulateFiles } from '../prove/simulated.ts';
import { isBroken } from '../prove/unknown.ts';
import { plain } from './colours.ts';
import { EXIT } from './exit.ts';
import { printFindings } from './findings.ts';
import { printError } from './print.ts';
import { addClusterOptions, type ClusterOptions, type LiveCluster, readLiveCluster } from './read-cluster.ts';
import { EMPTY_OPTION, NAMESPACE_OPTION, type ReadFilesOptions, readFiles, readMeshConfig } from './read-files.ts';
import { isRevision, readRevision } from './revision.ts';

export interface ReadMeshOptions extends ReadFilesOptions {
  readonly namespace: string;
}

/** What says which configuration is meant: files, a cluster, or both. */
export type SourceOptions = ReadFilesOptions & ClusterOptions;

export interface Mesh {
  readonly snapshot: Snapshot;
  readonly mesh: MeshConfig;
  /** Where it is written. */
  readonly position: MeshConfigDecoded['position'];
}

const MESH_CONFIG_OPTION = ['--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among what is read, else the defaults)'] as const;

/** The options that say how files are read. */
export function addReadOptions(command: Command): Command {
  return command
    .option(...MESH_CONFIG_OPTION)
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'default')
    .option(...EMPTY_OPTION);
}

/** The same, where they may be those of a cluster. */
export function addSourceOptions(command: Command): Command {
  return addClusterOptions(
    command
      .option(...MESH_CONFIG_OPTION)
      .option(...NAMESPACE_OPTION)
      .option(...EMPTY_OPTION),
  );
}

/** What is read: the files; with `--kube` the cluster, or the cluster with the files laid over it. Rejects with what reading throws. */
export async function readSource(paths: readonly string[], options: SourceOptions): Promise<Snapshot> {
  if (!options.kube) return readFiles(paths, options);
  const cluster = await readLiveCluster(options);
  return paths.length === 0 ? cluster.snapshot : cluster.with(await readFiles(paths, { ...options, namespace: cluster.namespace }));
}

/** Reads for one answer. Only `answerFrom` makes one. */
export type Reader = FileReader;

/**
 * Answers from files, and sets the exit code: the one that `answer` gives, but never 0 where something that was read is not valid, since it is left out
 * of the answer. What that is goes to stderr as soon as it is read, before the answer.
 */
export async function answerFrom(answer: (reader: Reader) => Promise<number>): Promise<void> {
  const reader = new FileReader();
  const code = await answer(reader);
  process.exitCode = code === EXIT.fine && !reader.isSound ? EXIT.findings : code;
}

function simulated({ snapshot, mesh, position }: Mesh): SimulatedFiles {
  return simulateFiles(snapshot, mesh, position);
}

function readSide(spec: string, options: ReadFilesOptions): Promise<Snapshot> {
  return isRevision(spec) ? readRevision(spec, options) : readFiles([spec], options);
}

class FileReader {
  readonly #told = new Set<string>();
  #broken = 0;

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
    return this.take(await readSource(paths, options), options);
  }

  /** The same, ready for simulation. */
  async simulated(paths: readonly string[], options: SourceOptions): Promise<SimulatedFiles> {
    return simulated(await this.mesh(paths, options));
  }

  /** One side of a comparison: a path, or `git:REV[:PATH]`. */
  async side(spec: string, options: ReadFilesOptions): Promise<SimulatedFiles> {
    return simulated(await this.take(await readSide(spec, options), options));
  }

  /** A cluster, and the same with one side laid over it. */
  async sidesOfCluster(spec: string, options: SourceOptions): Promise<readonly [SimulatedFiles, SimulatedFiles]> {
    const cluster: LiveCluster = await readLiveCluster(options);
    const before = simulated(await this.take(cluster.snapshot, options));
    const files = await readSide(spec, { ...options, namespace: cluster.namespace });
    return [before, simulated(await this.take(cluster.with(files), options))];
  }

  /** What was read otherwise. */
  async take(snapshot: Snapshot, options: ReadFilesOptions): Promise<Mesh> {
    const { config, findings, position } = readMeshConfig(snapshot, options);
    await this.#tell([...snapshot.findings.filter(isBroken), ...findings]);
    return { snapshot, mesh: config, position };
  }

  /** On stderr, each once. */
  async #tell(findings: readonly Finding[]): Promise<void> {
    const fresh = new Map(findings.map((finding) => [JSON.stringify(findingJson(finding)), finding]));
    for (const key of this.#told) fresh.delete(key);
    for (const key of fresh.keys()) this.#told.add(key);
    if (fresh.size === 0) return;
    printError(await printFindings([...fresh.values()], { output: 'text', paint: plain }));
    const broken = [...fresh.values()].filter(isBroken).length;
    this.#broken += broken;
    if (broken > 0)
      printError(
        `sallyport: the answer leaves out what is not valid or can't be read (${broken} ${broken === 1 ? 'error' : 'errors'}), so it does not end with exit code 0\n`,
      );
  }
}
