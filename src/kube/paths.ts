/** Where the API server has the objects that are written. */

/** The kinds that are written, by the paths of their groups. */
const ROOTS: Readonly<Record<string, readonly [root: string, plural: string]>> = {
  GatewayClass: ['/apis/gateway.networking.k8s.io/v1', 'gatewayclasses'],
  Gateway: ['/apis/gateway.networking.k8s.io/v1', 'gateways'],
  HTTPRoute: ['/apis/gateway.networking.k8s.io/v1', 'httproutes'],
  GRPCRoute: ['/apis/gateway.networking.k8s.io/v1', 'grpcroutes'],
  TLSRoute: ['/apis/gateway.networking.k8s.io/v1', 'tlsroutes'],
  TCPRoute: ['/apis/gateway.networking.k8s.io/v1', 'tcproutes'],
  BackendTLSPolicy: ['/apis/gateway.networking.k8s.io/v1', 'backendtlspolicies'],
  Service: ['/api/v1', 'services'],
  ServiceAccount: ['/api/v1', 'serviceaccounts'],
  ConfigMap: ['/api/v1', 'configmaps'],
  Event: ['/apis/events.k8s.io/v1', 'events'],
  Deployment: ['/apis/apps/v1', 'deployments'],
  HorizontalPodAutoscaler: ['/apis/autoscaling/v2', 'horizontalpodautoscalers'],
  PodDisruptionBudget: ['/apis/policy/v1', 'poddisruptionbudgets'],
};

/** Of one object; an empty namespace for kinds that have none. */
export function pathOf(kind: string, namespace: string, name: string): string {
  return `${pathOfAll(kind, namespace)}/${encodeURIComponent(name)}`;
}

export function pathOfAll(kind: string, namespace: string): string {
  const known = ROOTS[kind];
  if (!known) throw new TypeError(`${kind} is not written`);
  const [root, plural] = known;
  return namespace === '' ? `${root}/${plural}` : `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}
