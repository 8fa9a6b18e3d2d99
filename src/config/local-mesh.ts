/**
 * The workloads of `up`: a router for each Gateway selector, with an address of its own, as Pods that ordinary Services select; and the gateway
 * Services of an Istio installation where the files define none.
 */

import { PROXY_NAMESPACE_ANNOTATION } from '../api/gateway-api/common.ts';
import type { ResourceOf } from '../api/index.ts';
import { isOfGatewayApi, originOf } from '../api/resource.ts';
import type { Finding } from '../lib/finding.ts';
import { type Labels, matchesLabels } from '../lib/labels.ts';
import type { OfEngine, ProxyIdentity } from '../lib/proxy-identity.ts';
import { own } from '../lib/table.ts';
import { Layered } from './layered.ts';
import { LocalMemory, type Router } from './local-memory.ts';
import type { Snapshot } from './snapshot.ts';

export type { Router } from './local-memory.ts';

export interface LocalMesh {
  /** The files' resources with the local ones laid over them. */
  readonly snapshot: Snapshot;
  readonly routers: readonly Router[];
  /** What holds here and would not hold in a cluster. */
  readonly findings: readonly Finding[];
}

/** Gives each router the same address for as long as the process runs, and remembers the rest of the local mesh, so that it stays the same too. */
export class RouterAddresses {
  readonly memory = new LocalMemory();
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
export function localMesh(files: Snapshot, rootNamespace: string, addresses: RouterAddresses, more: OfEngine = {}): LocalMesh {
  // Also those that are not in force: their router is there, and answers as a cluster's would.
  const gateways = files.all().filter((resource): resource is ResourceOf<'Gateway'> => resource.kind === 'Gateway');
  const services = files.list('Service');
  const routers: Router[] = [];
  const documents: object[] = [];
  const findings: Finding[] = [];
  const labelsOf = (selector: Labels): Labels => {
    const installed = own(INSTALLED, selector.istio);
    const labels = { ...(installed && { app: installed.service }), ...selector };
    return Object.assign(
      {},
      ...services.filter((service) => matchesLabels(selector, service.spec.selector ?? {})).map(({ spec }) => spec.selector),
      labels,
    );
  };
  for (const gateway of gateways) {
    const { spec, metadata } = gateway;
    const selector = selectorOf(spec ?? {});
    // Those of the Kubernetes Gateway API say in which namespace their proxies are; two may have the same name in different ones.
    const home = isOfGatewayApi(gateway) ? metadata.annotations[PROXY_NAMESPACE_ANNOTATION] : undefined;
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
      ...more,
    };
    routers.push({ key, identity });
  }
  Object.values(INSTALLED).forEach(({ service: name, ports: usual }, index) => {
    if (files.get('Service', rootNamespace, name)) return;
    const selector = { istio: name.replace('istio-', '') };
    const ports: Record<number, readonly [string, number]> = { ...usual };
    for (const gateway of files.list('Gateway')) {
      // Those of EgressPolicies have a Service of their own.
      if (gateway.derivedFrom?.kind === 'EgressPolicy') continue;
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
  const { memory } = addresses;
  return {
    snapshot: memory.clusterIps.over(new Layered(files, memory.objects(documents))),
    routers: memory.routers(routers),
    findings: memory.findings(findings),
  };
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
    // The finding is kept while the object may move in its file.
    get position() {
      return gateway.source.position(['spec', 'servers', index, 'port', 'number']);
    },
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
