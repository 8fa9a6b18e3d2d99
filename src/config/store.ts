import { DECODING_CODES } from '../api/codes.ts';
import type { Decoded } from '../api/documents.ts';
import type { Kind, ResourceOf } from '../api/index.ts';
import { originOf, type Resource } from '../api/resource.ts';
import { deriveFromGatewayApi } from '../gateway-api/index.ts';
import { type Finding, formatPosition } from '../lib/finding.ts';
import type { Snapshot } from './snapshot.ts';

/** What one file (or other origin of objects) holds. */
interface Holding {
  /** As read last, invalid ones included. */
  readonly resources: readonly ResourceOf<Kind>[];
  /** Objects of an earlier reading that stay in force because what replaced them is broken. */
  readonly kept: readonly ResourceOf<Kind>[];
  readonly findings: readonly Finding[];
}

/** Findings that concern a file rather than an object: with one of these nobody knows what else the file was meant to hold. */
const FILE_BROKEN: ReadonlySet<string> = new Set(['SP0001', 'SP0002', 'SP0003', 'SP0004', 'SP0005']);

/**
 * Holds what every file said last and builds snapshots of it. An object or a file that breaks leaves the last good version of its objects
 * in force. Ages follow `creationTimestamp`; objects without one are the youngest, in the order of their files and documents.
 */
export class Store {
  readonly #holdings = new Map<string, Holding>();
  #version = 0;

  /** Replaces what `file` holds. */
  set(file: string, decoded: Decoded): void {
    const before = this.#holdings.get(file);
    const inForce = new Map<string, ResourceOf<Kind>>();
    for (const resource of before ? [...before.kept, ...before.resources] : []) if (resource.valid) inForce.set(keyOf(resource), resource);

    const kept: ResourceOf<Kind>[] = [];
    const findings = [...decoded.findings];
    const keep = (resource: ResourceOf<Kind>) => {
      kept.push(resource);
      findings.push({
        code: 'SP0010',
        level: DECODING_CODES.SP0010.level,
        message: `the version read before, from ${formatPosition(resource.source.position())}, stays in force until this is mended`,
        origin: originOf(resource),
      });
    };
    const present = new Set<string>();
    for (const resource of decoded.resources) {
      const key = keyOf(resource);
      const good = inForce.get(key);
      if (!resource.valid && good && !present.has(key)) keep(good);
      present.add(key);
    }
    if (decoded.findings.some((finding) => FILE_BROKEN.has(finding.code))) {
      for (const [key, good] of inForce) if (!present.has(key)) keep(good);
    }
    this.#holdings.set(file, { resources: decoded.resources, kept, findings });
  }

  /** Forgets a file and its objects. */
  delete(file: string): void {
    this.#holdings.delete(file);
  }

  /** The names under which something is held, in the order in which they were set first. */
  files(): readonly string[] {
    return [...this.#holdings.keys()];
  }

  /** Builds the snapshot of this moment; `files` gives the order of files where it is not that of `set`. */
  snapshot(files: readonly string[] = this.files()): Snapshot {
    const findings: Finding[] = [];
    const every: ResourceOf<Kind>[] = [];
    const inForce: ResourceOf<Kind>[] = [];
    const first = new Map<string, ResourceOf<Kind>>();
    for (const file of files) {
      const holding = this.#holdings.get(file);
      if (!holding) continue;
      findings.push(...holding.findings);
      const kept = new Map(holding.kept.map((resource) => [keyOf(resource), resource]));
      for (const resource of holding.resources) {
        const key = keyOf(resource);
        const earlier = first.get(key);
        if (earlier) {
          findings.push(duplicate(resource, earlier));
          continue;
        }
        first.set(key, resource);
        every.push(resource);
        const good = resource.valid ? resource : kept.get(key);
        if (good) inForce.push(good);
      }
      for (const [key, resource] of kept) {
        if (first.has(key)) continue;
        first.set(key, resource);
        every.push(resource);
        inForce.push(resource);
      }
    }
    this.#version += 1;
    const aged = byAge(inForce);
    return withGatewayApi(new MemorySnapshot(this.#version, byAge(every), aged, findings), aged);
  }
}

function keyOf(resource: Resource): string {
  return `${resource.kind}/${resource.metadata.namespace}/${resource.metadata.name}`;
}

function duplicate(resource: Resource, earlier: Resource): Finding {
  return {
    code: 'SP0009',
    level: DECODING_CODES.SP0009.level,
    message: `the object stands at ${formatPosition(earlier.source.position())} already, which is in force; remove or rename one`,
    origin: originOf(resource),
    position: resource.source.position(),
  };
}

/** Sorted and numbered, oldest first. */
function byAge(resources: readonly ResourceOf<Kind>[]): ResourceOf<Kind>[] {
  const timestamps = resources.some((resource) => resource.metadata.creationTimestamp);
  const aged = timestamps
    ? resources.map((resource) => ({ resource, born: birth(resource) })).sort((a, b) => (a.born === b.born ? 0 : a.born - b.born))
    : undefined;
  const sorted = aged ? aged.map(({ resource }) => resource) : resources;
  return sorted.map((resource, order) => (resource.order === order ? resource : { ...resource, order }));
}

function birth(resource: Resource): number {
  const time = Date.parse(resource.metadata.creationTimestamp ?? '');
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time;
}

/**
 * Lays the objects beside it that those of the Kubernetes Gateway API stand for, so that whatever reads Gateways and VirtualServices sees them.
 * @param inForce what `base` lists
 */
function withGatewayApi(base: Snapshot, inForce: readonly ResourceOf<Kind>[]): Snapshot {
  const { resources, findings } = deriveFromGatewayApi(base);
  if (resources.length === 0 && findings.length === 0) return base;
  const all = [...inForce, ...resources].sort((a, b) => a.order - b.order);
  return new MemorySnapshot(base.version, [...base.all(), ...resources], all, [...base.findings, ...findings]);
}

class MemorySnapshot implements Snapshot {
  readonly version: number;
  readonly findings: readonly Finding[];
  readonly #every: readonly ResourceOf<Kind>[];
  readonly #kinds = new Map<Kind, ResourceOf<Kind>[]>();
  readonly #names = new Map<string, ResourceOf<Kind>>();

  constructor(version: number, every: readonly ResourceOf<Kind>[], inForce: readonly ResourceOf<Kind>[], findings: readonly Finding[]) {
    this.version = version;
    this.findings = findings;
    this.#every = every;
    for (const resource of inForce) {
      const list = this.#kinds.get(resource.kind);
      if (list) list.push(resource);
      else this.#kinds.set(resource.kind, [resource]);
      this.#names.set(keyOf(resource), resource);
    }
  }

  list<K extends Kind>(kind: K): readonly ResourceOf<K>[] {
    return (this.#kinds.get(kind) ?? []) as unknown as readonly ResourceOf<K>[];
  }

  get<K extends Kind>(kind: K, namespace: string, name: string): ResourceOf<K> | undefined {
    return this.#names.get(`${kind}/${namespace}/${name}`) as ResourceOf<K> | undefined;
  }

  all(): readonly ResourceOf<Kind>[] {
    return this.#every;
  }
}
