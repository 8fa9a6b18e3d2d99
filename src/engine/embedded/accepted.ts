/** What a proxy runs: the set that was sent to it, with the last good version of what it refused. */
import type { AcceptedResources, Rejection } from '../../admin/index.ts';
import type { ResourceType, XdsAck, XdsResources, XdsUpdate } from '../../xds/resources.ts';

interface Version {
  readonly version: string;
  /** ms since the epoch */
  readonly at: number;
}

type Named = { readonly [field: string]: unknown };

/** The lists of a set by their type, and the field that names their members. */
const LISTS = [
  ['listener', 'listeners', 'name'],
  ['route', 'routes', 'name'],
  ['cluster', 'clusters', 'name'],
  ['endpoint', 'endpoints', 'clusterName'],
  ['secret', 'secrets', 'name'],
] as const;

export class Accepted implements AcceptedResources {
  resources: XdsResources;
  rejected: readonly Rejection[] = [];
  readonly #versions = new Map<string, Version>();

  /** @param empty a set without anything */
  constructor(empty: XdsResources) {
    this.resources = empty;
  }

  version(type: ResourceType, name: string): Version | undefined {
    return this.#versions.get(`${type}/${name}`);
  }

  /** @param at ms since the epoch */
  take(sent: XdsResources, update: XdsUpdate, { rejected }: XdsAck, at: number): void {
    const versions = new Map(update.changed.map(({ type, name, version }) => [`${type}/${name}`, version]));
    const gone = new Set(update.removed.map(({ type, name }) => `${type}/${name}`));
    // A refusal holds until the resource changes or goes.
    const standing = this.rejected.filter(({ type, name }) => !versions.has(`${type}/${name}`) && !gone.has(`${type}/${name}`));
    const refused = new Set([...standing, ...rejected].map(({ type, name }) => `${type}/${name}`));
    for (const { type, name } of update.removed) this.#versions.delete(`${type}/${name}`);
    for (const [key, version] of versions) if (!refused.has(key)) this.#versions.set(key, { version, at });
    // Mostly nothing is refused, and lists of ten thousands need not be gone through.
    this.resources = refused.size > 0 ? lastGood(sent, this.resources, refused) : sent;
    this.rejected = [
      ...standing,
      ...rejected.map((entry) => ({ ...entry, version: versions.get(`${entry.type}/${entry.name}`) ?? '', at })),
    ];
  }
}

/** What was sent, with what is refused (`type/name`) as it was before, or left out where it was not there. */
function lastGood(sent: XdsResources, before: XdsResources, refused: ReadonlySet<string>): XdsResources {
  const lists = LISTS.map(([type, list, field]) => {
    const nameOf = (resource: unknown) => String((resource as Named)[field]);
    const good = new Map((before[list] as readonly unknown[]).map((resource) => [nameOf(resource), resource]));
    const kept = (sent[list] as readonly unknown[]).flatMap((resource) => {
      if (!refused.has(`${type}/${nameOf(resource)}`)) return [resource];
      return good.has(nameOf(resource)) ? [good.get(nameOf(resource))] : [];
    });
    return [list, kept] as const;
  });
  return { ...(Object.fromEntries(lists) as unknown as XdsResources), nameTable: sent.nameTable };
}
