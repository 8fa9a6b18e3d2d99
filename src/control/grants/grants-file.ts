/**
 * The file of grants: what was allowed for a time, with who, why and until when. It holds EgressPolicies, which a running `up` or `run` with --grants follows as
 * any other file of resources; it lies in the user's private folder, which contained commands do not see, so that none allows itself anything.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { endOf } from '../../api/egress-policy.ts';
import type { ResourceOf } from '../../api/index.ts';
import { snapshotFromText } from '../../config/memory.ts';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import { openPrivateFolder, privateFolder } from '../../lib/private-folder.ts';
import { readRegularText } from '../../lib/regular-file.ts';
import type { Allowed } from '../../policy/allow.ts';

export interface Grant {
  readonly id: string;
  readonly namespace: string;
  /** `host:port` each. */
  readonly hosts: readonly string[];
  /** The user who granted it. */
  readonly by: string;
  readonly reason: string;
  /** RFC 3339. */
  readonly from: string;
  readonly until: string;
}

export interface GrantRequest {
  readonly allowed: Allowed;
  readonly namespace: string;
  readonly by: string;
  readonly reason: string;
  readonly forMs: number;
}

/** The longest grant, ms: what is to stay belongs into the files that are reviewed. */
export const LONGEST_MS = 30 * 86_400_000;
const MOST_GRANTS = 1000;
/** How long one that has ended is kept to look it up, ms. */
const KEPT_MS = 30 * 86_400_000;
/** How long somebody else may be writing, ms. */
const LOCKED_MS = 5000;

export const GRANTED_BY = 'sallyport.dev/granted-by';

/** The file, made without a grant in it if it is not there. Throws `folder-unusable`, `grants-unreadable` and `grants-unwritable`. */
export function openGrants(file: string): string {
  if (dirname(file) === privateFolder()) openPrivateFolder();
  if (existsSync(file)) checkOwn(file);
  else writeGrants(file, []);
  return file;
}

/** Where others may put a file, as in /tmp, one that waits there would allow what they like. */
function checkOwn(file: string): void {
  const problem = foreign(statSync(file));
  if (problem !== undefined) throw new SallyportError('grants-unreadable', `${file} ${problem}: remove it, or name another --file`);
}

/** Why a file is not to be followed, as a clause; undefined where it is. */
export function foreign({ uid, mode }: { readonly uid: number; readonly mode: number }): string | undefined {
  const others = uid !== 0 && uid !== process.getuid?.();
  if (!others && (mode & 0o002) === 0) return undefined;
  return `${others ? `belongs to another user (${uid})` : 'may be written by everybody'}, who could allow anything by it`;
}

/** Throws `grants-unreadable`. */
export function readGrants(file: string): readonly Grant[] {
  return policiesIn(file).map(({ metadata, spec }) => ({
    id: metadata.name,
    namespace: metadata.namespace,
    hosts: spec.to.flatMap(({ hosts, ports }) => hosts.flatMap((host) => ports.map((port) => `${host}:${port}`))),
    by: metadata.annotations[GRANTED_BY] ?? '',
    reason: spec.reason ?? '',
    from: spec.starts ?? '',
    until: spec.expires ?? '',
  }));
}

/** @param now ms since the epoch. Throws `usage`, `too-many-grants`, `grants-unreadable`, `grants-unwritable` */
export async function addGrant(file: string, request: GrantRequest, now: number): Promise<Grant> {
  const { allowed, namespace, by, reason, forMs } = request;
  if (forMs < 1000 || forMs > LONGEST_MS)
    throw new SallyportError('usage', 'a grant is for 1s to 720h: what is to stay belongs into an EgressPolicy');
  if (allowed.within)
    throw new SallyportError('usage', `a grant names no ranges of addresses (=${allowed.within.join()}): name the host alone`);
  const id = `grant-${randomBytes(4).toString('hex')}`;
  const document = {
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'EgressPolicy',
    metadata: { name: id, namespace, annotations: { [GRANTED_BY]: by } },
    spec: {
      to: [...Map.groupBy(allowed.ports, ({ protocol }) => protocol)].map(([protocol, ports]) => ({
        hosts: [allowed.host],
        ports: ports.map(({ port }) => port),
        protocol,
      })),
      starts: momentText(now),
      expires: momentText(now + forMs),
      reason,
      owner: by,
    },
  };
  // One that could not be read again would have the file refused, and with it every other grant and revocation.
  const wrong = snapshotFromText(stringify(document)).findings.find(({ level }) => level === 'Error');
  if (wrong) throw new SallyportError('usage', `this can not be granted: ${wrong.message}`);
  await changing(file, (documents) => {
    const kept = documents.filter(({ spec }) => endOf(spec.expires ?? '') === undefined || endOf(spec.expires!)! > now - KEPT_MS);
    if (kept.length >= MOST_GRANTS)
      throw new SallyportError('too-many-grants', `${file} holds ${MOST_GRANTS} grants: revoke some (sallyport grant --list, --revoke ID)`);
    return [...kept, document];
  });
  return readGrants(file).find((grant) => grant.id === id)!;
}

/** Throws `no-such-grant`, `grants-unreadable`, `grants-unwritable`. */
export async function revokeGrant(file: string, id: string): Promise<void> {
  await changing(file, (documents) => {
    const kept = documents.filter(({ metadata }) => metadata.name !== id);
    if (kept.length === documents.length)
      throw new SallyportError('no-such-grant', `there is no grant ${id} in ${file}: sallyport grant --list shows those that there are`);
    return kept;
  });
}

interface Document {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly expires?: string };
}

async function changing(file: string, change: (documents: readonly Document[]) => readonly object[]): Promise<void> {
  openGrants(file);
  const unlock = await lock(file);
  try {
    const documents = policiesIn(file).map(({ apiVersion, kind, metadata, spec }) => ({
      apiVersion,
      kind,
      metadata: { name: metadata.name, namespace: metadata.namespace, annotations: metadata.annotations },
      spec,
    }));
    writeGrants(file, change(documents));
  } finally {
    unlock();
  }
}

/** A file that is read in part would lose the rest when it is written. */
function policiesIn(file: string): readonly ResourceOf<'EgressPolicy'>[] {
  let text: string;
  try {
    checkOwn(file);
    text = readRegularText(file);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return [];
    if (cause instanceof SallyportError && cause.code === 'grants-unreadable') throw cause;
    throw new SallyportError('grants-unreadable', `${file}: ${messageOf(cause)}`, { cause });
  }
  // At the beginning of time none has ended, and none is at odds with another.
  const snapshot = snapshotFromText(text, { file });
  const error = snapshot.findings.find(({ level, code }) => level === 'Error' && code !== 'SP0018');
  if (error) throw new SallyportError('grants-unreadable', `${file}: ${error.message}: mend or remove the file`);
  return snapshot.list('EgressPolicy');
}

/** A list, which says that there is nothing where it is empty: a file that is emptied leaves in force what it held. */
function writeGrants(file: string, items: readonly object[]): void {
  const beside = `${file}.${randomBytes(6).toString('hex')}.new`;
  try {
    // Not through a link that somebody has put there.
    writeFileSync(beside, stringify({ apiVersion: 'v1', kind: 'List', items }), { mode: 0o600, flag: 'wx' });
    renameSync(beside, file);
  } catch (cause) {
    rmSync(beside, { force: true });
    throw new SallyportError('grants-unwritable', `${file} cannot be written: ${messageOf(cause)}`, { cause });
  }
}

/** Two that write at once must not lose what the other wrote. */
async function lock(file: string): Promise<() => void> {
  const path = `${file}.lock`;
  const last = performance.now() + LOCKED_MS;
  for (;;) {
    try {
      closeSync(openSync(path, 'wx', 0o600));
      return () => rmSync(path, { force: true });
    } catch (cause) {
      if (codeOf(cause) !== 'EEXIST')
        throw new SallyportError('grants-unwritable', `${path} cannot be made: ${messageOf(cause)}`, { cause });
      if (performance.now() > last)
        throw new SallyportError(
          'grants-unwritable',
          `somebody has been writing ${file} since ${sinceText(path)}: if nobody is, remove ${path}`,
        );
      await delay(20);
    }
  }
}

function sinceText(path: string): string {
  try {
    return statSync(path).mtime.toISOString();
  } catch {
    return 'just now';
  }
}

/** In UTC, to the second: what is granted begins at once, and ends no later than was said. */
function momentText(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}
