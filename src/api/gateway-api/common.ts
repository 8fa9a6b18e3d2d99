/** What several kinds of the Kubernetes Gateway API have in common. */
import { type Infer, integer, list, map, object, port, required, string, withDefault } from '../schema.ts';

export const GATEWAY_API = 'gateway.networking.k8s.io';

/** What a GatewayClass names whose Gateways are Sallyport's, and Istio's. */
export const SALLYPORT_CONTROLLER = 'sallyport.dev/gateway-controller';
export const ISTIO_CONTROLLER = 'istio.io/gateway-controller';

/** The GatewayClass of Sallyport's own. */
export const DEFAULT_CLASS = 'sallyport';

/**
 * On a Gateway of Istio's API that was derived from one of this API: the namespace of the proxies that serve it. A selector alone picks proxies of
 * every namespace.
 */
export const PROXY_NAMESPACE_ANNOTATION = 'internal.sallyport/proxy-namespace';

/** On the proxies that Istio deploys for a Gateway: its name. */
export const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name';

/** The host that routes lead to whose backend may not be used: nothing has it. */
export const INVALID_BACKEND_HOST = 'invalid-backend.gateway-api.invalid';

const GROUP = /^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const KIND = /^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const HOSTNAME = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SECTION = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export const group = () => string({ maxLength: 253, pattern: GROUP });
export const kindName = () => string({ minLength: 1, maxLength: 63, pattern: KIND });
export const objectName = () => string({ minLength: 1, maxLength: 253 });
export const namespaceName = () => string({ minLength: 1, maxLength: 63, pattern: NAMESPACE });
/** A name or `*.suffix`, without a port. */
export const hostname = () => string({ minLength: 1, maxLength: 253, pattern: HOSTNAME });
export const sectionName = () => string({ minLength: 1, maxLength: 253, pattern: SECTION });
/** An exact name, without a star. */
export const preciseHostname = () => string({ minLength: 1, maxLength: 253, pattern: SECTION });

/** A reference to an object of the same namespace. */
export const localObjectReference = object({ group: required(group()), kind: required(kindName()), name: required(objectName()) });

export const objectReference = object({
  group: required(group()),
  kind: required(kindName()),
  name: required(objectName()),
  namespace: namespaceName(),
});

export const secretObjectReference = object({
  group: withDefault(group(), ''),
  kind: withDefault(kindName(), 'Secret'),
  name: required(objectName()),
  namespace: namespaceName(),
});

/** What a route is attached to: a Gateway (or one of its listeners), a Service or a ServiceEntry. */
const parentReference = object({
  group: withDefault(group(), GATEWAY_API),
  kind: withDefault(kindName(), 'Gateway'),
  name: required(objectName()),
  namespace: namespaceName(),
  port: port(),
  sectionName: sectionName(),
});
export type ParentReference = Infer<typeof parentReference>;

export const parentRefs = list(parentReference, { maxItems: 32 });
export const hostnames = list(hostname(), { maxItems: 16 });

const backendObjectReferenceFields = {
  group: withDefault(group(), ''),
  /** `Service`; with the group networking.istio.io, `Hostname` for any host that the mesh knows. */
  kind: withDefault(kindName(), 'Service'),
  name: required(objectName()),
  namespace: namespaceName(),
  port: port(),
};
const backendObjectReference = object(backendObjectReferenceFields);
export type BackendObjectReference = Infer<typeof backendObjectReference>;

export const backendRefFields = { ...backendObjectReferenceFields, weight: withDefault(integer(0, 1_000_000), 1) };
export const backendRef = object(backendRefFields);

/** Kubernetes' LabelSelector, whole. */
export const labelSelector = object({
  matchExpressions: list(object({ key: required(string()), operator: required(string()), values: list(string()) })),
  matchLabels: map(string()),
});

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/;
export const headerName = () => string({ minLength: 1, maxLength: 256, pattern: HEADER_NAME });

const header = object({ name: required(headerName()), value: required(string({ minLength: 1, maxLength: 4096 })) });
export const headerModifier = object({
  set: list(header, { maxItems: 16 }),
  add: list(header, { maxItems: 16 }),
  remove: list(string(), { maxItems: 16 }),
});
export type HeaderModifier = Infer<typeof headerModifier>;

export const requestMirror = object(
  {
    backendRef: required(backendObjectReference),
    percent: integer(0, 100),
    fraction: object({ numerator: required(integer(0, 0x7fff_ffff)), denominator: withDefault(integer(1, 0x7fff_ffff), 100) }),
  },
  { atMostOne: [['percent', 'fraction']] },
);
