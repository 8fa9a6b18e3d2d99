/** The calls of all proxies of the mesh, whichever of its controllers they are connected to; and other controllers told of those that are connected here. */
import { networkInterfaces } from 'node:os';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Snapshot } from '../../config/snapshot.ts';
import { FlowHub } from '../../flows/hub.ts';
import { type ProxyReach, reachBytes } from '../../flows/remote/messages.ts';
import { relayOf } from '../../flows/remote/relay.ts';
import { FlowTeller } from '../../flows/remote/teller.ts';
import { messageOf } from '../../lib/errors.ts';
import { type Call, type CallListener, type Handler, type Peer, refused } from '../../lib/grpc/server.ts';
import { STATUS } from '../../lib/grpc/status.ts';
import { PeerFlows } from './peer-flows.ts';

/** The proxies that a console hears of. */
export interface Reach {
  readonly proxies: readonly ProxyReach[];
  /** Controllers beside this one that answer, and that do not. */
  readonly heard: number;
  readonly unheard: number;
}

export interface MeshFlowsOptions {
  /** Of the proxies that are connected here. */
  readonly own: FlowHub;
  readonly reach: () => readonly ProxyReach[];
  /** By which this controller proves to another one that it is one, which the other has to prove, too. */
  readonly credentials: (address: string) => ChannelCredentials;
  /** Whether whoever calls is a controller of the mesh. */
  readonly isController: (peer: Peer) => boolean;
  /** Of all controllers. */
  readonly port: number;
  readonly changed: () => void;
}

/** Of another controller, calls. */
const MOST = { aSecond: 1_000, before: 1_000 };
/** Much may change at once: other controllers are told together, ms. */
const TELL_MS = 500;

export class MeshFlows {
  readonly hub = new FlowHub();
  readonly #options: MeshFlowsOptions;
  readonly #peers = new Map<string, { readonly flows: PeerFlows; readonly leave: () => void }>();
  readonly #listeners = new Set<() => void>();
  #telling: NodeJS.Timeout | undefined;

  constructor(options: MeshFlowsOptions) {
    this.#options = options;
    this.hub.relay(relayOf(options.own));
  }

  reach(): Reach {
    const peers = [...this.#peers.values()].map(({ flows }) => flows.reach);
    const proxies = new Map<string, ProxyReach>();
    // One that has moved from one controller to another may be at both for a moment.
    for (const one of [this.#options.reach(), ...peers].flatMap((reach) => reach ?? []))
      if (one.tells || !proxies.has(one.proxy)) proxies.set(one.proxy, one);
    const heard = peers.filter((reach) => reach !== undefined).length;
    return { proxies: [...proxies.values()], heard, unheard: peers.length - heard };
  }

  /** Other proxies are connected here, or they tell otherwise. */
  readonly changed = (): void => {
    this.#options.changed();
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined;
      for (const tell of this.#listeners) tell();
    }, TELL_MS).unref();
  };

  /** The addresses of the mesh's controllers are these now. */
  follow(addresses: ReadonlySet<string>): void {
    const own = new Set(Object.values(networkInterfaces()).flatMap((each) => each?.map(({ address }) => address) ?? []));
    const others = new Set([...addresses].filter((address) => !own.has(address)));
    for (const [address, { flows, leave }] of this.#peers) {
      if (others.has(address)) continue;
      this.#peers.delete(address);
      leave();
      flows.close();
    }
    for (const address of others) if (!this.#peers.has(address)) this.#add(address);
  }

  #add(address: string): void {
    const { credentials, port, changed } = this.#options;
    const flows = new PeerFlows({ target: { address, port }, credentials: () => credentials(address), most: MOST, changed });
    this.#peers.set(address, { flows, leave: this.hub.relay(flows) });
  }

  /** For `RELAY_FLOWS`: another controller, whose console somebody watches. */
  readonly serve: Handler = (call) => {
    if (!this.#options.isController(call.peer))
      return refused(call, STATUS.permissionDenied, 'only controllers of the mesh are told of its calls');
    return this.#tell(call);
  };

  #tell(call: Call): CallListener {
    const { own: hub, reach } = this.#options;
    const teller = new FlowTeller({ hub, send: (message, taken) => call.write(message, taken), now: () => performance.now() });
    const tellReach = () => call.write(reachBytes(reach()));
    call.begin();
    tellReach();
    this.#listeners.add(tellReach);
    return {
      message: (bytes) => {
        try {
          teller.asked(bytes);
        } catch (error) {
          call.end(STATUS.invalidArgument, messageOf(error));
        }
      },
      halfClosed: () => call.end(STATUS.ok),
      closed: () => {
        this.#listeners.delete(tellReach);
        teller.close();
      },
    };
  }

  close(): void {
    clearTimeout(this.#telling);
    this.follow(new Set());
  }
}

const found = new WeakMap<readonly object[], ReadonlySet<string>>();

/** The addresses of a Service, ready or not. @param host `NAME.NAMESPACE.svc` */
export function addressesOf(snapshot: Snapshot, host: string): ReadonlySet<string> {
  const slices = snapshot.list('EndpointSlice');
  const known = found.get(slices);
  if (known) return known;
  const [name, namespace] = host.split('.');
  const own = slices.filter(({ metadata }) => metadata.namespace === namespace && metadata.labels['kubernetes.io/service-name'] === name);
  const addresses = new Set(own.flatMap(({ spec }) => spec.endpoints.flatMap((endpoint) => endpoint.addresses)));
  found.set(slices, addresses);
  return addresses;
}
