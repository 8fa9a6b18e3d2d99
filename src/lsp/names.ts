/** Names that objects give, and where others use them: hosts, gateways, subsets, namespaces, Secrets. */
import type { Kind, ResourceOf } from '../api/index.ts';
import type { PathStep, Resource } from '../api/resource.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { fullHostname, hostCovers, isWildcard } from '../lib/hostname.ts';
import { table } from '../lib/table.ts';
import type { Cursor } from './cursor.ts';

export type Role = 'host' | 'gateway' | 'subset' | 'namespace' | 'secret';

/** A name in the form by which it is told from others: hosts in full, gateways and Secrets as `namespace/name`, subsets as `host|subset`. */
export interface Name {
  readonly role: Role;
  readonly name: string;
}

/** One place where a name stands. */
export interface Mention extends Name {
  readonly resource: Resource;
  readonly path: readonly PathStep[];
  /** The name is given here. */
  readonly declares: boolean;
}

/** A field that has names. */
interface Place {
  readonly role: Role;
  /** Steps; `*` is each item of a list. */
  readonly steps: readonly string[];
  readonly declares: boolean;
}

const place = (role: Role, path: string, declares = false): Place => ({
  role,
  steps: path.replaceAll('[]', '.*').split('.'),
  declares,
});

const DESTINATIONS = [
  'http[].route[].destination',
  'http[].mirror',
  'http[].mirrors[].destination',
  'tls[].route[].destination',
  'tcp[].route[].destination',
];

const OF_ALL: readonly Place[] = [place('namespace', 'metadata.namespace')];
const EXPORT = place('namespace', 'spec.exportTo[]');

const PLACES: Readonly<Record<string, readonly Place[]>> = table({
  ServiceEntry: [place('host', 'spec.hosts[]', true), EXPORT],
  Service: [place('host', 'metadata.name', true)],
  EgressPolicy: [place('host', 'spec.to[].hosts[]', true), place('namespace', 'spec.from[].namespace')],
  VirtualService: [
    place('host', 'spec.hosts[]'),
    place('gateway', 'spec.gateways[]'),
    ...['http', 'tls', 'tcp'].map((kind) => place('gateway', `spec.${kind}[].match[].gateways[]`)),
    ...DESTINATIONS.flatMap((path) => [place('host', `spec.${path}.host`), place('subset', `spec.${path}.subset`)]),
    EXPORT,
  ],
  DestinationRule: [
    place('host', 'spec.host'),
    place('subset', 'spec.subsets[].name', true),
    place('secret', 'spec.trafficPolicy.tls.credentialName'),
    place('secret', 'spec.trafficPolicy.portLevelSettings[].tls.credentialName'),
    place('secret', 'spec.subsets[].trafficPolicy.tls.credentialName'),
    EXPORT,
  ],
  Gateway: [
    place('gateway', 'metadata.name', true),
    place('host', 'spec.servers[].hosts[]'),
    place('secret', 'spec.servers[].tls.credentialName'),
    place('secret', 'spec.servers[].tls.credentialNames[]'),
    place('secret', 'spec.servers[].tls.caCertCredentialName'),
  ],
  Sidecar: [place('host', 'spec.egress[].hosts[]')],
  Secret: [place('secret', 'metadata.name', true)],
  Namespace: [place('namespace', 'metadata.name', true)],
  AuthorizationPolicy: [place('namespace', 'spec.rules[].from[].source.namespaces[]')],
});

function placesOf(kind: string): readonly Place[] {
  return [...OF_ALL, ...(PLACES[kind] ?? [])];
}

/** Words that stand where names do and are none. */
const NO_NAMES: Readonly<Partial<Record<Role, readonly string[]>>> = { namespace: ['*', '.', '~'], gateway: ['mesh'] };

interface Where {
  readonly kind: string;
  readonly namespace: string;
  /** What the object's other fields beside the name say. */
  readonly beside: (field: string) => string;
}

function nameOf(role: Role, word: string, { kind, namespace, beside }: Where): Name | undefined {
  if (word === '' || NO_NAMES[role]?.includes(word)) return undefined;
  switch (role) {
    case 'host':
      return { role, name: kind === 'Service' ? fullHostname(word, namespace) : fullHost(word, namespace) };
    case 'subset':
      return { role, name: `${fullHost(beside('host'), namespace)}|${word}` };
    case 'gateway':
    case 'secret':
      return { role, name: word.includes('/') ? word : `${namespace}/${word}` };
    case 'namespace':
      return { role, name: word };
  }
}

/** Of a Gateway's or a Sidecar's hosts, which may begin with a namespace, the host alone. */
function fullHost(word: string, namespace: string): string {
  return fullHostname(word.slice(word.indexOf('/') + 1), namespace).toLowerCase();
}

/** The role of the names at a path of a document; undefined where there are none. */
export function roleAt(kind: string, path: readonly PathStep[]): Pick<Place, 'role' | 'declares'> | undefined {
  return placesOf(kind).find(
    ({ steps }) =>
      steps.length === path.length && steps.every((step, i) => (step === '*' ? typeof path[i] === 'number' : step === path[i])),
  );
}

/** The name that stands at a place of a document. */
export function nameAt(path: readonly PathStep[], word: string, where: Where): Name | undefined {
  const found = roleAt(where.kind, path);
  return found && nameOf(found.role, word, where);
}

/** All names of a snapshot. */
export class Names {
  readonly #mentions = new Map<Role, Map<string, Mention[]>>();

  readonly #snapshot: Snapshot;

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
    for (const resource of snapshot.all()) if (!resource.derivedFrom) this.#read(resource);
  }

  /** Where a name is given, and by patterns that cover a host. */
  declarations({ role, name }: Name): Mention[] {
    const exact = (this.#of(role).get(name) ?? []).filter(({ declares }) => declares);
    if (exact.length > 0 || role !== 'host') return exact;
    const wild = [...this.#of(role)].filter(([host]) => isWildcard(host) && hostCovers(host, name));
    return wild.flatMap(([, mentions]) => mentions.filter(({ declares }) => declares));
  }

  /** Where a name stands, those places included where it is given. */
  mentions({ role, name }: Name): readonly Mention[] {
    return this.#of(role).get(name) ?? [];
  }

  /** The names of a role; of namespaces also those that are used and given nowhere. */
  all(role: Role): string[] {
    const given = [...this.#of(role)].filter(([, mentions]) => role === 'namespace' || mentions.some(({ declares }) => declares));
    return given.map(([name]) => name).sort();
  }

  /** The host of a DestinationRule, as it is written. */
  hostOf(kind: Kind, namespace: string, name: string): string | undefined {
    return kind === 'DestinationRule' ? this.#snapshot.get(kind, namespace, name)?.spec.host : undefined;
  }

  /** The hosts that an object is about, in the order in which it names them. */
  hostsOf(kind: Kind, namespace: string, name: string): string[] {
    const resource: ResourceOf<Kind> | undefined = this.#snapshot.get(kind, namespace, name);
    if (!resource) return [];
    return [...new Set(namesIn(resource).flatMap((one) => (one.role === 'host' ? [one.name] : [])))];
  }

  #of(role: Role): Map<string, Mention[]> {
    const found = this.#mentions.get(role) ?? new Map<string, Mention[]>();
    this.#mentions.set(role, found);
    return found;
  }

  #read(resource: ResourceOf<Kind>): void {
    for (const mention of namesIn(resource)) {
      const known = this.#of(mention.role).get(mention.name);
      if (known) known.push(mention);
      else this.#of(mention.role).set(mention.name, [mention]);
    }
  }
}

function namesIn(resource: Resource): Mention[] {
  const { kind, metadata } = resource;
  return placesOf(kind).flatMap(({ role, steps, declares }) =>
    valuesAt(resource, steps).flatMap(({ value, path, parent }): Mention[] => {
      const beside = (field: string) => hostBeside(resource, role, declares, parent, field);
      const name = nameOf(role, value, { kind, namespace: metadata.namespace, beside });
      return name ? [{ ...name, resource, path, declares }] : [];
    }),
  );
}

/** The host of a subset: of a DestinationRule its own, else the destination's. */
function hostBeside(resource: Resource, role: Role, declares: boolean, parent: unknown, field: string): string {
  const from = role === 'subset' && declares ? resource.spec : parent;
  const value = (from as Record<string, unknown> | undefined)?.[field];
  return typeof value === 'string' ? value : '';
}

interface Found {
  readonly value: string;
  readonly path: readonly PathStep[];
  /** The mapping or list in which it stands. */
  readonly parent: unknown;
}

function valuesAt(root: unknown, steps: readonly string[]): Found[] {
  let found: { value: unknown; path: PathStep[]; parent: unknown }[] = [{ value: root, path: [], parent: undefined }];
  for (const step of steps) {
    found = found.flatMap(({ value, path }) => {
      if (step === '*') return Array.isArray(value) ? value.map((item, i) => ({ value: item, path: [...path, i], parent: value })) : [];
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return [];
      return [{ value: (value as Record<string, unknown>)[step], path: [...path, step], parent: value }];
    });
  }
  return found.flatMap(({ value, path, parent }) => (typeof value === 'string' ? [{ value, path, parent }] : []));
}

/** The name that stands under a cursor. @param kind of its document @param fallback the namespace of objects that name none */
export function nameOfCursor(cursor: Cursor, kind: Kind | undefined, fallback: string, names?: Names): Name | undefined {
  if (!kind || cursor.at === 'key') return undefined;
  const namespace = cursor.namespace || fallback;
  const beside = (field: string) => cursor.siblings.get(field) ?? names?.hostOf(kind, namespace, cursor.name) ?? '';
  return nameAt(cursor.path, cursor.word, { kind, namespace, beside });
}
