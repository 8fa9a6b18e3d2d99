import { authorizationPolicy } from './authorization-policy.ts';
import { destinationRule } from './destination-rule.ts';
import { egressPolicy } from './egress-policy.ts';
import { envoyFilter } from './envoy-filter.ts';
import { gateway } from './gateway.ts';
import { backendTlsPolicy } from './gateway-api/backend-tls-policy.ts';
import { GATEWAY_API } from './gateway-api/common.ts';
import { kubernetesGateway } from './gateway-api/gateway.ts';
import { gatewayClass } from './gateway-api/gateway-class.ts';
import { grpcRoute } from './gateway-api/grpc-route.ts';
import { kubernetesHttpRoute } from './gateway-api/http-route.ts';
import { listenerSet } from './gateway-api/listener-set.ts';
import { referenceGrant } from './gateway-api/reference-grant.ts';
import { kubernetesTcpRoute, kubernetesTlsRoute } from './gateway-api/stream-routes.ts';
import { kind } from './kind.ts';
import { configMap } from './kubernetes/config-map.ts';
import { customResourceDefinition } from './kubernetes/custom-resource-definition.ts';
import { deployment } from './kubernetes/deployment.ts';
import { endpointSlice } from './kubernetes/endpoint-slice.ts';
import { endpoints } from './kubernetes/endpoints.ts';
import { namespace } from './kubernetes/namespace.ts';
import { networkPolicy } from './kubernetes/network-policy.ts';
import { node, nodeStatus } from './kubernetes/node.ts';
import { podSpec, podStatus } from './kubernetes/pod.ts';
import { secret } from './kubernetes/secret.ts';
import { service } from './kubernetes/service.ts';
import { serviceAccount } from './kubernetes/service-account.ts';
import { webhookConfiguration } from './kubernetes/webhook-configuration.ts';
import { peerAuthentication } from './peer-authentication.ts';
import { proxyConfig } from './proxy-config.ts';
import { requestAuthentication } from './request-authentication.ts';
import type { Resource } from './resource.ts';
import { authorizationPolicyRules } from './rules/authorization-policy.ts';
import { destinationRuleRules } from './rules/destination-rule.ts';
import { egressPolicyRules } from './rules/egress-policy.ts';
import { gatewayRules } from './rules/gateway.ts';
import {
  backendTlsPolicyRules,
  grpcRouteRules,
  kubernetesGatewayRules,
  kubernetesHttpRouteRules,
  listenerSetRules,
  streamRouteRules,
} from './rules/gateway-api.ts';
import { peerAuthenticationRules } from './rules/peer-authentication.ts';
import { requestAuthenticationRules } from './rules/request-authentication.ts';
import { serviceRules } from './rules/service.ts';
import { serviceEntryRules, workloadEntryRules } from './rules/service-entry.ts';
import { sidecarRules } from './rules/sidecar.ts';
import { telemetryRules } from './rules/telemetry.ts';
import { virtualServiceRules } from './rules/virtual-service.ts';
import { envoyFilterRules, proxyConfigRules, workloadGroupRules } from './rules/workloads.ts';
import type { Infer } from './schema.ts';
import { serviceEntry } from './service-entry.ts';
import { sidecar } from './sidecar.ts';
import { telemetry } from './telemetry.ts';
import { virtualService } from './virtual-service.ts';
import { workloadEntry } from './workload-entry.ts';
import { workloadGroup } from './workload-group.ts';

export type * from './authorization-policy.ts';
export type { Destination, PolicyTargetReference, WorkloadLabelSelector } from './common.ts';
export type * from './destination-rule.ts';
export type * from './egress-policy.ts';
export type * from './envoy-filter.ts';
export type * from './gateway.ts';
export type { Listener as KubernetesListener } from './gateway-api/gateway.ts';
export type { KindInfo } from './kind.ts';
export type * from './kubernetes/config-map.ts';
export type * from './kubernetes/custom-resource-definition.ts';
export type * from './kubernetes/deployment.ts';
export type * from './kubernetes/endpoint-slice.ts';
export type * from './kubernetes/endpoints.ts';
export type * from './kubernetes/namespace.ts';
export type * from './kubernetes/network-policy.ts';
export type * from './kubernetes/node.ts';
export type * from './kubernetes/pod.ts';
export type * from './kubernetes/secret.ts';
export type * from './kubernetes/service.ts';
export type * from './kubernetes/service-account.ts';
export type * from './kubernetes/webhook-configuration.ts';
export type * from './mesh-config.ts';
export type * from './peer-authentication.ts';
export type * from './proxy-config.ts';
export type * from './request-authentication.ts';
export type * from './resource.ts';
export type * from './service-entry.ts';
export type * from './sidecar.ts';
export type * from './telemetry.ts';
export type * from './virtual-service.ts';
export type * from './workload-entry.ts';
export type * from './workload-group.ts';

const NETWORKING = 'networking.istio.io';
const SECURITY = 'security.istio.io';
const SALLYPORT = 'sallyport.dev';
const STABLE = ['v1', 'v1beta1', 'v1alpha3'] as const;

/** Every kind that decodes, by the name that resources have it under (`Resource.kind`). */
export const KINDS = {
  Gateway: kind(NETWORKING, STABLE, gateway, { rules: gatewayRules }),
  ServiceEntry: kind(NETWORKING, STABLE, serviceEntry, { rules: serviceEntryRules }),
  VirtualService: kind(NETWORKING, STABLE, virtualService, { rules: virtualServiceRules }),
  DestinationRule: kind(NETWORKING, STABLE, destinationRule, { rules: destinationRuleRules }),
  Sidecar: kind(NETWORKING, STABLE, sidecar, { rules: sidecarRules }),
  WorkloadEntry: kind(NETWORKING, STABLE, workloadEntry, { rules: workloadEntryRules }),
  WorkloadGroup: kind(NETWORKING, STABLE, workloadGroup, { rules: workloadGroupRules }),
  ProxyConfig: kind(NETWORKING, ['v1beta1'], proxyConfig, { rules: proxyConfigRules }),
  EnvoyFilter: kind(NETWORKING, ['v1alpha3'], envoyFilter, { rules: envoyFilterRules }),
  PeerAuthentication: kind(SECURITY, ['v1', 'v1beta1'], peerAuthentication, { rules: peerAuthenticationRules }),
  AuthorizationPolicy: kind(SECURITY, ['v1', 'v1beta1'], authorizationPolicy, { rules: authorizationPolicyRules }),
  RequestAuthentication: kind(SECURITY, ['v1', 'v1beta1'], requestAuthentication, { rules: requestAuthenticationRules }),
  Telemetry: kind('telemetry.istio.io', ['v1', 'v1alpha1'], telemetry, { rules: telemetryRules }),
  EgressPolicy: kind(SALLYPORT, ['v1alpha1'], egressPolicy, { rules: egressPolicyRules }),
  GatewayClass: kind(GATEWAY_API, ['v1', 'v1beta1'], gatewayClass, { cluster: true }),
  /** The API calls it Gateway, as Istio's; told apart by the group. */
  KubernetesGateway: kind(GATEWAY_API, ['v1', 'v1beta1'], kubernetesGateway, { name: 'Gateway', rules: kubernetesGatewayRules }),
  ListenerSet: kind(GATEWAY_API, ['v1'], listenerSet, { rules: listenerSetRules }),
  HTTPRoute: kind(GATEWAY_API, ['v1', 'v1beta1'], kubernetesHttpRoute, { rules: kubernetesHttpRouteRules }),
  GRPCRoute: kind(GATEWAY_API, ['v1'], grpcRoute, { rules: grpcRouteRules }),
  TLSRoute: kind(GATEWAY_API, ['v1', 'v1alpha3', 'v1alpha2'], kubernetesTlsRoute, { rules: streamRouteRules }),
  TCPRoute: kind(GATEWAY_API, ['v1', 'v1alpha2'], kubernetesTcpRoute, { rules: streamRouteRules }),
  ReferenceGrant: kind(GATEWAY_API, ['v1', 'v1beta1'], referenceGrant),
  BackendTLSPolicy: kind(GATEWAY_API, ['v1', 'v1alpha3'], backendTlsPolicy, { rules: backendTlsPolicyRules }),
  Namespace: kind('', ['v1'], namespace, { cluster: true }),
  Service: kind('', ['v1'], service, { rules: serviceRules }),
  Endpoints: kind('', ['v1'], endpoints, { flat: true }),
  EndpointSlice: kind('discovery.k8s.io', ['v1'], endpointSlice, { flat: true }),
  Pod: kind('', ['v1'], podSpec, { status: podStatus }),
  Secret: kind('', ['v1'], secret, { flat: true }),
  ConfigMap: kind('', ['v1'], configMap, { flat: true }),
  ServiceAccount: kind('', ['v1'], serviceAccount, { flat: true }),
  Node: kind('', ['v1'], node, { cluster: true, status: nodeStatus }),
  Deployment: kind('apps', ['v1'], deployment),
  NetworkPolicy: kind('networking.k8s.io', ['v1'], networkPolicy),
  MutatingWebhookConfiguration: kind('admissionregistration.k8s.io', ['v1'], webhookConfiguration, { cluster: true, flat: true }),
  ValidatingWebhookConfiguration: kind('admissionregistration.k8s.io', ['v1'], webhookConfiguration, { cluster: true, flat: true }),
  CustomResourceDefinition: kind('apiextensions.k8s.io', ['v1'], customResourceDefinition, { cluster: true }),
} as const;

export type Kind = keyof typeof KINDS;
/** The decoded `spec` of a kind. */
type SpecOf<K extends Kind> = Infer<(typeof KINDS)[K]['schema']>;
/** The decoded object of a kind; for a union of kinds, the union of their objects. */
export type ResourceOf<K extends Kind> = K extends Kind ? Resource<K, SpecOf<K>> : never;
