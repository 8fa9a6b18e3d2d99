/** The files of `--policy`: read completely or not at all. */

import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type AllowListEntry, decodeAllowList } from '../../api/allow-list.ts';
import { decodeDocuments } from '../../api/documents.ts';
import { endOf } from '../../api/egress-policy.ts';
import type { ResourceOf } from '../../api/index.ts';
import { allowedProblem } from '../../api/rules/egress-policy.ts';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import { formatPosition } from '../../lib/finding.ts';
import { plainHost } from '../../lib/hostname.ts';
import { readRegularFile } from '../../lib/regular-file.ts';
import type { Allowed } from '../../policy/allow.ts';
import { type Injection, injectionProblem, injectionsOf, placedPort, placedSource, treatedPorts } from '../../policy/injection.ts';

export interface PolicyRead {
  readonly allowed: readonly Allowed[];
  /** Of what has ended, a line each. */
  readonly ended: readonly string[];
}

/** A file that includes one that includes one, and so on. */
const DEEPEST = 10;

/**
 * @param now ms since the epoch
 * @throws SallyportError `path-not-found`, `policy-unreadable`
 */
export function readPolicies(files: readonly string[], now: number): PolicyRead {
  const allowed: Allowed[] = [];
  const ended: string[] = [];
  const read = new Set<string>();
  const held = new Map<string, number>();
  for (const { entry, file } of files.flatMap((file) => entriesOf(file, [], read))) {
    const host = plainHost(entry.host);
    const one = allowedOf(entry, file, held.get(host) ?? 0);
    held.set(host, (held.get(host) ?? 0) + entry.credentials.length);
    if (entry.until === undefined || endOf(entry.until)! > now) allowed.push(one);
    else ended.push(`${file}: ${entry.host} is not allowed any more: it was until ${entry.until}`);
  }
  return { allowed, ended };
}

/**
 * Which of the files hold EgressPolicies, all of them valid, and which are lists.
 * @throws SallyportError `path-not-found`, `policy-unreadable`
 */
export function policyFiles(files: readonly string[]): {
  readonly policies: readonly ResourceOf<'EgressPolicy'>[];
  readonly lists: readonly string[];
} {
  const lists: string[] = [];
  const policies: ResourceOf<'EgressPolicy'>[] = [];
  for (const file of files) {
    const { resources, findings } = decodeDocuments(readPolicyText(file), file);
    const found = resources.filter((resource): resource is ResourceOf<'EgressPolicy'> => resource.kind === 'EgressPolicy');
    if (found.length === 0) {
      lists.push(file);
      continue;
    }
    const error = findings.find(({ level }) => level === 'Error');
    if (error) throw unreadable(`${error.position ? formatPosition(error.position) : file}: ${error.message}`);
    for (const policy of found) policies.push({ ...policy, order: policies.length });
  }
  return { policies, lists };
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
  const { list, findings } = decodeAllowList(readPolicyText(file), file);
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

/** Throws `path-not-found`, `policy-unreadable`. */
export function readPolicyText(file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readRegularFile(file));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new SallyportError('path-not-found', `there is no file ${file}`, { cause: error });
    throw unreadable(`${file}: ${messageOf(error)}`);
  }
}

/** @param first how many credentials the host has already */
function allowedOf(entry: AllowListEntry, file: string, first: number): Allowed {
  const { host, why, until, owner, bind } = entry;
  const refuse = (reason: string) => unreadable(`${file}: ${host}: ${reason}`);
  if (until !== undefined && endOf(until) === undefined) throw refuse(`there is no day or moment ${until}`);
  const name = plainHost(host);
  // Methods and paths are seen in what is intercepted, too.
  const seen = entry.tls?.intercept ? { ...entry, protocol: undefined } : entry;
  const problem = allowedProblem(host, seen) ?? injectionProblem(name, entry);
  if (problem !== undefined) throw refuse(problem);
  const near = (path: string) => resolve(dirname(file), path);
  const injections = injectionsOf(name, entry, first).map((one): Injection => ({ ...one, from: placedSource(one.from, near) }));
  return {
    host: name,
    ports: treatedPorts(name, entry).map((port) => placedPort(port, near)),
    ...(why !== undefined && { why }),
    ...(owner !== undefined && { owner }),
    ...(bind !== undefined && { bind }),
    ...(injections.length > 0 && { injections }),
  };
}

function unreadable(what: string): SallyportError {
  return new SallyportError('policy-unreadable', `the policy does not read completely, so nothing is allowed by it: ${what}`);
}
