/** The gRPC side of the protocol: Envoy's discovery services, whose messages pass as bytes. */
import { codeOf, messageOf } from '../../lib/errors.ts';
import {
  type Call,
  type CallListener,
  type GrpcServer,
  type GrpcServerOptions,
  type Handler,
  type Peer,
  refused,
  startGrpcServer,
} from '../../lib/grpc/server.ts';
import { STATUS, type Status } from '../../lib/grpc/status.ts';
import { table } from '../../lib/table.ts';
import type { Node } from '../gen/envoy/config/core/v3/base_pb.js';
import type { ResourceType } from '../resources.ts';
import { AdsStream, type Answer } from './stream.ts';
import type { Protocol, Refusal } from './subscription.ts';
import { Turns } from './turns.ts';

/** Whoever opened a stream, as far as that was asked. */
export interface Client {
  /** `address:port` */
  readonly address: string;
  /** The SPIFFE ID that it proved; undefined where nobody has to prove one. */
  readonly identity: string | undefined;
}

/** A stream whose node was admitted. */
export interface Admitted {
  refused(type: ResourceType | undefined, refusal: Refusal): void;
  left(): void;
}

export interface AdsServerOptions extends Pick<GrpcServerOptions, 'listen' | 'option' | 'tls' | 'mostAgeMs'> {
  /** The SPIFFE ID of whoever calls, before a message of theirs is looked at. Rejects with `xds-unauthenticated`, `xds-too-much` or `xds-unavailable`. Undefined: nobody is asked. */
  readonly identify?: ((peer: Peer) => Promise<string>) | undefined;
  /** Throws `xds-invalid-node`, `xds-forbidden` or `xds-unavailable`; else it has the stream serve what the node's proxy is to run. */
  readonly admit: (node: Node, client: Client, stream: AdsStream) => Admitted;
  /** Envoys that can get virtual hosts as resources of their own; that is so where it is not said. */
  readonly virtualHosts?: boolean | undefined;
  /** Answers a question about the control plane itself, whose type begins with `istio.io/debug/`. */
  readonly answer?: (typeUrl: string, client: Client) => readonly Answer[];
  /** What else is served at the port, by path. */
  readonly more?: ReadonlyMap<string, Handler>;
}

/** By service: its type, and the names of its methods. */
const SERVICES: Readonly<Record<string, { readonly type: ResourceType | undefined; readonly sotw: string; readonly delta: string }>> =
  table({
    'discovery.v3.AggregatedDiscoveryService': { type: undefined, sotw: 'StreamAggregatedResources', delta: 'DeltaAggregatedResources' },
    'cluster.v3.ClusterDiscoveryService': { type: 'cluster', sotw: 'StreamClusters', delta: 'DeltaClusters' },
    'endpoint.v3.EndpointDiscoveryService': { type: 'endpoint', sotw: 'StreamEndpoints', delta: 'DeltaEndpoints' },
    'listener.v3.ListenerDiscoveryService': { type: 'listener', sotw: 'StreamListeners', delta: 'DeltaListeners' },
    'route.v3.RouteDiscoveryService': { type: 'route', sotw: 'StreamRoutes', delta: 'DeltaRoutes' },
    'secret.v3.SecretDiscoveryService': { type: 'secret', sotw: 'StreamSecrets', delta: 'DeltaSecrets' },
  });

/** Of responses that are being written. */
const TURNS = { most: 16, patienceMs: 1000 };
/** From the beginning of a stream to its first request. */
const FIRST_REQUEST_MS = 30_000;

const STATUS_OF: Readonly<Record<string, Status>> = table({
  'xds-invalid-request': STATUS.invalidArgument,
  'xds-invalid-node': STATUS.invalidArgument,
  'xds-forbidden': STATUS.permissionDenied,
  'xds-too-much': STATUS.resourceExhausted,
  'xds-unauthenticated': STATUS.unauthenticated,
  'xds-unavailable': STATUS.unavailable,
});

/** Rejects as `listening`. */
export function startAdsServer({
  identify,
  admit,
  answer,
  virtualHosts = true,
  more = new Map(),
  ...options
}: AdsServerOptions): Promise<GrpcServer> {
  const turns = new Turns(TURNS);
  const methods = Object.entries(SERVICES).flatMap(([service, { type, sotw, delta }]) => {
    const handlerOf = (protocol: Protocol) => (call: Call) =>
      serveCall(call, { protocol, type, identify, admit, answer, virtualHosts, turns });
    const path = (method: string) => `/envoy.service.${service}/${method}`;
    return [[path(sotw), handlerOf('sotw')] as const, [path(delta), handlerOf('delta')] as const];
  });
  return startGrpcServer({
    ...options,
    what: 'cannot serve xDS',
    name: 'the control plane',
    methods: new Map([...methods, ...more]),
  });
}

interface CallOptions extends Pick<AdsServerOptions, 'identify' | 'admit' | 'answer'> {
  readonly protocol: Protocol;
  readonly type: ResourceType | undefined;
  readonly virtualHosts: boolean;
  readonly turns: Turns;
}

async function serveCall(call: Call, { protocol, type, identify, admit, answer, virtualHosts, turns }: CallOptions): Promise<CallListener> {
  let client: Client;
  try {
    const { peer } = call;
    client = { address: peer.address, identity: await identify?.(peer) };
  } catch (error) {
    return refused(call, statusOf(error), messageOf(error));
  }
  let admitted: Admitted | undefined;
  let woken = false;
  let endTurn = () => {};
  let over = false;
  const silent = setTimeout(() => call.end(STATUS.deadlineExceeded, 'no request came'), FIRST_REQUEST_MS);
  const stream: AdsStream = new AdsStream({
    protocol,
    type,
    virtualHosts,
    admit: (node) => {
      clearTimeout(silent);
      admitted = admit(node, client, stream);
      // There may be nothing to send for long: the client is to know that it is heard.
      call.begin();
    },
    write: (response) =>
      call.write(response, () => {
        endTurn();
        stream.written();
      }),
    wake: () => {
      if (woken) return;
      woken = true;
      turns.wait((end) => {
        woken = false;
        const before = endTurn;
        endTurn = end;
        if (!over && stream.push()) return;
        // It may still be written to, in a turn before this one.
        endTurn = before;
        end();
      });
    },
    answer: answer && ((typeUrl) => answer(typeUrl, client)),
    refused: (type, refusal) => admitted?.refused(type, refusal),
    end: (error) => fail(error),
  });
  const fail = (error: unknown) => call.end(statusOf(error), messageOf(error));
  return {
    message: (bytes) => {
      try {
        stream.request(bytes);
      } catch (error) {
        fail(error);
      }
    },
    halfClosed: () => call.end(STATUS.ok),
    closed: () => {
      over = true;
      clearTimeout(silent);
      admitted?.left();
    },
  };
}

export function statusOf(error: unknown): Status {
  return STATUS_OF[codeOf(error) ?? ''] ?? STATUS.internal;
}
