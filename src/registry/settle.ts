/** Which of the declared services there are, with which ports, addresses and aliases. */
import type { Resource } from '../api/resource.ts';
import { originOf, resourceText } from '../api/resource.ts';
import type { Finding } from '../lib/finding.ts';
import { keepContent, keepList, sameMembers } from '../lib/same.ts';
import { addressesAt, createAllocator } from './auto-allocate.ts';
import type { Declarations, Declared } from './declarations.ts';
import { joinable } from './joined.ts';
import type { Service, ServicePort } from './model.ts';

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
 * Of two with one hostname and namespace the younger keeps the ports that the older does not have, as in Istio; the others are repeats. Beside
 * a Kubernetes Service nothing else stays: nobody may squat on its name. Endpoints count all the same (see endpoints.ts).
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
      contest = { oldest: kubernetes ?? service, kubernetes, claimed: new Map() };
      contests.set(key, contest);
    }
    const { oldest, kubernetes, claimed } = contest;
    if (kubernetes && kubernetes !== service) {
      findings.push(conflict(kubernetes, service, service.ports));
      return [];
    }
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
    if (kept.length > 0 && !joinable(oldest, service)) findings.push(unlike(oldest, service, kept));
    if (lost.length === 0) return { declared, ports: service.ports };
    findings.push(conflict(claimed.get(lost[0]!.number)!, service, lost));
    const repeated = lost.filter(({ number }) => claimed.get(number) !== service);
    if (repeated.length > 0) repeats.push({ declared, ports: repeated });
    return kept.length > 0 ? { declared, ports: kept } : [];
  });
  return { winners, repeats };
}

/** What several that declare one host come to. */
interface Contest {
  /** Of those that stay. */
  readonly oldest: Service;
  readonly kubernetes: Service | undefined;
  /** The service that has a port. */
  readonly claimed: Map<number, Service>;
}

function kubernetesOf(rivals: readonly Declared[]): Service | undefined {
  return rivals.findLast(({ service }) => service.registry === 'Kubernetes')?.service;
}

function conflict(winner: Service, loser: Service, ports: readonly ServicePort[]): Finding {
  const kubernetes = winner.registry === 'Kubernetes' && loser.registry !== 'Kubernetes';
  const why = kubernetes ? 'a Kubernetes Service comes before it' : 'the older object counts';
  const rest = kubernetes
    ? 'its endpoints are added'
    : 'its endpoints are added and its addresses lead to the same cluster (an HTTP host is known by the addresses of the youngest alone)';
  return aboutHosts(
    loser.resource,
    'SP1018',
    `${resourceText(winner.resource)} declares ${loser.hostname} in this namespace as well, and ${why}: what is said here of port ${numbersOf(ports)} ` +
      `has no effect, save that ${rest}. Declare a port of a host in one object.`,
  );
}

/** `kept`: the ports that the younger one alone has. */
function unlike(oldest: Service, service: Service, kept: readonly ServicePort[]): Finding {
  // What is shown to some namespaces by name comes before what is shown to all.
  const narrower = oldest.exportTo.has('*') && !service.exportTo.has('*');
  const [followed, lost, ports] = narrower ? [service, oldest, oldest.ports] : [oldest, service, kept];
  const where = narrower ? `, where both are seen,` : '';
  return aboutHosts(
    lost.resource,
    'SP1018',
    `${resourceText(followed.resource)} declares ${lost.hostname} in this namespace as well, and ${narrower ? 'comes first, as exportTo shows it to fewer' : 'is older'}. ` +
      `As the two differ in resolution, labels, workloadSelector or exportTo, there is${where} no cluster for port ${numbersOf(ports)}: ` +
      'calls to it are answered 503 NC or closed. Make them alike, or one object.',
  );
}

function numbersOf(ports: readonly ServicePort[]): string {
  return ports.map(({ number }) => number).join(', ');
}

function aboutHosts(resource: Resource, code: string, message: string): Finding {
  return {
    code,
    level: 'Warning',
    message,
    origin: originOf(resource),
    // The finding is kept while the object may move in its file.
    get position() {
      return resource.source.position(['spec', 'hosts']);
    },
  };
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
