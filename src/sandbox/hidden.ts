/**
 * Unix sockets with a path belong to no network namespace, and what listens there may call, look names up, or run commands for whoever asks. Those at which
 * somebody listens when the command starts lead nowhere inside; those of container engines and key agents stay unless it is strict, and are named in a
 * warning, as work may need them.
 */
import { existsSync, lstatSync, readFileSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { SallyportError } from '../lib/errors.ts';
import { calls, must } from './system.ts';

const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_BIND = 4096;
const MS_REC = 16_384;
/** mount_setattr(2), Linux 5.12; the same number on every architecture. */
const SYS_MOUNT_SETATTR = 442;
const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
const MOUNT_ATTR_RDONLY = 1n;

type Environment = Readonly<Record<string, string | undefined>>;

export interface SocketsOptions {
  readonly environment: Environment;
  /** Of the user. */
  readonly uid: number;
  /** Hide those of container engines and key agents, too. */
  readonly strict: boolean;
  /** Paths of those that stay. */
  readonly allowed: readonly string[];
}

export interface SocketsFound {
  readonly hidden: readonly string[];
  /** Of container engines and key agents; they stay. */
  readonly open: readonly string[];
}

/** The unix sockets of this machine at which somebody listens now. Throws `path-not-found` for one that is allowed and not there. */
export function socketsOf({ environment, uid, strict, allowed }: SocketsOptions): SocketsFound {
  const runtime = environment.XDG_RUNTIME_DIR ?? `/run/user/${uid}`;
  const kept = new Set(allowed.map(allowedSocket));
  const engines = real([...ENGINES, ...ENGINES_OF_USER.map((name) => `${runtime}/${name}`), ...enginesIn(environment)]);
  const open = strict ? new Set<string>() : engines;
  const brokers = [...BROKERS, ...BROKERS_OF_USER.map((name) => `${runtime}/${name}`), ...busPath(environment.DBUS_SESSION_BUS_ADDRESS)];
  const all = real([...brokers, ...engines, ...listening()]);
  return {
    hidden: [...all].filter((path) => !open.has(path) && !kept.has(path)),
    open: [...open].filter((path) => !kept.has(path)),
  };
}

/** Resolvers, message buses and service managers, also those of another network namespace, which no table here shows. */
const BROKERS = [
  '/run/systemd/resolve/io.systemd.Resolve',
  '/run/systemd/resolve/io.systemd.Resolve.Monitor',
  '/run/nscd/socket',
  '/run/avahi-daemon/socket',
  '/run/dbus/system_bus_socket',
  '/run/systemd/private',
];
const BROKERS_OF_USER = ['bus', 'systemd/private'];
const ENGINES = [
  '/run/docker.sock',
  '/var/run/docker.sock',
  '/run/containerd/containerd.sock',
  '/run/podman/podman.sock',
  '/run/crio/crio.sock',
];
const ENGINES_OF_USER = ['docker.sock', 'podman/podman.sock'];

function enginesIn({ DOCKER_HOST, SSH_AUTH_SOCK }: Environment): string[] {
  return [...unixPath(DOCKER_HOST), ...(SSH_AUTH_SOCK ? [SSH_AUTH_SOCK] : [])];
}

function allowedSocket(path: string): string {
  const [found] = real([path]);
  if (found === undefined) throw new SallyportError('path-not-found', `--allow-socket ${path}: there is no such socket`);
  return found;
}

/** By the table of this network namespace (proc_net(5)): bit 16 of the flags says that somebody listens, type 2 is for datagrams, which need no listening. */
function listening(): string[] {
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, , , flags, type, , , ...path] = line.trim().split(' ');
      const name = path.join(' ').trim();
      const answers = (Number.parseInt(flags!, 16) & LISTENING) !== 0 || Number.parseInt(type!, 16) === DATAGRAM;
      return name.startsWith('/') && answers ? [name] : [];
    });
}

const LISTENING = 0x10000;
const DATAGRAM = 2;

function busPath(address: string | undefined): string[] {
  return [...(address ?? '').matchAll(/unix:path=([^,;]+)/g)].map(([, path]) => path!);
}

function unixPath(url: string | undefined): string[] {
  return url?.startsWith('unix://') ? [url.slice('unix://'.length)] : [];
}

/** The sockets that are there, as far as this user may look, by the paths at which they really are. */
function real(paths: readonly string[]): Set<string> {
  const found = new Set<string>();
  for (const path of paths) {
    try {
      const place = realpathSync(path);
      if (lstatSync(place).isSocket()) found.add(place);
    } catch {
      // Where this user may not look the command may not either.
    }
  }
  return found;
}

const ENOENT = 2;

/** In this mount namespace. Throws `sandbox-unavailable`. */
export function hide(paths: readonly string[]): void {
  const { mount, errno } = calls();
  for (const path of paths) {
    const result = mount('/dev/null', path, null, MS_BIND, null);
    if (result < 0 && errno() === ENOENT) continue;
    must(result, `${path} cannot be hidden`);
  }
}

/**
 * Puts an empty folder of memory over this one: also what others put into it later is not seen. Of a Sallyport's private folder, in which each has a socket
 * that tells of all its calls, and of those with credentials. Throws `sandbox-unavailable`.
 */
export function hideFolder(path: string): void {
  must(calls().mount('tmpfs', path, 'tmpfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, 'mode=0700,size=64k'), `${path} cannot be hidden`);
}

/**
 * Files by which root, whatever capabilities it has, tells the kernel what to run outside of all namespaces (`core_pattern`, `uevent_helper`), can be
 * read and not written; as in containers.
 */
export function protectKernel(): void {
  for (const path of ['/proc/sys', '/proc/sysrq-trigger', '/sys'].filter(existsSync)) keepAsItIs(path);
}

/**
 * In these folders nothing can be written, and no folder above them can be put elsewhere, so that at their paths nothing else stands outside either.
 * Throws `sandbox-unavailable`.
 */
export function keepFolders(folders: readonly string[]): void {
  const above = new Set(folders.flatMap(foldersAbove));
  // What a mount is at cannot be renamed.
  for (const folder of [...above].sort((a, b) => a.length - b.length)) bindToItself(folder);
  for (const folder of folders) keepAsItIs(folder);
  // The working folder is entered anew: what was entered before lies under the mounts.
  if (folders.length > 0) process.chdir(process.cwd());
}

/** But the root. */
export function foldersAbove(folder: string): string[] {
  const above = dirname(folder);
  return above === '/' || above === folder ? [] : [...foldersAbove(above), above];
}

function bindToItself(path: string): void {
  must(calls().mount(path, path, null, MS_BIND | MS_REC, null), `${path} cannot be bound`);
}

function keepAsItIs(path: string): void {
  bindToItself(path);
  const attributes = Buffer.alloc(32);
  attributes.writeBigUInt64LE(MOUNT_ATTR_RDONLY);
  const result = calls().mountSetattr(SYS_MOUNT_SETATTR, AT_FDCWD, path, AT_RECURSIVE, attributes, attributes.length);
  must(result, `${path} cannot be made read-only`);
}
