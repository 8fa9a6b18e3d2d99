import {
  boolean,
  duration,
  enumeration,
  type Infer,
  implied,
  integer,
  list,
  object,
  port,
  required,
  string,
  withDefault,
} from '../schema.ts';
import {
  backendRefFields,
  headerModifier,
  headerName,
  hostnames,
  localObjectReference,
  parentRefs,
  preciseHostname,
  requestMirror,
  sectionName,
} from './common.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const;

const valueMatch = <N extends ReturnType<typeof headerName>>(name: N, maxLength: number) =>
  object({
    type: withDefault(enumeration('Exact', 'RegularExpression'), 'Exact'),
    name: required(name),
    value: required(string({ minLength: 1, maxLength })),
  });

export const headerMatch = valueMatch(headerName(), 4096);

const httpRouteMatch = object({
  path: implied(
    object({
      type: withDefault(enumeration('Exact', 'PathPrefix', 'RegularExpression'), 'PathPrefix'),
      value: withDefault(string({ maxLength: 1024 }), '/'),
    }),
  ),
  headers: list(headerMatch, { maxItems: 16 }),
  queryParams: list(valueMatch(headerName(), 1024), { maxItems: 16 }),
  method: enumeration(...METHODS),
});
export type HTTPRouteMatch = Infer<typeof httpRouteMatch>;

const pathModifier = object({
  type: required(enumeration('ReplaceFullPath', 'ReplacePrefixMatch')),
  replaceFullPath: string({ maxLength: 1024 }),
  replacePrefixMatch: string({ maxLength: 1024 }),
});
export type PathModifier = Infer<typeof pathModifier>;

const httpRouteFilter = object({
  type: required(
    enumeration(
      'RequestHeaderModifier',
      'ResponseHeaderModifier',
      'RequestMirror',
      'RequestRedirect',
      'URLRewrite',
      'ExtensionRef',
      'CORS',
    ),
  ),
  requestHeaderModifier: headerModifier,
  responseHeaderModifier: headerModifier,
  requestMirror,
  requestRedirect: object({
    scheme: enumeration('http', 'https'),
    hostname: preciseHostname(),
    path: pathModifier,
    port: port(),
    statusCode: withDefault(integer(301, 308), 302),
  }),
  urlRewrite: object({ hostname: preciseHostname(), path: pathModifier }),
  cors: object({
    allowOrigins: list(string({ minLength: 1, maxLength: 253 }), { maxItems: 64 }),
    allowCredentials: boolean(),
    allowMethods: list(enumeration(...METHODS, '*'), { maxItems: 9 }),
    allowHeaders: list(headerName(), { maxItems: 64 }),
    exposeHeaders: list(headerName(), { maxItems: 64 }),
    /** Seconds. */
    maxAge: withDefault(integer(1, 0x7fff_ffff), 5),
  }),
  extensionRef: localObjectReference,
});
export type HTTPRouteFilter = Infer<typeof httpRouteFilter>;

const filters = list(httpRouteFilter, { maxItems: 16 });

const httpRouteRule = object({
  name: sectionName(),
  /** Any of them; none matches every request. */
  matches: list(httpRouteMatch, { maxItems: 64 }),
  filters,
  backendRefs: list(object({ ...backendRefFields, filters }), { maxItems: 16 }),
  /** 0: none. */
  timeouts: object({ request: duration(0), backendRequest: duration(0) }),
  /** Of the experimental channel. */
  retry: object({ attempts: integer(0), codes: list(integer(400, 599), { maxItems: 100 }), backoff: duration(0) }),
});
export type HTTPRouteRule = Infer<typeof httpRouteRule>;

const EVERYTHING: readonly HTTPRouteRule[] = Object.freeze([{ matches: [], filters: [], backendRefs: [] }]);

export const kubernetesHttpRoute = object({
  parentRefs,
  hostnames,
  rules: withDefault(list(httpRouteRule, { minItems: 1, maxItems: 16 }), EVERYTHING),
});
export type HTTPRoute = Infer<typeof kubernetesHttpRoute>;
