/**
 * Unix sockets with a path belong to no network namespace. Those behind which a service of this machine calls, or looks names up, for whoever asks lead
 * nowhere inside; those of container engines and key agents are named in a warning, as work may need them.
 */
import { existsSync, lstatSync } from 'node:fs';
import { calls, must } from './system.ts';

const MS_BIND = 4096;
const MS_REC = 16_384;
/** mount_setattr(2), Linux 5.12; the same number on every architecture. */
const SYS_MOUNT_SETATTR = 442;
const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
const MOUNT_ATTR_RDONLY = 1n;

type Environment = Readonly<Record<string, string | undefined>>;

/** Resolvers, message buses and service managers. @param uid of the user */
export function brokers(environment: Environment, uid: number): string[] {
  const runtime = environment.XDG_RUNTIME_DIR ?? `/run/user/${uid}`;
  return sockets([
    '/run/systemd/resolve/io.systemd.Resolve',
    '/run/systemd/resolve/io.systemd.Resolve.Monitor',
    '/run/nscd/socket',
    '/var/run/nscd/socket',
    '/run/avahi-daemon/socket',
    '/run/dbus/system_bus_socket',
    '/run/systemd/private',
    `${runtime}/bus`,
    `${runtime}/systemd/private`,
    ...busPath(environment.DBUS_SESSION_BUS_ADDRESS),
  ]);
}

/** Of container engines and key agents. @param uid of the user */
export function engines(environment: Environment, uid: number): string[] {
  const runtime = environment.XDG_RUNTIME_DIR ?? `/run/user/${uid}`;
  return sockets([
    '/run/docker.sock',
    '/var/run/docker.sock',
    '/run/containerd/containerd.sock',
    '/run/podman/podman.sock',
    '/run/crio/crio.sock',
    '/var/run/crio/crio.sock',
    `${runtime}/docker.sock`,
    `${runtime}/podman/podman.sock`,
    ...unixPath(environment.DOCKER_HOST),
    ...(environment.SSH_AUTH_SOCK ? [environment.SSH_AUTH_SOCK] : []),
  ]);
}

function busPath(address: string | undefined): string[] {
  return [...(address ?? '').matchAll(/unix:path=([^,;]+)/g)].map(([, path]) => path!);
}

function unixPath(url: string | undefined): string[] {
  return url?.startsWith('unix://') ? [url.slice('unix://'.length)] : [];
}

/** Those that are there, each once. */
function sockets(paths: readonly string[]): string[] {
  const seen = new Set<string>();
  return paths.filter((path) => {
    const file = lstatSync(path, { throwIfNoEntry: false, bigint: true });
    const key = file && `${file.dev}:${file.ino}`;
    if (!key || !file.isSocket() || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** In this mount namespace. Throws `sandbox-unavailable`. */
export function hide(paths: readonly string[]): void {
  for (const path of paths) must(calls().mount('/dev/null', path, null, MS_BIND, null), `${path} cannot be hidden`);
}

/**
 * Files by which root, whatever capabilities it has, tells the kernel what to run outside of all namespaces (`core_pattern`, `uevent_helper`), can be
 * read and not written; as in containers.
 */
export function protectKernel(): void {
  const { mount, mountSetattr } = calls();
  for (const path of ['/proc/sys', '/proc/sysrq-trigger', '/sys'].filter(existsSync)) {
    must(mount(path, path, null, MS_BIND | MS_REC, null), `${path} cannot be bound`);
    const attributes = Buffer.alloc(32);
    attributes.writeBigUInt64LE(MOUNT_ATTR_RDONLY);
    must(mountSetattr(SYS_MOUNT_SETATTR, AT_FDCWD, path, AT_RECURSIVE, attributes, attributes.length), `${path} cannot be made read-only`);
  }
}
