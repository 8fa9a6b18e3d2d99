/** Routes and virtual hosts that no VirtualService asks for. */
import { create } from '@bufbuild/protobuf';
import type { ConsistentHash, MeshConfig } from '../../api/index.ts';
import type { Resource } from '../../api/resource.ts';
import type { Protocol } from '../../registry/model.ts';
import { type Route, RouteSchema, type VirtualHost, VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { ALLOW_ANY, BLOCK_ALL } from '../../xds/names.ts';
import { DEFAULT_ROUTE } from '../names.ts';
import { toDuration } from '../proto.ts';
import { defaultRetry } from './actions.ts';
import { hashPolicy } from './hash-policy.ts';
import { routeMatch } from './match.ts';
import { originMetadata } from './origin.ts';
import { retryPolicy } from './retry.ts';

/** To the service itself; `operation` is what traces call it. */
export function serviceRoute(
  config: MeshConfig,
  cluster: string,
  operation: string,
  hash: ConsistentHash | undefined,
  origin: Resource,
): Route {
  const policy = hashPolicy(hash);
  return create(RouteSchema, {
    name: DEFAULT_ROUTE,
    match: routeMatch(undefined),
    metadata: originMetadata(origin),
    decorator: { operation },
    action: {
      case: 'route',
      value: {
        clusterSpecifier: { case: 'cluster', value: cluster },
        timeout: toDuration(0),
        maxGrpcTimeout: toDuration(0),
        retryPolicy: retryPolicy(defaultRetry({ config }), false),
        hashPolicy: policy ? [policy] : [],
      },
    },
  });
}

/** From a sidecar to the application beside it: no timeout, and retries only for a connection that the application had just closed, of gRPC none. */
export function inboundRoute(cluster: string, operation: string, protocol: Protocol): Route {
  const isGrpc = protocol === 'GRPC' || protocol === 'GRPC-Web';
  return create(RouteSchema, {
    name: DEFAULT_ROUTE,
    match: routeMatch(undefined),
    decorator: { operation },
    action: {
      case: 'route',
      value: {
        clusterSpecifier: { case: 'cluster', value: cluster },
        timeout: toDuration(0),
        maxStreamDuration: { maxStreamDuration: toDuration(0), grpcTimeoutHeaderMax: toDuration(0) },
        ...(isGrpc ? {} : { retryPolicy: { retryOn: 'reset-before-request', numRetries: 2 } }),
      },
    },
  });
}

/** Takes the requests whose host nobody declares: 502, or on to where they were going. */
export function catchAllHost(cluster: string | undefined): VirtualHost {
  const name = cluster === undefined ? BLOCK_ALL : ALLOW_ANY;
  const route = create(RouteSchema, { name, match: routeMatch(undefined) });
  if (cluster === undefined) route.action = create(RouteSchema, { action: { case: 'directResponse', value: { status: 502 } } }).action;
  else {
    const value = { clusterSpecifier: { case: 'cluster', value: cluster }, timeout: toDuration(0), maxGrpcTimeout: toDuration(0) } as const;
    route.action = create(RouteSchema, { action: { case: 'route', value } }).action;
  }
  return create(VirtualHostSchema, { name, domains: ['*'], routes: [route], includeRequestAttemptCount: true });
}

/** Answers every request with 403 and the reason. */
export function refusingHost(name: string, reason: string): VirtualHost {
  return create(VirtualHostSchema, {
    name,
    domains: ['*'],
    routes: [
      {
        name: REFUSED_ROUTE,
        match: routeMatch(undefined),
        action: { case: 'directResponse', value: { status: 403, body: { specifier: { case: 'inlineString', value: `${reason}\n` } } } },
      },
    ],
  });
}

/** The route of a refusal, as access logs name it. */
const REFUSED_ROUTE = 'refused';
