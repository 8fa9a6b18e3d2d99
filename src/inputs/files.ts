/** What is found under paths. What is wrong with it stands in the snapshot's findings: see `reader.ts`. */
import { promises as fs } from 'node:fs';
import { resolve } from 'node:path';
import type { MeshConfigDecoded } from '../api/mesh-config-document.ts';
import { openFiles } from '../config/files.ts';
import { loadMeshConfig } from '../config/mesh-config.ts';
import { isUnder, STDIN } from '../config/scan.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { SallyportError } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';

export interface ReadFilesOptions {
  /** Of objects that name none; `default` if not said. */
  readonly namespace?: string;
  /** The file with the MeshConfig, where it is not among the files. */
  readonly meshConfig?: string;
  /** Whether a path may hold no object at all, and the file of the MeshConfig no settings. */
  readonly allowEmpty?: boolean;
}

/** Told what was found where there is no answer. */
export type Tell = (findings: readonly Finding[]) => Promise<void>;

/**
 * The resources of files and folders (`-` for stdin).
 * @throws SallyportError `path-not-found` if a path does not exist, `nothing-read` if one holds no object
 */
export async function readFiles(paths: readonly string[], options: ReadFilesOptions, tell: Tell): Promise<Snapshot> {
  const { snapshot } = await openFiles(paths, options);
  await demandObjects(snapshot, paths, options, tell);
  return snapshot;
}

/**
 * An answer about nothing must not pass for one about what was meant.
 * @throws SallyportError `nothing-read` if a path holds no object that is read, and no error either; what else was found there is told first
 */
export async function demandObjects(
  snapshot: Snapshot,
  paths: readonly string[],
  { allowEmpty = false }: ReadFilesOptions,
  tell: Tell,
): Promise<void> {
  if (allowEmpty) return;
  const files = new Set(filesThatSay(snapshot));
  const found = await Promise.all([...files].map(placesOf));
  for (const path of paths) {
    const places = await placesOf(path);
    if (!found.some((file) => file.some((name) => places.some((place) => isUnder(name, place)))))
      throw await nothingIn(path, snapshot, tell);
  }
}

/** @throws SallyportError `nothing-read` */
export async function demandAny(snapshot: Snapshot, path: string, { allowEmpty = false }: ReadFilesOptions, tell: Tell): Promise<void> {
  if (!allowEmpty && filesThatSay(snapshot).length === 0) throw await nothingIn(path, snapshot, tell);
}

/** The files of objects, and those whose errors are told instead of them. */
function filesThatSay(snapshot: Snapshot): string[] {
  const broken = snapshot.findings.flatMap(({ level, position }) => (level === 'Error' && position ? [position.file] : []));
  return [...snapshot.all().map(({ source }) => source.file), ...broken];
}

/**
 * The mesh's settings, as `loadMeshConfig` has them.
 * @throws SallyportError `nothing-read` if a file is named for them and says nothing: Istio's defaults let everything out
 */
export function readMeshConfig(snapshot: Snapshot, { meshConfig, allowEmpty = false }: ReadFilesOptions): MeshConfigDecoded {
  const decoded = loadMeshConfig(snapshot, meshConfig);
  if (meshConfig !== undefined && decoded.empty && !allowEmpty)
    throw new SallyportError('nothing-read', `${meshConfig} holds no MeshConfig: name the file that does (or say --allow-empty)`);
  return decoded;
}

async function nothingIn(path: string, { findings }: Snapshot, tell: Tell): Promise<SallyportError> {
  if (findings.length > 0) await tell(findings);
  const where = path === STDIN ? 'standard input' : path;
  return new SallyportError(
    'nothing-read',
    `${where} holds no object that Sallyport reads: name the files or the folder that do (or say --allow-empty)`,
  );
}

/** As it is written, and where links lead. */
async function placesOf(path: string): Promise<string[]> {
  if (path === STDIN || path === 'stdin') return [STDIN];
  return [resolve(path), await fs.realpath(path).catch(() => resolve(path))];
}
