/** The files of a mesh: resources and MeshConfig, read together and followed together. */
import { type FSWatcher, watch as watchFolder } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Input } from '../control/control-plane.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import { type FileSource, openFiles } from './files.ts';
import { loadMeshConfig } from './mesh-config.ts';
import type { Snapshot } from './snapshot.ts';

export interface MeshFilesOptions {
  readonly paths: readonly string[];
  /** A file with MeshConfig; without one it is looked for among the resources. */
  readonly meshConfig: string | undefined;
  readonly watch: boolean;
}

export interface MeshFiles {
  /** What the files said when they were read last. */
  readonly current: MeshInput;
  /** Follows changes, if that was asked for. Once only. */
  watch(onChange: (input: MeshInput) => void): void;
  /** Reads what has changed now. */
  reload(): Promise<MeshInput>;
  close(): void;
}

export interface MeshInput extends Input {
  /** About the MeshConfig; the resources' findings are the snapshot's. */
  readonly findings: readonly Finding[];
}

/** @throws SallyportError `path-not-found`, `mesh-config-unreadable` */
export async function openMeshFiles(options: MeshFilesOptions): Promise<MeshFiles> {
  const source = await openFiles(options.paths);
  return new Files(source, options);
}

/** Editors write a file in several steps. */
const QUIET_MS = 100;

class Files implements MeshFiles {
  current: MeshInput;
  readonly #source: FileSource;
  readonly #options: MeshFilesOptions;
  #watcher: FSWatcher | undefined;
  #quiet: NodeJS.Timeout | undefined;

  constructor(source: FileSource, options: MeshFilesOptions) {
    this.#source = source;
    this.#options = options;
    this.current = inputOf(source.snapshot, options.meshConfig, undefined);
  }

  watch(onChange: (input: MeshInput) => void): void {
    if (!this.#options.watch) return;
    const changed = (snapshot: Snapshot) => onChange(this.#take(snapshot));
    this.#source.watch(changed);
    const file = this.#options.meshConfig;
    if (file === undefined) return;
    this.#watcher = watchFolder(dirname(file), (_event, name) => {
      if (name !== basename(file)) return;
      clearTimeout(this.#quiet);
      this.#quiet = setTimeout(() => changed(this.#source.snapshot), QUIET_MS);
    });
  }

  async reload(): Promise<MeshInput> {
    return this.#take(await this.#source.reload());
  }

  close(): void {
    this.#source.close();
    this.#watcher?.close();
    clearTimeout(this.#quiet);
  }

  #take(snapshot: Snapshot): MeshInput {
    this.current = inputOf(snapshot, this.#options.meshConfig, this.current);
    return this.current;
  }
}

/** @param before stays in force where a MeshConfig breaks while it runs. */
function inputOf(snapshot: Snapshot, file: string | undefined, before: MeshInput | undefined): MeshInput {
  try {
    const { config, findings } = loadMeshConfig(snapshot, file);
    const broken = before && findings.some(({ level }) => level === 'Error');
    return { snapshot, mesh: broken ? before.mesh : config, findings };
  } catch (error) {
    if (!before) throw error;
    const message = `${messageOf(error)}; the settings read before stay in force`;
    return {
      snapshot,
      mesh: before.mesh,
      findings: [{ code: codeOf(error) ?? 'SP0002', level: 'Error', message, origin: { kind: 'MeshConfig', namespace: '', name: '' } }],
    };
  }
}
