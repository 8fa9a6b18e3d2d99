/**
 * A client of the aggregated xDS transport protocol, state of the world or incremental
 * (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol). Knows nothing of gRPC, threads and time: responses come in as bytes, requests go out
 * as bytes, and what is to be in force goes out as sets of which it is told what the data plane made of them.
 *
 * As in Envoy a cluster comes into force when its endpoints and secrets have come, a listener when its routes and secrets have; nothing that refers to a
 * cluster comes before that cluster. A response is acknowledged when it is in force. What a stream that is lost has left half said is forgotten: the next
 * stream goes on from what is in force.
 */
import { create } from '@bufbuild/protobuf';
import { SallyportError } from '../../lib/errors.ts';
import type { Acknowledgement, Publication, Refused } from '../cache.ts';
import { contentHash } from '../encode.ts';
import type { Cluster } from '../gen/envoy/config/cluster/v3/cluster_pb.js';
import type { Node } from '../gen/envoy/config/core/v3/base_pb.js';
import type { ClusterLoadAssignment } from '../gen/envoy/config/endpoint/v3/endpoint_pb.js';
import type { Listener } from '../gen/envoy/config/listener/v3/listener_pb.js';
import type { RouteConfiguration } from '../gen/envoy/config/route/v3/route_pb.js';
import type { Secret } from '../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { type NameTable, NameTableSchema } from '../gen/istio/nds_pb.js';
import { ResourceTable } from '../resource-table.ts';
import { type ResourceType, TYPE_URL } from '../resources.ts';
import { versionOf } from '../update.ts';
import { ClientType, type Pending } from './client-type.ts';
import { type Entries, listsOf, readResponse } from './received.ts';
import type { Protocol } from './subscription.ts';
import { type NamedType, type Wanted, wantedBy } from './wanted.ts';

export interface ClientOptions {
  readonly protocol: Protocol;
  /** Whether the data plane answers DNS: without the names it has not all that it needs. */
  readonly answersDns?: boolean;
  readonly node: Node;
  /** Brings a set into force; `acknowledged` is to be called with what came of it. Newer ones may replace those that wait. */
  readonly publish: (publication: ReceivedSet) => void;
  /** A response without effect: it cannot be read (the control plane has been told) or was not asked for. */
  readonly unreadable: (error: SallyportError) => void;
}

/** A set of what came from the control plane. */
export interface ReceivedSet extends Publication {
  /** Whether it is all that was asked for; without that it has less than the control plane means it to have. */
  readonly whole: boolean;
  readonly entries: Readonly<Record<ResourceType, Entries>>;
  /** Responses that are in force with it. */
  readonly answers: readonly { readonly type: ResourceType; readonly response: Pending }[];
}

/** What a data plane refused, with its words. */
export interface RefusedText extends Refused {
  readonly message: string;
}

/** The order in which types are asked for. */
const TYPES: readonly ResourceType[] = ['cluster', 'endpoint', 'listener', 'route', 'secret', 'nameTable'];
const NAMED: readonly NamedType[] = ['endpoint', 'route', 'secret'];
const TYPE_BY_URL: ReadonlyMap<string, ResourceType> = new Map(TYPES.map((type) => [TYPE_URL[type], type]));
const EMPTY_TABLE = create(NameTableSchema);

export class AdsClient {
  readonly #options: ClientOptions;
  readonly #types: Readonly<Record<ResourceType, ClientType>>;
  /** Takes requests while there is a stream. */
  #write: ((request: Uint8Array) => void) | undefined;
  #nodeSent = false;
  /** Of a stream that is there, and begins when what is under way has been judged. */
  #waiting: ((request: Uint8Array) => void) | undefined;
  #published: ReceivedSet | undefined;
  /** The data plane has not said yet what it made of the newest set. */
  #underWay = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    const send = (encode: (node: Node | undefined) => Uint8Array) => {
      if (!this.#write) return;
      const node = this.#nodeSent ? undefined : options.node;
      this.#nodeSent = true;
      this.#write(encode(node));
    };
    const made = TYPES.map((type) => [type, new ClientType(type, options.protocol, send)] as const);
    this.#types = Object.fromEntries(made) as Record<ResourceType, ClientType>;
  }

  /** What is asked for and not there: names, or everything of a type (`name` undefined). */
  get missing(): readonly { readonly type: ResourceType; readonly name?: string }[] {
    const { cluster, listener, nameTable } = this.#types;
    const missing: { type: ResourceType; name?: string }[] = [];
    const everything = this.#options.answersDns ? [cluster, listener, nameTable] : [cluster, listener];
    for (const { type, answered } of everything) if (!answered) missing.push({ type });
    for (const source of [cluster, listener])
      for (const type of NAMED)
        for (const name of wantedBy(source.received)[type]) if (!this.#types[type].settles(name)) missing.push({ type, name });
    return missing;
  }

  /** There is a stream; `write` takes its requests. */
  opened(write: (request: Uint8Array) => void): void {
    this.#waiting = write;
    this.#begin();
  }

  /** The stream is gone; everything stays as it is. */
  lost(): void {
    this.#write = undefined;
    this.#waiting = undefined;
  }

  /** Takes a response of the stream. Throws `xds-invalid-response` for what is none: the stream is to end. */
  response(bytes: Uint8Array): void {
    if (!this.#write) return;
    const { protocol, unreadable } = this.#options;
    const response = readResponse(protocol, bytes);
    const type = TYPE_BY_URL.get(response.typeUrl);
    const error = type ? this.#types[type].take(response) : notAskedFor(response.typeUrl);
    if (error) unreadable(error);
    else this.#advance();
  }

  /** What is missing by name is not waited for any longer: the rest comes into force without it. */
  giveUp(): void {
    for (const { type, name } of this.missing) if (name !== undefined) this.#types[type].giveUp(name);
    this.#advance();
  }

  /** What the data plane made of a set. */
  acknowledged(answer: Acknowledgement<ReceivedSet, RefusedText>): void {
    const { publication } = answer;
    if (publication === this.#published) this.#underWay = false;
    if (answer.kind === 'accepted') this.#accepted(publication, answer.refused);
    if (this.#waiting) this.#begin();
    else this.#advance();
  }

  #accepted({ entries, answers }: ReceivedSet, refused: readonly RefusedText[]): void {
    for (const type of TYPES) {
      const names = refused.flatMap(({ key }) => (key?.startsWith(`${type}/`) ? [key.slice(type.length + 1)] : []));
      this.#types[type].taken(entries[type], new Set(names));
    }
    for (const { type, response } of answers) {
      const errors = refused.filter(({ key }) => key === undefined || concerns(key, type, response));
      this.#types[type].answer(response, errors.length > 0 ? errors.map(textOf).join('\n') : undefined);
    }
  }

  #begin(): void {
    if (this.#underWay) return;
    this.#write = this.#waiting;
    this.#waiting = undefined;
    this.#nodeSent = false;
    for (const type of TYPES) this.#types[type].restart();
    this.#advance();
  }

  /** Asks for what is referred to, and brings into force what is complete. */
  #advance(): void {
    this.#want();
    const next = this.#compose();
    const before = this.#published;
    const same = before && TYPES.every((type) => before.entries[type] === next.entries[type]);
    const answered = new Set(before?.answers.map(({ response }) => response));
    if (same && before.whole === next.whole && next.answers.every(({ response }) => answered.has(response))) return;
    if (!before && TYPES.every((type) => !this.#types[type].answered)) return;
    this.#published = next;
    this.#underWay = true;
    this.#options.publish(next);
  }

  /** What is in force may need what nothing that came needs any more. */
  #want(): void {
    const { cluster, listener } = this.#types;
    const from = new Set([cluster.received, listener.received]);
    for (const type of ['cluster', 'listener'] as const) if (this.#published) from.add(this.#published.entries[type]);
    const wanted: readonly Wanted[] = [...from].map(wantedBy);
    for (const type of NAMED) this.#types[type].want(new Set(wanted.flatMap((one) => [...one[type]])));
  }

  #compose(): ReceivedSet {
    const { cluster, endpoint, listener, route, secret, nameTable } = this.#types;
    const before = this.#published?.entries;
    const has = (wanted: Wanted) => NAMED.every((type) => [...wanted[type]].every((name) => this.#types[type].settles(name)));
    const clusters = cluster.answered && has(wantedBy(cluster.received));
    const listeners = clusters && listener.answered && has(wantedBy(listener.received));
    const entries = {
      cluster: clusters ? cluster.received : (before?.cluster ?? NOTHING),
      endpoint: endpoint.received,
      listener: listeners ? listener.received : (before?.listener ?? NOTHING),
      route: clusters ? route.received : (before?.route ?? NOTHING),
      secret: secret.received,
      virtualHost: NOTHING,
      nameTable: nameTable.received,
    };
    const current = {
      cluster: clusters,
      endpoint: true,
      listener: listeners,
      route: clusters,
      secret: true,
      virtualHost: true,
      nameTable: true,
    };
    const answers = TYPES.filter((type) => current[type]).flatMap((type) =>
      this.#types[type].pending.map((response) => ({ type, response })),
    );
    const whole = listeners && (nameTable.answered || !this.#options.answersDns);
    return { ...setOf(entries), whole, entries, answers };
  }
}

const NOTHING: Entries = new Map();

function setOf(entries: Readonly<Record<ResourceType, Entries>>): Publication {
  const list = (type: ResourceType) => listsOf(type, entries[type]);
  const messages = <T>(type: ResourceType) => list(type).messages as unknown as readonly T[];
  const table = new ResourceTable(TYPES.map((type) => list(type).encoded));
  return {
    set: { version: contentHash(table.lists.map(versionOf).join()), resources: table },
    resources: {
      listeners: messages<Listener>('listener'),
      routes: messages<RouteConfiguration>('route'),
      clusters: messages<Cluster>('cluster'),
      endpoints: messages<ClusterLoadAssignment>('endpoint'),
      secrets: messages<Secret>('secret'),
      nameTable: messages<NameTable>('nameTable')[0] ?? EMPTY_TABLE,
    },
  };
}

function notAskedFor(typeUrl: string): SallyportError {
  return new SallyportError('xds-invalid-response', `the control plane sent resources of type "${typeUrl}", which were not asked for`);
}

function concerns(key: string, type: ResourceType, { names }: Pending): boolean {
  return key.startsWith(`${type}/`) && names.has(key.slice(type.length + 1));
}

function textOf({ key, message }: RefusedText): string {
  return key === undefined ? message : `${key.replace('/', ' ')}: ${message}`;
}
