/** Refused calls by the address that they come from, so that whoever guesses costs little, and fills no log. */

/** So many may follow one another; one more is forgiven each second. */
const BURST = 20;
const FORGIVEN_MS = 1000;
/** Reasons that an address was refused for are told once in so long, ms. */
const TOLD_MS = 60_000;
/** Addresses that are remembered: the one that came first is forgotten first. */
const MOST = 1000;

interface Failed {
  count: number;
  /** ms since the epoch */
  at: number;
  /** When each reason was told. */
  readonly told: Map<string, number>;
}

export class Failures {
  readonly #tell: (address: string, reason: string) => void;
  readonly #failed = new Map<string, Failed>();

  constructor(tell: (address: string, reason: string) => void) {
    this.#tell = tell;
  }

  /** @param peer `address:port` @param now ms since the epoch */
  tooMany(peer: string, now: number): boolean {
    const failed = this.#failed.get(hostOf(peer));
    return failed !== undefined && failed.count - (now - failed.at) / FORGIVEN_MS >= BURST;
  }

  note(peer: string, now: number, reason: string): void {
    const host = hostOf(peer);
    const failed = this.#failed.get(host) ?? { count: 0, at: now, told: new Map() };
    failed.count = Math.max(0, failed.count - (now - failed.at) / FORGIVEN_MS) + 1;
    failed.at = now;
    this.#failed.delete(host);
    this.#failed.set(host, failed);
    const [first] = this.#failed.keys();
    if (this.#failed.size > MOST && first !== undefined) this.#failed.delete(first);
    for (const [old, at] of failed.told) if (now - at >= TOLD_MS) failed.told.delete(old);
    // Reasons name what a token says: there could be any number.
    if (failed.told.has(reason) || failed.told.size >= BURST) return;
    failed.told.set(reason, now);
    this.#tell(peer, reason);
  }
}

/** All of one host's ports are one client. */
function hostOf(peer: string): string {
  return peer.slice(0, Math.max(0, peer.lastIndexOf(':')));
}
