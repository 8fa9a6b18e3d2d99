/** A filter chain that stays as bytes until the first connection comes to it. */
import { createHash } from 'node:crypto';
import { fromBinary } from '@bufbuild/protobuf';
import { FilterChainSchema } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { type ActiveChain, compileChain, type NetworkFilters } from './chain.ts';

export class LazyChain {
  /** Changes with the chain's content: equal keys are one and the same chain over updates. */
  readonly key: string;
  /** Always in the newest version that has this chain, so that older versions can be let go. */
  bytes: Uint8Array;
  readonly #place: number;
  readonly #listener: Pick<Listener, 'name' | 'trafficDirection'>;
  readonly #filters: NetworkFilters;
  #made: ActiveChain | undefined;
  #draining = false;

  /** `place`: in `filter_chains`, -1 for the default chain. */
  constructor(key: string, bytes: Uint8Array, place: number, listener: Listener, filters: NetworkFilters) {
    this.key = key;
    this.bytes = bytes;
    this.#place = place;
    this.#listener = { name: listener.name, trafficDirection: listener.trafficDirection };
    this.#filters = filters;
  }

  /** Throws `xds-unsupported` or `xds-invalid`, naming the field, for what `get` would throw it for. */
  check(): void {
    this.#compile();
  }

  get(): ActiveChain {
    if (!this.#made) {
      this.#made = this.#compile();
      if (this.#draining) this.#made.handler.drain();
    }
    return this.#made;
  }

  /** Connections that are open. */
  get active(): number {
    return this.#made?.handler.active ?? 0;
  }

  /** Idle connections are told to close, and those that still come to it. */
  drain(): void {
    this.#draining = true;
    this.#made?.handler.drain();
  }

  /** Ends all connections, where the handler can. */
  close(): void {
    (this.#made?.handler as { close?: () => void } | undefined)?.close?.();
  }

  #compile(): ActiveChain {
    return compileChain(fromBinary(FilterChainSchema, this.bytes), this.#place, this.#listener, this.#filters);
  }
}

export function chainKey(bytes: Uint8Array, listener: Pick<Listener, 'name' | 'trafficDirection'>): string {
  return createHash('sha256').update(`${listener.name} ${listener.trafficDirection} `).update(bytes).digest('base64');
}
