/** The `http` rules of a VirtualService as Envoy's routes, in order. */

import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { originOfRule } from '../../api/derived-rule.ts';
import type { HttpMatchRequest, HttpRoute, ResourceOf } from '../../api/index.ts';
import { isOfGatewayApi } from '../../api/resource.ts';
import {
  type Route,
  RouteAction_ClusterNotFoundResponseCode,
  RouteSchema,
} from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { CorsPolicySchema } from '../../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { HTTPFaultSchema } from '../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { CORS_FILTER, FAULT_FILTER } from '../filters.ts';
import { directResponseAction, forwardAction, redirectAction } from './actions.ts';
import type { RouteContext } from './context.ts';
import { corsPolicy } from './cors.ts';
import { dynamicDestinations, onDeclaredPorts } from './declared-ports.ts';
import { httpFault } from './fault.ts';
import { headerChanges } from './headers.ts';
import { isCatchAll, routeMatch } from './match.ts';
import { originMetadata } from './origin.ts';

/**
 * One route for each match request that concerns this proxy, port and gateway. Rules behind one that takes everything are left out: they can't
 * be reached. Empty if no rule concerns the port (see `hasRoutes`).
 */
export function virtualServiceRoutes(context: RouteContext, virtualService: ResourceOf<'VirtualService'>): Route[] {
  const routes: Route[] = [];
  for (const rule of virtualService.spec.http) {
    if (rule.match.length === 0) {
      routes.push(ruleRoute(context, virtualService, rule, undefined));
      return routes;
    }
    for (const match of rule.match) {
      if (!concerns(context, match)) continue;
      const route = ruleRoute(context, virtualService, rule, match);
      routes.push(route);
      if (isCatchAll(route)) return routes;
    }
  }
  return routes;
}

/** Whether there is a route for this proxy, port and gateway. */
export function hasRoutes(context: Pick<RouteContext, 'port' | 'gateway' | 'foreign'>, { spec }: ResourceOf<'VirtualService'>): boolean {
  return spec.http.some(({ match }) => match.length === 0 || match.some((each) => concerns(context, each)));
}

/** Conditions on who asks and where hold or don't for the whole proxy. `gateways` beside them switches the source conditions off, as in Istio. */
function concerns({ foreign, port, gateway }: Pick<RouteContext, 'port' | 'gateway' | 'foreign'>, match: HttpMatchRequest): boolean {
  if (match.port && match.port !== port) return false;
  if (match.gateways.length > 0) return match.gateways.includes(gateway);
  return !foreign.has(match);
}

function ruleRoute(
  context: RouteContext,
  virtualService: ResourceOf<'VirtualService'>,
  rule: HttpRoute,
  match: HttpMatchRequest | undefined,
): Route {
  const { authority, ...changes } = headerChanges(rule.headers);
  // Rules of the Kubernetes Gateway API differ in what a prefix is, and in the answer of a backend that is missing.
  const gatewayApi = isOfGatewayApi(virtualService);
  const route = create(RouteSchema, {
    name: match?.name ? `${rule.name ?? ''}.${match.name}` : (rule.name ?? ''),
    match: routeMatch(match, gatewayApi),
    metadata: originMetadata(virtualService, originOfRule(rule, virtualService)),
    statPrefix: match?.statPrefix ?? '',
    ...changes,
  });
  if (rule.redirect) route.action = redirectAction(rule.redirect, context.port, context.tls);
  else if (rule.directResponse) route.action = directResponseAction(rule.directResponse);
  else {
    const { action, destinationChanges } = forwardAction(context, rule, authority);
    if (gatewayApi) action.clusterNotFoundResponseCode = RouteAction_ClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR;
    route.action = { case: 'route', value: action };
    if (destinationChanges) {
      route.requestHeadersToAdd.push(...destinationChanges.requestHeadersToAdd);
      route.requestHeadersToRemove.push(...destinationChanges.requestHeadersToRemove);
      route.responseHeadersToAdd.push(...destinationChanges.responseHeadersToAdd);
      route.responseHeadersToRemove.push(...destinationChanges.responseHeadersToRemove);
    }
  }
  route.decorator = create(RouteSchema, {
    decorator: { operation: operationOf(route, virtualService.metadata.name, context.port) },
  }).decorator;
  const fault = httpFault(rule.fault);
  if (fault) route.typedPerFilterConfig[FAULT_FILTER] = anyPack(HTTPFaultSchema, fault);
  if (rule.corsPolicy) route.typedPerFilterConfig[CORS_FILTER] = anyPack(CorsPolicySchema, corsPolicy(rule.corsPolicy));
  return onDeclaredPorts(route, dynamicDestinations(rule, context.destinations));
}

/** What traces call the route, and `x-envoy-decorator-operation` tells the upstream: destination and path, else the VirtualService's name. */
function operationOf(route: Route, virtualServiceName: string, port: number): string {
  const path = pathOf(route);
  if (route.action.case === 'route' && route.action.value.clusterSpecifier.case === 'cluster') {
    const [, clusterPort, , host] = route.action.value.clusterSpecifier.value.split('|');
    return `${host}:${clusterPort}${path}`;
  }
  return `${virtualServiceName}:${port}${path}`;
}

function pathOf(route: Route): string {
  const path = route.match?.pathSpecifier;
  switch (path?.case) {
    case 'prefix':
      return `${path.value}*`;
    case 'path':
      return path.value;
    case 'safeRegex':
      return path.value.regex;
    default:
      return '/*';
  }
}
