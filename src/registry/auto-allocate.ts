/**
 * Addresses for external hosts that declare none, so that DNS can answer with one that tells TCP services apart.
 * Deterministic: a host has the same address after a restart and on every replica, unless a host that hashes to the same place comes or goes.
 * The scheme is that of Istio's DNS auto allocation: double hashing over the usable addresses of 240.240.0.0/16.
 */

const HASH_RANGE = 255 * 255;
/** The last of the range would be 240.240.256.1. */
const PLACES = HASH_RANGE - 1;
/** The largest prime below the range: steps of the second hash. */
const PRIME = 65011;

export interface AutoAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

/** An allocator that has handed out nothing yet: places for hashes. `undefined` from it means that all 65,024 are taken. */
export function createAllocator(): (hash: number) => number | undefined {
  const taken = new Uint8Array(HASH_RANGE);
  taken[PLACES] = 1;
  let count = 0;
  return (hash) => {
    if (count === PLACES) return undefined;
    const step = PRIME - (hash % PRIME);
    let place = hash % HASH_RANGE;
    for (let tries = 1; taken[place]; tries++) {
      // A step that shares a factor with the range never reaches some places, so after one round each place is tried in turn.
      place = tries < HASH_RANGE ? (hash + tries * step) % HASH_RANGE : (place + 1) % HASH_RANGE;
    }
    taken[place] = 1;
    count++;
    return place;
  };
}

/** The last octet runs from 1 to 254: 0 and 255 are taken for network and broadcast by some systems. */
export function addressesAt(place: number): AutoAddresses {
  const third = Math.floor(place / 254);
  const fourth = (place % 254) + 1;
  return { ipv4: `240.240.${third}.${fourth}`, ipv6: `2001:2::f0f0:${((third << 8) | fourth).toString(16)}` };
}

/** FNV-1a, 32 bits, of `namespace/hostname` in ASCII. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
