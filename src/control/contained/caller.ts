/** Whose a client's socket is: from the socket tables of the network namespaces (proc_net(5)), as far as /proc lets this process look. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { endianness } from 'node:os';
import type { Caller } from './calls.ts';

/** The process that has this local address, inside whichever network namespace. */
export function callerOf({ ip, port }: { readonly ip: string; readonly port: number }, proc = '/proc'): Caller | undefined {
  const wanted = `${hexOf(ip)}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const own = namespaceOf(`${proc}/self`);
  const tables = new Map<string, string | undefined>();
  for (const pid of list(proc)) {
    if (!/^\d+$/.test(pid)) continue;
    const namespace = namespaceOf(`${proc}/${pid}`);
    if (namespace === undefined || namespace === own) continue;
    if (!tables.has(namespace)) tables.set(namespace, inodeIn(`${proc}/${pid}/net`, wanted));
    const inode = tables.get(namespace);
    if (inode !== undefined && has(`${proc}/${pid}/fd`, `socket:[${inode}]`))
      return { pid: Number(pid), command: nameOf(`${proc}/${pid}`) };
  }
  return undefined;
}

function inodeIn(folder: string, wanted: string): string | undefined {
  for (const table of ['tcp', 'tcp6', 'udp', 'udp6']) {
    for (const line of read(`${folder}/${table}`).split('\n')) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(wanted) && fields[9] !== '0') return fields[9];
    }
  }
  return undefined;
}

/** As the tables write IPv4 addresses: hexadecimal, in the machine's order. Nothing for IPv6: there the port alone tells. */
function hexOf(ip: string): string {
  if (ip.includes(':')) return '';
  const octets = ip.split('.').map((octet) => Number(octet).toString(16).toUpperCase().padStart(2, '0'));
  return (endianness() === 'LE' ? octets.reverse() : octets).join('');
}

function nameOf(folder: string): string {
  const words = read(`${folder}/cmdline`).split('\0');
  // A script is better known by its own name than by that of its interpreter.
  const script = words.slice(1).find((word) => word !== '' && !word.startsWith('-'));
  const base = (path: string) => path.slice(path.lastIndexOf('/') + 1);
  const program = base(words[0] ?? '');
  return /^(node|python[\d.]*|ruby|perl)$/.test(program) && script !== undefined ? base(script) : program || read(`${folder}/comm`).trim();
}

function namespaceOf(folder: string): string | undefined {
  try {
    return readlinkSync(`${folder}/ns/net`);
  } catch {
    return undefined;
  }
}

function has(folder: string, link: string): boolean {
  return list(folder).some((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`) === link;
    } catch {
      return false;
    }
  });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
