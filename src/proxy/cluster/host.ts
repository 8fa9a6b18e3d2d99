/** The addresses of a cluster, and how they are kept over updates. */

import type { JsonObject } from '@bufbuild/protobuf';
import { addressText } from '../../lib/socket-address.ts';
import { KeptSessions } from '../tls/sessions.ts';
import type { Address, UpstreamHost } from '../types.ts';

/** What an update says of one address. */
export interface HostEntry {
  readonly address: Address;
  readonly hostname: string;
  /** At least 1. */
  readonly weight: number;
  /** 0 is used first. */
  readonly priority: number;
  /** Groups hosts whose locality has a weight of its own. */
  readonly locality: string;
  readonly localityWeight: number;
  readonly healthy: boolean;
  /** `filter_metadata["envoy.transport_socket_match"]` of the endpoint. */
  readonly transportMatch: JsonObject | undefined;
  /** `filter_metadata["istio"].workload` of the endpoint, for metrics; empty where there is none. */
  readonly workload: string;
  /** An internal listener that connections go to, and what the endpoint's metadata says to it; its address is then no more than a name. */
  readonly internal?: InternalTarget | undefined;
}

export interface InternalTarget {
  readonly listener: string;
  readonly metadata: Readonly<Record<string, JsonObject>>;
}

export class Host implements UpstreamHost {
  readonly address: Address;
  readonly text: string;
  hostname: string;
  active = 0;
  /** Connections that are open or being made. */
  connections = 0;
  live = true;
  /** Left out for its failures. */
  ejected = false;
  weight: number;
  healthy: boolean;
  readonly transportMatch: JsonObject | undefined;
  workload: string;
  internal: InternalTarget | undefined;
  /** Milliseconds of the monotonic clock; hosts that are made on demand go when they have not been used for long. */
  usedAt = 0;
  readonly sessions = new KeptSessions();

  constructor(entry: HostEntry) {
    this.address = entry.address;
    this.text = addressText(entry.address);
    this.hostname = entry.hostname;
    this.weight = entry.weight;
    this.healthy = entry.healthy;
    this.transportMatch = entry.transportMatch;
    this.workload = entry.workload;
    this.internal = entry.internal;
  }
}

function sameTransport(a: JsonObject | undefined, b: JsonObject | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

interface Locality {
  readonly weight: number;
  readonly hosts: readonly Host[];
}

/** The hosts of one priority. */
export interface Priority {
  /** Hosts that may be chosen. */
  readonly hosts: readonly Host[];
  /** Those that may not, too: for a panic. */
  readonly all: readonly Host[];
  readonly localities: readonly Locality[];
}

/** Hosts by address, and grouped for load balancing. */
export class HostTable {
  #byText = new Map<string, Host>();
  #priorities: readonly Priority[] = [];
  #entries: readonly HostEntry[] = [];

  get priorities(): readonly Priority[] {
    return this.#priorities;
  }

  get hosts(): Iterable<Host> {
    return this.#byText.values();
  }

  /** Takes a new list of addresses. A Host stays the same object while its address stays; what is gone is marked as no longer live. */
  update(entries: readonly HostEntry[]): void {
    this.#entries = entries;
    const next = new Map<string, Host>();
    const groups = new Map<number, Map<string, { weight: number; all: Host[]; hosts: Host[] }>>();
    for (const entry of entries) {
      const text = addressText(entry.address);
      if (next.has(text)) continue;
      let host = this.#byText.get(text);
      // Connections that were secured in another way are not used any more.
      if (host && !sameTransport(host.transportMatch, entry.transportMatch)) {
        host.live = false;
        host = undefined;
      }
      if (host) {
        host.hostname = entry.hostname;
        host.weight = entry.weight;
        host.healthy = entry.healthy;
        host.workload = entry.workload;
        host.internal = entry.internal;
      } else {
        host = new Host(entry);
      }
      next.set(text, host);
      let localities = groups.get(entry.priority);
      if (!localities) {
        localities = new Map();
        groups.set(entry.priority, localities);
      }
      let locality = localities.get(entry.locality);
      if (!locality) {
        locality = { weight: entry.localityWeight, all: [], hosts: [] };
        localities.set(entry.locality, locality);
      }
      locality.all.push(host);
      if (host.healthy && !host.ejected) locality.hosts.push(host);
    }
    for (const [text, host] of this.#byText) if (!next.has(text)) host.live = false;
    this.#byText = next;
    this.#priorities = [...groups]
      .sort(([a], [b]) => a - b)
      .map(([, localities]) => {
        const list = [...localities.values()];
        return { all: list.flatMap(({ all }) => all), hosts: list.flatMap(({ hosts }) => hosts), localities: list };
      });
  }

  /** Groups anew after hosts were ejected or let back in. */
  regroup(): void {
    this.update(this.#entries);
  }

  clear(): void {
    this.update([]);
  }
}
