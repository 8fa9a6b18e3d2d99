/**
 * Compiles a route configuration into the table that every request is looked up in: by the data plane and by simulation alike. Pure: what is random comes
 * with the request.
 */
import { create } from '@bufbuild/protobuf';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { once } from '../../lib/once.ts';
import {
  type Route,
  type RouteMatch,
  RouteMatch_ConnectMatcherSchema,
  RouteSchema,
  type VirtualHost,
  VirtualHost_TlsRequirementType,
  VirtualHostSchema,
} from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { originsOf, refusalOf } from '../../xds/match/metadata.ts';
import type { FormatContext } from '../format/operator.ts';
import { enablesFilter, filterConfig } from './filter-config.ts';
import { compileForward } from './forward.ts';
import { compileRuntimeFraction } from './fraction.ts';
import { compileHeaderMatchers } from './header.ts';
import { compileHosts, type HostTable } from './hosts.ts';
import type { CompiledRoute, CompiledVirtualHost, HeaderMutations, RouteAction, RouteRequest, RouteTable } from './model.ts';
import { chainMutations, compileMutations } from './mutation.ts';
import { compilePath, type PathMatcher, withoutQuery } from './path.ts';
import { compileQueryMatchers } from './query.ts';
import { compileRedirect, TLS_REDIRECT } from './redirect.ts';

export type * from './model.ts';

/** Envoy's bound on a direct response's body without max_direct_response_body_size_bytes. */
const DEFAULT_BODY_LIMIT = 4096;

const PURE_CONTEXT: FormatContext = { hostname: '', environment: {} };

type Predicate = (request: RouteRequest) => boolean;

interface Entry {
  readonly path: PathMatcher;
  /** Everything but the path; undefined if the path is all. */
  readonly rest: Predicate | undefined;
  readonly route: CompiledRoute;
}

/** A virtual host with its routes in the form that requests are matched against. */
export interface VirtualHostRoutes extends CompiledVirtualHost {
  readonly entries: readonly Entry[];
  readonly tlsRedirect: { readonly route: CompiledRoute; readonly externalOnly: boolean } | undefined;
}

/**
 * Throws `xds-invalid` for what Envoy refuses and `xds-unsupported` for what this product does not do; the message names virtual host and route.
 * `context` gives `%HOSTNAME%` and `%ENVIRONMENT(…)%` in header values.
 */
export function compileRouteConfiguration(config: RouteConfiguration, context: FormatContext = PURE_CONTEXT): RouteTable {
  checkRouteConfiguration(config);
  const hosts = config.virtualHosts.map((host) => {
    const compiled = compileVirtualHost(host, config, context);
    return () => compiled;
  });
  return tableOf(config, hosts, indexDomains(config.virtualHosts, config));
}

/** The same table, but a virtual host is compiled when a request comes to it, and where this product does not have what it asks for has routes that nothing is known of. */
export function compileRoutesOnDemand(config: RouteConfiguration): RouteTable {
  checkRouteConfiguration(config);
  const hosts = config.virtualHosts.map((host) => once(() => compiledOrUnknown(host, config)));
  return tableOf(config, hosts, indexDomains(config.virtualHosts, config));
}

function compiledOrUnknown(config: VirtualHost, parent: RouteConfiguration): VirtualHostRoutes {
  try {
    return compileVirtualHost(config, parent, PURE_CONTEXT);
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    return unknownHost(config, parent, error.message);
  }
}

/** Takes every request, and nobody knows where to. */
function unknownHost(config: VirtualHost, parent: RouteConfiguration, why: string): VirtualHostRoutes {
  const matches: readonly RouteMatch['pathSpecifier'][] = [
    { case: 'prefix', value: '/' },
    { case: 'connectMatcher', value: create(RouteMatch_ConnectMatcherSchema) },
  ];
  const routes = matches.map((pathSpecifier) =>
    create(RouteSchema, { match: { pathSpecifier }, action: { case: 'nonForwardingAction', value: {} } }),
  );
  const host = compileVirtualHost(
    create(VirtualHostSchema, {
      name: config.name,
      domains: config.domains,
      routes,
      ...(config.metadata && { metadata: config.metadata }),
    }),
    parent,
    PURE_CONTEXT,
  );
  const entries = host.entries.map((entry) => ({ ...entry, route: { ...entry.route, action: { kind: 'unknown', why } as const } }));
  return { ...host, routes: entries.map(({ route }) => route), entries };
}

/** Throws `xds-unsupported` for what concerns the whole configuration. */
export function checkRouteConfiguration(config: RouteConfiguration): void {
  if (config.vhds) throw new SallyportError('xds-unsupported', `route configuration "${config.name}": vhds is not supported`);
}

/** Finds the place of the virtual host that serves an authority. Throws what `compileHosts` throws. */
export function indexDomains(
  hosts: readonly { readonly name: string; readonly domains: readonly string[] }[],
  config: RouteConfiguration,
): HostTable<number> {
  return compileHosts(
    hosts.map(({ name, domains }, place) => ({ name, domains, value: place })),
    config.ignorePortInHostMatching,
  );
}

/** The table over virtual hosts that give their routes when they are asked; `config.virtualHosts` is not looked at. */
export function tableOf(config: RouteConfiguration, hosts: readonly (() => VirtualHostRoutes)[], index: HostTable<number>): RouteTable {
  const all = once(() => hosts.map((host) => host()));
  const ignoreParameters = config.ignorePathParametersInPathMatching;
  const hostOf = (authority: string): VirtualHostRoutes | undefined => {
    const place = index.match(authority);
    return place === undefined ? undefined : hosts[place]!();
  };
  return {
    name: config.name,
    get virtualHosts() {
      return all();
    },
    virtualHost: hostOf,
    match(request) {
      const host = hostOf(request.authority);
      return host && matchHost(host, request, ignoreParameters);
    },
  };
}

function matchHost(host: VirtualHostRoutes, request: RouteRequest, ignoreParameters: boolean): CompiledRoute | undefined {
  const { tlsRedirect, entries } = host;
  // What the client was told to have used, not the scheme that HTTP/2 names.
  if (tlsRedirect && request.headers.get('x-forwarded-proto') !== 'https' && !(tlsRedirect.externalOnly && request.internal))
    return tlsRedirect.route;
  let path = withoutQuery(request.path);
  if (ignoreParameters) path = path.split(';', 1)[0]!;
  const pathless = request.path === '';
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (entry.path.kind === 'connect' ? request.method !== 'CONNECT' : pathless || !entry.path.test(path)) continue;
    if (entry.rest === undefined || entry.rest(request)) return entry.route;
  }
  return undefined;
}

export function compileVirtualHost(config: VirtualHost, parent: RouteConfiguration, context: FormatContext): VirtualHostRoutes {
  const where = `virtual host "${config.name}"`;
  if (config.matcher) throw new SallyportError('xds-unsupported', `${where}: matcher is not supported; use routes`);
  const unsupported = [
    config.retryPolicyTypedConfig && 'retry_policy_typed_config',
    config.hedgePolicy?.hedgeOnPerTryTimeout && 'hedge_policy',
    config.cors && 'cors (use typed_per_filter_config)',
  ].find((field) => field);
  if (unsupported) throw new SallyportError('xds-unsupported', `${where}: ${unsupported} is not supported`);
  const levels = { parent, host: config, context, mutations: compileLevels(config, parent, context) };
  const routes: CompiledRoute[] = [];
  const host = { name: config.name, config, routes };
  const entries = config.routes.map((route, index): Entry => {
    try {
      const entry = compileEntry(route, host, levels);
      routes.push(entry.route);
      return entry;
    } catch (error) {
      const code = error instanceof SallyportError ? error.code : 'xds-invalid';
      const label = route.name ? `route "${route.name}"` : `route ${index}`;
      throw new SallyportError(code, `route configuration "${parent.name}", ${where}, ${label}: ${messageOf(error)}`, { cause: error });
    }
  });
  const { requireTls } = config;
  const tlsRedirect =
    requireTls === VirtualHost_TlsRequirementType.NONE
      ? undefined
      : { route: tlsRedirectRoute(host), externalOnly: requireTls === VirtualHost_TlsRequirementType.EXTERNAL_ONLY };
  return Object.assign(host, { entries, tlsRedirect });
}

interface Levels {
  readonly parent: RouteConfiguration;
  readonly host: VirtualHost;
  readonly context: FormatContext;
  readonly mutations: { readonly request: LevelMutations; readonly response: LevelMutations };
}

interface LevelMutations {
  readonly host: HeaderMutations | undefined;
  readonly global: HeaderMutations | undefined;
}

function compileLevels(host: VirtualHost, parent: RouteConfiguration, context: FormatContext): Levels['mutations'] {
  return {
    request: {
      host: compileMutations(host.requestHeadersToAdd, host.requestHeadersToRemove, context),
      global: compileMutations(parent.requestHeadersToAdd, parent.requestHeadersToRemove, context),
    },
    response: {
      host: compileMutations(host.responseHeadersToAdd, host.responseHeadersToRemove, context),
      global: compileMutations(parent.responseHeadersToAdd, parent.responseHeadersToRemove, context),
    },
  };
}

function compileEntry(route: Route, host: CompiledVirtualHost, levels: Levels): Entry {
  const { match } = route;
  if (!match) throw new SallyportError('xds-invalid', 'no match');
  const path = compilePath(match);
  return { path, rest: compileRest(match), route: compileRoute(route, path, host, levels) };
}

function compileRoute(
  route: Route,
  path: PathMatcher,
  virtualHost: CompiledVirtualHost,
  { parent, host, context, mutations }: Levels,
): CompiledRoute {
  const order = (own: HeaderMutations | undefined, level: LevelMutations) =>
    chainMutations(parent.mostSpecificHeaderMutationsWins ? [level.global, level.host, own] : [own, level.host, level.global]);
  const own = {
    request: compileMutations(route.requestHeadersToAdd, route.requestHeadersToRemove, context),
    response: compileMutations(route.responseHeadersToAdd, route.responseHeadersToRemove, context),
  };
  const action = compileAction(route, path, parent, host, context);
  const configs = [route.typedPerFilterConfig, host.typedPerFilterConfig, parent.typedPerFilterConfig];
  const differs = action.kind === 'forward' && action.clusters.some(({ filterConfigs }) => filterConfigs);
  const configsFor = (request: RouteRequest) => (differs ? [action.choose(request)?.filterConfigs, ...configs] : configs);
  return {
    name: route.name,
    virtualHost,
    config: route,
    metadata: route.metadata,
    origins: originsOf(route.metadata),
    decoratorOperation: route.decorator?.operation ?? '',
    action,
    requestMutations: order(own.request, mutations.request),
    responseMutations: order(own.response, mutations.response),
    includeRequestAttemptCount: host.includeRequestAttemptCount,
    includeAttemptCountInResponse: host.includeAttemptCountInResponse,
    filterConfig: (filter, schema, request) => filterConfig(configsFor(request), filter, schema),
    enablesFilter: (filter, request) => enablesFilter(configsFor(request), filter),
  };
}

function compileAction(
  route: Route,
  path: PathMatcher,
  parent: RouteConfiguration,
  host: VirtualHost,
  context: FormatContext,
): RouteAction {
  const { action } = route;
  switch (action.case) {
    case 'route': {
      const mirrors = host.requestMirrorPolicies.length > 0 ? host.requestMirrorPolicies : parent.requestMirrorPolicies;
      return compileForward(action.value, path, { retryPolicy: host.retryPolicy, mirrors, context });
    }
    case 'redirect':
      return compileRedirect(action.value, path);
    case 'directResponse': {
      const { status } = action.value;
      if (status < 200 || status > 599)
        throw new SallyportError('xds-invalid', `direct_response: the status ${status} is not between 200 and 599`);
      return {
        kind: 'direct-response',
        status,
        body: directBody(route, parent.maxDirectResponseBodySizeBytes ?? DEFAULT_BODY_LIMIT),
        refusal: refusalOf(route.metadata),
      };
    }
    case 'nonForwardingAction':
      return { kind: 'non-forwarding' };
    default:
      throw new SallyportError(
        action.case ? 'xds-unsupported' : 'xds-invalid',
        action.case ? `the action ${action.case} is not supported` : 'no action',
      );
  }
}

function directBody(route: Route, limit: number): Uint8Array | undefined {
  const source = route.action.case === 'directResponse' ? route.action.value.body?.specifier : undefined;
  if (!source?.case) return undefined;
  if (source.case === 'filename' || source.case === 'environmentVariable') {
    throw new SallyportError(
      'xds-unsupported',
      `direct_response: a body from ${source.case === 'filename' ? 'a file' : 'the environment'} is not supported; give it inline`,
    );
  }
  // A copy of its own, as the value is a view into the whole configuration.
  const body = typeof source.value === 'string' ? new TextEncoder().encode(source.value) : Uint8Array.from(source.value);
  if (body.length > limit)
    throw new SallyportError('xds-invalid', `direct_response: the body has ${body.length} bytes, the limit is ${limit}`);
  return body.length > 0 ? body : undefined;
}

function compileRest(match: RouteMatch): Predicate | undefined {
  if (match.dynamicMetadata.length > 0) throw new SallyportError('xds-unsupported', 'match.dynamic_metadata is not supported');
  const fraction = match.runtimeFraction && compileRuntimeFraction(match.runtimeFraction);
  const headers = compileHeaderMatchers(match.headers);
  const query = compileQueryMatchers(match.queryParameters);
  const predicates: Predicate[] = [];
  if (fraction) predicates.push(({ random }) => fraction(random));
  if (match.grpc) predicates.push(isGrpc);
  if (headers) predicates.push(headers);
  if (query) predicates.push(({ path }) => query(path));
  const { tlsContext } = match;
  if (tlsContext) {
    const { presented, validated } = tlsContext;
    predicates.push(
      ({ tls }) =>
        (presented === undefined || presented === (tls?.presented ?? false)) &&
        (validated === undefined || validated === (tls?.validated ?? false)),
    );
  }
  if (predicates.length < 2) return predicates[0];
  return (request) => predicates.every((predicate) => predicate(request));
}

/** content-type application/grpc, alone or with a suffix after `+`. */
const isGrpc: Predicate = ({ headers }) => /^application\/grpc(?:\+|$)/.test(headers.get('content-type') ?? '');

function tlsRedirectRoute(virtualHost: CompiledVirtualHost): CompiledRoute {
  return {
    name: '',
    virtualHost,
    config: undefined,
    metadata: virtualHost.config.metadata,
    origins: originsOf(virtualHost.config.metadata),
    decoratorOperation: '',
    action: TLS_REDIRECT,
    requestMutations: undefined,
    responseMutations: undefined,
    includeRequestAttemptCount: false,
    includeAttemptCountInResponse: false,
    filterConfig: () => undefined,
    enablesFilter: () => undefined,
  };
}
