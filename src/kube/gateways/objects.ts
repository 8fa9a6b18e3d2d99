/** What runs a Gateway of the Kubernetes Gateway API in a cluster: a Deployment, its Service and its ServiceAccount, and what its parameters ask for, as Istio deploys them. Pure. */
import { isMapping } from '../../api/decode.ts';
import { GATEWAY_API, GATEWAY_NAME_LABEL } from '../../api/gateway-api/common.ts';
import type { KubernetesListener, ResourceOf } from '../../api/index.ts';
import { SallyportError } from '../../lib/errors.ts';
import { injectPod } from '../injection/inject.ts';
import { merged, SERVICE_KEYS } from '../injection/merge.ts';
import type { Fields, WrittenPod } from '../injection/pod.ts';
import { ENGINE_ANNOTATION, type InjectionOptions, settingsFor } from '../injection/settings.ts';
import type { WrittenKind } from '../paths.ts';
import { type GatewayParameters, type Part, PRIVILEGED } from './parameters.ts';

type Gateway = ResourceOf<'KubernetesGateway'>;

/** An object to be applied. */
export interface Written extends Fields {
  readonly apiVersion: string;
  readonly kind: WrittenKind;
  readonly metadata: Fields & { readonly name: string; readonly namespace: string };
}

/** On what was written for a Gateway: by which controller, so that none takes away what is another's. */
export const MANAGED_LABEL = 'gateway.sallyport.dev/managed';
/** Its value: `/` has no place in labels. */
export function managedBy(controller: string): string {
  return controller.replaceAll('/', '-');
}

const CLASS_LABEL = 'gateway.networking.k8s.io/gateway-class-name';
/** `ClusterIP`, `NodePort` or `LoadBalancer`, as Istio knows it. */
const SERVICE_TYPE = 'networking.istio.io/service-type';
const SERVICE_TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer'];
const TEMPLATES = 'inject.istio.io/templates';
/** Beyond the times for which the proxy still takes calls and then ends those that run, s: it ends by itself. */
const END_S = 5;
const STATUS_PORT = 15021;
/** Asked each second until the proxy is ready, as Istio's gateways are: readiness alone would be noticed up to 15 s later. */
const STARTUP_PROBE = {
  httpGet: { path: '/healthz/ready', port: STATUS_PORT },
  periodSeconds: 1,
  timeoutSeconds: 3,
  failureThreshold: 120,
};

/** Its name, and that of all that is written for it. */
export function deployedName({ metadata, spec }: Gateway): string {
  return `${metadata.name}-${spec.gatewayClassName}`;
}

/**
 * @param listeners its own, and those of its ListenerSets
 * @param uid of the Gateway, with which what is written for it goes
 * @param parameters as `parametersOf`
 * @throws SallyportError `gateway-parameters` for what it asks for and is not to be had; as `injectPod`
 */
export function gatewayObjects(
  gateway: Gateway,
  listeners: readonly KubernetesListener[],
  uid: string,
  controller: string,
  options: InjectionOptions,
  parameters: GatewayParameters = {},
): Written[] {
  const { namespace } = gateway.metadata;
  const name = deployedName(gateway);
  const { labels: wantedLabels = {}, annotations = {} } = gateway.spec.infrastructure ?? {};
  demandOwnCode(annotations, options);
  const labels = {
    ...wantedLabels,
    [GATEWAY_NAME_LABEL]: gateway.metadata.name,
    [CLASS_LABEL]: gateway.spec.gatewayClassName,
    [MANAGED_LABEL]: managedBy(controller),
  };
  const metadata = {
    name,
    namespace,
    labels,
    annotations,
    ownerReferences: [{ apiVersion: `${GATEWAY_API}/v1`, kind: 'Gateway', name: gateway.metadata.name, uid, controller: true }],
  };
  const overlaid = (part: Part, object: Written, keys?: typeof SERVICE_KEYS): Written =>
    (parameters[part] ?? []).reduce<Written>((base, overlay) => merged(base, overlay, keys), object);
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: deploymentSpec(gateway, name, labels, annotations, options),
  } as const;
  const service = { apiVersion: 'v1', kind: 'Service', metadata, spec: serviceSpec(gateway, listeners) } as const;
  const all: Written[] = [
    overlaid('serviceAccount', { apiVersion: 'v1', kind: 'ServiceAccount', metadata }),
    overlaid('deployment', deployment),
    overlaid('service', service, SERVICE_KEYS),
  ];
  // These are there where somebody asks for them.
  const scaled = { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name } };
  if (parameters.horizontalPodAutoscaler?.length)
    all.push(
      overlaid('horizontalPodAutoscaler', { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata, spec: scaled }),
    );
  const budget = { selector: { matchLabels: { [GATEWAY_NAME_LABEL]: gateway.metadata.name } } };
  if (parameters.podDisruptionBudget?.length)
    all.push(overlaid('podDisruptionBudget', { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata, spec: budget }));
  demandConsistent(parameters, listeners);
  return all;
}

/** What the API server would take, and nobody means. */
function demandConsistent(parameters: GatewayParameters, listeners: readonly KubernetesListener[]): void {
  const saysIn = (part: Part, field: string) =>
    (parameters[part] ?? []).some(({ spec }) => isMapping(spec) && spec[field] !== undefined && spec[field] !== null);
  if (parameters.horizontalPodAutoscaler?.length && saysIn('deployment', 'replicas'))
    throw new SallyportError(
      'gateway-parameters',
      'its parameters have deployment.spec.replicas and a horizontalPodAutoscaler, which would set it to and fro: leave out replicas',
    );
  const known = new Set([STATUS_PORT, ...listeners.map(({ port }) => port)]);
  const ports = (parameters.service ?? []).flatMap(({ spec }) => (isMapping(spec) && Array.isArray(spec.ports) ? spec.ports : []));
  const other = ports.find(({ port }) => !known.has(port));
  if (other)
    throw new SallyportError('gateway-parameters', `its parameters have service.spec.ports with port ${other.port}: no listener has it`);
}

type Texts = Readonly<Record<string, string>>;

const IMAGE = 'sidecar.istio.io/proxyImage';
/** Variables that say what a proxy is, and not what it runs. */
const DESCRIPTIVE = /^ISTIO_/;

/** Who may write a Gateway may not run programs in its namespace by that: what its proxies run is the controller's to say. */
function demandOwnCode(annotations: Texts, options: InjectionOptions): void {
  const refuse = (what: string, instead: string) =>
    new SallyportError(
      'gateway-parameters',
      `infrastructure.annotations: ${what}, and what a Gateway's proxies run is not its own to say. ${instead}`,
    );
  const privileged = Object.keys(annotations).find((each) => PRIVILEGED.test(each));
  if (privileged !== undefined) throw refuse(`${privileged} gives it other rights`, 'Remove it');
  if (annotations[IMAGE] !== undefined) throw refuse(`${IMAGE} names an image`, "Remove it: the controller's image is used");
  const { proxyMetadata } = settingsFor(annotations, options).proxy;
  const meshWide = options.mesh.defaultConfig.proxyMetadata;
  const own = Object.keys(proxyMetadata).filter((name) => !DESCRIPTIVE.test(name) && proxyMetadata[name] !== meshWide[name]);
  if (own.length > 0)
    throw refuse(
      `proxyMetadata sets ${own.join(', ')}`,
      "Name variables that begin with ISTIO_ alone, or set others in MeshConfig's defaultConfig",
    );
}

function deploymentSpec(gateway: Gateway, name: string, labels: Texts, annotations: Texts, options: InjectionOptions): Fields {
  const engine = gateway.metadata.annotations[ENGINE_ANNOTATION];
  const pod: WrittenPod = {
    metadata: {
      labels: { ...labels, 'service.istio.io/canonical-name': name, 'service.istio.io/canonical-revision': 'latest' },
      annotations: { ...(engine !== undefined && { [ENGINE_ANNOTATION]: engine }), ...annotations, [TEMPLATES]: 'gateway' },
    },
    spec: { serviceAccountName: name, containers: [] },
  };
  const { namespace } = gateway.metadata;
  const injected = injectPod(pod, { apiVersion: 'apps/v1', kind: 'Deployment', name, namespace }, undefined, options);
  if (injected.kind === 'left')
    throw new SallyportError('gateway-parameters', `no proxy can be deployed for it: its pod ${injected.reason}`);
  const { metadata, spec } = injected.pod;
  const drainS = options.mesh.defaultConfig.terminationDrainDuration / 1000;
  return {
    selector: { matchLabels: { [GATEWAY_NAME_LABEL]: gateway.metadata.name } },
    template: {
      // The proxy is there: no webhook need look at it.
      metadata: { ...metadata, labels: { ...metadata?.labels, 'sidecar.istio.io/inject': 'false' } },
      spec: {
        ...spec,
        containers: spec.containers.map((container) => ({ ...container, startupProbe: STARTUP_PROBE })),
        terminationGracePeriodSeconds: 2 * Math.ceil(drainS) + END_S,
      },
    },
  };
}

function serviceSpec(gateway: Gateway, all: readonly KubernetesListener[]): Fields {
  const { annotations, name } = gateway.metadata;
  const type = annotations[SERVICE_TYPE] ?? 'LoadBalancer';
  if (!SERVICE_TYPES.includes(type))
    throw new SallyportError('gateway-parameters', `the annotation ${SERVICE_TYPE} says ${type}: there are ${SERVICE_TYPES.join(', ')}`);
  const address = gateway.spec.addresses.find((each) => each.type === 'IPAddress')?.value;
  const listeners = new Map(all.map((listener) => [listener.port, listener]));
  const ports = [...listeners.values()].map(({ name: listener, port, protocol }) => ({
    // Names of listeners may have dots; ports of a Service may not, and are told apart by the number.
    name: portName(listener, port, listeners.size),
    port,
    protocol: 'TCP',
    appProtocol: protocol.toLowerCase(),
  }));
  return {
    type,
    selector: { [GATEWAY_NAME_LABEL]: name },
    ...(address && { loadBalancerIP: address }),
    ports: [{ name: 'status-port', port: STATUS_PORT, protocol: 'TCP', appProtocol: 'tcp' }, ...ports].filter(
      ({ name: portName, port }) => portName === 'status-port' || port !== STATUS_PORT,
    ),
  };
}

function portName(listener: string, port: number, count: number): string {
  const plain = listener.replaceAll('.', '-');
  return plain.length <= 63 && (plain === listener || count === 1) && plain !== 'status-port' ? plain : `port-${port}`;
}
