/** A mesh as its files say it is: resources and MeshConfig, read together and followed together. */
import { dirname, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { MeshConfig } from '../api/index.ts';
import { decodeMeshConfig } from '../api/mesh-config-document.ts';
import type { Finding } from '../lib/finding.ts';
import { type FileOptions, Files } from './files.ts';
import { Follower, type FollowTimes, type Listener, type Load, type Loaded } from './follow.ts';
import { KeptMeshConfig, type MeshConfigFound } from './kept-mesh-config.ts';
import { meshConfigIn } from './mesh-config.ts';
import { readMarked } from './read.ts';
import type { Snapshot } from './snapshot.ts';

/** A mesh at one moment. */
export interface MeshInput {
  readonly snapshot: Snapshot;
  readonly mesh: MeshConfig;
  /** About the MeshConfig; the resources' findings are the snapshot's. */
  readonly findings: readonly Finding[];
}

/** Where inputs come from, whatever they are read from. Each is given to the listener once, in order. */
export interface MeshSource {
  /** What was read first. */
  readonly first: MeshInput;
  /** From now on changes are followed. */
  watch(): void;
  /** Resolves with what was read by a load that began after this call; the listener has it by then. */
  reload(): Promise<MeshInput>;
  /** Nothing comes any more. */
  close(): void;
}

export interface MeshFilesOptions extends FileOptions, FollowTimes {
  readonly paths: readonly string[];
  /** A file with MeshConfig; without one it is looked for among the resources. */
  readonly meshConfig: string | undefined;
  /** Where there is none, what nothing declares is refused. */
  readonly closed?: boolean;
}

export interface MeshFiles extends MeshSource {
  /** As `reload`, and goes on with these paths in place of those before. */
  use(paths: readonly string[]): Promise<MeshInput>;
}

/**
 * Reads the files; changes are given to the listener.
 * @throws SallyportError `path-not-found`, `mesh-config-unreadable`
 */
export async function openMeshFiles(options: MeshFilesOptions, listener: Listener<MeshInput>): Promise<MeshFiles> {
  const load = loaderOf(options);
  const first = await load();
  const follower = new Follower(load, first, listener, options);
  return {
    first: first.value,
    watch: () => follower.watch(),
    reload: () => follower.reload(),
    use: (paths) => follower.reload(loaderOf({ ...options, paths })),
    close: () => follower.close(),
  };
}

/** What it has read before, and what of it is in force, is its own. */
function loaderOf({ paths, meshConfig, closed = false, ...fileOptions }: MeshFilesOptions): Load<MeshInput> {
  const files = new Files(paths, fileOptions);
  const kept = new KeptMeshConfig(closed);
  let stated: MeshConfigFound | undefined;
  let before: MeshInput | undefined;
  return async (): Promise<Loaded<MeshInput>> => {
    const loaded = await files.load();
    const { snapshot } = files;
    const found = meshConfig === undefined ? foundIn(snapshot) : (stated ?? (await readMeshConfig(meshConfig)));
    if (meshConfig !== undefined && fileOptions.followed) stated = found;
    const { mesh, findings } = kept.take(found);
    const sameMesh = isDeepStrictEqual(mesh, before?.mesh);
    const changed = loaded.changed || !sameMesh || !isDeepStrictEqual(findings, before?.findings);
    // What has not changed is the same object: whatever is made of it need not be made again.
    const value = changed || !before ? { snapshot, mesh: sameMesh ? before!.mesh : mesh, findings } : before;
    before = value;
    return {
      value,
      changed,
      folders: meshConfig === undefined ? loaded.folders : new Set([...loaded.folders, dirname(resolve(meshConfig))]),
      until: snapshot.until,
      incomplete: loaded.incomplete || (found.kind === 'unreadable' && found.passes),
    };
  };
}

/** What the resources say of the mesh's settings. */
export function foundIn(snapshot: Snapshot): MeshConfigFound {
  const decoded = meshConfigIn(snapshot);
  return decoded ? { kind: 'decoded', decoded } : { kind: 'none' };
}

/** What a file says of them. */
export async function readMeshConfig(file: string): Promise<MeshConfigFound> {
  const read = await readMarked(file);
  switch (read.kind) {
    case 'content':
      return { kind: 'decoded', decoded: decodeMeshConfig(read.bytes.toString('utf8'), file) };
    case 'too-large':
      return { kind: 'unreadable', file, reason: `it has ${read.size} bytes, more than a file may have`, passes: false };
    case 'missing':
      return { kind: 'unreadable', file, reason: 'there is no such file', passes: false };
    default:
      return { kind: 'unreadable', file, reason: read.reason, passes: read.kind === 'later' };
  }
}
