/**
 * New namespaces. Node has threads from its start, and a process with threads cannot enter a new user namespace, so the program `unshare` (util-linux or
 * BusyBox) does it before the helper and again before the command.
 *
 * The helper: a network and a mount namespace, and, unless this is root, a user namespace in which it is root, so that it may set them up.
 * The command: a user namespace below, in which it is who it was before, and has no capability over the helper's namespaces.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SallyportError } from '../lib/errors.ts';

/** How namespaces are had here. */
export interface Namespaces {
  readonly unshare: string;
  /** Options for the helper's. */
  readonly options: readonly string[];
  /** The helper is root in the machine's own user namespace: the command keeps root's capabilities over files, and none beyond its namespace. */
  readonly root: boolean;
}

/** Throws `sandbox-unavailable`, saying why. */
export function helperNamespaces(path: string): Namespaces {
  if (process.platform !== 'linux') throw unavailable('it needs Linux');
  const unshare = findUnshare(path);
  const attempt = (...options: string[]) => spawnSync(unshare, [...options, '--', 'true'], { encoding: 'utf8' });
  const plain = ['-n', '-m'];
  // Within it, as the command's will be.
  if (process.getuid!() === 0 && attempt(...plain, '--', unshare, '-U', '--keep-caps').status === 0)
    return { unshare, options: plain, root: true };
  const options = ['-U', '-r', ...plain];
  const tried = attempt(...options);
  if (tried.status === 0) return { unshare, options, root: false };
  throw unavailable(whyNot(tried.error?.message ?? tried.stderr.trim()));
}

function findUnshare(path: string): string {
  for (const folder of [...path.split(delimiter), '/usr/bin', '/bin']) {
    const file = join(folder, 'unshare');
    if (folder.startsWith('/') && existsSync(file)) return file;
  }
  throw unavailable('the program unshare (util-linux) is not there');
}

/** Of settings of the kernel that forbid user namespaces, the first that does, or what was said of the attempt. */
function whyNot(said: string): string {
  const settings: readonly (readonly [name: string, forbids: string])[] = [
    ['user/max_user_namespaces', '0'],
    ['kernel/unprivileged_userns_clone', '0'],
    ['kernel/apparmor_restrict_unprivileged_userns', '1'],
  ];
  for (const [name, forbids] of settings)
    if (valueOf(name) === forbids) return `the sysctl ${name.replaceAll('/', '.')} is ${forbids}, so there are no user namespaces`;
  const container = ['/.dockerenv', '/run/.containerenv'].some(existsSync)
    ? ' (this is a container: its seccomp profile forbids them)'
    : '';
  return `no user namespace can be had${container}: ${said}`;
}

function valueOf(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function unavailable(why: string): SallyportError {
  return new SallyportError(
    'sandbox-unavailable',
    `the command cannot be contained: ${why}. With --cooperative it runs with proxy variables alone, which any program may ignore.`,
  );
}

/**
 * The same words in a user namespace of their own. They wait until `mapUser` has said who they are: a shell reads the map until there is one, and ends
 * should the helper be gone.
 */
export function commandNamespace({ unshare, root }: Namespaces, words: readonly string[]): readonly [string, ...string[]] {
  const wait = 'until read -r _ </proc/self/uid_map; do kill -0 "$PPID" || exit 125; done 2>/dev/null; exec "$@"';
  return [unshare, '-U', ...(root ? ['--keep-caps'] : []), '--', '/bin/sh', '-c', wait, 'sh', ...words];
}

/** Who the user is outside. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Says who a process is that `commandNamespace` has started: whom the helper was started by, and for real root everybody, as root has the files of all.
 * Resolves when it is said.
 */
export async function mapUser(pid: number, { uid, gid }: User, root: boolean): Promise<void> {
  const own = readlinkSync('/proc/self/ns/user');
  while (readlinkSync(`/proc/${pid}/ns/user`) === own) await new Promise(setImmediate);
  if (root) {
    // As they are here: a container may have fewer.
    writeFileSync(`/proc/${pid}/gid_map`, sameAs('/proc/self/gid_map'));
    writeFileSync(`/proc/${pid}/uid_map`, sameAs('/proc/self/uid_map'));
    return;
  }
  writeFileSync(`/proc/${pid}/gid_map`, `${gid} 0 1\n`);
  writeFileSync(`/proc/${pid}/uid_map`, `${uid} 0 1\n`);
}

/** A map by which everybody here is the same below. */
function sameAs(map: string): string {
  return readFileSync(map, 'utf8').replaceAll(/^\s*(\d+)\s+\d+\s+(\d+)$/gm, '$1 $1 $2');
}
