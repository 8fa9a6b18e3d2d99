/** Whose a client's socket is: from the socket tables of the network namespaces (proc_net(5)), as far as /proc lets this process look. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { endianness } from 'node:os';
import type { Caller } from './calls.ts';

interface Machine {
  readonly proc: string;
  /** The process that started the command: other runs have the same addresses in namespaces of their own. */
  readonly parent: number;
}

/** The process that has this local address, inside the network namespace of what this process has started. */
export function callerOf(
  { ip, port }: { readonly ip: string; readonly port: number },
  { proc, parent }: Machine = { proc: '/proc', parent: process.pid },
): Caller | undefined {
  const wanted = `${hexOf(ip)}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const own = namespaceOf(`${proc}/${parent}`);
  const processes = list(proc)
    .filter((pid) => /^\d+$/.test(pid))
    .map((pid) => ({ pid: Number(pid), namespace: namespaceOf(`${proc}/${pid}`) }))
    .filter(({ namespace }) => namespace !== undefined && namespace !== own);
  // Whoever lost the process that started it has its namespace still.
  const inside = new Set(processes.filter(({ pid }) => descends(pid, parent, proc)).map(({ namespace }) => namespace));
  const tables = new Map<string | undefined, string | undefined>();
  for (const { pid, namespace } of processes) {
    if (!inside.has(namespace)) continue;
    if (!tables.has(namespace)) tables.set(namespace, inodeIn(`${proc}/${pid}/net`, wanted));
    const inode = tables.get(namespace);
    if (inode !== undefined && has(`${proc}/${pid}/fd`, `socket:[${inode}]`)) return { pid, command: nameOf(`${proc}/${pid}`) };
  }
  return undefined;
}

function descends(pid: number, parent: number, proc: string): boolean {
  // Numbers of processes are used again, so that a chain read while they end might close.
  for (let steps = 0; pid > 1 && steps < 1000; steps++) {
    if (pid === parent) return true;
    // The name before it may hold anything, brackets too.
    const stat = read(`${proc}/${pid}/stat`);
    pid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
  }
  return false;
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
