import { duration, enumeration, type Infer, integer, list, map, object, required, string, withDefault } from './schema.ts';

/** The shortest duration that Istio accepts where it needs a positive one. */
export const positiveDuration = () => duration(1);

/** A port of a Gateway server. */
export const serverPort = object({
  number: required(integer()),
  /** HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP or TLS, in any case. */
  protocol: required(string()),
  name: required(string()),
  /** Deprecated, without effect in Istio. */
  targetPort: integer(),
});

/** A port of a Sidecar's listener. */
export const sidecarPort = object({
  number: withDefault(integer(), 0),
  protocol: withDefault(string(), ''),
  name: withDefault(string(), ''),
  targetPort: integer(),
});

/** A service as a route names it: short or full host, one of its subsets, one of its ports. */
export const destination = object({
  host: required(string()),
  subset: string(),
  port: object({ number: withDefault(integer(), 0) }),
});
export type Destination = Infer<typeof destination>;

/** Which workloads of its namespace an object holds for, by labels; all of them where it is absent. */
export const labelSelector = object({ matchLabels: map(string({ maxLength: 63 }), { maxProperties: 4096 }) });
export type WorkloadLabelSelector = Infer<typeof labelSelector>;

/** As `labelSelector`, in the spelling of the networking kinds. */
export const workloadSelector = object({ labels: map(string({ maxLength: 63 }), { maxProperties: 256 }) });

const GROUP = /^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** An object (a Kubernetes Gateway, a Service, a ServiceEntry) that a policy is attached to. */
export const targetReference = object({
  group: withDefault(string({ maxLength: 253, pattern: GROUP }), ''),
  kind: required(string({ minLength: 1, maxLength: 63, pattern: /^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/ })),
  name: required(string({ minLength: 1, maxLength: 253 })),
  /** Must stay empty (see rules/targets.ts): a policy reaches its own namespace only. */
  namespace: string(),
});
export type PolicyTargetReference = Infer<typeof targetReference>;

/** The fields by which the security and telemetry policies choose what they hold for. */
export const policyTargets = {
  selector: labelSelector,
  /** Deprecated in favour of `targetRefs`. */
  targetRef: targetReference,
  targetRefs: list(targetReference, { maxItems: 16 }),
};

/** Sidecar listeners: whether traffic is redirected to them or addressed to them. */
export const captureMode = withDefault(enumeration('DEFAULT', 'IPTABLES', 'NONE'), 'DEFAULT');
