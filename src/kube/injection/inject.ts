/** A pod with its proxy: what the webhook does to a Pod, and `sallyport inject` to the template of one. */
import { isSystemNamespace, PROXY_CONTAINER, withoutSidecar } from '../../api/injection.ts';
import type { Resource } from '../../api/resource.ts';
import { SallyportError } from '../../lib/errors.ts';
import { TOKEN_AUDIENCE } from '../../lib/spiffe.ts';
import { CAPTURE_ANNOTATION, captureText } from '../capture/annotation.ts';
import type { Annotations } from './annotations.ts';
import { captureContainer, captureSettings } from './capture-container.ts';
import { initContainersWith, PROXY_ID, proxyContainerFor } from './containers.ts';
import { merged } from './merge.ts';
import { type InjectionStatus, injectedAnnotations, injectedLabels, isInjected } from './metadata.ts';
import { allContainers, type Container, type Fields, type Owner, type PodSpec, type WrittenPod } from './pod.ts';
import { rewriteProbes } from './probes.ts';
import { type MergedMetrics, mergeMetrics, proxyMetrics } from './prometheus.ts';
import { type InjectionOptions, type PodSettings, STATUS_ANNOTATION, settingsFor } from './settings.ts';
import { proxyVolumes } from './volumes.ts';
import { warningsFor } from './warnings.ts';

export type Injection =
  | { readonly kind: 'injected'; readonly pod: WrittenPod; readonly warnings: readonly string[] }
  /** `reason` is the end of a sentence that begins with the pod. */
  | { readonly kind: 'left'; readonly reason: string };

/** The image of a container that says only what is to be otherwise than injected. */
const AUTO_IMAGE = 'auto';
const TEMPLATES = 'inject.istio.io/templates';
const DEFAULT_ADDRESS = 'istiod.istio-system.svc:15012';

/**
 * The pod with what makes it part of the mesh, or why it is left as it is. A pod that has all of it already is left.
 * @param namespace as far as it is known: its labels
 * @throws SallyportError `injection-annotation`, `injection-unsupported`: the pod must not run without what it asks for
 */
export function injectPod(pod: WrittenPod, owner: Owner, namespace: Resource | undefined, options: InjectionOptions): Injection {
  const { labels = {}, annotations = {} } = pod.metadata ?? {};
  const left = whyLeft(pod, owner, namespace);
  if (left !== undefined) return { kind: 'left', reason: left };
  const role = roleIn(annotations);
  const settings = settingsFor(annotations, options);
  const network = labels['topology.istio.io/network'] ?? options.network;
  const { statusPort } = settings;
  const metrics = metricsOf(annotations, settings);
  const rewrites = role === 'sidecar' && settings.rewriteProbes;
  const { spec, probers } = rewrites ? rewriteProbes(pod.spec, statusPort) : { spec: pod.spec, probers: undefined };
  const own = allContainers(spec).find(({ name }) => name === PROXY_CONTAINER);
  const proxy = overlaid(
    proxyContainerFor({
      pod,
      owner,
      settings,
      options,
      network,
      role,
      probers,
      scraped: metrics.scraped,
      metricsUrl: metrics.url,
      controller: controllerFor(settings.proxy.discoveryAddress, options.revision),
    }),
    own,
  );
  const user = (proxy.securityContext as Fields).runAsUser;
  const captures = role === 'sidecar' && settings.mode === 'REDIRECT';
  const proxyUser = typeof user === 'number' && user > 0 ? user : PROXY_ID;
  const captured = captures ? captureSettings(settings, options.mesh, proxyUser) : undefined;
  const capture = captured && captureContainer(captured, settings, options);
  const native = role === 'sidecar' && settings.native ? proxy : undefined;
  const full = withContainers(spec, { capture, native, beside: native ? undefined : proxy, hold: settings.hold, cni: options.cni });
  const volumes = proxyVolumes(TOKEN_AUDIENCE);
  const application = spec.containers.find(({ name }) => name !== PROXY_CONTAINER)?.name;
  const status: InjectionStatus = {
    initContainers: names(capture, native),
    containers: names(native ? undefined : proxy),
    volumes: volumes.map(({ name }) => name),
    imagePullSecrets: null,
    revision: options.revision || 'default',
  };
  const result: WrittenPod = {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: injectedLabels(labels, owner, network, role),
      annotations: {
        ...injectedAnnotations(metrics.annotations, application, options.revision),
        ...(captured && options.cni ? { [CAPTURE_ANNOTATION]: captureText(captured) } : {}),
        [STATUS_ANNOTATION]: JSON.stringify(status),
      },
    },
    spec: merged(role === 'router' ? merged(LOW_PORTS, full) : full, { volumes }) as PodSpec,
  };
  return { kind: 'injected', pod: result, warnings: role === 'sidecar' ? warningsFor(pod, settings, options.cni, proxyUser) : [] };
}

/** The embedded data plane has no agent beside it that would merge the application's with its own. */
function metricsOf(annotations: Annotations, { engine, statusPort, mergeMetrics: merges }: PodSettings): MergedMetrics {
  if (engine === 'envoy' && merges) return mergeMetrics(annotations, statusPort);
  return { annotations: merges ? proxyMetrics(annotations, statusPort) : annotations, scraped: undefined, url: undefined };
}

/** A gateway listens where its clients expect it, without a capability. */
const LOW_PORTS = { securityContext: { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }] } };

function whyLeft(pod: WrittenPod, owner: Owner, namespace: Resource | undefined): string | undefined {
  if (pod.spec.hostNetwork) return "is on its node's network (hostNetwork), where capture would hold for the whole node";
  if (isSystemNamespace(owner.namespace)) return `is in ${owner.namespace}, a namespace of Kubernetes' own`;
  if (isInjected(pod)) return 'is injected already';
  const { labels = {}, annotations = {} } = pod.metadata ?? {};
  return withoutSidecar({ pod: undefined, labels, annotations, namespace });
}

function roleIn(annotations: Readonly<Record<string, string>>): 'sidecar' | 'router' {
  const template = annotations[TEMPLATES]?.trim() ?? 'sidecar';
  if (template === 'gateway') return 'router';
  if (template === 'sidecar') return 'sidecar';
  throw new SallyportError('injection-unsupported', `the annotation ${TEMPLATES} says "${template}": there are sidecar and gateway`);
}

/** The one of the revision, unless MeshConfig names another. */
function controllerFor(address: string, revision: string): string {
  if (address !== DEFAULT_ADDRESS || revision === '' || revision === 'default') return address;
  return address.replace('istiod.', `istiod-${revision}.`);
}

/** What the pod's own container of that name says comes first. */
function overlaid(proxy: Container, own: Container | undefined): Container {
  if (!own) return proxy;
  const { image, ...others } = own;
  if (image === undefined) return merged(proxy, others);
  if (image !== AUTO_IMAGE) return merged(proxy, own);
  // Where the pod says nothing of it the API server has put in what holds for an image without a tag: Always.
  const { imagePullPolicy: _policy, ...said } = others;
  return merged(proxy, said);
}

interface Added {
  readonly capture: Container | undefined;
  readonly native: Container | undefined;
  readonly beside: Container | undefined;
  /** The one beside comes first. */
  readonly hold: boolean;
  readonly cni: boolean;
}

function withContainers(spec: PodSpec, { capture, native, beside, hold, cni }: Added): PodSpec {
  const applications = spec.containers.filter(({ name }) => name !== PROXY_CONTAINER);
  const initContainers = initContainersWith(spec.initContainers ?? [], capture, native, cni);
  const containers = !beside ? applications : hold ? [beside, ...applications] : [...applications, beside];
  return { ...spec, ...(initContainers.length > 0 ? { initContainers } : {}), containers };
}

function names(...containers: readonly (Container | undefined)[]): readonly string[] | null {
  const found = containers.flatMap((container) => (container ? [container.name] : []));
  return found.length > 0 ? found : null;
}
