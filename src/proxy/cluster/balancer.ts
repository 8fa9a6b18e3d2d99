/** Load balancing among the hosts of a cluster: priorities, then localities where they are weighted, then the cluster's policy. */
import { once } from '../../lib/once.ts';
import type { HashTable, Share } from './consistent-hash.ts';
import type { Host, HostTable, Priority } from './host.ts';
import { Rotation } from './rotation.ts';

export type Policy =
  | { readonly kind: 'round-robin' }
  | { readonly kind: 'least-request'; readonly choices: number }
  | { readonly kind: 'random' }
  /** The same hash goes to the same host, by a ring or Maglev. */
  | { readonly kind: 'hash'; readonly tableOf: (shares: readonly Share[]) => HashTable };

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
  /** For a hash policy; made when the first request comes. */
  readonly table: () => HashTable | undefined;
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
      if (load === 0) return;
      const panic = panics(priority);
      this.#levels.push({ load, groups: this.#groups(priority, panic), table: once(() => this.#table(priority, panic)) });
    });
  }

  /** One table for all hosts of a priority, whatever their localities. */
  #table(priority: Priority, panic: boolean): HashTable | undefined {
    if (this.#policy.kind !== 'hash') return undefined;
    const shares = sharesOf(priority, panic, this.#byLocality);
    const only = shares[0]!.host;
    return shares.length === 1 ? () => only : this.#policy.tableOf(shares);
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
  choose(hash: bigint | undefined): Host | undefined {
    if (this.#policy.kind === 'hash') return this.#byHash(hash ?? this.#randomHash());
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
    }
  }

  #byHash(hash: bigint): Host | undefined {
    // Of the traffic, as Envoy divides it: in hundredths.
    const point = (Number(hash % 100n) + 1) / 100;
    let sum = 0;
    const level = this.#levels.find(({ load }) => {
      sum += load;
      return point <= sum + 1e-9;
    });
    return (level ?? this.#levels.at(-1))?.table()?.(hash);
  }

  #randomHash(): bigint {
    const half = () => BigInt(Math.floor(this.#random() * 2 ** 32));
    return (half() << 32n) | half();
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

/** The hosts of a priority with their parts of its traffic. */
function sharesOf({ all, hosts, localities }: Priority, panic: boolean, byLocality: boolean): Share[] {
  const usable = byLocality && !panic ? localities.filter((locality) => locality.weight > 0 && locality.hosts.length > 0) : [];
  const groups = usable.length > 0 ? usable : [{ weight: 1, hosts: panic ? all : hosts }];
  const weights = sumOf(groups.map(({ weight }) => weight));
  return groups.flatMap((group) => {
    const total = sumOf(group.hosts.map(({ weight }) => weight));
    return group.hosts.map((host) => ({ host, weight: (group.weight / weights) * (host.weight / total) }));
  });
}
