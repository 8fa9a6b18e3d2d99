/** For tests: a client of the protocol with a data plane of names, at our server of it. */
import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { SetCache } from '../cache.ts';
import { NodeSchema } from '../gen/envoy/config/core/v3/base_pb.js';
import type { XdsResources, XdsUpdate } from '../resources.ts';
import type { EncodedSet } from '../update.ts';
import { AdsClient, type ReceivedSet, type RefusedText } from './client.ts';
import { AdsStream } from './stream.ts';
import type { Protocol, Refusal } from './subscription.ts';
import { type MeshContents, meshOf } from './testing.ts';

/** A data plane of names: what it runs, and what it would not take. */
export class Plane {
  readonly running = new Map<string, string>();
  readonly updates: XdsUpdate[] = [];
  bad: (key: string, version: string) => string | undefined = () => undefined;
  gate: Promise<void> = Promise.resolve();

  async apply(_resources: XdsResources, update: XdsUpdate): Promise<readonly RefusedText[]> {
    await this.gate;
    this.updates.push(update);
    const refused: RefusedText[] = [];
    for (const { type, name } of update.removed) this.running.delete(`${type}/${name}`);
    for (const { type, name, version } of update.changed) {
      const key = `${type}/${name}`;
      const message = this.bad(key, version);
      if (message === undefined) this.running.set(key, version);
      else refused.push({ key, message });
    }
    return refused;
  }

  names(): string[] {
    return [...this.running.keys()].filter((key) => key !== 'nameTable/nameTable').sort();
  }
}

/** A client with its data plane, and the server's side of its stream. */
export class Pair {
  readonly plane = new Plane();
  readonly refused: Refusal[] = [];
  readonly unreadable: string[] = [];
  readonly sets: ReceivedSet[] = [];
  readonly client: AdsClient;
  /** Of the stream that there is. */
  stream: AdsStream | undefined;
  /** Responses on all streams. */
  responses = 0;
  readonly #protocol: Protocol;
  readonly #acknowledged: (() => void)[] = [];

  constructor(protocol: Protocol) {
    this.#protocol = protocol;
    const cache = new SetCache<ReceivedSet, RefusedText>({ first: 1, most: 1 });
    this.client = new AdsClient({
      protocol,
      node: create(NodeSchema, { id: 'test' }),
      publish: (set) => {
        this.sets.push(set);
        cache.publish('proxy', set);
      },
      unreadable: (error) => this.unreadable.push(error.message),
    });
    cache.watch('proxy', this.plane, (answer) => {
      this.client.acknowledged(answer);
      for (const told of this.#acknowledged.splice(0)) told();
    });
  }

  /** Opens a stream to a server that serves this set. */
  connect(set: EncodedSet): void {
    const stream: AdsStream = new AdsStream({
      protocol: this.#protocol,
      type: undefined,
      virtualHosts: true,
      admit: () => stream.serve(set),
      write: (bytes) => {
        this.responses += 1;
        this.client.response(bytes);
        stream.written();
      },
      wake: () => {},
      end: () => {},
      refused: (_type, refusal) => this.refused.push(refusal),
    });
    this.stream = stream;
    this.client.opened((bytes) => stream.request(bytes));
  }

  disconnect(): void {
    this.stream = undefined;
    this.client.lost();
  }

  /** Runs until neither side has anything to say. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet += 1) {
      while (this.stream?.push()) quiet = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  states(): Record<string, string> {
    return Object.fromEntries((this.stream?.states ?? []).map(({ type, state }) => [type, state]));
  }

  async runs(contents: MeshContents): Promise<void> {
    await this.settle();
    const set = meshOf(contents);
    const expected = [...set.resources].filter(([key]) => key !== 'nameTable/nameTable').map(([key]) => key);
    assert.deepEqual(this.plane.names(), expected.sort());
  }
}
