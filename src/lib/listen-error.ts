/** Why a port can't be listened on: who has it, and what to do. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { codeOf, messageOf, SallyportError } from './errors.ts';

/**
 * The error of a `listen`, as `port-in-use`, `port-forbidden`, `address-unavailable` or `listen-failed`. `ip` may be the path of a socket, with port 0.
 * @param option the option of the command line that chooses the port, where there is one
 */
export function listenError(error: unknown, { ip, port }: { readonly ip: string; readonly port: number }, option?: string): SallyportError {
  const text = ip.startsWith('/') ? ip : `${isIPv6(ip) ? `[${ip}]` : ip}:${port}`;
  switch (codeOf(error)) {
    case 'EADDRINUSE': {
      const owner = portOwner(port);
      const by = owner ? ` by process ${owner.pid} (${owner.command})` : '';
      return new SallyportError(
        'port-in-use',
        `${text} is already in use${by}: stop it, or listen on another port${option ? ` (${option})` : ''}`,
        { cause: error },
      );
    }
    case 'EACCES':
      return new SallyportError(
        'port-forbidden',
        `no permission to listen on ${text}: ports below 1024 need CAP_NET_BIND_SERVICE. Run as root, give node the capability (setcap cap_net_bind_service=+ep), lower the sysctl net.ipv4.ip_unprivileged_port_start, or use a higher port`,
        { cause: error },
      );
    case 'EADDRNOTAVAIL':
      return new SallyportError('address-unavailable', `cannot listen on ${text}: this machine does not have the address ${ip}`, {
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
