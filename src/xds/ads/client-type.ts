/** One type of resources, as a client of the protocol has it: what it asked for, what came, what the data plane took of that, and what is to be answered. */
import { create, toBinary } from '@bufbuild/protobuf';
import { SallyportError } from '../../lib/errors.ts';
import type { Node } from '../gen/envoy/config/core/v3/base_pb.js';
import { DeltaDiscoveryRequestSchema, DiscoveryRequestSchema } from '../gen/envoy/service/discovery/v3/discovery_pb.js';
import { type ResourceType, TYPE_URL } from '../resources.ts';
import { type Entries, entriesOf, type Received } from './received.ts';
import type { Protocol } from './subscription.ts';

/** A response that the data plane has not judged yet. */
export interface Pending {
  readonly nonce: string;
  readonly version: string;
  /** Names of the resources in it. */
  readonly names: ReadonlySet<string>;
}

/** Of these a state of the world has everything: what is not in it is gone. */
const WHOLE: readonly ResourceType[] = ['cluster', 'listener'];
/** Of these everything is asked for, without names. */
const WILDCARD: readonly ResourceType[] = ['cluster', 'listener', 'nameTable'];
/** google.rpc.Code */
const INVALID_ARGUMENT = 3;

const NOTHING: Entries = new Map();

/** Sends a request on the stream that there is; the first one of a stream has the node. */
export type Send = (encode: (node: Node | undefined) => Uint8Array) => void;

export class ClientType {
  readonly type: ResourceType;
  /** What came, as it is to be in force. */
  received: Entries = NOTHING;
  /** What the data plane took last of each resource. */
  good: Entries = NOTHING;
  /** Whether there was a response, on any stream. */
  answered = false;
  /** In the order in which they came. */
  pending: readonly Pending[] = [];
  readonly #protocol: Protocol;
  readonly #send: Send;
  /** What is asked for by name. */
  #names: ReadonlySet<string> = new Set();
  /** Names that there is nothing for, as far as anybody knows. */
  readonly #absent = new Set<string>();
  /** Whether this stream was asked for the type. */
  #asked = false;
  #nonce = '';
  /** State of the world: of the last response of which everything was taken. */
  #version = '';
  /** Something of what came is not in force, so that no version of a state of the world says what is there. */
  #mixed = false;

  constructor(type: ResourceType, protocol: Protocol, send: Send) {
    this.type = type;
    this.#protocol = protocol;
    this.#send = send;
  }

  /** Whether it came, or is known not to be there. */
  settles(name: string): boolean {
    return this.received.has(name) || this.#absent.has(name);
  }

  /** Is not waited for any more. */
  giveUp(name: string): void {
    this.#absent.add(name);
  }

  /** A new stream: it goes on from what the data plane has. */
  restart(): void {
    this.received = this.good;
    this.pending = [];
    this.#asked = false;
    this.#nonce = '';
    if (WILDCARD.includes(this.type)) this.#ask();
  }

  /** Asks for these names, and no others; what is not asked for any more is dropped. */
  want(names: ReadonlySet<string>): void {
    const added = [...names].filter((name) => !this.#names.has(name));
    const dropped = [...this.#names].filter((name) => !names.has(name));
    this.#names = names;
    for (const name of dropped) this.#absent.delete(name);
    if ([...this.received.keys()].some((name) => !names.has(name)))
      this.received = new Map([...this.received].filter(([name]) => names.has(name)));
    if (!this.#asked) {
      if (names.size > 0) this.#ask();
      return;
    }
    if (added.length + dropped.length === 0) return;
    if (this.#protocol === 'delta') this.#change({ resourceNamesSubscribe: added, resourceNamesUnsubscribe: dropped });
    // A request with the nonce of a response answers it: the names go with the answer.
    else if (this.pending.length === 0) this.#state(this.#nonce);
  }

  /** Returns why nothing of the response is taken, if so; the control plane has been told. */
  take(response: Received): SallyportError | undefined {
    this.#nonce = response.nonce;
    const sent = entriesOf(this.type, response, this.received);
    if (sent instanceof SallyportError) {
      this.#answer(response, sent.message);
      return sent;
    }
    const whole = this.#protocol === 'sotw' && WHOLE.includes(this.type);
    const next = new Map([...(whole ? [] : this.received), ...sent]);
    for (const name of sent.keys()) this.#absent.delete(name);
    for (const name of response.removed) this.#remove(next, name);
    if (!WILDCARD.includes(this.type)) for (const name of next.keys()) if (!this.#names.has(name)) next.delete(name);
    this.received = sameEntries(next, this.received) ? this.received : next;
    this.answered = true;
    this.pending = [...this.pending, { nonce: response.nonce, version: response.version, names: new Set(sent.keys()) }];
    return undefined;
  }

  /** The data plane has these entries but for the refused names, of which it has what it had before. */
  taken(entries: Entries, refused: ReadonlySet<string>): void {
    this.#mixed = refused.size > 0;
    if (refused.size === 0) {
      this.good = entries;
      return;
    }
    const good = new Map(entries);
    for (const name of refused) {
      const before = this.good.get(name);
      if (before) good.set(name, before);
      else good.delete(name);
    }
    this.good = good;
  }

  /** Answers a response, if it is still to be answered. @param error why it is refused, in part or as a whole */
  answer(response: Pending, error: string | undefined): void {
    if (!this.pending.includes(response)) return;
    this.pending = this.pending.filter((other) => other !== response);
    this.#answer(response, error);
  }

  #answer({ nonce, version }: Pick<Pending, 'nonce' | 'version'>, error: string | undefined): void {
    if (error === undefined) this.#version = version;
    if (this.#protocol === 'sotw') this.#state(nonce, error);
    else this.#change({ responseNonce: nonce, errorDetail: detailOf(error) });
  }

  #remove(entries: Map<string, unknown>, sentName: string): void {
    const name = this.type === 'nameTable' ? [...entries.keys()][0] : sentName;
    if (name === undefined) return;
    entries.delete(name);
    if (this.#names.has(name)) this.#absent.add(name);
  }

  /** The first request of a stream says what there is: until it is answered that is what the data plane has. */
  #ask(): void {
    this.#asked = true;
    if (this.#protocol === 'sotw') {
      // Whoever claims a version is taken to have all of it.
      const has = !this.#mixed && [...this.#names].every((name) => this.settles(name));
      this.#state('', undefined, has ? this.#version : '');
      return;
    }
    const versions = [...this.received.values()].filter(
      ({ resource: { name }, sent }) => sent.version !== '' && (WILDCARD.includes(this.type) || this.#names.has(name)),
    );
    this.#change({
      resourceNamesSubscribe: [...this.#names],
      initialResourceVersions: Object.fromEntries(versions.map(({ sent: { name, version } }) => [name, version])),
    });
  }

  #state(responseNonce: string, error?: string, versionInfo = this.#version): void {
    const request = { typeUrl: TYPE_URL[this.type], resourceNames: [...this.#names], responseNonce, versionInfo };
    this.#send((node) =>
      toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, { ...request, node, errorDetail: detailOf(error) })),
    );
  }

  #change(fields: {
    readonly resourceNamesSubscribe?: string[];
    readonly resourceNamesUnsubscribe?: string[];
    readonly initialResourceVersions?: Record<string, string>;
    readonly responseNonce?: string;
    readonly errorDetail?: ReturnType<typeof detailOf>;
  }): void {
    const request = { typeUrl: TYPE_URL[this.type], ...fields };
    this.#send((node) => toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, { ...request, node })));
  }
}

function detailOf(message: string | undefined) {
  return message === undefined ? undefined : { code: INVALID_ARGUMENT, message };
}

function sameEntries(one: Entries, other: Entries): boolean {
  return (
    one.size === other.size &&
    [...one].every(([name, { resource, sent }]) => {
      const before = other.get(name);
      return before?.resource === resource && before.sent.version === sent.version;
    })
  );
}
