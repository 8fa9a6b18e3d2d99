import { enumeration, type Infer, implied, list, map, object, port, required, string, withDefault } from '../schema.ts';
import {
  GATEWAY_API,
  group,
  hostname,
  kindName,
  labelSelector,
  localObjectReference,
  objectName,
  objectReference,
  secretObjectReference,
  sectionName,
} from './common.ts';

const listenerTls = object({
  mode: withDefault(enumeration('Terminate', 'Passthrough'), 'Terminate'),
  certificateRefs: list(secretObjectReference, { maxItems: 64 }),
  /** Istio knows `gateway.istio.io/tls-terminate-mode` and others below `gateway.istio.io/`. */
  options: map(string({ minLength: 0, maxLength: 4096 }), { maxProperties: 16 }),
});

const routeNamespaces = object({ from: withDefault(enumeration('All', 'Selector', 'Same'), 'Same'), selector: labelSelector });

/** Which routes may attach themselves to a listener. */
const allowedRoutes = object({
  namespaces: implied(routeNamespaces),
  kinds: list(object({ group: withDefault(group(), GATEWAY_API), kind: required(kindName()) }), { maxItems: 8 }),
});
export type AllowedRoutes = Infer<typeof allowedRoutes>;

const PROTOCOL = /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+$/;

export const listener = object({
  name: required(sectionName()),
  hostname: hostname(),
  port: required(port()),
  /** HTTP, HTTPS, TLS or TCP. */
  protocol: required(string({ minLength: 1, maxLength: 255, pattern: PROTOCOL })),
  tls: listenerTls,
  allowedRoutes: implied(allowedRoutes),
});
export type Listener = Infer<typeof listener>;

const clientValidation = object({
  validation: object({
    caCertificateRefs: required(list(objectReference, { minItems: 1, maxItems: 16 })),
    mode: withDefault(enumeration('AllowValidOnly', 'AllowInsecureFallback'), 'AllowValidOnly'),
  }),
});

/** The Gateway of gateway.networking.k8s.io. */
export const kubernetesGateway = object({
  gatewayClassName: required(objectName()),
  listeners: required(list(listener, { minItems: 1, maxItems: 64 })),
  /** Without one Istio deploys proxies and a Service of its own; a `Hostname` names a Service that has the proxies already. */
  addresses: list(
    object({
      type: withDefault(string({ minLength: 1, maxLength: 253 }), 'IPAddress'),
      value: string({ maxLength: 253 }),
    }),
    { maxItems: 16 },
  ),
  infrastructure: object({
    labels: map(string({ minLength: 0, maxLength: 63 }), { maxProperties: 8 }),
    annotations: map(string({ minLength: 0, maxLength: 4096 }), { maxProperties: 16 }),
    parametersRef: localObjectReference,
  }),
  allowedListeners: object({
    namespaces: object({ from: withDefault(enumeration('All', 'Selector', 'Same', 'None'), 'None'), selector: labelSelector }),
  }),
  tls: object({
    backend: object({ clientCertificateRef: secretObjectReference }),
    frontend: object({
      default: required(clientValidation),
      perPort: list(object({ port: required(port()), tls: required(clientValidation) }), { maxItems: 64 }),
    }),
  }),
});
export type KubernetesGateway = Infer<typeof kubernetesGateway>;
