import { booleanValue, enumeration, type Infer, list, map, object, port, required, string, withDefault } from '../schema.ts';
import { objectReference, transportProtocol } from './common.ts';

const zones = list(object({ name: required(string()) }));

/** The Service is named by the label `kubernetes.io/service-name`. */
export const endpointSlice = object({
  addressType: withDefault(enumeration('IPv4', 'IPv6', 'FQDN'), 'IPv4'),
  endpoints: list(
    object({
      addresses: list(string()),
      /** An absent condition counts as true, `terminating` as false. */
      conditions: object({ ready: booleanValue(), serving: booleanValue(), terminating: booleanValue() }),
      hostname: string(),
      targetRef: objectReference,
      nodeName: string(),
      zone: string(),
      hints: object({ forZones: zones, forNodes: zones }),
      deprecatedTopology: map(string()),
    }),
  ),
  ports: list(object({ name: withDefault(string(), ''), protocol: transportProtocol, port: port(), appProtocol: string() })),
});
export type EndpointSlice = Infer<typeof endpointSlice>;
