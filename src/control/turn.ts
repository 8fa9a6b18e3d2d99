/** One input on its way: what each proxy gets of it, made once for all proxies of one class and one identity. */
import type { Identities } from '../ca/identities.ts';
import type { Finding } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { spiffeId } from '../lib/spiffe.ts';
import { Translations } from '../translate/classes.ts';
import type { Mesh, Translation } from '../translate/model.ts';
import { prepareResponses } from '../xds/ads/prepare.ts';
import type { Publication } from '../xds/cache.ts';
import type { XdsResources } from '../xds/resources.ts';
import { encodeSet } from '../xds/update.ts';

export interface TurnSet extends Publication {
  readonly turn: Turn;
}

export interface TurnOptions {
  readonly number: number;
  readonly mesh: Mesh;
  /** Of all that came before translation. */
  readonly findings: readonly Finding[];
  /** Gives proxies their identities; without it nobody has one. */
  readonly identities: Identities | undefined;
  /** Changes what was translated for proxies of a type. */
  readonly adapt: ((resources: XdsResources, type: ProxyIdentity['type']) => XdsResources) | undefined;
}

export class Turn {
  readonly number: number;
  readonly mesh: Mesh;
  readonly #identities: Identities | undefined;
  readonly #adapt: TurnOptions['adapt'];
  readonly #translations: Translations;
  readonly #sets = new Map<Translation, Map<string, TurnSet>>();
  readonly #uris = new Set<string>();
  #findings: readonly Finding[];

  constructor({ number, mesh, findings, identities, adapt }: TurnOptions) {
    this.number = number;
    this.mesh = mesh;
    this.#findings = findings;
    this.#identities = identities;
    this.#adapt = adapt;
    this.#translations = new Translations(mesh);
  }

  /** With those of every class that there was a proxy of. */
  get findings(): readonly Finding[] {
    return this.#findings;
  }

  /** The identities that proxies have got. */
  get uris(): ReadonlySet<string> {
    return this.#uris;
  }

  /** Makes what such proxies are to run but for their identities, class by class, as long as `goOn` holds. Throws what translation throws. */
  prepare(identities: readonly ProxyIdentity[], goOn: () => boolean): void {
    for (const identity of identities) {
      if (!goOn()) return;
      prepareResponses(encodeSet(this.#translations.of(identity).resources));
    }
  }

  /** What the proxy is to run. Throws what translation and the CA throw. */
  setFor(identity: ProxyIdentity): TurnSet {
    const translation = this.#translations.of(identity);
    let ofClass = this.#sets.get(translation);
    if (!ofClass) {
      this.#findings = [...this.#findings, ...translation.findings];
      ofClass = new Map();
      this.#sets.set(translation, ofClass);
    }
    const { trustDomain } = this.mesh.config;
    const identities = translation.wantsIdentity ? this.#identities : undefined;
    const uri = identities ? spiffeId(trustDomain, identity.namespace, identity.serviceAccount) : '';
    let made = ofClass.get(uri);
    if (!made) {
      const adapted = this.#adapt?.(translation.resources, identity.type) ?? translation.resources;
      const resources = identities ? withSecrets(adapted, identities.secretsOf(trustDomain, uri)) : adapted;
      if (identities) this.#uris.add(uri);
      made = { turn: this, resources, set: encodeSet(resources) };
      ofClass.set(uri, made);
    }
    return made;
  }
}

function withSecrets(resources: XdsResources, secrets: XdsResources['secrets']): XdsResources {
  return { ...resources, secrets: [...resources.secrets, ...secrets].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}
