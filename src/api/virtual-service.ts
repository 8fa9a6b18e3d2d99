import { destination, positiveDuration } from './common.ts';
import {
  boolean,
  booleanValue,
  enumeration,
  type Infer,
  int32,
  integer,
  list,
  map,
  number,
  object,
  required,
  string,
  withDefault,
} from './schema.ts';

/** At most one field is set. Without any, a header or query parameter need only be present. */
export const stringMatch = object({ exact: string(), prefix: string(), regex: string() }, { atMostOne: [['exact', 'prefix', 'regex']] });
export type StringMatch = Infer<typeof stringMatch>;

const percentage = object({ value: withDefault(number(), 0) });

/** All set conditions must hold. */
export const httpMatchRequest = object({
  name: string(),
  uri: stringMatch,
  scheme: stringMatch,
  method: stringMatch,
  authority: stringMatch,
  /** Names in lower case, joined by dashes. */
  headers: map(stringMatch),
  port: integer(),
  sourceLabels: map(string()),
  /** Names of Gateways, or `mesh`; replaces the VirtualService's list. */
  gateways: list(string()),
  queryParams: map(stringMatch),
  ignoreUriCase: boolean(),
  withoutHeaders: map(stringMatch),
  sourceNamespace: string(),
  statPrefix: string(),
});
export type HttpMatchRequest = Infer<typeof httpMatchRequest>;

const headerOperations = object({ set: map(string()), add: map(string()), remove: list(string()) });
export type HeaderOperations = Infer<typeof headerOperations>;

const headers = object({ request: headerOperations, response: headerOperations });
export type Headers = Infer<typeof headers>;

const httpRouteDestination = object({ destination: required(destination), weight: withDefault(int32(), 0), headers });
/** Several destinations share the requests by weight; a single one gets all of them, even with weight 0. */
export type HttpRouteDestination = Infer<typeof httpRouteDestination>;

const httpRedirect = object(
  {
    uri: string(),
    authority: string(),
    port: integer(),
    derivePort: enumeration('FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'),
    scheme: string(),
    redirectCode: withDefault(integer(), 301),
    prefixRewrite: string(),
  },
  { atMostOne: [['port', 'derivePort']] },
);
export type HttpRedirect = Infer<typeof httpRedirect>;

const httpDirectResponse = object({
  status: required(integer()),
  /** `bytes` is base64. */
  body: object({ string: string(), bytes: string() }, { atMostOne: [['string', 'bytes']] }),
});
export type HttpDirectResponse = Infer<typeof httpDirectResponse>;

const httpRewrite = object({
  uri: string(),
  authority: string(),
  uriRegexRewrite: object({ match: withDefault(string(), ''), rewrite: withDefault(string(), '') }),
});
export type HttpRewrite = Infer<typeof httpRewrite>;

export const httpRetry = object({
  attempts: withDefault(int32(), 0),
  perTryTimeout: positiveDuration(),
  retryOn: string(),
  retryRemoteLocalities: booleanValue(),
  retryIgnorePreviousHosts: booleanValue(),
  backoff: positiveDuration(),
});
export type HttpRetry = Infer<typeof httpRetry>;

const faultInjection = object({
  delay: object(
    { fixedDelay: positiveDuration(), exponentialDelay: positiveDuration(), percentage },
    {
      atMostOne: [['fixedDelay', 'exponentialDelay']],
      old: { percent: int32() },
      normalise: (value, old) => {
        if (old.percent !== undefined && !value.percentage) value.percentage = { value: old.percent };
      },
    },
  ),
  abort: object(
    { httpStatus: int32(), grpcStatus: string(), http2Error: string(), percentage },
    { atMostOne: [['httpStatus', 'grpcStatus', 'http2Error']] },
  ),
});
/** A fault without `percentage` never fires. */
export type HttpFaultInjection = Infer<typeof faultInjection>;

const corsPolicy = object(
  {
    allowOrigins: list(stringMatch),
    allowMethods: list(string()),
    allowHeaders: list(string()),
    exposeHeaders: list(string()),
    maxAge: positiveDuration(),
    allowCredentials: booleanValue(),
    unmatchedPreflights: withDefault(enumeration('UNSPECIFIED', 'FORWARD', 'IGNORE'), 'UNSPECIFIED'),
  },
  {
    old: { allowOrigin: list(string()) },
    normalise: (value, old) => {
      if (old.allowOrigin?.length) value.allowOrigins = [...old.allowOrigin.map((exact) => ({ exact })), ...value.allowOrigins];
    },
  },
);
export type CorsPolicy = Infer<typeof corsPolicy>;

/** One entry of `http`: the first whose `match` holds (any of its requests; an empty list always holds) is used. */
export const httpRoute = object(
  {
    name: string(),
    match: list(httpMatchRequest),
    route: list(httpRouteDestination),
    redirect: httpRedirect,
    directResponse: httpDirectResponse,
    delegate: object({ name: withDefault(string(), ''), namespace: string() }),
    rewrite: httpRewrite,
    /** Absent: none. */
    timeout: positiveDuration(),
    retries: httpRetry,
    fault: faultInjection,
    mirror: destination,
    mirrors: list(object({ destination: required(destination), percentage })),
    mirrorPercentage: percentage,
    corsPolicy,
    headers,
  },
  {
    old: { mirrorPercent: integer(), mirror_percent: integer() },
    normalise: (value, old) => {
      const percent = old.mirrorPercent ?? old.mirror_percent;
      if (percent !== undefined && !value.mirrorPercentage) value.mirrorPercentage = { value: percent };
    },
  },
);
export type HttpRoute = Infer<typeof httpRoute>;

const routeDestination = object({ destination: required(destination), weight: withDefault(int32(), 0) });
export type RouteDestination = Infer<typeof routeDestination>;

const tlsMatchAttributes = object({
  sniHosts: required(list(string())),
  destinationSubnets: list(string()),
  port: integer(),
  sourceLabels: map(string()),
  gateways: list(string()),
  sourceNamespace: string(),
});
export type TlsMatchAttributes = Infer<typeof tlsMatchAttributes>;

const tlsRoute = object({ match: required(list(tlsMatchAttributes)), route: list(routeDestination) });
export type TlsRoute = Infer<typeof tlsRoute>;

const l4MatchAttributes = object({
  destinationSubnets: list(string()),
  port: integer(),
  sourceSubnet: string(),
  sourceLabels: map(string()),
  gateways: list(string()),
  sourceNamespace: string(),
});
export type L4MatchAttributes = Infer<typeof l4MatchAttributes>;

const tcpRoute = object({ match: list(l4MatchAttributes), route: list(routeDestination) });
export type TcpRoute = Infer<typeof tcpRoute>;

/** How traffic to a set of hosts is routed, inside the mesh (gateway `mesh`) or at Gateways. */
export const virtualService = object(
  {
    hosts: list(string()),
    /** `namespace/name` or `name` of Gateways, or `mesh`, which is also the default. */
    gateways: list(string()),
    http: list(httpRoute),
    tls: list(tlsRoute),
    tcp: list(tcpRoute),
    exportTo: list(string()),
  },
  {
    normalise: (value) => {
      // Without hosts it is a delegate, which is bound to what its root is bound to.
      if (value.gateways.length === 0 && value.hosts.length > 0) value.gateways = MESH_ONLY;
    },
  },
);
export type VirtualService = Infer<typeof virtualService>;

const MESH_ONLY: readonly string[] = Object.freeze(['mesh']);
