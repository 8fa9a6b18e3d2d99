/** What one file holds, read again and again: objects that say the same as before stay the same objects. */
import { DECODING_CODES } from '../api/codes.ts';
import type { Decoded } from '../api/documents.ts';
import type { Kind, ResourceOf } from '../api/index.ts';
import { originOf, type Resource } from '../api/resource.ts';
import { type Finding, formatPosition } from '../lib/finding.ts';
import { keepContent, sameContent } from '../lib/same.ts';
import { MovingSource } from './moving-source.ts';
import type { Numbered } from './order.ts';

/** An object of a file for as long as it says the same. */
export interface Entry extends Numbered {
  /** `Kind/namespace/name`. */
  readonly key: string;
  /** Milliseconds since 1970; infinite where the object does not say. */
  readonly born: number;
  readonly source: MovingSource;
  /** With the number in `order`, once it has one. */
  resource: ResourceOf<Kind>;
}

/** What one file (or other origin of objects) holds. */
export interface Holding {
  /** As read last, invalid ones included. */
  readonly entries: readonly Entry[];
  /** Objects of an earlier reading that stay in force because what replaced them is broken. */
  readonly kept: readonly Entry[];
  readonly findings: readonly Finding[];
  /** What was read last. */
  readonly decoded: Decoded;
}

const NOTHING: Holding = { entries: [], kept: [], findings: [], decoded: { resources: [], findings: [] } };

/** Findings that concern a file rather than an object: with one of these nobody knows what else the file was meant to hold. */
const FILE_BROKEN: ReadonlySet<string> = new Set(['SP0001', 'SP0002', 'SP0003', 'SP0004', 'SP0005']);

/** What the file holds now that it was read again. */
export function readAgain(decoded: Decoded, before: Holding = NOTHING): Holding {
  const earlier = [...before.kept, ...before.entries];
  const known = Map.groupBy(earlier, ({ key }) => key);
  const gone = new Set(earlier);
  const entries = decoded.resources.map((resource) => {
    const key = keyOf(resource);
    const same = known.get(key)?.find((entry) => gone.has(entry) && saysTheSame(entry.resource, resource));
    if (!same) return entryOf(key, resource);
    gone.delete(same);
    same.source.follow(resource.source);
    return same;
  });

  const inForce = new Map<string, Entry>();
  for (const entry of earlier) if (entry.resource.valid && !inForce.has(entry.key)) inForce.set(entry.key, entry);
  const kept = new Set<Entry>();
  const present = new Set<string>();
  for (const { key, resource } of entries) {
    const good = inForce.get(key);
    if (!resource.valid && good && !present.has(key)) kept.add(good);
    present.add(key);
  }
  // Who truncates a file before writing to it must open nothing in between.
  if (decoded.empty || decoded.findings.some((finding) => FILE_BROKEN.has(finding.code))) {
    for (const [key, good] of inForce) if (!present.has(key)) kept.add(good);
  }

  for (const entry of kept) gone.delete(entry);
  for (const entry of entries) entry.order ??= inherited(known.get(entry.key), gone);
  const findings = [...decoded.findings, ...[...kept].map(({ resource }) => staysInForce(resource, decoded.empty))];
  return { entries, kept: [...kept], findings: keepContent(before.findings, findings), decoded };
}

/** A file that holds this object of a snapshot: the same object, with its number. */
export function adopted(resource: ResourceOf<Kind>): Holding {
  const entry = { key: keyOf(resource), born: birth(resource), source: new MovingSource(resource.source), resource, order: resource.order };
  return { ...NOTHING, entries: [entry], decoded: { resources: [resource], findings: [] } };
}

/** Objects that stay in force of which the file, being broken, does not even have the name. */
export function keptAlone({ entries, kept }: Holding): readonly Entry[] {
  if (kept.length === 0) return kept;
  const present = new Set(entries.map(({ key }) => key));
  return kept.filter(({ key }) => !present.has(key));
}

function keyOf({ kind, metadata }: Resource): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`;
}

function entryOf(key: string, resource: ResourceOf<Kind>): Entry {
  const source = new MovingSource(resource.source);
  return { key, born: birth(resource), source, resource: { ...resource, source }, order: undefined };
}

/** An object that changed has the number of the one that it replaces. */
function inherited(earlier: readonly Entry[] | undefined, gone: Set<Entry>): number | undefined {
  const replaced = earlier?.find((entry) => gone.has(entry));
  if (replaced) gone.delete(replaced);
  return replaced?.order;
}

/** All that a document says, without where it stands. */
function saysTheSame(a: Resource, b: Resource): boolean {
  return (
    a.apiVersion === b.apiVersion &&
    a.valid === b.valid &&
    sameContent(a.metadata, b.metadata) &&
    sameContent(a.spec, b.spec) &&
    sameContent(a.status, b.status) &&
    sameContent(a.deprecated, b.deprecated)
  );
}

function birth(resource: Resource): number {
  const time = Date.parse(resource.metadata.creationTimestamp ?? '');
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time;
}

function staysInForce(resource: Resource, emptied = false): Finding {
  const { file } = resource.source;
  const version = `the version read before, from ${formatPosition(resource.source.position())}, stays in force`;
  return {
    code: 'SP0010',
    level: DECODING_CODES.SP0010.level,
    message: emptied ? `${file} is empty; ${version}: delete the file to remove what it held` : `${version} until this is mended`,
    origin: originOf(resource),
  };
}
