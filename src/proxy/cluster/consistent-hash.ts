/**
 * The tables by which a hash of a request finds its host, filled as Envoy fills them, so that both choose the same host: the ring (Ketama) and Maglev.
 * Few hashes move when a host comes or goes.
 */
import { xxHash64 } from '../../http/routes/xxhash.ts';
import type { Host } from './host.ts';

/** The weight is the host's part of all traffic; together they are 1. */
export interface Share {
  readonly host: Host;
  readonly weight: number;
}

/** The host for a hash of 64 bits. */
export type HashTable = (hash: bigint) => Host;

/**
 * A ring of at least `minimum` positions, unless that is above `maximum`. Positions are hashes of the host's address with a running number; a request goes to
 * the first at or behind its hash.
 */
export function ringTable(shares: readonly Share[], minimum: number, maximum: number): HashTable {
  const least = Math.min(...shares.map(({ weight }) => weight));
  const scale = Math.min(Math.ceil(least * minimum) / least, maximum);
  const ring: { readonly position: bigint; readonly host: Host }[] = [];
  let target = 0;
  for (const { host, weight } of shares) {
    target += scale * weight;
    for (let i = 0; ring.length < target; i++) ring.push({ position: xxHash64(`${host.text}_${i}`), host });
  }
  ring.sort((a, b) => (a.position < b.position ? -1 : a.position > b.position ? 1 : 0));
  const positions = BigUint64Array.from(ring, ({ position }) => position);
  return (hash) => {
    let low = 0;
    let high = positions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (positions[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    return ring[low === positions.length ? 0 : low]!.host;
  };
}

/** Each host takes its next free place in a sequence of its own, in turns by weight, until all `size` places (a prime number) are taken. */
export function maglevTable(shares: readonly Share[], size: number): HashTable {
  const heaviest = Math.max(...shares.map(({ weight }) => weight));
  const entries = [...shares]
    .sort((a, b) => (a.host.text < b.host.text ? -1 : a.host.text > b.host.text ? 1 : 0))
    .map(({ host, weight }) => ({
      host,
      weight,
      at: Number(xxHash64(host.text) % BigInt(size)),
      skip: Number(xxHash64(host.text, 1n) % BigInt(size - 1)) + 1,
      due: 0,
    }));
  const places = new Array<Host | undefined>(size).fill(undefined);
  let taken = 0;
  for (let turn = 1; taken < size; turn++) {
    for (const entry of entries) {
      if (taken === size) break;
      if (turn * entry.weight < entry.due) continue;
      entry.due += heaviest;
      while (places[entry.at]) entry.at = (entry.at + entry.skip) % size;
      places[entry.at] = entry.host;
      entry.at = (entry.at + entry.skip) % size;
      taken++;
    }
  }
  return (hash) => places[Number(hash % BigInt(size))]!;
}
