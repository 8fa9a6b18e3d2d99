/** Which of the declared services there are, with which ports, addresses and aliases. */
import type { Finding } from '../lib/finding.ts';
import { keepContent, keepList, sameMembers } from '../lib/same.ts';
import { addressesAt, createAllocator } from './auto-allocate.ts';
import type { Declarations, Declared } from './declarations.ts';
import { joinable } from './joined.ts';
import type { Service, ServicePort } from './model.ts';
import { aboutHosts, repeated, unlike } from './rivals.ts';

export interface SettledServices {
  /** Oldest first. */
  readonly services: readonly Service[];
  /** The ports that younger objects lost to older ones, as services of their own (see `Registry.visibleTo`). Oldest first. */
  readonly repeats: readonly Service[];
  /** Hosts that lost a conflict, and those without an address. */
  readonly findings: readonly Finding[];
  /** For the next ones. */
  readonly memory: Memory;
}

interface Memory {
  readonly services: WeakMap<Declared, Settled>;
  readonly repeats: WeakMap<Declared, Settled>;
}

/** What became of a declared service. */
interface Settled extends Terms {
  readonly service: Service;
}

interface Terms {
  readonly ports: readonly ServicePort[];
  /** Of the allocated address (see auto-allocate.ts). */
  readonly place: number | undefined;
  readonly aliases: readonly string[] | undefined;
}

/** What a declared service keeps of its ports, or in a repeat has lost of them. */
interface Share {
  readonly declared: Declared;
  readonly ports: readonly ServicePort[];
}

interface Shares {
  readonly winners: readonly Share[];
  readonly repeats: readonly Share[];
}

/**
 * What all this comes to depends on what is declared alone; a service of which the same follows as `before` is the same object.
 */
export function settleServices(declarations: Declarations, before: SettledServices | undefined): SettledServices {
  const memory = before?.memory ?? { services: new WeakMap<Declared, Settled>(), repeats: new WeakMap<Declared, Settled>() };
  const findings: Finding[] = [];
  const { winners, repeats } = withoutConflicts(declarations, findings);
  const shares = [...winners, ...repeats];
  const places = allocate(shares, declarations, findings);
  const aliases = aliasesOf(winners);
  const settled = shares.map(({ declared, ports }, index) => {
    const terms: Terms = { ports, place: places[index], aliases: aliases?.get(declared.service.hostname) };
    const remembered = index < winners.length ? memory.services : memory.repeats;
    const known = remembered.get(declared);
    if (known && sameTerms(known, terms)) return known.service;
    const service = serviceUnder(declared.service, terms);
    remembered.set(declared, { ...terms, service });
    return service;
  });
  return {
    services: keepList(before?.services, settled.slice(0, winners.length)),
    repeats: keepList(before?.repeats, settled.slice(winners.length)),
    findings: keepContent(before?.findings, findings),
    memory,
  };
}

function sameTerms(a: Terms, b: Terms): boolean {
  return a.place === b.place && sameMembers(a.ports, b.ports) && sameMembers(a.aliases ?? [], b.aliases ?? []);
}

function serviceUnder(service: Service, { ports, place, aliases }: Terms): Service {
  if (ports === service.ports && place === undefined && !aliases) return service;
  const addresses = place === undefined ? undefined : addressesAt(place);
  return {
    ...service,
    ports,
    ...(addresses && { autoAddresses: [addresses.ipv4, addresses.ipv6] }),
    ...(aliases && { aliases }),
  };
}

/**
 * Of two with one hostname and namespace the younger keeps the ports that the older does not have, as in Istio; the others are repeats. A Kubernetes
 * Service counts as the oldest: nobody may squat on its name. Endpoints count all the same (see endpoints.ts).
 */
function withoutConflicts({ list, byKey }: Declarations, findings: Finding[]): Shares {
  const contests = new Map<string, Contest>();
  const repeats: Share[] = [];
  const winners = list.flatMap((declared): Share | Share[] => {
    const { key, service } = declared;
    const rivals = byKey.get(key)!;
    if (rivals.length === 1 && declared.distinct) return { declared, ports: service.ports };
    let contest = contests.get(key);
    if (!contest) {
      const kubernetes = kubernetesOf(rivals);
      // Nobody may squat on the name of a Kubernetes Service, older or not.
      contest = { oldest: kubernetes ?? service, claimed: new Map(kubernetes?.ports.map(({ number }) => [number, kubernetes])) };
      contests.set(key, contest);
    }
    const { oldest, claimed } = contest;
    if (oldest === service && service.registry === 'Kubernetes') return { declared, ports: service.ports };
    const lost: ServicePort[] = [];
    const kept: ServicePort[] = [];
    for (const port of service.ports) {
      if (claimed.has(port.number)) {
        lost.push(port);
      } else {
        kept.push(port);
        claimed.set(port.number, service);
      }
    }
    const parted = kept.length > 0 && !joinable(oldest, service) ? unlike(oldest, service, kept) : undefined;
    if (parted) findings.push(parted);
    if (lost.length === 0) return { declared, ports: service.ports };
    const byWinner = Map.groupBy(lost, ({ number }) => claimed.get(number)!);
    for (const [winner, ports] of byWinner) findings.push(repeated(winner, service, ports));
    const again = lost.filter(({ number }) => claimed.get(number) !== service);
    if (again.length > 0) repeats.push({ declared, ports: again });
    return kept.length > 0 ? { declared, ports: kept } : [];
  });
  return { winners, repeats };
}

/** What several that declare one host come to. */
interface Contest {
  /** The Kubernetes Service, if there is one. */
  readonly oldest: Service;
  /** The service that has a port. */
  readonly claimed: Map<number, Service>;
}

function kubernetesOf(rivals: readonly Declared[]): Service | undefined {
  return rivals.findLast(({ service }) => service.registry === 'Kubernetes')?.service;
}

/** The place of each one's address, where it gets one. */
function allocate(shares: readonly Share[], { byKey }: Declarations, findings: Finding[]): (number | undefined)[] {
  const next = createAllocator();
  // Several objects may declare ports of one host: it has one address all the same.
  const shared = new Map<string, number>();
  return shares.map(({ declared: { key, service, hash } }) => {
    if (hash === undefined) return undefined;
    const place = shared.get(key) ?? next(hash);
    if (place === undefined) {
      const message = `No address is left in 240.240.0.0/16 for ${service.hostname}: DNS answers with its real addresses. State one in spec.addresses.`;
      findings.push(aboutHosts(service.resource, 'SP1026', message));
    } else if (byKey.get(key)!.length > 1) {
      shared.set(key, place);
    }
    return place;
  });
}

/**
 * By the host that they stand for, the names of Services of type ExternalName: calls to these are calls to it, over several of them if need be.
 * Undefined where there are none.
 */
function aliasesOf(winners: readonly Share[]): ReadonlyMap<string, readonly string[]> | undefined {
  const targets = new Map<string, string>();
  for (const { declared } of winners) {
    const { hostname, externalName } = declared.service;
    if (externalName) targets.set(hostname, externalName);
  }
  if (targets.size === 0) return undefined;
  const aliases = new Map<string, string[]>();
  for (const alias of [...targets.keys()].sort()) {
    const seen = new Set([alias]);
    let target = targets.get(alias)!;
    while (targets.has(target) && !seen.has(target)) {
      seen.add(target);
      target = targets.get(target)!;
    }
    if (targets.has(target)) continue;
    const siblings = aliases.get(target);
    if (siblings) siblings.push(alias);
    else aliases.set(target, [alias]);
  }
  return aliases;
}
