/** Calls of a contained command that nothing allows, held while somebody is asked. What is in force decides: whoever answers changes that, or says no. */
import { isIP } from 'node:net';
import type { Asker } from '../lib/contained.ts';
import type { Address } from './types.ts';

interface Target {
  readonly host: string;
  readonly port: number;
}

export interface HeldCallsOptions {
  readonly asker: Asker;
  /** Whether something that is in force declares the host at this port. */
  readonly isDeclared: (target: Target) => boolean;
}

/** So many names have addresses at a time; those beyond do not exist, as without anybody to ask. */
const MOST_NAMES = 10_000;
/** Beside the addresses that the mesh (240.240.0.0/16) and lists of hosts (240.241.0.0/16) allocate, and no more routed than those. */
const NETWORK = '240.242';

export class HeldCalls {
  readonly #options: HeldCallsOptions;
  readonly #waiting = new Set<{ readonly target: Target; readonly allowed: () => void }>();
  readonly #names = new Map<string, string>();
  readonly #addresses = new Map<string, string>();

  constructor(options: HeldCallsOptions) {
    this.#options = options;
  }

  /** How long a call may be held, ms. */
  get longestMs(): number {
    return this.#options.asker.longestMs;
  }

  /** Whether the call may go on, as something that is in force declares it by now. */
  async allows(target: Target, client: Address): Promise<boolean> {
    const { asker, isDeclared } = this.#options;
    const asked = asker.ask(target, client);
    if (!asked) return false;
    const allowed = Promise.withResolvers<void>();
    const waiting = { target, allowed: allowed.resolve };
    this.#waiting.add(waiting);
    await Promise.race([asked.answered, allowed.promise]);
    this.#waiting.delete(waiting);
    asked.leave();
    return isDeclared(target);
  }

  /** Another configuration is in force. */
  changed(): void {
    for (const { target, allowed } of this.#waiting) if (this.#options.isDeclared(target)) allowed();
  }

  /** An address by which a name that nothing declares can be called: it is not looked up, and who calls is held. */
  addressOf(name: string): string | undefined {
    const host = name.toLowerCase().replace(/\.$/, '');
    const known = this.#addresses.get(host);
    if (known !== undefined || !this.#options.asker.mayAsk(host) || this.#addresses.size >= MOST_NAMES) return known;
    const place = this.#addresses.size + 1;
    const address = `${NETWORK}.${place >> 8}.${place & 255}`;
    this.#addresses.set(host, address);
    this.#names.set(address, host);
    return address;
  }

  /** The host that a connection to this address is for. */
  hostAt(ip: string): string {
    return this.#names.get(ip) ?? ip;
  }
}

/** The address by which policy knows the host. */
export function knownAddress(host: string, names: { lookup(name: string): readonly string[] | undefined }): string | undefined {
  return isIP(host) > 0 ? host : names.lookup(host)?.[0];
}
