/** Opening listening sockets, with errors that say who is in the way and what to do. */
import { lstatSync, readdirSync, readFileSync, readlinkSync, unlinkSync } from 'node:fs';
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import { addressText } from '../cluster/host.ts';
import type { Address } from '../types.ts';

interface BindOptions {
  readonly address: Address;
  readonly backlog: number | undefined;
  /** `::` takes IPv4 as well. */
  readonly ipv4Compat: boolean;
  readonly reusePort: boolean;
  /** With `reusePort`: make sure first that no other process has the port, as sharing it would go unnoticed. */
  readonly probe: boolean;
}

/** Resolves with a server that listens; rejects with `port-in-use`, `port-forbidden`, `address-unavailable` or `listen-failed`. */
export async function bind(options: BindOptions, onConnection: (socket: Socket) => void): Promise<Server> {
  const { address } = options;
  if (address.port === 0 && address.ip.startsWith('/')) removeStale(address.ip);
  if (options.reusePort && options.probe && address.port > 0) {
    const probe = await listen(options, false, () => undefined);
    await new Promise((resolve) => probe.close(resolve));
  }
  return listen(options, options.reusePort, onConnection);
}

function listen(options: BindOptions, reusePort: boolean, onConnection: (socket: Socket) => void): Promise<Server> {
  const { address, backlog } = options;
  const target: ListenOptions =
    address.port === 0 && address.ip.startsWith('/')
      ? { path: address.ip }
      : { host: address.ip, port: address.port, ipv6Only: address.ip === '::' && !options.ipv4Compat, reusePort };
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, onConnection);
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(bindError(error, address)));
    server.listen({ ...target, ...(backlog === undefined ? {} : { backlog }) }, () => {
      server.removeAllListeners('error');
      resolve(server);
    });
  });
}

/** A server on a socket that was opened elsewhere and listens already; it owns the descriptor. Rejects with `listen-failed`. */
export function listenOn(fd: number, address: Address, onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, onConnection);
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(bindError(error, address)));
    server.listen({ fd }, () => {
      server.removeAllListeners('error');
      resolve(server);
    });
  });
}

/** A socket file that a process left behind. */
function removeStale(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT')
      throw new SallyportError('listen-failed', `cannot listen on ${path}: ${messageOf(error)}`, { cause: error });
  }
}

export function bindError(error: unknown, address: Address): SallyportError {
  const text = addressText(address);
  switch (codeOf(error)) {
    case 'EADDRINUSE': {
      const owner = portOwner(address.port);
      const by = owner ? ` by process ${owner.pid} (${owner.command})` : '';
      return new SallyportError('port-in-use', `${text} is already in use${by}: stop it, or listen on another port`, { cause: error });
    }
    case 'EACCES':
      return new SallyportError(
        'port-forbidden',
        `no permission to listen on ${text}: ports below 1024 need CAP_NET_BIND_SERVICE. Run as root, give node the capability (setcap cap_net_bind_service=+ep), lower the sysctl net.ipv4.ip_unprivileged_port_start, or use a higher port`,
        { cause: error },
      );
    case 'EADDRNOTAVAIL':
      return new SallyportError('address-unavailable', `cannot listen on ${text}: this machine does not have the address ${address.ip}`, {
        cause: error,
      });
    default:
      return new SallyportError('listen-failed', `cannot listen on ${text}: ${messageOf(error)}`, { cause: error });
  }
}

/** The process that listens on a TCP port, as far as /proc lets us see it. */
function portOwner(port: number, proc = '/proc'): { readonly pid: number; readonly command: string } | undefined {
  const inodes = new Set(
    ['tcp', 'tcp6'].flatMap((table) => listeningInodes(`${proc}/net/${table}`, port)).map((inode) => `socket:[${inode}]`),
  );
  if (inodes.size === 0) return undefined;
  for (const pid of tryList(proc)) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of tryList(`${proc}/${pid}/fd`)) {
      try {
        if (!inodes.has(readlinkSync(`${proc}/${pid}/fd/${fd}`))) continue;
        const command = readFileSync(`${proc}/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 200);
        return { pid: Number(pid), command };
      } catch {
        // The descriptor or the process went away meanwhile.
      }
    }
  }
  return undefined;
}

const LISTENING = '0A';

function listeningInodes(path: string, port: number): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(suffix) && fields[3] === LISTENING && fields[9] !== undefined)
    .map((fields) => fields[9]!);
}

function tryList(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
