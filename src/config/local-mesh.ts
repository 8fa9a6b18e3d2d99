/**
 * The workloads of `up`: a router for each Gateway selector, with an address of its own, as Pods that ordinary Services select; and the gateway
 * Services of an Istio installation where the files define none. Pure.
 */

import { PROXY_NAMESPACE_ANNOTATION } from '../api/gateway-api/common.ts';
import type { Kind, ResourceOf } from '../api/index.ts';
import { originOf } from '../api/resource.ts';
import type { Finding } from '../lib/finding.ts';
import { type Labels, matchesLabels } from '../lib/labels.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { Layered } from './layered.ts';
import { snapshotFromText } from './memory.ts';
import type { Snapshot } from './snapshot.ts';

export interface Router {
  /** Stays the same while the selector does. */
  readonly key: string;
  readonly identity: ProxyIdentity;
}

export interface LocalMesh {
  /** The files' resources with the local ones laid over them. */
  readonly snapshot: Snapshot;
  readonly routers: readonly Router[];
  /** What holds here and would not hold in a cluster. */
  readonly findings: readonly Finding[];
}

/** Gives each router the same address for as long as the process runs. */
export class RouterAddresses {
  readonly #taken = new Map<string, string>();
  readonly #first: string;

  /** @param first IPv4 address of the first router; the next ones follow it. */
  constructor(first = '127.0.100.1') {
    this.#first = first;
  }

  of(key: string): string {
    let address = this.#taken.get(key);
    if (!address) {
      const octets = this.#first.split('.');
      address = [...octets.slice(0, 3), Number(octets[3]) + this.#taken.size].join('.');
      this.#taken.set(key, address);
    }
    return address;
  }
}

/** The gateways of an Istio installation: the value of the label `istio`, and the Service with its usual ports. */
const INSTALLED = {
  egressgateway: { service: 'istio-egressgateway', ports: { 80: ['http2', 8080], 443: ['https', 8443] } },
  ingressgateway: {
    service: 'istio-ingressgateway',
    ports: { 80: ['http2', 8080], 443: ['https', 8443], 15443: ['tls', 15443], 31400: ['tcp', 31400] },
  },
} as const satisfies Record<string, { service: string; ports: Record<number, readonly [string, number]> }>;

/** @param rootNamespace where Istio is installed, and so its gateways. */
export function localMesh(files: Snapshot, rootNamespace: string, addresses: RouterAddresses): LocalMesh {
  // Also those that are not in force: their router is there, and answers as a cluster's would.
  const gateways = files.all().filter((resource): resource is ResourceOf<'Gateway'> => resource.kind === 'Gateway');
  const services = files.list('Service');
  const routers: Router[] = [];
  const documents: object[] = [];
  const findings: Finding[] = [];
  const labelsOf = (selector: Labels): Labels => {
    const installed = INSTALLED[selector.istio as keyof typeof INSTALLED];
    const labels = { ...(installed && { app: installed.service }), ...selector };
    return Object.assign(
      {},
      ...services.filter((service) => matchesLabels(selector, service.spec.selector ?? {})).map(({ spec }) => spec.selector),
      labels,
    );
  };
  for (const { spec, derivedFrom, metadata } of gateways) {
    const selector = selectorOf(spec ?? {});
    // Those of the Kubernetes Gateway API say in which namespace their proxies are; two may have the same name in different ones.
    const home = derivedFrom && metadata.annotations[PROXY_NAMESPACE_ANNOTATION];
    const isServedBy = ({ identity }: Router) =>
      matchesLabels(selector, identity.labels) && (home === undefined || identity.namespace === home);
    if (Object.keys(selector).length === 0 || routers.some(isServedBy)) continue;
    const labels = labelsOf(selector);
    const usual = services.find((service) => selects(service, labels))?.metadata.namespace ?? rootNamespace;
    const namespace = home ?? usual;
    const key = `router ${namespace === usual ? '' : `${namespace} `}${Object.entries(selector).sort().join(' ')}`;
    const address = addresses.of(key);
    const name = labels.app ?? Object.values(selector)[0] ?? 'router';
    documents.push(pod(name, namespace, labels, address));
    const identity: ProxyIdentity = {
      type: 'router',
      name,
      namespace,
      labels,
      serviceAccount: name,
      addresses: [address],
      locality: '',
      bindAddress: address,
    };
    routers.push({ key, identity });
  }
  Object.values(INSTALLED).forEach(({ service: name, ports: usual }, index) => {
    if (files.get('Service', rootNamespace, name)) return;
    const selector = { istio: name.replace('istio-', '') };
    const ports: Record<number, readonly [string, number]> = { ...usual };
    for (const gateway of files.list('Gateway')) {
      if (!matchesLabels(gateway.spec.selector ?? {}, { app: name, ...selector }) || Object.keys(gateway.spec.selector ?? {}).length === 0)
        continue;
      gateway.spec.servers?.forEach(({ port }, at) => {
        if (ports[port.number]) return;
        ports[port.number] = portOf(port.number, port.protocol);
        findings.push(opened(gateway, name, rootNamespace, port.number, at));
      });
    }
    documents.push(service(name, rootNamespace, selector, `127.0.101.${index + 1}`, ports));
  });
  const local = snapshotFromText(documents.map((document) => JSON.stringify(document)).join('\n---\n'), { file: 'sallyport up' });
  return { snapshot: new WithClusterIps(new Layered(files, local)), routers, findings };
}

/** Its labels, whatever an object that broke its schema holds there. */
function selectorOf({ selector }: { readonly selector?: unknown }): Labels {
  if (typeof selector !== 'object' || selector === null) return {};
  return Object.fromEntries(Object.entries(selector).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function selects(service: ResourceOf<'Service'>, labels: Labels): boolean {
  const selector = service.spec.selector ?? {};
  return Object.keys(selector).length > 0 && matchesLabels(selector, labels);
}

function portOf(number: number, protocol: string): readonly [string, number] {
  const name = `${protocol.toLowerCase()}-${number}`;
  // Ports below 1024 need a privilege that the router should not need.
  return [name, number < 1024 ? number + 10_000 : number];
}

function opened(gateway: ResourceOf<'Gateway'>, service: string, namespace: string, port: number, index: number): Finding {
  return {
    code: 'SP0101',
    level: 'Info',
    message:
      `Port ${port} is not one of the usual ports of the Service ${service}: here it is opened, in a cluster add it to the Service ` +
      `${namespace}/${service}. To try the very Service of the cluster, put it beside these files.`,
    origin: originOf(gateway),
    position: gateway.source.position(['spec', 'servers', index, 'port', 'number']),
  };
}

function pod(name: string, namespace: string, labels: Labels, address: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: { serviceAccountName: name, containers: [{ name: 'istio-proxy' }] },
    status: { phase: 'Running', podIP: address, conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

function service(
  name: string,
  namespace: string,
  selector: Labels,
  clusterIP: string,
  ports: Record<number, readonly [string, number]>,
): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, labels: selector },
    spec: {
      clusterIP,
      selector,
      ports: Object.entries(ports).map(([port, [portName, targetPort]]) => ({
        name: portName,
        port: Number(port),
        targetPort,
        protocol: 'TCP',
      })),
    },
  };
}

/**
 * Services without a clusterIP get one, as the API server would give them: without an address of its own a TCP service would take its port for
 * every address.
 */
class WithClusterIps implements Snapshot {
  readonly #base: Snapshot;
  readonly #services: readonly ResourceOf<'Service'>[];

  constructor(base: Snapshot) {
    this.#base = base;
    this.#services = base.list('Service').map(withClusterIp).map(withHighPorts);
  }

  get version(): number {
    return this.#base.version;
  }

  get findings(): readonly Finding[] {
    return this.#base.findings;
  }

  list<K extends Kind>(kind: K): readonly ResourceOf<K>[] {
    return kind === 'Service' ? (this.#services as unknown as readonly ResourceOf<K>[]) : this.#base.list(kind);
  }

  get<K extends Kind>(kind: K, namespace: string, name: string): ResourceOf<K> | undefined {
    if (kind !== 'Service') return this.#base.get(kind, namespace, name);
    return this.list(kind).find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  }

  all(): readonly ResourceOf<Kind>[] {
    return this.#base.all();
  }
}

/** Addresses of the class E block, which nothing else uses: nobody reaches them but through a proxy. */
function withClusterIp(service: ResourceOf<'Service'>, index: number): ResourceOf<'Service'> {
  const { spec } = service;
  if (spec.clusterIP || spec.clusterIPs?.length || spec.type === 'ExternalName') return service;
  return { ...service, spec: { ...spec, clusterIP: `240.96.${(index >> 8) + 1}.${index & 255}` } };
}

/** The Service that comes with a Gateway of the Kubernetes Gateway API leads to the local router, which should need no privilege for its ports. */
function withHighPorts(service: ResourceOf<'Service'>): ResourceOf<'Service'> {
  if (!service.derivedFrom) return service;
  const ports = service.spec.ports.map((port) => ({ ...port, targetPort: port.port < 1024 ? port.port + 10_000 : port.port }));
  return { ...service, spec: { ...service.spec, ports } };
}
