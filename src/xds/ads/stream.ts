/**
 * One stream of the xDS transport protocol as its server has it, aggregated or of one type, state of the world or incremental
 * (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol). Knows nothing of gRPC: requests come in as bytes, responses go out as bytes, one
 * at a time.
 *
 * Of the types of an aggregated stream what is new goes out in an order in which nothing refers to what is not there yet (clusters, their endpoints,
 * listeners, their routes), what is gone in the reverse one. Envoy acknowledges clusters when they have warmed, which takes their endpoints and secrets:
 * those wait for no acknowledgement.
 */
import { fromBinary } from '@bufbuild/protobuf';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import type { Node } from '../gen/envoy/config/core/v3/base_pb.js';
import { DeltaDiscoveryRequestSchema, DiscoveryRequestSchema } from '../gen/envoy/service/discovery/v3/discovery_pb.js';
import type { EncodedList } from '../resource-table.ts';
import { type ResourceType, TYPE_URL } from '../resources.ts';
import { type EncodedSet, listIn } from '../update.ts';
import { type RefusedResource, refusalsOf } from './nack.ts';
import { warmedByAll } from './references.ts';
import { ANSWER_NONCE, answerOf, responseOf } from './responses.ts';
import { type Batch, type Protocol, type Refusal, type State, Subscription } from './subscription.ts';
import { isWhole, takesVirtualHosts, withVirtualHosts } from './virtual-hosts.ts';

export interface StreamOptions {
  readonly protocol: Protocol;
  /** Undefined for an aggregated stream. */
  readonly type: ResourceType | undefined;
  /** Clients that can get virtual hosts as resources of their own. */
  readonly virtualHosts: boolean;
  /** Takes the node of the first request; throws where it is refused. `serve` is to be called before it returns. */
  readonly admit: (node: Node) => void;
  /** Takes a response; `written` is to be called when there is room for another. */
  readonly write: (response: Uint8Array) => void;
  /** There may be something to send: `push` is to be called soon, once for many. */
  readonly wake: () => void;
  /** Answers a question about the control plane itself, which is no subscription; undefined where nobody may ask. */
  readonly answer?: ((typeUrl: string) => readonly Answer[]) | undefined;
  readonly refused: (type: ResourceType | undefined, refusal: Refusal) => void;
  /** The stream is to end with this. */
  readonly end: (error: unknown) => void;
}

/** A part of the answer to a question, as a message of a type. */
export interface Answer {
  readonly name: string;
  readonly typeUrl: string;
  readonly bytes: Uint8Array;
}

/** What a client made of one type. */
export interface TypeState {
  readonly type: ResourceType;
  readonly state: State;
  readonly refusal: Refusal | undefined;
}

/** Types of questions about the control plane, as Istio names them, begin so. */
const QUESTION = 'istio.io/debug/';

/** The order in which what is new goes out. */
const ORDER: readonly ResourceType[] = ['secret', 'cluster', 'endpoint', 'listener', 'route', 'virtualHost', 'nameTable'];
/** What is new of a type waits until the client has answered all that is new of these. */
const WAITS_FOR: Partial<Record<ResourceType, readonly ResourceType[]>> = {
  listener: ['cluster', 'endpoint'],
  route: ['cluster', 'endpoint'],
  // Those of a port that is served no more go after its listener.
  virtualHost: ['cluster', 'endpoint', 'listener'],
};
/** What is gone of a type stays until the client has answered all of these. */
const GONE_AFTER: Partial<Record<ResourceType, readonly ResourceType[]>> = {
  cluster: ['endpoint', 'listener', 'route', 'virtualHost'],
  endpoint: ['listener', 'route', 'virtualHost'],
  route: ['listener'],
};

/** Bounds of what one client makes us keep: types of one stream, and names of one type. */
const MOST_TYPES = 32;
const MOST_NAMES = 100_000;

const TYPE_BY_URL: ReadonlyMap<string, ResourceType> = new Map(Object.entries(TYPE_URL).map(([type, url]) => [url, type as ResourceType]));

interface Request {
  readonly typeUrl: string;
  readonly node: Node | undefined;
  readonly nonce: string;
  readonly error: string | undefined;
  readonly subscribe: (subscription: Subscription) => void;
}

export class AdsStream {
  readonly protocol: Protocol;
  readonly #options: StreamOptions;
  /** By type URL, in the order in which they are sent. */
  #subscriptions = new Map<string, Subscription>();
  #set: EncodedSet | undefined;
  /** Virtual hosts are resources of their own. */
  #parts = false;
  #admitted = false;
  #writing = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.protocol = options.protocol;
  }

  /** What the client made of each type, also of those that it has not asked for; few are served virtual hosts, and they only where they have asked. */
  get states(): readonly TypeState[] {
    const told = ORDER.filter((type) => type !== 'virtualHost' || this.#subscriptions.has(TYPE_URL.virtualHost));
    return told.map((type) => {
      const subscription = this.#subscriptions.get(TYPE_URL[type]);
      return { type, state: subscription?.state ?? 'not sent', refusal: subscription?.refusal };
    });
  }

  /** What the client says no to, of what it is served. */
  get refusals(): readonly RefusedResource[] {
    return [...this.#subscriptions.values()].flatMap(({ type, refusal }) => (refusal ? refusalsOf(type, refusal) : []));
  }

  /** Whether the client has clusters and listeners, and has answered all that there was to say; `refusals` are what it said no to. */
  get isSettled(): boolean {
    const needed = [TYPE_URL.cluster, TYPE_URL.listener].every((type) => this.#subscriptions.has(type));
    return needed && !this.#writing && [...this.#subscriptions.values()].every((type) => !type.busy && !type.pending(true));
  }

  /** The newest set from now on. */
  serve(set: EncodedSet): void {
    this.#set = set;
    for (const { type, subscription } of this.#known()) subscription.serve(this.#listOf(set, type));
    this.#options.wake();
  }

  get #mayPart(): boolean {
    const { virtualHosts, type } = this.#options;
    return virtualHosts && this.protocol === 'delta' && !type;
  }

  #listOf(set: EncodedSet, type: ResourceType): EncodedList {
    return listIn(this.#parts ? withVirtualHosts(set) : set, type);
  }

  /** Its client may not have what is served from now on. */
  end(error: unknown): void {
    this.#set = undefined;
    this.#options.end(error);
  }

  /** Throws `xds-invalid-request`, `xds-too-much` or what `admit` throws: the stream is to end with that. */
  request(bytes: Uint8Array): void {
    const request = this.protocol === 'sotw' ? this.#readState(bytes) : this.#readDelta(bytes);
    if (this.#options.answer && request.typeUrl.startsWith(QUESTION)) {
      // What acknowledges an answer asks nothing. Istio's command line puts a nonce of its own into its question.
      if (request.nonce !== ANSWER_NONCE)
        this.#options.write(answerOf(this.protocol, request.typeUrl, this.#options.answer(request.typeUrl)));
      return;
    }
    if (!this.#admitted) {
      if (!request.node) throw invalid('the first request of a stream has to have a node');
      this.#parts = this.#mayPart && takesVirtualHosts(request.node);
      this.#options.admit(request.node);
      this.#admitted = true;
    }
    const subscription = this.#subscriptionOf(request.typeUrl);
    const refusal = subscription.answered(request.nonce, request.error);
    if (refusal) this.#options.refused(subscription.type, refusal);
    // An incremental request changes what is asked for, whichever response it answers.
    if (this.protocol === 'delta' || subscription.isCurrent(request.nonce)) request.subscribe(subscription);
    this.#options.wake();
  }

  /** There is room for another response. */
  written(): void {
    this.#writing = false;
    this.#options.wake();
  }

  /** Sends the next response, if there is one and room for it; returns whether it did. */
  push(): boolean {
    if (this.#writing || !this.#set) return false;
    for (const [typeUrl, subscription] of this.#subscriptions) {
      if (subscription.busy || !this.#mayAdd(subscription.type)) continue;
      const batch = subscription.next(this.#mayRemove(subscription.type));
      if (!batch) continue;
      this.#send(typeUrl, subscription, batch);
      return true;
    }
    return false;
  }

  #send(typeUrl: string, subscription: Subscription, batch: Batch): void {
    const { version, resources, removed } = batch;
    const response = responseOf(this.protocol, { typeUrl, version, resources, removed }, subscription.nonce);
    subscription.sent(batch, response.nonce);
    for (const { type, name } of warmedByAll(batch.changed)) this.#subscriptions.get(TYPE_URL[type])?.again(name);
    // Envoy takes virtual hosts of a route configuration that it has, and asks for no others when it gets another one.
    const hosts = this.#subscriptions.get(TYPE_URL.virtualHost);
    if (hosts && subscription.type === 'route') hosts.againIn(new Set(batch.changed.map(({ name }) => name)));
    this.#writing = true;
    this.#options.write(response.bytes);
  }

  #mayAdd(type: ResourceType | undefined): boolean {
    return this.#all(type && WAITS_FOR[type], (other) => !other.busy && !other.pending(false));
  }

  /** What was refused may still be in force as it was before, and refer to what is gone. */
  #mayRemove(type: ResourceType | undefined): boolean {
    return this.#all(type && GONE_AFTER[type], (other) => !other.busy && !other.pending(true) && !other.refusal);
  }

  #all(types: readonly ResourceType[] = [], holds: (subscription: Subscription) => boolean): boolean {
    return types.every((type) => {
      const subscription = this.#subscriptions.get(TYPE_URL[type]);
      return !subscription || holds(subscription);
    });
  }

  *#known(): Generator<{ readonly type: ResourceType; readonly subscription: Subscription }> {
    for (const subscription of this.#subscriptions.values()) if (subscription.type) yield { type: subscription.type, subscription };
  }

  #subscriptionOf(typeUrl: string): Subscription {
    const known = this.#subscriptions.get(typeUrl);
    if (known) return known;
    if (this.#subscriptions.size >= MOST_TYPES) throw new SallyportError('xds-too-much', `it asks for more than ${MOST_TYPES} types`);
    const type = TYPE_BY_URL.get(typeUrl);
    const made = new Subscription({ type, protocol: this.protocol, mostNames: MOST_NAMES });
    if (type && this.#set) made.serve(this.#listOf(this.#set, type));
    const place = ({ type }: Subscription) => (type ? ORDER.indexOf(type) : ORDER.length);
    this.#subscriptions = new Map([...this.#subscriptions, [typeUrl, made] as const].sort(([, a], [, b]) => place(a) - place(b)));
    return made;
  }

  #readState(bytes: Uint8Array): Request {
    const { typeUrl, node, responseNonce: nonce, errorDetail, resourceNames, versionInfo } = decoded(DiscoveryRequestSchema, bytes);
    return {
      typeUrl: this.#typeOf(typeUrl),
      node,
      nonce,
      error: errorDetail?.message,
      subscribe: (subscription) => subscription.ask(resourceNames, versionInfo),
    };
  }

  #readDelta(bytes: Uint8Array): Request {
    const request = decoded(DeltaDiscoveryRequestSchema, bytes);
    const { typeUrl, node, responseNonce: nonce, errorDetail, resourceNamesSubscribe, resourceNamesUnsubscribe } = request;
    const versions = new Map(Object.entries(request.initialResourceVersions));
    if (typeUrl === TYPE_URL.route) this.#keepWhole(versions);
    return {
      typeUrl: this.#typeOf(typeUrl),
      node,
      nonce,
      error: errorDetail?.message,
      subscribe: (subscription) => subscription.change(resourceNamesSubscribe, resourceNamesUnsubscribe, versions),
    };
  }

  /** What a client has had from a control plane that does not part its route configurations stays as it is. */
  #keepWhole(versions: ReadonlyMap<string, string>): void {
    if (!this.#parts || ![...versions].some(([name, version]) => isWhole(name, version))) return;
    this.#parts = false;
    if (this.#set) this.serve(this.#set);
  }

  #typeOf(asked: string): string {
    const { type } = this.#options;
    if (!type) {
      if (asked === '') throw invalid('a request of an aggregated stream has to have a type_url');
      return asked;
    }
    if (asked !== '' && asked !== TYPE_URL[type]) throw invalid(`this service has ${TYPE_URL[type]} only, not ${asked}`);
    return TYPE_URL[type];
  }
}

function decoded<Desc extends typeof DiscoveryRequestSchema | typeof DeltaDiscoveryRequestSchema>(schema: Desc, bytes: Uint8Array) {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw invalid(`what came is no ${schema.typeName}: ${messageOf(error)}`);
  }
}

function invalid(message: string): SallyportError {
  return new SallyportError('xds-invalid-request', message);
}
