import {
  boolean,
  booleanValue,
  enumeration,
  type Infer,
  integer,
  intOrString,
  list,
  map,
  object,
  port,
  required,
  string,
  withDefault,
} from '../schema.ts';
import { transportProtocol } from './common.ts';

const servicePort = object({
  name: withDefault(string(), ''),
  protocol: transportProtocol,
  appProtocol: string(),
  port: required(port()),
  /** A container's port or its name; absent: `port`. */
  targetPort: intOrString(),
  nodePort: integer(0, 65535),
});
export type ServicePortSpec = Infer<typeof servicePort>;

export const service = object({
  type: withDefault(enumeration('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'), 'ClusterIP'),
  /** `None`: headless. */
  clusterIP: string(),
  clusterIPs: list(string()),
  selector: map(string()),
  ports: list(servicePort),
  externalName: string(),
  externalIPs: list(string()),
  publishNotReadyAddresses: boolean(),
  sessionAffinity: withDefault(enumeration('None', 'ClientIP'), 'None'),
  sessionAffinityConfig: object({ clientIP: object({ timeoutSeconds: integer() }) }),
  ipFamilies: list(string()),
  ipFamilyPolicy: string(),
  internalTrafficPolicy: enumeration('Cluster', 'Local'),
  externalTrafficPolicy: enumeration('Cluster', 'Local'),
  trafficDistribution: string(),
  healthCheckNodePort: integer(),
  loadBalancerIP: string(),
  loadBalancerClass: string(),
  loadBalancerSourceRanges: list(string()),
  allocateLoadBalancerNodePorts: booleanValue(),
});
export type Service = Infer<typeof service>;
