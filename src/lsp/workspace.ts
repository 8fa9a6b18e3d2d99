/** The files of an editor's folders, with what its open buffers say in place of what is on disk. Read, never run. */
import { basename, dirname, join, resolve } from 'node:path';
import type { Decoded } from '../api/documents.ts';
import { decodeMeshConfig } from '../api/mesh-config-document.ts';
import { decodeBytes, presentMark, readMarked, tooLarge, unreadable } from '../config/read.ts';
import { isConfigurationFile, isUnder, scan } from '../config/scan.ts';
import { Configuration } from './configuration.ts';
import { CHART, isOfChart, patchesOf } from './templates.ts';
import { TextLines } from './text.ts';

/** What the editor says of a workspace when it starts the server. */
export interface WorkspaceSettings {
  /** Paths, from a workspace folder on, each of which is a configuration of its own; without any, each folder is one. */
  readonly configurations: readonly string[];
  /** The file with the MeshConfig, where it is not among the files. */
  readonly meshConfig: string | undefined;
  /** Of objects that name none. */
  readonly namespace: string;
  /** Whether what could be narrower or encrypted is told too. */
  readonly hints: boolean;
}

/** Folders of many files, none of which is configuration of the mesh. */
const IGNORED: ReadonlySet<string> = new Set(['node_modules', 'vendor', 'target', 'dist', '__pycache__']);
const MOST_ENTRIES = 50_000;
/** Characters of all files together. */
const LARGEST_WORKSPACE = 128 * 1024 * 1024;

/** A file on disk or in a buffer. */
interface WorkspaceFile {
  readonly mark: string;
  /** What it says, or the finding that says why nobody knows. */
  readonly content: TextLines | Decoded;
}

interface Buffer {
  /** As the editor counts; undefined where it does not. */
  readonly version: number | undefined;
  readonly lines: TextLines;
  /** Another with each text, whatever the editor counts. */
  readonly mark: string;
}

export class Workspace {
  readonly #settings: WorkspaceSettings;
  #folders: readonly string[];
  readonly #buffers = new Map<string, Buffer>();
  #taken = 0;
  #disk = new Map<string, WorkspaceFile>();
  #configurations = new Map<string, Configuration>();
  /** Files that are rendered or patched elsewhere, with why they are not judged. */
  #left = new Map<string, 'chart' | 'patch'>();

  /** @param folders absolute paths */
  constructor(folders: readonly string[], settings: WorkspaceSettings) {
    this.#folders = folders;
    this.#settings = settings;
  }

  get configurations(): readonly Configuration[] {
    return [...this.#configurations.values()];
  }

  useFolders(folders: readonly string[]): void {
    this.#folders = folders;
  }

  setBuffer(file: string, version: number | undefined, lines: TextLines): void {
    this.#taken++;
    this.#buffers.set(file, { version, lines, mark: `buffer ${this.#taken}` });
  }

  /** What an open buffer says. */
  buffer(file: string): TextLines | undefined {
    return this.#buffers.get(file)?.lines;
  }

  closeBuffer(file: string): void {
    this.#buffers.delete(file);
  }

  version(file: string): number | undefined {
    return this.#buffers.get(file)?.version;
  }

  /** What a file says now. */
  lines(file: string): TextLines | undefined {
    return this.#buffers.get(file)?.lines ?? linesOf(this.#disk.get(file));
  }

  /** Why a file is not judged; undefined where it is. */
  leftOut(file: string): 'chart' | 'patch' | undefined {
    return this.#left.get(file);
  }

  /** The configuration that a file belongs to. */
  configurationOf(file: string): Configuration | undefined {
    return this.configurations.find((configuration) => configuration.has(file));
  }

  /** Reads what changed on disk. Resolves with what could not be taken in, as sentences. */
  async refresh(): Promise<string[]> {
    const found = await scan(this.#folders, false, { entries: MOST_ENTRIES, ignored: IGNORED });
    const disk = new Map<string, WorkspaceFile>();
    let size = 0;
    let cut: string | undefined = found.cut
      ? `the workspace has more than ${MOST_ENTRIES} files and folders: those beyond are not read`
      : undefined;
    for (const path of found.files) {
      const file = await this.#read(resolve(path));
      size += linesOf(file)?.text.length ?? 0;
      if (size > LARGEST_WORKSPACE) {
        cut = `the workspace has more than ${LARGEST_WORKSPACE / 1024 / 1024} MiB of files: those from ${path} on are not read`;
        break;
      }
      disk.set(resolve(path), file);
    }
    for (const { path, reason } of found.unreadable) disk.set(resolve(path), { mark: '', content: unreadable(path, reason) });
    await this.#readMeshConfig(disk);
    this.#disk = disk;
    this.arrange();
    return [...(cut === undefined ? [] : [cut]), ...this.#missing()];
  }

  /** It need not be of the folders, nor have a name that files of resources have. */
  async #readMeshConfig(disk: Map<string, WorkspaceFile>): Promise<void> {
    const { meshConfig } = this.#settings;
    if (meshConfig === undefined || disk.has(meshConfig)) return;
    const file = await this.#read(meshConfig);
    if (linesOf(file)) disk.set(meshConfig, file);
  }

  /** What settings name and nobody has. */
  #missing(): string[] {
    const { configurations, meshConfig } = this.#settings;
    const files = this.#allFiles();
    const isEmpty = (path: string) => !this.#folders.some((folder) => files.some((file) => isUnder(file, resolve(join(folder, path)))));
    return [
      ...configurations.filter(isEmpty).map((path) => `the setting configurations names ${path}, where no file is read`),
      ...(meshConfig === undefined || this.lines(meshConfig)
        ? []
        : [`the setting meshConfig names ${meshConfig}, which cannot be read: what the objects say counts`]),
    ];
  }

  async #read(path: string): Promise<WorkspaceFile> {
    const known = this.#disk.get(path);
    if (known && known.mark !== '' && known.mark === (await presentMark(path))) return known;
    const read = await readMarked(path);
    if (read.kind === 'too-large') return { mark: read.mark, content: tooLarge(path, read.size) };
    if (read.kind !== 'content') return { mark: '', content: unreadable(path, 'reason' in read ? read.reason : 'it is gone') };
    const text = utf8(read.bytes);
    return { mark: read.mark, content: text === undefined ? decodeBytes(read.bytes, path, {}) : new TextLines(text) };
  }

  /** Brings every configuration to what files and buffers say now. */
  arrange(): void {
    const files = this.#allFiles();
    const charts = new Set(files.filter((file) => basename(file) === CHART).map(dirname));
    const patches = patchesOf(files, (file) => this.lines(file)?.text);
    this.#left = new Map();
    const roots = this.#roots();
    const members = new Map<string, string[]>(roots.map((root) => [root, []]));
    for (const file of files) {
      if (isOfChart(file, charts)) this.#left.set(file, 'chart');
      else if (patches.has(file)) this.#left.set(file, 'patch');
      else this.#membersOf(file, roots, members).push(file);
    }
    const before = this.#configurations;
    this.#configurations = new Map(
      [...members].map(([root, own]) => {
        const configuration = before.get(root) ?? new Configuration(root, this.#settings);
        this.#fill(configuration, own);
        return [root, configuration] as const;
      }),
    );
  }

  #allFiles(): string[] {
    const open = [...this.#buffers.keys()].filter((file) => !this.#disk.has(file) && isConfigurationFile(file));
    return [...this.#disk.keys(), ...open];
  }

  #roots(): string[] {
    const { configurations } = this.#settings;
    if (configurations.length === 0) return [...this.#folders];
    return this.#folders.flatMap((folder) => configurations.map((path) => join(folder, path)));
  }

  /** A file that is in none of the configurations is one for itself as long as it is open. */
  #membersOf(file: string, roots: readonly string[], members: Map<string, string[]>): string[] {
    const root = roots.filter((path) => isUnder(file, resolve(path))).sort((a, b) => b.length - a.length)[0];
    if (root !== undefined) return members.get(root)!;
    const alone: string[] = [];
    if (this.#buffers.has(file)) members.set(file, alone);
    return alone;
  }

  #fill(configuration: Configuration, files: readonly string[]): void {
    configuration.keep(files);
    for (const file of files) {
      const buffer = this.#buffers.get(file);
      const onDisk = this.#disk.get(file);
      const content = buffer?.lines ?? onDisk?.content ?? unreadable(file, 'it is gone');
      configuration.set(file, buffer?.mark ?? onDisk?.mark ?? '', content);
    }
    const { meshConfig } = this.#settings;
    const text = meshConfig === undefined ? undefined : this.lines(meshConfig)?.text;
    configuration.useMeshConfig(text === undefined ? undefined : decodeMeshConfig(text, meshConfig!));
  }
}

function linesOf(file: WorkspaceFile | undefined): TextLines | undefined {
  return file?.content instanceof TextLines ? file.content : undefined;
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
