/** What every workload of a cluster calls although no policy can select it as a pod: API server, name servers and control planes that are on a node's network or elsewhere. */
import type { ResourceOf } from '../api/index.ts';
import type { ClusterServer } from '../kube/egress-policies.ts';
import { singleAddress } from '../lib/ip.ts';
import type { Service, ServicePort } from '../registry/model.ts';
import type { Mesh } from '../translate/model.ts';

/** Where Kubernetes' own Services are. Whoever may write there may do anything. */
const SYSTEM = 'kube-system';
const DNS_PORT = 53;
const XDS_PORT = 15012;
/** The address of NodeLocal DNSCache where nothing else was set (-localip). */
const NODE_LOCAL_DNS = '169.254.20.10';

/** In a stable order, each once. */
export function clusterServers({ registry, config, snapshot }: Mesh): ClusterServer[] {
  const pods = new Set(registry.workloads.flatMap((workload) => (isSelectable(workload) ? workload.addresses : [])));
  const servers: ClusterServer[] = [];
  for (const service of registry.services) {
    for (const port of service.ports) {
      const what = whatServes(service, port, config.rootNamespace);
      if (what === undefined) continue;
      // A name server is asked by both, while the mesh knows of no endpoints by UDP.
      const protocols = what === 'DNS' ? (['TCP', 'UDP'] as const) : (['TCP'] as const);
      for (const { address, port: number } of registry.endpoints(service, port)) {
        const ip = singleAddress(address);
        if (ip === undefined || pods.has(address)) continue;
        for (const protocol of protocols) servers.push({ what, ip, port: number, protocol });
      }
    }
  }
  if (snapshot.list('Pod').some(({ metadata }) => metadata.namespace === SYSTEM && metadata.labels['k8s-app'] === 'node-local-dns'))
    for (const protocol of ['TCP', 'UDP'] as const) servers.push({ what: 'DNS', ip: NODE_LOCAL_DNS, port: DNS_PORT, protocol });
  const distinct = new Map(servers.map((server) => [`${server.ip} ${server.port} ${server.protocol}`, server]));
  return [...distinct.keys()].sort().map((key) => distinct.get(key)!);
}

/** Whether policies can select it by its labels. */
function isSelectable({ kind, resource }: Mesh['registry']['workloads'][number]): boolean {
  return kind === 'Pod' && !(resource as ResourceOf<'Pod'>).spec.hostNetwork;
}

function whatServes({ registry, resource }: Service, { number }: ServicePort, rootNamespace: string): string | undefined {
  if (registry !== 'Kubernetes') return undefined;
  const { namespace, name } = resource.metadata;
  if (namespace === 'default' && name === 'kubernetes') return 'the API server';
  if (namespace === SYSTEM && number === DNS_PORT) return 'DNS';
  return namespace === rootNamespace && number === XDS_PORT ? 'the control plane' : undefined;
}
