/**
 * Simulated proxies of a control plane: each has a connection of its own, asks for what an Envoy asks for, in its order, and acknowledges everything. They take virtual
 * hosts as resources of their own, as Envoys that are started by us do; `heard` says of a route configuration when its hosts have come too.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { MessageReader, prefixOf } from '../../src/lib/grpc/messages.ts';
import { warmedBy } from '../../src/xds/ads/references.ts';
import { NodeSchema } from '../../src/xds/gen/envoy/config/core/v3/base_pb.js';
import { RouteConfigurationSchema } from '../../src/xds/gen/envoy/config/route/v3/route_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  type Resource,
} from '../../src/xds/gen/envoy/service/discovery/v3/discovery_pb.js';
import { TAKES_VIRTUAL_HOSTS } from '../../src/xds/node.ts';
import { type ResourceType, TYPE_URL } from '../../src/xds/resources.ts';
import { lastValue } from '../../src/xds/wire.ts';

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
/** Numbers of the fields of a DeltaDiscoveryResponse that are read of each. */
const RESPONSE = { typeUrl: 4, nonce: 5 } as const;
/** As wide as Envoy's, bytes. */
const WINDOW = 16 * 1024 * 1024;

/** By response, what it refers to: proxies of one class get the same bytes but for the nonce, and this process is not what is measured. */
const references = new Map<string, ReadonlyMap<ResourceType, readonly string[]>>();

export class FleetProxy {
  /** Bytes of responses so far. */
  received = 0;
  /** performance.now() of the newest response. */
  last = 0;
  /** Called for each response. */
  heard: (type: ResourceType) => void = () => {};
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #asked = new Map<ResourceType, ReadonlySet<string>>();

  constructor(port: number, index: number) {
    this.#session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: WINDOW } });
    this.#session.on('connect', () => this.#session.setLocalWindowSize(WINDOW));
    this.#session.on('error', () => {});
    this.#stream = this.#session.request({ ':method': 'POST', ':path': METHOD, 'content-type': 'application/grpc', te: 'trailers' });
    this.#stream.on('error', () => {});
    const reader = new MessageReader(Number.MAX_SAFE_INTEGER);
    this.#stream.on('data', (piece: Buffer) => {
      reader.add(piece);
      for (let message = reader.next(); message; message = reader.next()) this.#response(message);
    });
    this.#ask('cluster', [], nodeOf(index));
  }

  close(): void {
    this.#session.destroy();
  }

  #response(bytes: Buffer): void {
    this.received += bytes.length;
    this.last = performance.now();
    const typeUrl = textOf(lastValue(bytes, RESPONSE.typeUrl));
    const type = (Object.keys(TYPE_URL) as ResourceType[]).find((candidate) => TYPE_URL[candidate] === typeUrl)!;
    this.#send({ typeUrl, responseNonce: textOf(lastValue(bytes, RESPONSE.nonce)) });
    if (type === 'cluster' || type === 'listener') {
      for (const [of, names] of referencesIn(type, bytes)) this.#ask(of, names);
      if (type === 'cluster' && !this.#asked.has('listener')) this.#ask('listener', []);
    }
    if (type === 'route' && partsIn(bytes)) this.#ask('virtualHost', []);
    else this.heard(type === 'virtualHost' ? 'route' : type);
  }

  #ask(type: ResourceType, names: readonly string[], node?: MessageInitShape<typeof NodeSchema>): void {
    const before = this.#asked.get(type) ?? new Set();
    const fresh = names.filter((name) => !before.has(name));
    if (this.#asked.has(type) && fresh.length === 0) return;
    this.#asked.set(type, new Set([...before, ...names]));
    this.#send({ typeUrl: TYPE_URL[type], resourceNamesSubscribe: fresh, ...(node ? { node: create(NodeSchema, node) } : {}) });
  }

  #send(fields: object): void {
    const message = toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, fields));
    this.#stream.write(Buffer.concat([prefixOf(message), message]));
  }
}

function referencesIn(type: ResourceType, bytes: Buffer): ReadonlyMap<ResourceType, readonly string[]> {
  const key = `${type} ${bytes.length} ${bytes.subarray(0, 64).toString('latin1')}`;
  let found = references.get(key);
  if (!found) {
    const named = new Map<ResourceType, string[]>();
    for (const { name, version, resource } of fromBinary(DeltaDiscoveryResponseSchema, bytes).resources as Resource[]) {
      for (const reference of warmedBy({ type, name, version, bytes: resource?.value ?? new Uint8Array() })) {
        if (reference.type !== 'endpoint' && reference.type !== 'route') continue;
        named.set(reference.type, [...(named.get(reference.type) ?? []), reference.name]);
      }
    }
    found = named;
    references.set(key, found);
  }
  return found;
}

/** Whether the hosts of the routes are to come by themselves. */
function partsIn(bytes: Buffer): boolean {
  const { resources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return resources.some(({ resource }) => resource && lastValue(resource.value, RouteConfigurationSchema.field.vhds.number) !== undefined);
}

function nodeOf(index: number): MessageInitShape<typeof NodeSchema> {
  const address = `10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  return {
    id: `sidecar~${address}~pod-${index}.default~default.svc.cluster.local`,
    metadata: {
      NAME: `pod-${index}`,
      NAMESPACE: 'default',
      LABELS: { app: 'pod' },
      SERVICE_ACCOUNT: 'default',
      INSTANCE_IPS: address,
      [TAKES_VIRTUAL_HOSTS]: 'true',
    },
    userAgentName: 'envoy',
    userAgentVersionType: { case: 'userAgentBuildVersion', value: { version: { majorNumber: 1, minorNumber: 40 } } },
  };
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8') : '';
}
