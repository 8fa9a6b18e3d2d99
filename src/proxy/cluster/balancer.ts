/** Load balancing among the hosts of a cluster: priorities, then localities where they are weighted, then the cluster's policy. */
import type { Host, HostTable, Priority } from './host.ts';
import { Rotation } from './rotation.ts';

export type Policy =
  | { readonly kind: 'round-robin' }
  | { readonly kind: 'least-request'; readonly choices: number }
  | { readonly kind: 'random' }
  /** Ring hash and Maglev: the same hash goes to the same host, and few hashes move when a host comes or goes. */
  | { readonly kind: 'hash' };

/** Envoy's overprovisioning factor: a priority takes all traffic as long as 1/1.4 of its hosts can be used. */
const OVERPROVISIONING = 1.4;

interface Group {
  readonly hosts: readonly Host[];
  readonly rotation: Rotation<Host>;
}

interface Level {
  /** Share of the traffic, 0 to 1. */
  readonly load: number;
  readonly groups: Rotation<Group>;
}

export class Balancer {
  readonly #policy: Policy;
  readonly #byLocality: boolean;
  readonly #random: () => number;
  readonly #panicPercent: number;
  #levels: Level[] = [];

  /** `byLocality`: the cluster has `locality_weighted_lb_config`. `random` gives numbers in [0, 1). `panicPercent`: with fewer usable hosts than
   * that in a priority, all of its hosts are used (`healthy_panic_threshold`); 0 for never. */
  constructor(policy: Policy, byLocality: boolean, random: () => number, panicPercent: number) {
    this.#policy = policy;
    this.#byLocality = byLocality;
    this.#random = random;
    this.#panicPercent = panicPercent;
  }

  /** Called after each change of the hosts. */
  update(table: HostTable): void {
    let left = 1;
    let available = table.priorities.map(({ all, hosts }) =>
      all.length === 0 ? 0 : Math.min(1, (OVERPROVISIONING * hosts.length) / all.length),
    );
    // As long as all priorities together are enough, none panics.
    const enough = sumOf(available) >= 1;
    const panics = ({ all, hosts }: Priority): boolean => !enough && (100 * hosts.length) / all.length < this.#panicPercent;
    // With nothing to use anywhere, the traffic goes by the number of hosts.
    if (sumOf(available) === 0) {
      const total = sumOf(table.priorities.map(({ all }) => all.length));
      available = table.priorities.map((priority) => (total > 0 && panics(priority) ? priority.all.length / total : 0));
    }
    const sum = Math.min(1, sumOf(available));
    this.#levels = [];
    table.priorities.forEach((priority, i) => {
      const load = sum === 0 ? 0 : Math.min(left, available[i]! / sum);
      left -= load;
      if (load > 0) this.#levels.push({ load, groups: this.#groups(priority, panics(priority)) });
    });
  }

  #groups(priority: Priority, panic: boolean): Rotation<Group> {
    const group = (hosts: readonly Host[]): Group => ({ hosts, rotation: new Rotation(hosts, (host) => host.weight, this.#random()) });
    if (panic) return new Rotation([group(priority.all)], () => 1, 0);
    if (!this.#byLocality) return new Rotation([group(priority.hosts)], () => 1, 0);
    const usable = priority.localities.filter(({ weight, hosts }) => weight > 0 && hosts.length > 0);
    if (usable.length === 0) return new Rotation([group(priority.hosts)], () => 1, 0);
    const weights = new Map(usable.map(({ weight, hosts }) => [group(hosts), weight]));
    return new Rotation([...weights.keys()], (entry) => weights.get(entry)!, this.#random());
  }

  /** A host, or undefined if none can be used. `hash` decides under a hash policy; without it the choice is random. */
  choose(hash: number | undefined): Host | undefined {
    const group = this.#level()?.groups.take();
    if (!group || group.hosts.length === 0) return undefined;
    const { hosts } = group;
    if (hosts.length === 1) return hosts[0];
    switch (this.#policy.kind) {
      case 'round-robin':
        return group.rotation.take();
      case 'random':
        return this.#any(hosts);
      case 'least-request':
        return this.#leastRequest(hosts, this.#policy.choices);
      case 'hash':
        return hash === undefined ? this.#any(hosts) : byHash(hosts, hash);
    }
  }

  #level(): Level | undefined {
    if (this.#levels.length < 2) return this.#levels[0];
    let point = this.#random();
    for (const level of this.#levels) {
      point -= level.load;
      if (point < 0) return level;
    }
    return this.#levels.at(-1);
  }

  #any(hosts: readonly Host[]): Host {
    return hosts[Math.floor(this.#random() * hosts.length)]!;
  }

  #leastRequest(hosts: readonly Host[], choices: number): Host {
    let best = this.#any(hosts);
    for (let i = 1; i < choices; i++) {
      const other = this.#any(hosts);
      if (other.weight / (other.active + 1) > best.weight / (best.active + 1)) best = other;
    }
    return best;
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

/** Rendezvous hashing: the host whose address mixes with the hash to the largest number, weights regarded. */
function byHash(hosts: readonly Host[], hash: number): Host {
  let best = hosts[0]!;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const host of hosts) {
    const score = -host.weight / Math.log((mix(hashText(host.text) ^ hash) + 0.5) / 4294967296);
    if (score > bestScore) {
      best = host;
      bestScore = score;
    }
  }
  return best;
}

/** A 32-bit hash of a text (FNV-1a). */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
