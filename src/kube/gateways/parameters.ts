/**
 * What ConfigMaps say of that which a Gateway runs on, the one of its class and its own (`infrastructure.parametersRef`): each is laid over it by strategic
 * merge, as Istio does it. What would have its proxies run something else, or with other rights, is refused, as all is that is not among what may be said. Pure.
 */
import { isMapping } from '../../api/decode.ts';
import type { ResourceOf } from '../../api/index.ts';
import { PROXY_CONTAINER } from '../../api/injection.ts';
import { parseYaml } from '../../api/yaml/parse.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { SallyportError } from '../../lib/errors.ts';
import { own } from '../../lib/table.ts';
import type { Fields } from '../injection/pod.ts';

/** Fields that may be said, in full where `true`; of lists those of each member. */
type Allowed = true | readonly [Allowed] | { readonly [field: string]: Allowed };

const METADATA = { labels: true, annotations: true } as const;
const POD = {
  affinity: true,
  nodeSelector: true,
  tolerations: true,
  topologySpreadConstraints: true,
  priorityClassName: true,
  terminationGracePeriodSeconds: true,
  imagePullSecrets: true,
  containers: [{ name: true, resources: true }],
} as const;
const DEPLOYMENT = {
  replicas: true,
  strategy: true,
  minReadySeconds: true,
  progressDeadlineSeconds: true,
  revisionHistoryLimit: true,
  template: { metadata: METADATA, spec: POD },
} as const;
/** Nothing by which it would lead to other pods, or take addresses that are another's. */
const SERVICE = {
  type: true,
  ports: [{ port: true, name: true, nodePort: true }],
  loadBalancerIP: true,
  loadBalancerClass: true,
  loadBalancerSourceRanges: true,
  allocateLoadBalancerNodePorts: true,
  externalTrafficPolicy: true,
  internalTrafficPolicy: true,
  trafficDistribution: true,
  healthCheckNodePort: true,
  sessionAffinity: true,
  sessionAffinityConfig: true,
  ipFamilies: true,
  ipFamilyPolicy: true,
} as const;
const PARTS = {
  deployment: { metadata: METADATA, spec: DEPLOYMENT },
  service: { metadata: METADATA, spec: SERVICE },
  serviceAccount: { metadata: METADATA },
  horizontalPodAutoscaler: {
    metadata: METADATA,
    spec: { minReplicas: true, maxReplicas: true, metrics: true, behavior: true },
  },
  podDisruptionBudget: {
    metadata: METADATA,
    spec: { minAvailable: true, maxUnavailable: true, unhealthyPodEvictionPolicy: true },
  },
} as const;
export type Part = keyof typeof PARTS;

/** What is laid over each part, in this order. */
export type GatewayParameters = Readonly<Partial<Record<Part, readonly Fields[]>>>;

const TEXTS = /(?:^|\.)metadata\.(?:labels|annotations)$/;
/** Labels and annotations that say what the controller does, and those by which a container gets other rights. */
const RESERVED = /(?:^|\.)(?:istio\.io|sallyport\.dev|gateway\.networking\.k8s\.io)\//;
export const PRIVILEGED =
  /^(?:(?:container\.)?(?:apparmor|seccomp)\.security\.(?:alpha|beta)\.kubernetes\.io|k8s\.v1\.cni\.cncf\.io)(?:\/|$)/;

/** Of a Gateway: what its class says, and then what it says itself. @throws SallyportError `gateway-parameters` */
export function parametersOf(gateway: ResourceOf<'KubernetesGateway'>, snapshot: Snapshot): GatewayParameters {
  const declared = snapshot.get('GatewayClass', '', gateway.spec.gatewayClassName);
  const fromClass = declared ? classParameters(declared, snapshot) : {};
  const ref = gateway.spec.infrastructure?.parametersRef;
  if (!ref) return fromClass;
  const itsOwn = read('infrastructure.parametersRef', { ...ref, namespace: gateway.metadata.namespace }, snapshot);
  const result: Partial<Record<Part, readonly Fields[]>> = { ...fromClass };
  for (const [part, overlay] of itsOwn) result[part] = overlay === null ? [] : [...(result[part] ?? []), overlay];
  return result;
}

/** @throws SallyportError `gateway-parameters` */
export function classParameters({ spec }: ResourceOf<'GatewayClass'>, snapshot: Snapshot): GatewayParameters {
  if (!spec.parametersRef) return {};
  const overlays = read('parametersRef of its class', spec.parametersRef, snapshot);
  return Object.fromEntries([...overlays].flatMap(([part, overlay]) => (overlay === null ? [] : [[part, [overlay]]])));
}

interface Ref {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string | undefined;
}

/** Null where a part is written and empty: what was said of it before does not hold. */
function read(where: string, { group, kind, name, namespace }: Ref, snapshot: Snapshot): Map<Part, Fields | null> {
  if (group !== '' || kind !== 'ConfigMap') throw refused(`${where} names ${kind} ${name}: it may name a ConfigMap (group "")`);
  if (!namespace) throw refused(`${where} names ConfigMap ${name} without its namespace`);
  const place = `${where}: ConfigMap ${namespace}/${name}`;
  const map = snapshot.get('ConfigMap', namespace, name);
  if (!map)
    throw refused(
      `${place} is not there, or may not be read (the chart's value gateways.configMapNamespaces says where ConfigMaps may be)`,
    );
  const result = new Map<Part, Fields | null>();
  const texts: Readonly<Record<string, string | undefined>> = { ...map.spec.binaryData, ...map.spec.data };
  for (const part of Object.keys(texts)) {
    const allowed = own(PARTS, part);
    if (!allowed) throw refused(`${place} has the key ${part}: there are ${Object.keys(PARTS).join(', ')}`);
    result.set(part as Part, overlayIn(`${place}, ${part}`, texts[part]!, allowed));
  }
  return result;
}

function overlayIn(place: string, text: string, allowed: Allowed): Fields | null {
  const parsed = parseYaml(text);
  if ('problem' in parsed) throw refused(`${place}: ${parsed.problem}`);
  if (parsed.value === null || parsed.value === undefined) return null;
  demand(place, '', parsed.value, allowed);
  return parsed.value as Fields;
}

/** Null takes a field away, as in every merge patch: where any value may be said. */
function demand(place: string, path: string, value: unknown, allowed: Allowed): void {
  if (allowed === true) {
    if (TEXTS.test(path)) demandPlainKeys(place, path, value);
    return;
  }
  if (isMembers(allowed)) {
    if (!Array.isArray(value)) throw refused(`${place}: ${path} has to be a list`);
    for (const member of value) {
      demand(place, `${path}[]`, member, allowed[0]);
      if (path.endsWith('.containers')) demandProxy(place, path, member);
    }
    return;
  }
  if (!isMapping(value)) throw refused(`${place}: ${path || 'it'} has to be a mapping`);
  for (const [field, inner] of Object.entries(value)) {
    const within = own(allowed, field);
    const at = path === '' ? field : `${path}.${field}`;
    if (within === undefined) throw refused(`${place}: ${at} is not for it to say. There are ${Object.keys(allowed).join(', ')}`);
    demand(place, at, inner, within);
  }
}

function isMembers(allowed: Allowed): allowed is readonly [Allowed] {
  return Array.isArray(allowed);
}

function demandProxy(place: string, path: string, member: unknown): void {
  const name = isMapping(member) ? member.name : undefined;
  if (name !== PROXY_CONTAINER) throw refused(`${place}: ${path} has ${String(name)}: there is ${PROXY_CONTAINER} alone`);
}

function demandPlainKeys(place: string, path: string, value: unknown): void {
  if (!isMapping(value)) throw refused(`${place}: ${path} has to be a mapping`);
  const key = Object.keys(value).find((each) => RESERVED.test(each) || PRIVILEGED.test(each));
  if (key !== undefined) throw refused(`${place}: ${path} has ${key}, which is not for it to say. Remove it`);
}

function refused(message: string): SallyportError {
  return new SallyportError('gateway-parameters', message);
}
