/** Filters of HTTPRoutes and GRPCRoutes as the fields of a VirtualService's rule. */
import type { HeaderModifier } from '../api/gateway-api/common.ts';
import type { HTTPRouteFilter, PathModifier } from '../api/gateway-api/http-route.ts';
import type { PathStep, Resource } from '../api/resource.ts';
import { destinationOf } from './backends.ts';
import type { Context } from './model.ts';

/** Of either kind of route: what one lacks it does not decode. */
export type RouteFilter = Partial<HTTPRouteFilter> & Pick<HTTPRouteFilter, 'type'>;

/** As documents write them. */
interface FilterFields {
  headers?: { request?: object; response?: object };
  mirrors?: object[];
  redirect?: object;
  rewrite?: object;
  corsPolicy?: object;
}

/**
 * Undefined, with a finding, where a filter can't be honoured: the rule then answers 500, as the API demands.
 * @param prefix the path prefix that the rule's match names, which a ReplacePrefixMatch replaces
 */
export function filterFields(
  context: Context,
  route: Resource,
  filters: readonly RouteFilter[],
  path: readonly PathStep[],
  prefix: string,
): FilterFields | undefined {
  const fields: FilterFields = {};
  let refused = false;
  filters.forEach((filter, index) => {
    switch (filter.type) {
      case 'RequestHeaderModifier':
        fields.headers = { ...fields.headers, request: headerOperations(filter.requestHeaderModifier!) };
        break;
      case 'ResponseHeaderModifier':
        fields.headers = { ...fields.headers, response: headerOperations(filter.responseHeaderModifier!) };
        break;
      case 'RequestMirror':
        fields.mirrors = [...(fields.mirrors ?? []), mirrorOf(context, route, filter.requestMirror!, [...path, index, 'requestMirror'])];
        break;
      case 'RequestRedirect':
        fields.redirect = redirectOf(filter.requestRedirect!);
        break;
      case 'URLRewrite':
        fields.rewrite = rewriteOf(filter.urlRewrite!, prefix);
        break;
      case 'CORS':
        fields.corsPolicy = corsOf(filter.cors!);
        break;
      case 'ExtensionRef': {
        refused = true;
        const { kind, name } = filter.extensionRef!;
        const message = `the filter ${kind} ${name} is not known here, so requests of this rule are answered 500: remove it.`;
        context.report('SP0014', route, [...path, index], message);
      }
    }
  });
  return refused ? undefined : fields;
}

export function headerOperations({ set, add, remove }: HeaderModifier): object {
  const named = (list: HeaderModifier['set']) => Object.fromEntries(list.map(({ name, value }) => [name, value]));
  return { set: named(set), add: named(add), remove: [...remove] };
}

function mirrorOf(
  context: Context,
  route: Resource,
  { backendRef, percent, fraction }: NonNullable<RouteFilter['requestMirror']>,
  path: readonly PathStep[],
): object {
  const value = fraction ? (100 * fraction.numerator) / fraction.denominator : percent;
  return {
    destination: destinationOf(context, route, backendRef, [...path, 'backendRef']),
    ...(value !== undefined && { percentage: { value } }),
  };
}

function redirectOf({ scheme, hostname, path, port, statusCode }: NonNullable<RouteFilter['requestRedirect']>): object {
  return {
    redirectCode: statusCode,
    ...(scheme && { scheme }),
    ...(hostname && { authority: hostname }),
    // Without a port of its own a redirect keeps the request's, unless the scheme changes.
    ...(port ? { port } : { derivePort: scheme ? 'FROM_PROTOCOL_DEFAULT' : 'FROM_REQUEST_PORT' }),
    ...(path && modified(path, 'uri', 'prefixRewrite')),
  };
}

function modified({ type, replaceFullPath = '', replacePrefixMatch = '' }: PathModifier, full: string, prefix: string): object {
  return type === 'ReplaceFullPath' ? { [full]: replaceFullPath } : { [prefix]: replacePrefixMatch };
}

function rewriteOf({ hostname, path }: NonNullable<RouteFilter['urlRewrite']>, prefix: string): object {
  return { ...(hostname && { authority: hostname }), ...(path && pathRewrite(path, prefix)) };
}

function pathRewrite({ type, replaceFullPath = '', replacePrefixMatch = '' }: PathModifier, prefix: string): object {
  if (type === 'ReplaceFullPath') return { uriRegexRewrite: { match: '/.*', rewrite: replaceFullPath.replaceAll('\\', '\\\\') } };
  const replacement = replacePrefixMatch.replace(/\/$/, '');
  if (replacement !== '') return { uri: replacement };
  // Removing a prefix must leave a path that begins with a single slash.
  const quoted = prefix.replace(/\/$/, '').replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return { uriRegexRewrite: { match: `^${quoted}(/?)(.*)`, rewrite: '/\\2' } };
}

function corsOf({
  allowOrigins,
  allowCredentials,
  allowMethods,
  allowHeaders,
  exposeHeaders,
  maxAge,
}: NonNullable<RouteFilter['cors']>): object {
  return {
    allowOrigins: allowOrigins.map(originMatch),
    allowMethods: [...allowMethods],
    allowHeaders: [...allowHeaders],
    exposeHeaders: [...exposeHeaders],
    maxAge: `${maxAge}s`,
    ...(allowCredentials && { allowCredentials }),
  };
}

/** `*`, or a star in place of the first labels of the host. */
function originMatch(origin: string): object {
  if (!origin.includes('*')) return { exact: origin };
  const quoted = origin.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  return { regex: quoted.replaceAll('*', '.*') };
}
