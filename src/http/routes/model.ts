/** What a compiled route configuration offers. Everything here is immutable and shared by all requests of the configuration. */

import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { PlacedOrigin } from '../../lib/origin.ts';
import type { Metadata } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { Route, VirtualHost } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { FormatRecord } from '../format/record.ts';
import type { HeaderMap } from '../header-map.ts';

/** What route matching reads of a request. A data plane's own request object may serve as it is. */
export interface RouteRequest {
  readonly method: string;
  /** Host or :authority as sent, port and case included; empty if there was none. */
  readonly authority: string;
  /** Path with query, after normalisation; empty for CONNECT without a path. */
  readonly path: string;
  /** The scheme that HTTP/2 names, or that x-forwarded-proto tells or the connection has: `http` or `https`. */
  readonly scheme: string;
  readonly headers: HeaderMap;
  /** One random integer a request, 0 ≤ random < 2^53: decides fractions and weighted clusters, as in Envoy. */
  readonly random: number;
  /** The downstream's TLS, where it was terminated here. */
  readonly tls: { readonly presented: boolean; readonly validated: boolean } | undefined;
  /** True if the request counts as internal (x-envoy-internal): `require_tls: EXTERNAL_ONLY` lets it pass. */
  readonly internal: boolean;
}

export interface RouteTable {
  readonly name: string;
  readonly virtualHosts: readonly CompiledVirtualHost[];
  /** The route that decides, or undefined: 404, flag NR, details `route_not_found`. */
  match(request: RouteRequest): CompiledRoute | undefined;
  /** The virtual host that serves an authority, whatever its routes. */
  virtualHost(authority: string): CompiledVirtualHost | undefined;
}

export interface CompiledVirtualHost {
  readonly name: string;
  readonly config: VirtualHost;
  readonly routes: readonly CompiledRoute[];
}

export interface CompiledRoute {
  /** `name` of the route; may be empty. */
  readonly name: string;
  readonly virtualHost: CompiledVirtualHost;
  /** Undefined for the redirect of a virtual host with `require_tls`. */
  readonly config: Route | undefined;
  readonly metadata: Metadata | undefined;
  readonly origins: readonly PlacedOrigin[];
  /** `decorator.operation`, or empty. */
  readonly decoratorOperation: string;
  readonly action: RouteAction;
  /**
   * Header changes of the route, its virtual host and the route configuration, in the order in which they apply. Those of the weighted cluster
   * that was chosen come before (`ClusterChoice`). Undefined where there are none.
   */
  readonly requestMutations: HeaderMutations | undefined;
  readonly responseMutations: HeaderMutations | undefined;
  /** `include_request_attempt_count`, `include_attempt_count_in_response` of the virtual host. */
  readonly includeRequestAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  /**
   * The `typed_per_filter_config` entry of an HTTP filter that is nearest to the route (weighted cluster, route, virtual host, configuration), decoded
   * once. `disabled` where it is a FilterConfig that says so. Throws `xds-type-mismatch` if the entry is of another type.
   */
  filterConfig<Desc extends DescMessage>(filter: string, schema: Desc, request: RouteRequest): MessageShape<Desc> | 'disabled' | undefined;
  /** Whether that entry enables a filter that stands disabled in its list; undefined where there is none. */
  enablesFilter(filter: string, request: RouteRequest): boolean | undefined;
}

export type RouteAction = ForwardAction | RedirectAction | DirectResponseAction | { readonly kind: 'non-forwarding' } | UnknownAction;

/** Of simulation alone: in place of what this product does not have. */
interface UnknownAction {
  readonly kind: 'unknown';
  readonly why: string;
}

/** How long a stream may take from its start, in ms. */
export interface StreamDuration {
  /** 0 for no limit; undefined: the connection manager's. */
  readonly maxMs: number | undefined;
  /** Greatest grpc-timeout taken from the request (0: no limit); undefined: the header is not looked at. */
  readonly grpcMaxMs: number | undefined;
  readonly grpcOffsetMs: number;
}

export interface ForwardAction {
  readonly kind: 'forward';
  /** The cluster for one request; undefined if `cluster_header` names a header that the request lacks. */
  choose(request: RouteRequest): ClusterChoice | undefined;
  /** Every cluster that may be chosen, with its weight; empty for `cluster_header`. */
  readonly clusters: readonly ClusterChoice[];
  /** The header of `cluster_header`, in lower case, or undefined. */
  readonly clusterHeader: string | undefined;
  /** The status where the cluster is not known: 503, 404 or 500; flag NC. */
  readonly clusterNotFoundStatus: number;
  /** `timeout` in ms; 0 for none. Envoy's default of 15 s is filled in. */
  readonly timeoutMs: number;
  /** `idle_timeout` in ms; 0 for none; undefined: the connection manager's stream_idle_timeout. */
  readonly idleTimeoutMs: number | undefined;
  /** `max_stream_duration`; where it is set, `timeout` and `max_grpc_timeout` count for nothing. */
  readonly streamDuration: StreamDuration | undefined;
  /** `max_grpc_timeout`: of gRPC, the greatest grpc-timeout taken from the request in ms (0: no limit); undefined: the header is not looked at. */
  readonly maxGrpcTimeoutMs: number | undefined;
  readonly grpcTimeoutOffsetMs: number;
  /** The route's policy or else the virtual host's; undefined without one. */
  readonly retry: RetryPolicy | undefined;
  readonly hashPolicies: readonly HashPolicy[];
  readonly mirrors: readonly MirrorPolicy[];
  /** The path towards the upstream; the same string if nothing is rewritten (then no x-envoy-original-path either). */
  rewritePath(path: string): string;
  readonly rewritesPath: boolean;
  readonly hostRewrite: HostRewrite | undefined;
  readonly appendXForwardedHost: boolean;
  /** Upgrade types in lower case that the route enables or disables, over the connection manager's. */
  readonly upgrades: ReadonlyMap<string, { readonly enabled: boolean; readonly terminateConnect: boolean }>;
  readonly priority: 'default' | 'high';
  readonly metadataMatch: Metadata | undefined;
}

/** One cluster that a route may send to. The same object for every request. */
export interface ClusterChoice {
  readonly cluster: string;
  /** Its share of `totalWeight`; 1 of 1 for a plain cluster. */
  readonly weight: number;
  readonly totalWeight: number;
  readonly requestMutations: HeaderMutations | undefined;
  readonly responseMutations: HeaderMutations | undefined;
  /** `host_rewrite_literal` of the weighted cluster: goes before the route's. */
  readonly hostRewriteLiteral: string | undefined;
  readonly metadataMatch: Metadata | undefined;
  /** `typed_per_filter_config` of the weighted cluster, if it has any; read it by `CompiledRoute.filterConfig`. */
  readonly filterConfigs: Readonly<Record<string, Any>> | undefined;
}

/**
 * How Host is rewritten: `auto` takes the chosen host's name (UpstreamHost.hostname). `rewrite` gives the new authority, or undefined where it stays
 * (a header that is missing). The path it sees is the one before `rewritePath`.
 */
export type HostRewrite = { readonly kind: 'auto' } | { readonly kind: 'value'; rewrite(request: RouteRequest): string | undefined };

export interface RedirectAction {
  readonly kind: 'redirect';
  /** 301, 302, 303, 307 or 308. */
  readonly status: number;
  /** The value of `location`. */
  location(request: RouteRequest): string;
}

export interface DirectResponseAction {
  readonly kind: 'direct-response';
  readonly status: number;
  readonly body: Uint8Array | undefined;
  /** The reason, where the control plane made this route because it could not honour a resource (metadata `refusal`). */
  readonly refusal: string | undefined;
}

export interface MirrorPolicy {
  readonly cluster: string;
  readonly clusterHeader: string | undefined;
  /** How many requests of all are mirrored, from 0 to 1. */
  readonly share: number;
  /** Whether a request with this random number is mirrored. */
  applies(random: number): boolean;
  /** Whether `-shadow` is appended to the host. */
  readonly appendShadowSuffix: boolean;
}

export interface RetryPolicy {
  /** The conditions of `retry_on`, e.g. `connect-failure`, `5xx`, `retriable-status-codes`. */
  readonly on: ReadonlySet<string>;
  /** Most retries after the first attempt; Envoy's default of 1 filled in. */
  readonly retries: number;
  /** ms; 0 for none. */
  readonly perTryTimeoutMs: number;
  readonly statusCodes: ReadonlySet<number>;
  /** True if the response's headers ask for a retry (`retriable-headers`). */
  matchesResponse(headers: HeaderMap): boolean;
  /** False if `retriable_request_headers` are given and none of them matches the request. */
  matchesRequest(request: RouteRequest): boolean;
  /** ms; 25 and 10 times the base where not given. */
  readonly baseIntervalMs: number;
  readonly maxIntervalMs: number;
  /** True with the predicate `envoy.retry_host_predicates.previous_hosts`. */
  readonly avoidPreviousHosts: boolean;
  /** True with the retry priority `envoy.retry_priorities.previous_priorities`. */
  readonly avoidPreviousPriorities: boolean;
  readonly hostSelectionAttempts: number;
}

export type HashPolicy = { readonly terminal: boolean } & (
  | { readonly kind: 'header'; readonly name: string; rewrite: ((value: string) => string) | undefined }
  | {
      readonly kind: 'cookie';
      readonly name: string;
      readonly path: string;
      readonly ttlSeconds: number | undefined;
      readonly attributes: string;
    }
  | { readonly kind: 'source-ip' }
  | { readonly kind: 'query-parameter'; readonly name: string }
);

/** Header changes, compiled; variables such as `%DOWNSTREAM_REMOTE_ADDRESS%` take their values from the record of the request. */
export interface HeaderMutations {
  /** Changes `headers`; `host` and pseudo-headers go to `target` where given, else they are left alone. */
  apply(headers: HeaderMap, record: FormatRecord, target?: PseudoHeaderTarget): void;
}

/** Takes what header changes do to `:authority` (or `host`), `:path` and `:method`. */
export interface PseudoHeaderTarget {
  authority: string;
  path: string;
  method: string;
}
