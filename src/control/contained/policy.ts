/** The files of `--policy`: read completely or not at all. */

import { realpathSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type AllowListEntry, decodeAllowList } from '../../api/allow-list.ts';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import { formatPosition } from '../../lib/finding.ts';
import { readRegularFile } from '../../lib/regular-file.ts';
import { bracketed } from '../../lib/socket-address.ts';
import { type Allowed, allowedPorts, parseAllowed } from './allow.ts';

export interface PolicyRead {
  readonly allowed: readonly Allowed[];
  /** Of what has ended, a line each. */
  readonly ended: readonly string[];
}

/** A file that includes one that includes one, and so on. */
const DEEPEST = 10;

/**
 * @param today as YYYY-MM-DD, in UTC
 * @throws SallyportError `path-not-found`, `policy-unreadable`
 */
export function readPolicies(files: readonly string[], today: string): PolicyRead {
  const allowed: Allowed[] = [];
  const ended: string[] = [];
  const read = new Set<string>();
  for (const { entry, file } of files.flatMap((file) => entriesOf(file, [], read))) {
    const one = allowedOf(entry, file);
    if (entry.until === undefined || entry.until >= today) allowed.push(one);
    else ended.push(`${file}: ${entry.host} is not allowed any more: it was until ${entry.until}`);
  }
  return { allowed, ended };
}

interface Written {
  readonly entry: AllowListEntry;
  readonly file: string;
}

/** Of a file and of those that it includes. `within`: the files that lead to it; `read`: those that are known, which say nothing new a second time. */
function entriesOf(file: string, within: readonly string[], read: Set<string>): Written[] {
  const place = placeOf(file);
  if (within.includes(place)) throw unreadable(`${file} includes itself, by way of ${within.join(', ')}`);
  if (within.length === DEEPEST) throw unreadable(`${file}: more than ${DEEPEST} files include one another`);
  if (read.has(place)) return [];
  read.add(place);
  const { list, findings } = decodeAllowList(textOf(file), file);
  const error = findings.find(({ level }) => level === 'Error');
  if (!list || error)
    throw unreadable(`${error?.position ? formatPosition(error.position) : file}: ${error?.message ?? 'it holds no list'}`);
  const included = list.include.flatMap((path) => entriesOf(isAbsolute(path) ? path : join(dirname(file), path), [...within, place], read));
  return [...included, ...list.allow.map((entry) => ({ entry, file }))];
}

/** One name for a file, whatever links lead to it; reading says what is wrong with one that is not there. */
function placeOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return resolve(file);
  }
}

function textOf(file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readRegularFile(file));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new SallyportError('path-not-found', `there is no file ${file}`, { cause: error });
    throw unreadable(`${file}: ${messageOf(error)}`);
  }
}

function allowedOf({ host, ports, protocol: stated, methods, paths, why, until }: AllowListEntry, file: string): Allowed {
  const refuse = (reason: string) => unreadable(`${file}: ${host}: ${reason}`);
  if (until !== undefined && Number.isNaN(Date.parse(until))) throw refuse(`there is no day ${until}`);
  if (host.includes('://')) throw refuse('a host is written without a scheme; state protocol');
  let name: string;
  try {
    name = parseAllowed(isIP(host) === 6 ? bracketed(host) : host).host;
  } catch {
    throw refuse('it is neither a name, *.suffix, nor an address; ports stand in ports');
  }
  if (name !== host.toLowerCase().replace(/\.$/, '')) throw refuse('ports stand in ports');
  const byRequest = methods.length > 0 || paths.length > 0;
  const unseen = byRequest ? unseenRequests(name, stated) : undefined;
  if (unseen !== undefined) throw refuse(unseen);
  const protocol = byRequest ? 'HTTP' : stated;
  const numbers = ports.length > 0 ? ports : protocol === 'HTTP' ? [80] : protocol === 'TLS' ? [443] : [80, 443];
  if (protocol === 'TCP' && ports.length === 0) throw refuse('TCP needs ports');
  const allowed = allowedPorts(name, numbers, protocol, refuse);
  return {
    host: name,
    ports: byRequest ? allowed.map((port) => ({ ...port, only: [{ methods, paths }] })) : allowed,
    ...(why !== undefined && { why }),
  };
}

/** Why requests to the host cannot be told apart, or undefined. */
function unseenRequests(host: string, protocol: AllowListEntry['protocol']): string | undefined {
  if (protocol !== undefined && protocol !== 'HTTP') return `methods and paths are seen in plain HTTP alone, not in ${protocol}`;
  if (isIP(host) > 0 || host.startsWith('*')) return 'methods and paths need the name of one host';
  return undefined;
}

function unreadable(what: string): SallyportError {
  return new SallyportError('policy-unreadable', `the policy does not read completely, so nothing is allowed by it: ${what}`);
}
