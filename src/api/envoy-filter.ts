import { targetReference, workloadSelector } from './common.ts';
import { any, enumeration, type Infer, int32, integer, list, map, object, port, string, withDefault } from './schema.ts';

const subFilter = object({ name: string() });
const filter = object({ name: string(), subFilter });

const match = object(
  {
    context: withDefault(enumeration('ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT'), 'ANY'),
    proxy: object({ proxyVersion: string(), metadata: map(string()) }),
    listener: object({
      portNumber: integer(),
      portName: string(),
      filterChain: object({
        name: string(),
        sni: string(),
        transportProtocol: string(),
        transportSocket: string(),
        applicationProtocols: string(),
        filter,
        destinationPort: integer(),
      }),
      listenerFilter: string(),
      name: string(),
    }),
    routeConfiguration: object({
      portNumber: integer(),
      portName: string(),
      gateway: string(),
      vhost: object({
        name: string(),
        domainName: string(),
        route: object({ name: string(), action: withDefault(enumeration('ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE'), 'ANY') }),
      }),
      name: string(),
    }),
    cluster: object({ portNumber: integer(), service: string(), subset: string(), name: string() }),
    waypoint: object({ portNumber: port(), filter, route: object({ name: string() }) }),
  },
  { atMostOne: [['listener', 'routeConfiguration', 'cluster', 'waypoint']] },
);
export type EnvoyConfigObjectMatch = Infer<typeof match>;

const configPatch = object({
  applyTo: withDefault(
    enumeration(
      'INVALID',
      'LISTENER',
      'FILTER_CHAIN',
      'NETWORK_FILTER',
      'HTTP_FILTER',
      'ROUTE_CONFIGURATION',
      'VIRTUAL_HOST',
      'HTTP_ROUTE',
      'CLUSTER',
      'EXTENSION_CONFIG',
      'BOOTSTRAP',
      'LISTENER_FILTER',
    ),
    'INVALID',
  ),
  match,
  patch: object({
    operation: withDefault(
      enumeration(
        'INVALID',
        'MERGE',
        'ADD',
        'REMOVE',
        'INSERT_BEFORE',
        'INSERT_AFTER',
        'INSERT_FIRST',
        'REPLACE',
        'MERGE_AND_REPLACE_LIST',
      ),
      'INVALID',
    ),
    value: any<Readonly<Record<string, unknown>>>(),
    filterClass: withDefault(enumeration('UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS'), 'UNSPECIFIED'),
  }),
});
export type EnvoyConfigObjectPatch = Infer<typeof configPatch>;

/** Patches of the generated xDS. */
export const envoyFilter = object({
  workloadSelector,
  targetRefs: list(targetReference, { maxItems: 16 }),
  configPatches: list(configPatch),
  priority: withDefault(int32(), 0),
});
export type EnvoyFilter = Infer<typeof envoyFilter>;
