/** Whose a client's socket is: from the socket tables of the network namespaces (proc_net(5)), as far as /proc lets this process look. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { endianness } from 'node:os';
import { parseIp } from '../../lib/ip.ts';
import { printableLine } from '../../lib/printable.ts';
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
  const wanted = asInTables(ip, port);
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

/** The process of this machine that has this local address, where it is another than this one and runs in its network namespace. */
export function localCallerOf(
  { ip, port }: { readonly ip: string; readonly port: number },
  { proc, parent }: Machine = { proc: '/proc', parent: process.pid },
): Caller | undefined {
  const inode = inodeIn(`${proc}/${parent}/net`, asInTables(ip, port));
  if (inode === undefined) return undefined;
  const found = list(proc).find((pid) => /^\d+$/.test(pid) && Number(pid) !== parent && has(`${proc}/${pid}/fd`, `socket:[${inode}]`));
  return found === undefined ? undefined : { pid: Number(found), command: nameOf(`${proc}/${found}`) };
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

/** As the tables write a local address, or end it where it is IPv4 mapped to IPv6: words of 32 bits, hexadecimal, in the machine's order. */
function asInTables(ip: string, port: number): string {
  const hex = (parseIp(ip) ?? []).map((word) => {
    const octets = [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].map((octet) => hexadecimal(octet, 2));
    return (endianness() === 'LE' ? octets.reverse() : octets).join('');
  });
  return `${hex.join('')}:${hexadecimal(port, 4)}`;
}

function hexadecimal(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

/** Names that are longer are cut; a program gives itself what name it likes. */
const LONGEST_NAME = 64;

/** As one line, whatever it is. */
function nameOf(folder: string): string {
  const name = printableLine(ownNameOf(folder));
  return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name;
}

function ownNameOf(folder: string): string {
  const words = read(`${folder}/cmdline`).split('\0');
  // A script is better known by its own name than by that of its interpreter.
  const first = words.slice(1).find((word) => word !== '' && !word.startsWith('-'));
  // What follows these is no name but code.
  const script = words.slice(1, words.indexOf(first ?? '')).some((word) => /^(?:-\w*[cep]|--eval|--print)$/.test(word)) ? undefined : first;
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
