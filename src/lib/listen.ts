/** Listening, with errors that say who is in the way and what to do. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { ListenOptions, Server } from 'node:net';
import type { SocketHandle } from './contained.ts';
import { codeOf, messageOf, SallyportError } from './errors.ts';
import { addressText } from './socket-address.ts';

interface ListenAddress {
  /** Or the path of a socket, with port 0. */
  readonly ip: string;
  readonly port: number;
}

/** For errors. */
export interface ListenWords {
  /** What it was for, as the beginning of a sentence. */
  readonly what?: string;
  /** The option of the command line that chooses the port. */
  readonly option?: string;
}

/** Resolves when the server listens where it is told to. Rejects with the errors of `listenError`, which name `address`. */
export function listening(
  server: Server,
  where: ListenOptions | SocketHandle,
  address: ListenAddress,
  words: ListenWords = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown) => reject(listenError(error, address, words));
    server.once('error', failed);
    server.listen(where, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

/** The error of a `listen`, as `port-in-use`, `port-forbidden`, `address-unavailable` or `listen-failed`. */
export function listenError(cause: unknown, address: ListenAddress, { what, option }: ListenWords = {}): SallyportError {
  const { code, reason } = whyNot(cause, address, option);
  return new SallyportError(code, what === undefined ? reason : `${what}: ${reason}`, { cause });
}

function whyNot(
  error: unknown,
  { ip, port }: ListenAddress,
  option: string | undefined,
): { readonly code: string; readonly reason: string } {
  const text = addressText({ ip, port });
  switch (codeOf(error)) {
    case 'EADDRINUSE': {
      const owner = portOwner(port);
      const by = owner ? ` by process ${owner.pid} (${owner.command})` : '';
      const reason = `${text} is already in use${by}: stop it, or listen on another port${option ? ` (${option})` : ''}`;
      return { code: 'port-in-use', reason };
    }
    case 'EACCES':
      return {
        code: 'port-forbidden',
        reason: `no permission to listen on ${text}: ports below 1024 need CAP_NET_BIND_SERVICE. Run as root, give node the capability (setcap cap_net_bind_service=+ep), lower the sysctl net.ipv4.ip_unprivileged_port_start, or use a higher port`,
      };
    case 'EADDRNOTAVAIL':
      return { code: 'address-unavailable', reason: `cannot listen on ${text}: this machine does not have the address ${ip}` };
    case 'EAFNOSUPPORT':
      return { code: 'address-unavailable', reason: `cannot listen on ${text}: this machine has no addresses of that family` };
    default:
      return { code: 'listen-failed', reason: `cannot listen on ${text}: ${messageOf(error)}` };
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
