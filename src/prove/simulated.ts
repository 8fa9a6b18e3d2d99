/** A mesh of files, ready for simulation: its proxies, translated when a call comes to them. */

import { capturesDns } from '../api/dns-capture.ts';
import type { MeshConfig, ResourceOf } from '../api/index.ts';
import { PROXY_CONTAINER, proxyContainer, withoutSidecar } from '../api/injection.ts';
import type { MeshConfigDecoded } from '../api/mesh-config-document.ts';
import type { Resource } from '../api/resource.ts';
import { localMesh, RouterAddresses } from '../config/local-mesh.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { SallyportError } from '../lib/errors.ts';
import { type Labels, matchesLabels } from '../lib/labels.ts';
import { once } from '../lib/once.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { closest } from '../lib/spelling.ts';
import { buildRegistry, builtAs } from '../registry/index.ts';
import type { Registry, Service, Workload } from '../registry/model.ts';
import type { SimulatedMesh } from '../simulate/explain.ts';
import type { SimulatedProxy } from '../simulate/proxy.ts';
import type { Mesh } from '../translate/model.ts';
import type { NameTable } from '../xds/gen/istio/nds_pb.js';
import type { NameIndex } from '../xds/name-index.ts';
import { inboundCaptures } from './capture.ts';
import { clusterDns, entrancesOf } from './entrances.ts';
import { simulatedProxies } from './simulated-proxies.ts';

export interface SimulatedFiles {
  readonly mesh: Mesh;
  /** Where a part of the MeshConfig is written; undefined where that is not known. */
  readonly meshPosition: MeshConfigDecoded['position'];
  readonly simulated: SimulatedMesh;
  /** Sidecars that run beside those of the files' workloads. */
  readonly running: readonly ProxyIdentity[];
  /** Every workload with a proxy, sidecars and routers. */
  readonly proxies: readonly ProxyIdentity[];
  /** The workloads that the files say have no sidecar: nothing but NetworkPolicies holds their calls. */
  readonly bare: readonly BareWorkload[];
  /** The proxy of `namespace/name`, translated. Throws `no-such-workload`. */
  proxy(name: string): SimulatedProxy;
  /** The proxy of a workload that the files may not name. */
  proxyOf(identity: ProxyIdentity): SimulatedProxy;
  /** Whether what this workload asks for names is led to its proxy. Of files that is taken to be so, as it is with `up`. */
  asksMesh(proxy: SimulatedProxy): boolean;
  /** What the DNS of a proxy answers. */
  nameTable(proxy: SimulatedProxy): NameTable;
  /** The same, for lookups. */
  names(proxy: SimulatedProxy): NameIndex;
}

export interface BareWorkload {
  readonly identity: ProxyIdentity;
  /** The end of a sentence. */
  readonly why: string;
}

/** The workload that makes the calls if the files have none; `sallyport up` has the same one. */
export const LOCAL: ProxyIdentity = {
  type: 'sidecar',
  name: 'local',
  namespace: 'default',
  labels: { app: 'local' },
  serviceAccount: 'default',
  addresses: [],
  locality: '',
};

/** What simulation goes on from, or takes beside the files. */
export interface SimulatedBeside {
  /** One that says nearly the same: what is the same need not be made again. */
  readonly near?: Mesh;
  /** Sidecars that run beside those of the files' workloads, as that of `up` does. */
  readonly running?: readonly ProxyIdentity[];
}

export function simulateFiles(
  files: Snapshot,
  config: MeshConfig,
  meshPosition?: MeshConfigDecoded['position'],
  { near, running = [] }: SimulatedBeside = {},
): SimulatedFiles {
  // A cluster has the pods that it has, and they have the containers that they have.
  const complete = files.complete === true;
  const snapshot = complete || hasGatewayPods(files) ? files : localMesh(files, config.rootNamespace, new RouterAddresses()).snapshot;
  const { registry } = buildRegistry(snapshot, config, near && builtAs(near.registry));
  const mesh: Mesh = { snapshot, registry, config };
  const selectors = snapshot.list('Gateway').map(({ spec }) => spec.selector);
  const namespaces = new Map(snapshot.list('Namespace').map((each) => [each.metadata.name, each]));
  const bare: BareWorkload[] = [];
  const identities: ProxyIdentity[] = [];
  const machines = new Set<ProxyIdentity>();
  const askElsewhere = new Set<string>();
  for (const workload of registry.workloads) {
    const identity = identityOf(workload, selectors);
    // In a cluster a Gateway makes no proxy of a pod that has none.
    const why = complete || identity.type === 'sidecar' ? bareness(workload, namespaces, complete) : undefined;
    if (why !== undefined) bare.push({ identity: { ...identity, type: 'sidecar' }, why });
    else identities.push(identity);
    if (isMachine(workload)) machines.add(identity);
    if (complete && asksElsewhere(workload)) askElsewhere.add(workloadName(identity));
  }
  const taken = new Set([...identities, ...bare.map(({ identity }) => identity)].map(workloadName));
  identities.push(...running.filter((identity) => !taken.has(workloadName(identity))));
  const receives = (identity: ProxyIdentity) => !machines.has(identity);
  const proxies = complete || identities.some(({ type }) => type === 'sidecar') ? identities : [...identities, LOCAL];
  const byName = new Map(proxies.map((identity) => [workloadName(identity), identity]));
  const byAddress = new Map<string, ProxyIdentity>();
  for (const identity of proxies) {
    if (!receives(identity)) continue;
    for (const address of identity.addresses) if (!byAddress.has(address)) byAddress.set(address, identity);
  }
  const inbound = inboundCaptures(snapshot.list('Pod'), config);
  const takes = (identity: ProxyIdentity, port: number | undefined) =>
    port === undefined || identity.type === 'router' || (inbound.get(workloadName(identity))?.(port) ?? true);
  const { proxyOf, translationOf } = simulatedProxies(mesh, workloadName);
  return {
    mesh,
    meshPosition,
    running,
    proxies,
    bare,
    simulated: {
      proxyAt(ip, port) {
        const identity = byAddress.get(ip);
        return identity && takes(identity, port) ? proxyOf(identity) : undefined;
      },
      behindService: kubernetesServices(registry),
      lookUp: clusterDns(registry),
      entrances: once(() => entrancesOf(registry, proxies.filter(({ type }) => type === 'router').map(proxyOf))),
    },
    proxyOf,
    proxy(name) {
      const identity = byName.get(name);
      const without = bare.find((each) => workloadName(each.identity) === name);
      if (without) throw new SallyportError('no-such-workload', `${name} has no sidecar: it ${without.why}.`);
      if (!identity) throw new SallyportError('no-such-workload', unknown(name, [...proxies, ...bare.map((each) => each.identity)]));
      return proxyOf(identity);
    },
    asksMesh: ({ name }) => !askElsewhere.has(name),
    nameTable: (proxy) => translationOf(proxy).nameTable(),
    names: (proxy) => translationOf(proxy).names(),
  };
}

/** As kube-proxy: a connection to the address of a Service goes to one of its ready endpoints. */
function kubernetesServices(registry: Registry): NonNullable<SimulatedMesh['behindService']> {
  const byAddress = new Map<string, Service>();
  for (const service of registry.services) {
    if (service.registry !== 'Kubernetes') continue;
    for (const address of service.addresses) if (!byAddress.has(address)) byAddress.set(address, service);
  }
  return ({ ip, port }) => {
    const service = byAddress.get(ip);
    if (!service) return undefined;
    const found = service.ports.find(({ number }) => number === port);
    const endpoints = found ? registry.endpoints(service, found) : [];
    return endpoints.filter(({ healthy }) => healthy).map((endpoint) => ({ ip: endpoint.address, port: endpoint.port }));
  };
}

/** As commands name workloads. */
export function workloadName({ namespace, name }: Pick<ProxyIdentity, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

function unknown(name: string, proxies: readonly ProxyIdentity[]): string {
  const names = proxies.map(workloadName);
  const near = closest(name, names);
  return `there is no workload ${name}; ${near ? `did you mean ${near}?` : `the files have ${names.join(', ')}.`}`;
}

function hasGatewayPods(files: Snapshot): boolean {
  const pods = files.list('Pod');
  return files.list('Gateway').every(({ spec }) => pods.some(({ metadata }) => matchesLabels(spec.selector, metadata.labels)));
}

export function identityOf(workload: Workload, selectors: readonly Labels[]): ProxyIdentity {
  const { namespace, name, labels, serviceAccount, addresses, locality } = workload;
  const selected = selectors.some((selector) => Object.keys(selector).length > 0 && matchesLabels(selector, labels));
  const type = (selected && workload.kind === 'Pod' && !isApplication(workload)) || isProxyAlone(workload) ? 'router' : 'sidecar';
  return { type, name, namespace, labels, serviceAccount, addresses, locality };
}

function bareness({ kind, resource }: Workload, namespaces: ReadonlyMap<string, Resource>, complete: boolean): string | undefined {
  if (kind !== 'Pod') return undefined;
  const { metadata, spec } = resource as ResourceOf<'Pod'>;
  if (complete) return proxyContainer(spec) ? undefined : `runs without a container ${PROXY_CONTAINER}`;
  return withoutSidecar({ ...metadata, pod: spec, namespace: namespaces.get(metadata.namespace) });
}

function asksElsewhere({ kind, resource }: Workload): boolean {
  return kind === 'Pod' && !capturesDns((resource as ResourceOf<'Pod'>).spec);
}

/** A WorkloadEntry without the label that a proxy gets when it registers itself may be any server in the world. */
function isMachine({ kind, labels }: Workload): boolean {
  return kind === 'WorkloadEntry' && labels['security.istio.io/tlsMode'] !== 'istio';
}

/** Whether a Pod has nothing but a proxy: a gateway's, also where no Gateway selects it, and then it listens for nothing. */
function isProxyAlone({ kind, resource }: Workload): boolean {
  if (kind !== 'Pod') return false;
  const { containers } = (resource as ResourceOf<'Pod'>).spec;
  return containers.length > 0 && containers.every(({ name }) => name === PROXY_CONTAINER);
}

/** Whether a Pod has an application beside its proxy. Such a Pod stays a caller even if a Gateway selects it. */
function isApplication({ kind, resource }: Workload): boolean {
  if (kind !== 'Pod') return false;
  const { containers, initContainers } = (resource as ResourceOf<'Pod'>).spec;
  const isProxy = ({ name }: { readonly name: string }) => name === PROXY_CONTAINER;
  return [...containers, ...initContainers].some(isProxy) && containers.some((container) => !isProxy(container));
}
