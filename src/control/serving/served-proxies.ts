/** The proxies that are connected: each stream gets what the loop publishes for its proxy, and a proxy is translated for as long as somebody is connected as it. */
import { SallyportError } from '../../lib/errors.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { Mesh } from '../../translate/model.ts';
import { proxylessResources } from '../../translate/proxyless/index.ts';
import type { Admitted, Client } from '../../xds/ads/server.ts';
import type { AdsStream } from '../../xds/ads/stream.ts';
import { type Publication, SetCache } from '../../xds/cache.ts';
import type { Node } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { type EncodedSet, encodeSet } from '../../xds/update.ts';
import type { Fleet, FleetHost, FleetProxy, Joined, TurnPublication } from '../fleet.ts';
import type { ControlEvent } from '../report.ts';
import { expectedProxies } from './expected.ts';
import { keysIn, withoutKeys } from './keyless.ts';
import { checkIdentity, declaredProxy, followedProxy, proves, proxyOfNode } from './node.ts';
import { isProxyless } from './proxyless.ts';

export interface ServedProxiesOptions {
  /** How long a proxy is kept that nobody is connected as, ms. */
  readonly keepMs: number;
  readonly tell: (event: ControlEvent) => void;
}

/** One stream of a proxy. */
export interface ServedStream {
  readonly identity: ProxyIdentity;
  /** `address:port` of the client. */
  readonly peer: string;
  /** Whether it proved who it is. */
  readonly proven: boolean;
  readonly stream: AdsStream;
}

interface Served {
  /** What its node says. */
  readonly claimed: ProxyIdentity;
  identity: ProxyIdentity;
  publication: Publication;
  readonly streams: Set<ServedStream>;
  /** Names of secrets, as they were told of. */
  withheld: string;
  /** Since nobody is connected as it. */
  leaving: NodeJS.Timeout | undefined;
}

export class ServedProxies {
  readonly #options: ServedProxiesOptions;
  readonly #served = new Map<string, Served>();
  /** By the addresses of their clients: of several on one connection the first. */
  readonly #peers = new Map<string, Served>();
  readonly #cache = new SetCache<Publication, never>();
  #join: ((key: string, of: (mesh: Mesh) => ProxyIdentity) => Joined<Publication>) | undefined;
  #renew = () => {};
  #refused = () => {};
  #prepare: (of: (mesh: Mesh) => readonly ProxyIdentity[], goOn: () => boolean) => void = () => {};
  /** Of the newest mesh. */
  #trustDomain: string | undefined;

  constructor(options: ServedProxiesOptions) {
    this.#options = options;
  }

  /** The streams that there are, in the order in which their proxies came. */
  get streams(): readonly ServedStream[] {
    return [...this.#served.values()].flatMap(({ streams, identity }) => [...streams].map((stream) => ({ ...stream, identity })));
  }

  /** The proxy as which a client is connected that proved this identity. @param peer `address:port` of the connection */
  proxyAt(peer: string, proven: string): ProxyIdentity | undefined {
    const served = this.#peers.get(peer);
    return served && this.#stillProves(proven, served) ? served.identity : undefined;
  }

  /** For the loop: who is to be translated. */
  identitiesIn(mesh: Mesh): ReadonlyMap<string, ProxyIdentity> {
    this.#trustDomain = mesh.config.trustDomain;
    return new Map([...this.#served].map(([key, { claimed, identity }]) => [key, followedProxy(claimed, identity, mesh)]));
  }

  /** Makes what the proxies that are expected would get, for at most about so many ms: one class at least. What fails is told, and concerns only who asks for it. */
  prepare(ms: number): void {
    const end = performance.now() + ms;
    try {
      this.#prepare(expectedProxies, () => performance.now() < end);
    } catch (error) {
      this.#options.tell({ kind: 'failed', error });
    }
  }

  /** For the loop. What is published counts as settled: a client takes it over at its own pace, of which `streams` tell. */
  openFleet<P extends TurnPublication>(host: FleetHost<P>): Fleet<P> {
    let proxies = new Map<string, FleetProxy<P>>();
    const refusedBy = (key: string) => [...(this.#served.get(key)?.streams ?? [])].flatMap(({ stream }) => stream.refusals);
    const settledAt = (key: string, identity: ProxyIdentity, publication: P): FleetProxy<P> => ({
      identity,
      settled: {
        publication,
        get refused() {
          return refusedBy(key);
        },
      },
    });
    this.#renew = host.renew;
    this.#prepare = host.prepare;
    this.#refused = host.changed;
    this.#join = (key, of) => {
      const joined = host.join(of);
      proxies.set(key, settledAt(key, joined.identity, joined.publication));
      host.changed();
      return joined;
    };
    return {
      get proxies() {
        return [...proxies.values()];
      },
      publish: (publications) => {
        proxies = new Map([...publications].map(([key, { identity, publication }]) => [key, settledAt(key, identity, publication)]));
        for (const [key, { identity, publication }] of publications) this.#publish(key, identity, publication);
      },
      retire: () => {},
      reopenLogs: async () => {},
      close: async () => {
        for (const { leaving } of this.#served.values()) clearTimeout(leaving);
      },
    };
  }

  /**
   * For a server: who may be whom. Throws `xds-invalid-node`, `xds-forbidden`, or `xds-unavailable` where what the proxy is to run could not be made. A
   * client that proved no identity gets no private keys.
   */
  admit(node: Node, { address, identity: proven }: Client, stream: AdsStream): Admitted {
    const claimed = proxyOfNode(node);
    const served = this.#proxyOf(claimed, (identity, mesh) => {
      if (proven !== undefined) checkIdentity(proven, identity, mesh);
    });
    const one: ServedStream = { identity: served.identity, peer: address, proven: proven !== undefined, stream };
    served.streams.add(one);
    if (!this.#peers.has(address)) this.#peers.set(address, served);
    clearTimeout(served.leaving);
    const proxyless = isProxyless(node);
    const unfollow = this.#cache.follow(keyOf(claimed), {
      published: (publication) => {
        const set = proxyless ? encodeSet(proxylessResources(publication.resources, claimed)) : publication.set;
        if (proven === undefined) {
          stream.serve(withoutKeys(set));
          this.#tellWithheld(served, set);
        } else if (this.#stillProves(proven, served)) stream.serve(set);
        else
          stream.end(new SallyportError('xds-forbidden', `the files have another identity for this workload now: it is ${proven} no more`));
      },
    });
    return {
      refused: () => this.#refused(),
      left: () => {
        unfollow();
        served.streams.delete(one);
        if (this.#peers.get(address) === served) this.#peers.delete(address);
        if (served.streams.size === 0) this.#leave(keyOf(claimed), served);
      },
    };
  }

  /** The files may have given the workload another service account since. */
  #stillProves(proven: string, { identity }: Served): boolean {
    return this.#trustDomain === undefined || proves(proven, identity, this.#trustDomain);
  }

  #tellWithheld(served: Served, set: EncodedSet): void {
    const secrets = keysIn(set);
    if (secrets.join() !== served.withheld && secrets.length > 0) this.#options.tell({ kind: 'withheld', proxy: served.identity, secrets });
    served.withheld = secrets.join();
  }

  #proxyOf(claimed: ProxyIdentity, check: (identity: ProxyIdentity, mesh: Mesh) => void): Served {
    const key = keyOf(claimed);
    const known = this.#served.get(key);
    const { identity, publication } = this.#joined(key, (mesh) => {
      const declared = declaredProxy(claimed, mesh);
      check(declared, mesh);
      return declared;
    });
    if (known) return known;
    const served: Served = { claimed, identity, publication, streams: new Set(), withheld: '', leaving: undefined };
    this.#served.set(key, served);
    this.#cache.publish(key, publication);
    return served;
  }

  #joined(key: string, of: (mesh: Mesh) => ProxyIdentity): Joined<Publication> {
    if (!this.#join) throw new SallyportError('xds-unavailable', 'the control plane has nothing to serve yet');
    try {
      return this.#join(key, of);
    } catch (error) {
      if (error instanceof SallyportError && error.code.startsWith('xds-')) throw error;
      this.#options.tell({ kind: 'failed', error });
      const why = 'what this proxy is to run could not be made; the log of the control plane says why';
      throw new SallyportError('xds-unavailable', why, { cause: error });
    }
  }

  #publish(key: string, identity: ProxyIdentity, publication: Publication): void {
    const served = this.#served.get(key);
    if (!served) return;
    served.identity = identity;
    served.publication = publication;
    this.#cache.publish(key, publication);
  }

  #leave(key: string, served: Served): void {
    served.leaving = setTimeout(() => {
      this.#served.delete(key);
      this.#cache.withdraw(key);
      this.#renew();
    }, this.#options.keepMs).unref();
  }
}

/** Nodes that say the same of themselves, and run on the same engine, are one proxy. */
function keyOf({ type, name, namespace, labels, serviceAccount, addresses, locality, countsBy, injects }: ProxyIdentity): string {
  return JSON.stringify([type, namespace, name, serviceAccount, addresses, locality, Object.entries(labels).sort(), countsBy, injects]);
}
