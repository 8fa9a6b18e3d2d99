/** The files of `--policy`: read completely or not at all. */
import { isIP } from 'node:net';
import { type AllowListEntry, decodeAllowList } from '../../api/allow-list.ts';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import { formatPosition } from '../../lib/finding.ts';
import { readRegularFile } from '../../lib/regular-file.ts';
import { type Allowed, allowedPorts, parseAllowed } from './allow.ts';

export interface PolicyRead {
  readonly allowed: readonly Allowed[];
  /** Of what has ended, a line each. */
  readonly ended: readonly string[];
}

/**
 * @param today as YYYY-MM-DD, in UTC
 * @throws SallyportError `path-not-found`, `policy-unreadable`
 */
export function readPolicies(files: readonly string[], today: string): PolicyRead {
  const allowed: Allowed[] = [];
  const ended: string[] = [];
  for (const file of files) {
    for (const entry of entriesOf(file)) {
      const one = allowedOf(entry, file);
      if (entry.until === undefined || entry.until >= today) allowed.push(one);
      else ended.push(`${file}: ${entry.host} is not allowed any more: it was until ${entry.until}`);
    }
  }
  return { allowed, ended };
}

function entriesOf(file: string): readonly AllowListEntry[] {
  const { list, findings } = decodeAllowList(textOf(file), file);
  const error = findings.find(({ level }) => level === 'Error');
  if (!list || error)
    throw unreadable(`${error?.position ? formatPosition(error.position) : file}: ${error?.message ?? 'it holds no list'}`);
  return list.allow;
}

function textOf(file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readRegularFile(file));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new SallyportError('path-not-found', `there is no file ${file}`, { cause: error });
    throw unreadable(`${file}: ${messageOf(error)}`);
  }
}

function allowedOf({ host, ports, protocol, why, until }: AllowListEntry, file: string): Allowed {
  const refuse = (reason: string) => unreadable(`${file}: ${host}: ${reason}`);
  if (until !== undefined && Number.isNaN(Date.parse(until))) throw refuse(`there is no day ${until}`);
  if (host.includes('://')) throw refuse('a host is written without a scheme; state protocol');
  let name: string;
  try {
    name = parseAllowed(isIP(host) === 6 ? `[${host}]` : host).host;
  } catch {
    throw refuse('it is neither a name, *.suffix, nor an address; ports stand in ports');
  }
  if (name !== host.toLowerCase().replace(/\.$/, '')) throw refuse('ports stand in ports');
  const numbers = ports.length > 0 ? ports : protocol === 'HTTP' ? [80] : protocol === 'TLS' ? [443] : [80, 443];
  if (protocol === 'TCP' && ports.length === 0) throw refuse('TCP needs ports');
  return { host: name, ports: allowedPorts(name, numbers, protocol, refuse), ...(why !== undefined && { why }) };
}

function unreadable(what: string): SallyportError {
  return new SallyportError('policy-unreadable', `the policy does not read completely, so nothing is allowed by it: ${what}`);
}
