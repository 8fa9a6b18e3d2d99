/** Services, endpoints, workloads and addresses, from the resources of one moment. */
import type { MeshConfig } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding } from '../lib/finding.ts';
import { once } from '../lib/once.ts';
import { keepList } from '../lib/same.ts';
import { type Declarations, declarationsOf } from './declarations.ts';
import { type EndpointTable, endpointTable } from './endpoints.ts';
import { joinable, joined } from './joined.ts';
import type { Registry, Service } from './model.ts';
import { servedBy } from './served.ts';
import { type SettledServices, settleServices } from './settle.ts';
import { isVisible } from './visibility.ts';
import { buildWorkloads, type Workloads } from './workloads.ts';

export { joinable, joined } from './joined.ts';

export interface BuiltRegistry {
  readonly registry: Registry;
  /** Hosts that lost a conflict, and those for which no address is left. */
  readonly findings: readonly Finding[];
  /** What the next one is built from. */
  readonly parts: Parts;
}

interface Parts {
  readonly declarations: Declarations;
  readonly settled: SettledServices;
  readonly lookups: Lookups;
  readonly workloads: Workloads;
  readonly endpoints: EndpointTable;
}

/**
 * @param before the registry of the snapshot before, to share with it what did not change: it stays itself where no resource changed that it is
 *   made of; where endpoints alone changed, the services do. A fresh one would say the same.
 */
export function buildRegistry(snapshot: Snapshot, mesh: MeshConfig, before?: BuiltRegistry): BuiltRegistry {
  const known = before?.parts;
  const declarations = declarationsOf(snapshot, mesh, known?.declarations);
  const settled = known && declarations === known.declarations ? known.settled : settleServices(declarations, known?.settled);
  const sameServices = known && settled.services === known.settled.services && settled.repeats === known.settled.repeats;
  const lookups = sameServices ? known.lookups : new Lookups(settled, known?.lookups);
  const workloads = buildWorkloads(snapshot, known?.workloads);
  const endpoints = endpointTable(snapshot, workloads, declarations, known?.endpoints);
  const parts: Parts = { declarations, settled, lookups, workloads, endpoints };
  const { findings, services, repeats } = settled;
  if (before && lookups === known?.lookups && workloads === known.workloads && endpoints === known.endpoints) {
    return findings === before.findings ? before : { registry: before.registry, findings, parts };
  }
  const registry: Registry = {
    services,
    repeats,
    workloads: workloads.list,
    lookup: (hostname, namespace) => lookups.lookup(hostname, namespace),
    firstOf: (hostname) => lookups.firstOf(hostname),
    declaring: (hostname, namespace) => lookups.declaring(hostname, namespace),
    visibleTo: (namespace) => lookups.visibleTo(namespace),
    endpoints: endpoints.of,
    servicesOf: servedBy(services, endpoints.of, workloads),
  };
  const built = { registry, findings, parts };
  builds.set(registry, built);
  return built;
}

const builds = new WeakMap<Registry, BuiltRegistry>();

/** What the registry was built as, for one that is nearly the same. */
export function builtAs(registry: Registry): BuiltRegistry | undefined {
  return builds.get(registry);
}

/** Of one age, as the hosts of a ServiceEntry are, by name. */
function byAge(a: Service, b: Service): number {
  return a.order - b.order || (a.hostname < b.hostname ? -1 : 1);
}

/** Who sees which services. */
class Lookups {
  /** With repeats. */
  readonly #all: readonly Service[];
  readonly #byHostname: ReadonlyMap<string, readonly Service[]>;
  readonly #declaring = once(() => Map.groupBy(this.#all, ({ hostname }) => hostname));
  readonly #visible = new Map<string, readonly Service[]>();
  /** Lists of the services before; those with the same members stay. */
  readonly #former: ReadonlyMap<string, readonly Service[]> | undefined;

  constructor({ services, repeats }: SettledServices, before: Lookups | undefined) {
    this.#all = repeats.length > 0 ? [...services, ...repeats].sort(byAge) : services;
    this.#byHostname = Map.groupBy(services, ({ hostname }) => hostname);
    this.#former = before && new Map([...(before.#former ?? []), ...before.#visible]);
  }

  lookup(hostname: string, namespace: string): Service | undefined {
    const siblings = this.#byHostname.get(hostname.toLowerCase());
    if (!siblings) return undefined;
    const [only] = siblings;
    if (siblings.length === 1) return isVisible(only!.exportTo, only!.namespace, namespace) ? only : undefined;
    const seen = siblings.filter((service) => isVisible(service.exportTo, service.namespace, namespace));
    const first =
      seen.find((service) => service.namespace === namespace) ?? seen.find(({ registry }) => registry === 'Kubernetes') ?? seen[0];
    return first && joined(seen.filter((service) => joinable(first, service)));
  }

  declaring(hostname: string, namespace: string): readonly Service[] {
    return (this.#declaring().get(hostname) ?? []).filter((service) => service.namespace === namespace);
  }

  firstOf(hostname: string): readonly Service[] {
    const siblings = this.#byHostname.get(hostname.toLowerCase()) ?? [];
    if (siblings.length < 2) return siblings;
    const first = new Map<string, Service>();
    for (const service of siblings) {
      const other = first.get(service.namespace);
      if (!other || (other.registry !== 'Kubernetes' && service.registry === 'Kubernetes')) first.set(service.namespace, service);
    }
    return [...first.values()];
  }

  visibleTo(namespace: string): readonly Service[] {
    let list = this.#visible.get(namespace);
    if (!list) {
      const seen = this.#all.filter((service) => isVisible(service.exportTo, service.namespace, namespace));
      const named = seen.filter(({ exportTo }) => !exportTo.has('*'));
      const inOrder = named.length > 0 ? [...named, ...seen.filter(({ exportTo }) => exportTo.has('*'))] : seen;
      list = keepList(this.#former?.get(namespace), inOrder);
      this.#visible.set(namespace, list);
    }
    return list;
  }
}
