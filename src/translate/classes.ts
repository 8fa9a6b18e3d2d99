/** The translations of one mesh: proxies for which everything that translation reads is the same share one. */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { translate } from './index.ts';
import type { Mesh, Translation } from './model.ts';

export class Translations {
  readonly #mesh: Mesh;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
  }

  /** What the proxy is to run; the same object for every proxy of its class. */
  of(proxy: ProxyIdentity): Translation {
    return translate(proxy, this.#mesh);
  }
}
