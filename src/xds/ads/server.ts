/** The gRPC side of the protocol: Envoy's discovery services, whose messages pass as bytes. */
import { codeOf, messageOf } from '../../lib/errors.ts';
import {
  type Call,
  type CallListener,
  type GrpcServer,
  type GrpcServerOptions,
  type Peer,
  startGrpcServer,
} from '../../lib/grpc/server.ts';
import { STATUS, type Status } from '../../lib/grpc/status.ts';
import type { Node } from '../gen/envoy/config/core/v3/base_pb.js';
import type { ResourceType } from '../resources.ts';
import { AdsStream } from './stream.ts';
import type { Protocol, Refusal } from './subscription.ts';
import { Turns } from './turns.ts';

/** A stream whose node was admitted. */
export interface Admitted {
  refused(type: ResourceType | undefined, refusal: Refusal): void;
  left(): void;
}

export interface AdsServerOptions extends Pick<GrpcServerOptions, 'listen' | 'option' | 'tls' | 'mostAgeMs'> {
  /** Throws `xds-invalid-node`, `xds-forbidden` or `xds-unavailable`; else it has the stream serve what the node's proxy is to run. */
  readonly admit: (node: Node, peer: Peer, stream: AdsStream) => Admitted;
}

/** By service: its type, and the names of its methods. */
const SERVICES: Readonly<Record<string, { readonly type: ResourceType | undefined; readonly sotw: string; readonly delta: string }>> = {
  'discovery.v3.AggregatedDiscoveryService': { type: undefined, sotw: 'StreamAggregatedResources', delta: 'DeltaAggregatedResources' },
  'cluster.v3.ClusterDiscoveryService': { type: 'cluster', sotw: 'StreamClusters', delta: 'DeltaClusters' },
  'endpoint.v3.EndpointDiscoveryService': { type: 'endpoint', sotw: 'StreamEndpoints', delta: 'DeltaEndpoints' },
  'listener.v3.ListenerDiscoveryService': { type: 'listener', sotw: 'StreamListeners', delta: 'DeltaListeners' },
  'route.v3.RouteDiscoveryService': { type: 'route', sotw: 'StreamRoutes', delta: 'DeltaRoutes' },
  'secret.v3.SecretDiscoveryService': { type: 'secret', sotw: 'StreamSecrets', delta: 'DeltaSecrets' },
};

/** Of responses that are being written. */
const TURNS = { most: 16, patienceMs: 1000 };
/** From the beginning of a stream to its first request. */
const FIRST_REQUEST_MS = 30_000;

const STATUS_OF: Readonly<Record<string, Status>> = {
  'xds-invalid-request': STATUS.invalidArgument,
  'xds-invalid-node': STATUS.invalidArgument,
  'xds-forbidden': STATUS.permissionDenied,
  'xds-too-much': STATUS.resourceExhausted,
  'xds-unavailable': STATUS.unavailable,
};

/** Rejects as `listening`. */
export function startAdsServer({ admit, ...options }: AdsServerOptions): Promise<GrpcServer> {
  const turns = new Turns(TURNS);
  const methods = Object.entries(SERVICES).flatMap(([service, { type, sotw, delta }]) => {
    const handlerOf = (protocol: Protocol) => (call: Call) => serveCall(call, { protocol, type, admit, turns });
    const path = (method: string) => `/envoy.service.${service}/${method}`;
    return [[path(sotw), handlerOf('sotw')] as const, [path(delta), handlerOf('delta')] as const];
  });
  return startGrpcServer({
    ...options,
    what: 'cannot serve xDS',
    name: 'the control plane',
    certificateRequired: true,
    methods: new Map(methods),
  });
}

interface CallOptions extends Pick<AdsServerOptions, 'admit'> {
  readonly protocol: Protocol;
  readonly type: ResourceType | undefined;
  readonly turns: Turns;
}

function serveCall(call: Call, { protocol, type, admit, turns }: CallOptions): CallListener {
  let admitted: Admitted | undefined;
  let woken = false;
  let endTurn = () => {};
  let over = false;
  const silent = setTimeout(() => call.end(STATUS.deadlineExceeded, 'no request came'), FIRST_REQUEST_MS);
  const stream: AdsStream = new AdsStream({
    protocol,
    type,
    admit: (node) => {
      clearTimeout(silent);
      admitted = admit(node, call.peer, stream);
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
    refused: (type, refusal) => admitted?.refused(type, refusal),
    end: (error) => fail(error),
  });
  const fail = (error: unknown) => call.end(STATUS_OF[codeOf(error) ?? ''] ?? STATUS.internal, messageOf(error));
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
