/** For tests of listeners: encoded configurations, and an environment that counts what is compiled. */
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { typeRegistry } from '../../xds/type-registry.ts';
import { MaterialStore } from '../tls/material.ts';
import type { ConnectionHandler, Downstream } from '../types.ts';
import type { ListenerEnvironment } from './contract.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';

export function encodeListener(json: JsonObject): Uint8Array {
  return toBinary(ListenerSchema, fromJson(ListenerSchema, json, { registry: typeRegistry }));
}

/** A chain of one TCP proxy; its cluster's name is what tells two of them apart. */
export function chain(serverName: string, cluster: string): JsonObject {
  return {
    name: serverName,
    filterChainMatch: { serverNames: [serverName] },
    filters: [{ name: 'tcp', typedConfig: { '@type': TYPE, statPrefix: 'x', cluster } }],
  };
}

/** A listener without a socket, or with one at a free port. */
export function listener(name: string, address: string, filterChains: JsonObject[], more: JsonObject = {}): JsonObject {
  return { name, address: { socketAddress: { address, portValue: 443 } }, bindToPort: false, filterChains, ...more };
}

export class FakeHandler implements ConnectionHandler {
  readonly cluster: string;
  active = 0;
  drained = 0;
  readonly connections: Downstream[] = [];

  constructor(cluster: string) {
    this.cluster = cluster;
  }

  onConnection(downstream: Downstream): void {
    this.connections.push(downstream);
  }

  drain(): void {
    this.drained++;
  }
}

export interface FakeEnvironment extends Omit<ListenerEnvironment, 'handOff'> {
  /** One for each time a chain was compiled, in that order. */
  readonly handlers: FakeHandler[];
}

export function fakeEnvironment(): FakeEnvironment {
  const handlers: FakeHandler[] = [];
  return {
    handlers,
    filters: {
      store: new MaterialStore(),
      http: () => {
        throw new Error('no HTTP here');
      },
      authorizer: () => {
        throw new Error('nobody to ask here');
      },
      ask: () => {
        throw new Error('no authorizer is asked');
      },
      tcp: ({ clusterSpecifier }) => {
        const handler = new FakeHandler(String(clusterSpecifier.value));
        handlers.push(handler);
        return handler;
      },
    },
    explicitProxy: {
      names: () => ({ lookup: () => undefined, declares: () => false, hasAddress: () => false, size: 0 }),
      resolver: { resolve: () => Promise.reject(new Error('no names here')), close: () => undefined },
      log: () => undefined,
      turnedAway: () => undefined,
    },
    createSink: () => ({ record: () => undefined }),
    nextId: () => 1,
    now: () => 0,
    date: () => 0,
    log: () => undefined,
    reusePort: false,
    first: true,
    probes: () => false,
  };
}
