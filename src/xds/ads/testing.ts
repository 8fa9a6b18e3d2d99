/** For tests: a client of the protocol, of which the test says when it reads and what it answers. */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { ClusterSchema } from '../gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { type Listener, ListenerSchema } from '../gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../gen/envoy/config/route/v3/route_pb.js';
import { HttpConnectionManagerSchema } from '../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '../gen/envoy/service/discovery/v3/discovery_pb.js';
import { NameTableSchema } from '../gen/istio/nds_pb.js';
import { type ResourceType, TYPE_URL } from '../resources.ts';
import { type EncodedSet, encodeSet } from '../update.ts';
import { AdsStream } from './stream.ts';
import type { Protocol, Refusal } from './subscription.ts';

/** What is given of a message; undefined leaves it out. */
type Fields<Desc extends typeof DiscoveryRequestSchema | typeof DeltaDiscoveryRequestSchema> = Exclude<
  MessageInitShape<Desc>,
  { $typeName: string }
>;

/** By name the text that stands for whatever may change. Endpoints are those of clusters. */
export interface Contents {
  readonly clusters?: Readonly<Record<string, string>>;
  readonly endpoints?: Readonly<Record<string, string>>;
  readonly listeners?: Readonly<Record<string, string>>;
  /** More of them. */
  readonly made?: readonly Listener[];
  readonly routes?: Readonly<Record<string, string>>;
}

export function setOf({ clusters = {}, endpoints = {}, listeners = {}, made = [], routes = {} }: Contents): EncodedSet {
  return encodeSet({
    clusters: Object.entries(clusters).map(([name, altStatName]) => create(ClusterSchema, { name, altStatName, edsClusterConfig: {} })),
    endpoints: Object.entries(endpoints).map(([clusterName, text]) =>
      create(ClusterLoadAssignmentSchema, { clusterName, endpoints: [{ locality: { region: text } }] }),
    ),
    listeners: [...Object.entries(listeners).map(([name, statPrefix]) => create(ListenerSchema, { name, statPrefix })), ...made],
    routes: Object.entries(routes).map(([name, text]) => create(RouteConfigurationSchema, { name, responseHeadersToRemove: [text] })),
    secrets: [],
    nameTable: create(NameTableSchema),
  });
}

/** As `Contents`, but that a listener has a connection manager with routes of that name. */
export interface MeshContents extends Omit<Contents, 'listeners'> {
  readonly listeners?: Readonly<Record<string, { readonly text: string; readonly route: string }>>;
}

/** A set whose listeners refer to its routes. */
export function meshOf({ listeners = {}, ...rest }: MeshContents): EncodedSet {
  return setOf({ ...rest, made: Object.entries(listeners).map(([name, { text, route }]) => listenerOf(name, text, route)) });
}

function listenerOf(name: string, statPrefix: string, routeConfigName: string): Listener {
  const manager = create(HttpConnectionManagerSchema, { routeSpecifier: { case: 'rds', value: { routeConfigName } } });
  const filters = [{ name: 'hcm', configType: { case: 'typedConfig' as const, value: anyPack(HttpConnectionManagerSchema, manager) } }];
  return create(ListenerSchema, { name, statPrefix, filterChains: [{ filters }] });
}

export interface Response {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly version: string;
  /** Names; incremental: with their versions. */
  readonly names: readonly string[];
  readonly versions: Readonly<Record<string, string>>;
  readonly removed: readonly string[];
}

export class TestClient {
  readonly stream: AdsStream;
  readonly refused: { readonly type: ResourceType | undefined; readonly refusal: Refusal }[] = [];
  readonly written: Uint8Array[] = [];
  readonly #protocol: Protocol;
  readonly #responses: Response[] = [];
  #reads = true;

  constructor(protocol: Protocol, set: EncodedSet | undefined, type?: ResourceType) {
    this.#protocol = protocol;
    this.stream = new AdsStream({
      protocol,
      type,
      virtualHosts: true,
      admit: () => {
        if (set) this.stream.serve(set);
      },
      write: (bytes) => {
        this.written.push(bytes);
        this.#responses.push(this.#read(bytes));
        if (this.#reads) this.stream.written();
      },
      wake: () => {},
      end: () => {},
      refused: (of, refusal) => this.refused.push({ type: of, refusal }),
    });
  }

  /** What came since it was asked last. */
  get responses(): readonly Response[] {
    for (let before = -1; before !== this.#responses.length; ) {
      before = this.#responses.length;
      this.stream.push();
    }
    return this.#responses.splice(0);
  }

  /** The only response that came since it was asked last. */
  get response(): Response {
    const { responses } = this;
    if (responses.length !== 1) throw new Error(`${responses.length} responses came: ${JSON.stringify(responses)}`);
    return responses[0]!;
  }

  /** From now on nothing that is written is read; `read` ends it. */
  stall(): void {
    this.#reads = false;
  }

  read(): void {
    this.#reads = true;
    this.stream.written();
  }

  state(type: ResourceType): string {
    return this.stream.states.find((state) => state.type === type)!.state;
  }

  ask(type: ResourceType, request: Partial<Fields<typeof DiscoveryRequestSchema>> = {}): void {
    const message = create(DiscoveryRequestSchema, { typeUrl: TYPE_URL[type], node: { id: 'test' }, ...request });
    this.stream.request(toBinary(DiscoveryRequestSchema, message));
  }

  change(type: ResourceType, request: Partial<Fields<typeof DeltaDiscoveryRequestSchema>> = {}): void {
    const message = create(DeltaDiscoveryRequestSchema, { typeUrl: TYPE_URL[type], node: { id: 'test' }, ...request });
    this.stream.request(toBinary(DeltaDiscoveryRequestSchema, message));
  }

  /** Answers a response; a state of the world with the names that are asked for still. */
  answer(type: ResourceType, { nonce, version }: Response, error?: string, resourceNames: readonly string[] = []): void {
    const errorDetail = error === undefined ? undefined : { code: 3, message: error };
    if (this.#protocol === 'delta') this.change(type, { responseNonce: nonce, errorDetail });
    else this.ask(type, { responseNonce: nonce, versionInfo: version, errorDetail, resourceNames: [...resourceNames] });
  }

  #read(bytes: Uint8Array): Response {
    if (this.#protocol === 'delta') {
      const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
      const names = response.resources.map(({ name }) => name);
      const versions = Object.fromEntries(response.resources.map(({ name, version }) => [name, version]));
      return { ...response, names, versions, version: response.systemVersionInfo, removed: response.removedResources };
    }
    const response = fromBinary(DiscoveryResponseSchema, bytes);
    const names = response.resources.map((any) => nameIn(any.typeUrl, any.value));
    return { ...response, names, versions: {}, version: response.versionInfo, removed: [] };
  }
}

function nameIn(typeUrl: string, value: Uint8Array): string {
  if (typeUrl === TYPE_URL.cluster) return fromBinary(ClusterSchema, value).name;
  if (typeUrl === TYPE_URL.endpoint) return fromBinary(ClusterLoadAssignmentSchema, value).clusterName;
  if (typeUrl === TYPE_URL.listener) return fromBinary(ListenerSchema, value).name;
  if (typeUrl === TYPE_URL.route) return fromBinary(RouteConfigurationSchema, value).name;
  return '';
}
