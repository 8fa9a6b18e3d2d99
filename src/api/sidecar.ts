import { captureMode, destination, sidecarPort, workloadSelector } from './common.ts';
import { connectionPool } from './destination-rule.ts';
import { serverTlsSettings } from './gateway.ts';
import { enumeration, type Infer, list, object, required, string, withDefault } from './schema.ts';

const ingressListener = object({
  port: required(sidecarPort),
  bind: string(),
  captureMode,
  /** `127.0.0.1:PORT`, `[::1]:PORT`, `0.0.0.0:PORT`, `[::]:PORT` or `unix:///path`. */
  defaultEndpoint: string(),
  tls: serverTlsSettings,
  connectionPool,
});
export type IstioIngressListener = Infer<typeof ingressListener>;

const egressListener = object({
  /** Absent: the listener for every port that no other egress listener names. */
  port: sidecarPort,
  bind: string(),
  captureMode,
  /** `namespace/host`; the namespace may be `*`, `.` or `~`. */
  hosts: required(list(string())),
});
export type IstioEgressListener = Infer<typeof egressListener>;

/** `{}` is REGISTRY_ONLY here: the enum's zero. */
export const outboundTrafficPolicy = object({
  mode: withDefault(enumeration('REGISTRY_ONLY', 'ALLOW_ANY'), 'REGISTRY_ONLY'),
  egressProxy: destination,
});
export type OutboundTrafficPolicy = Infer<typeof outboundTrafficPolicy>;

/** What a workload's sidecar takes in and what it knows of the rest of the mesh. */
export const sidecar = object({
  workloadSelector,
  ingress: list(ingressListener),
  egress: list(egressListener),
  inboundConnectionPool: connectionPool,
  outboundTrafficPolicy,
});
export type Sidecar = Infer<typeof sidecar>;
