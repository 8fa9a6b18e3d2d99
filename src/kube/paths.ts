/** Where the API server has the objects that are written. */
import { GATEWAY_API } from '../api/gateway-api/common.ts';
import type { StatusKind } from '../gateway-api/status/index.ts';

type OtherKind =
  | 'ConfigMap'
  | 'Deployment'
  | 'Event'
  | 'HorizontalPodAutoscaler'
  | 'Lease'
  | 'PodDisruptionBudget'
  | 'Secret'
  | 'Service'
  | 'ServiceAccount';

/** Istio's kinds that have a status, by what they are called here among kinds that are written: two groups have a Gateway. */
export const ISTIO_KINDS = {
  IstioGateway: 'Gateway',
  ServiceEntry: 'ServiceEntry',
  VirtualService: 'VirtualService',
  DestinationRule: 'DestinationRule',
  Sidecar: 'Sidecar',
  WorkloadEntry: 'WorkloadEntry',
  WorkloadGroup: 'WorkloadGroup',
  EnvoyFilter: 'EnvoyFilter',
  ProxyConfig: 'ProxyConfig',
  AuthorizationPolicy: 'AuthorizationPolicy',
  PeerAuthentication: 'PeerAuthentication',
  RequestAuthentication: 'RequestAuthentication',
  Telemetry: 'Telemetry',
} as const;
export type IstioKind = keyof typeof ISTIO_KINDS;

/** A kind that is written, as documents call it but for Istio's Gateway. */
export type WrittenKind = StatusKind | IstioKind | 'EgressPolicy' | OtherKind;

const GATEWAY_ROOT = `/apis/${GATEWAY_API}/v1`;

/** By the paths of their groups. */
const ROOTS: Readonly<Record<WrittenKind, readonly [root: string, plural: string]>> = {
  GatewayClass: [GATEWAY_ROOT, 'gatewayclasses'],
  Gateway: [GATEWAY_ROOT, 'gateways'],
  ListenerSet: [GATEWAY_ROOT, 'listenersets'],
  HTTPRoute: [GATEWAY_ROOT, 'httproutes'],
  GRPCRoute: [GATEWAY_ROOT, 'grpcroutes'],
  TLSRoute: [GATEWAY_ROOT, 'tlsroutes'],
  TCPRoute: [GATEWAY_ROOT, 'tcproutes'],
  BackendTLSPolicy: [GATEWAY_ROOT, 'backendtlspolicies'],
  IstioGateway: ['/apis/networking.istio.io/v1', 'gateways'],
  ServiceEntry: ['/apis/networking.istio.io/v1', 'serviceentries'],
  VirtualService: ['/apis/networking.istio.io/v1', 'virtualservices'],
  DestinationRule: ['/apis/networking.istio.io/v1', 'destinationrules'],
  Sidecar: ['/apis/networking.istio.io/v1', 'sidecars'],
  WorkloadEntry: ['/apis/networking.istio.io/v1', 'workloadentries'],
  WorkloadGroup: ['/apis/networking.istio.io/v1', 'workloadgroups'],
  EnvoyFilter: ['/apis/networking.istio.io/v1alpha3', 'envoyfilters'],
  ProxyConfig: ['/apis/networking.istio.io/v1beta1', 'proxyconfigs'],
  AuthorizationPolicy: ['/apis/security.istio.io/v1', 'authorizationpolicies'],
  PeerAuthentication: ['/apis/security.istio.io/v1', 'peerauthentications'],
  RequestAuthentication: ['/apis/security.istio.io/v1', 'requestauthentications'],
  Telemetry: ['/apis/telemetry.istio.io/v1', 'telemetries'],
  EgressPolicy: ['/apis/sallyport.dev/v1alpha1', 'egresspolicies'],
  Service: ['/api/v1', 'services'],
  ServiceAccount: ['/api/v1', 'serviceaccounts'],
  ConfigMap: ['/api/v1', 'configmaps'],
  Secret: ['/api/v1', 'secrets'],
  Event: ['/apis/events.k8s.io/v1', 'events'],
  Deployment: ['/apis/apps/v1', 'deployments'],
  HorizontalPodAutoscaler: ['/apis/autoscaling/v2', 'horizontalpodautoscalers'],
  PodDisruptionBudget: ['/apis/policy/v1', 'poddisruptionbudgets'],
  Lease: ['/apis/coordination.k8s.io/v1', 'leases'],
};

/** Of one object; an empty namespace for kinds that have none. */
export function pathOf(kind: WrittenKind, namespace: string, name: string): string {
  return `${pathOfAll(kind, namespace)}/${encodeURIComponent(name)}`;
}

export function pathOfAll(kind: WrittenKind, namespace: string): string {
  const [root, plural] = ROOTS[kind];
  return namespace === '' ? `${root}/${plural}` : `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}
