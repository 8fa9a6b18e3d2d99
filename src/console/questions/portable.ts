/**
 * A mesh as plain data, so that another thread can be asked about the very objects that are in force: files that are read anew may say something else, and
 * what broke in them stays in force as it was.
 */
import { ownOriginOf, withOrigin } from '../../api/derived-rule.ts';
import { KINDS, type Kind, type MeshConfig, type ResourceOf } from '../../api/index.ts';
import type { Resource, Source, SourceParts } from '../../api/resource.ts';
import { sourceOf } from '../../api/source.ts';
import { LineIndex } from '../../api/yaml/documents.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { KindTable } from '../../config/tables.ts';
import type { Finding, Position } from '../../lib/finding.ts';
import { Redacted } from '../../lib/redacted.ts';

/** What `structuredClone` takes. */
export interface PortableMesh {
  readonly version: number;
  readonly complete: boolean;
  readonly findings: readonly Finding[];
  readonly config: MeshConfig;
  /** Texts of files, which sources name by their place here. */
  readonly texts: readonly string[];
  readonly resources: readonly PortableResource[];
  /** Of each kind, the places of its valid objects in `resources`. */
  readonly lists: Readonly<Partial<Record<Kind, readonly number[]>>>;
  readonly all: readonly number[];
}

type PortableResource = Omit<Resource, 'source' | 'derivedFrom'> & {
  readonly source: (Omit<SourceParts, 'text'> & { readonly text: number }) | { readonly fixed: Position; readonly file: string };
  readonly derivedFrom?: number;
};

/** Stands for bytes that don't print. */
interface Hidden {
  readonly hiddenBytes: Uint8Array;
}

/** Stands for a rule with the object that it was written in, by its place: an array of numbers, which no document can hold. */
interface Rule {
  readonly ruleOf: Uint32Array;
  readonly rule: object;
}

export function portable(snapshot: Snapshot, config: MeshConfig): PortableMesh {
  const texts = new Map<string, number>();
  const places = new Map<Resource, number>();
  const resources: PortableResource[] = [];
  const outward: Replace = (value) => {
    if (value instanceof Redacted) return { hiddenBytes: value.reveal() } satisfies Hidden;
    const origin = ownOriginOf(value);
    return origin ? ({ ruleOf: Uint32Array.of(placeOf(origin)), rule: replaced(withoutSymbols(value), outward) } satisfies Rule) : value;
  };
  const placeOf = (resource: Resource): number => {
    const known = places.get(resource);
    if (known !== undefined) return known;
    const from = resource.derivedFrom && placeOf(resource.derivedFrom);
    const { source, derivedFrom: _, spec, ...rest } = resource;
    const made = {
      ...rest,
      spec: replaced(spec, outward),
      source: portableSource(source, texts),
      ...(from !== undefined && { derivedFrom: from }),
    };
    const place = resources.push(made) - 1;
    places.set(resource, place);
    return place;
  };
  const lists = Object.fromEntries(
    (Object.keys(KINDS) as Kind[]).flatMap((kind) => {
      const list = (snapshot.list(kind) as readonly Resource[]).map(placeOf);
      return list.length === 0 ? [] : [[kind, list] as const];
    }),
  );
  const all = snapshot.all().map(placeOf);
  // Some positions are asked for when they are read.
  const findings = snapshot.findings.map((finding) => ({ ...finding }));
  const { version, complete = false } = snapshot;
  return { version, complete, findings, config, texts: [...texts.keys()], resources, lists, all };
}

export function fromPortable({ version, complete, findings, texts, resources, lists, all }: PortableMesh): Snapshot {
  const made: Resource[] = [];
  const lines = texts.map((text) => new LineIndex(text));
  const inward: Replace = (value) => {
    if ('hiddenBytes' in value && value.hiddenBytes instanceof Uint8Array) return new Redacted(value.hiddenBytes);
    const { ruleOf, rule } = value as Partial<Rule>;
    return ruleOf instanceof Uint32Array ? withOrigin(replaced(rule!, inward), made[ruleOf[0]!]!) : value;
  };
  for (const { source, derivedFrom, spec, ...rest } of resources)
    made.push({
      ...rest,
      spec: replaced(spec, inward),
      source:
        'fixed' in source
          ? fixedSource(source.file, source.fixed)
          : sourceOf({ ...source, text: texts[source.text]! }, lines[source.text]!),
      ...(derivedFrom !== undefined && { derivedFrom: made[derivedFrom]! }),
    });
  const at = (places: readonly number[] = []) => places.map((place) => made[place] as ResourceOf<Kind>);
  const tables = new Map(Object.entries(lists).map(([kind, places]) => [kind as Kind, new KindTable(at(places))]));
  const everything = at(all);
  return {
    version,
    complete,
    findings,
    list: <K extends Kind>(kind: K) => (tables.get(kind)?.list ?? []) as unknown as readonly ResourceOf<K>[],
    get: <K extends Kind>(kind: K, namespace: string, name: string) => tables.get(kind)?.get(namespace, name) as ResourceOf<K> | undefined,
    all: () => everything,
  };
}

function portableSource(source: Source, texts: Map<string, number>): PortableResource['source'] {
  const parts = source.parts?.();
  if (!parts) return { fixed: source.position(), file: source.file };
  const text = texts.get(parts.text) ?? texts.size;
  texts.set(parts.text, text);
  return { ...parts, text };
}

/** Of what is not found in a text: everything is where the object is. */
function fixedSource(file: string, position: Position): Source {
  return { file, position: () => position, keyPosition: () => position };
}

type Replace = (value: object) => object;

/** The same value where nothing in it is replaced. */
function replaced<T>(value: T, by: Replace): T {
  if (typeof value !== 'object' || value === null) return value;
  const other = by(value);
  if (other !== value) return other as T;
  if (Array.isArray(value)) {
    const items = value.map((item) => replaced(item, by));
    return items.some((item, i) => item !== value[i]) ? (items as T) : value;
  }
  const entries = Object.entries(value).map(([key, item]) => [key, replaced(item, by)] as const);
  return entries.some(([key, item]) => item !== (value as Record<string, unknown>)[key]) ? (Object.fromEntries(entries) as T) : value;
}

function withoutSymbols(value: object): object {
  return Object.fromEntries(Object.entries(value));
}
