/** The translations of one mesh: proxies for which everything that translation reads is the same share one. */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { translate } from './index.ts';
import type { Mesh, Translation } from './model.ts';
import { holdsFor, type Read, recording } from './reading.ts';

/** Proxies that have one configuration. */
export interface ProxyClass {
  /** The same for the same reads with the same results: in another mesh too, and after a restart. */
  readonly key: string;
  /** What translation read of a proxy of the class, in the order of reading. */
  readonly reads: readonly Read[];
  readonly translation: Translation;
}

export class Translations {
  readonly #mesh: Mesh;
  readonly #classes: ProxyClass[] = [];

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
  }

  /** What the proxy is to run; the same object for every proxy of its class. */
  of(proxy: ProxyIdentity): Translation {
    return this.classOf(proxy).translation;
  }

  /** Translation is a function of what it reads: where all that it read of one proxy is the same at another, it comes to the same. */
  classOf(proxy: ProxyIdentity): ProxyClass {
    const known = this.#classes.find(({ reads }) => reads.every((read) => holdsFor(read, proxy, this.#mesh)));
    if (known) return known;
    const watched = recording(proxy, this.#mesh);
    const translation = translate(watched.proxy, watched.mesh);
    const reads = watched.reads();
    const found: ProxyClass = { key: keyOf(reads), reads, translation };
    this.#classes.push(found);
    return found;
  }
}

function keyOf(reads: readonly Read[]): string {
  return JSON.stringify(reads.map(({ of, name, value }) => [of, name, value ?? null]).sort());
}
