/**
 * The gateways of an installation, for files that leave them out. As in Istio's own analysis the ingress gateway is taken to exist; the egress gateway
 * too where the files describe no workload of the cluster: then its absence says nothing. Of the two objects of each, Pod and Service, those that
 * the files have are left as they are.
 */
import { GATEWAY_NAME_LABEL, PROXY_NAMESPACE_ANNOTATION } from '../api/gateway-api/common.ts';
import type { ResourceOf } from '../api/index.ts';
import type { Resource } from '../api/resource.ts';
import { Layered } from '../config/layered.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { Snapshot } from '../config/snapshot.ts';

const FILE = 'default gateways';
const USUAL_PORTS = { ingressgateway: [15021, 80, 443, 31400, 15443], egressgateway: [80, 443] } as const;

/** The snapshot with the default gateways laid under it. `namespace` is where Istio is installed. */
export function withDefaultGateways(snapshot: Snapshot, namespace: string): Snapshot {
  const routingOnly = (['Pod', 'Deployment'] as const).every((kind) => snapshot.list(kind).length === 0);
  const gateways = snapshot.all().filter((resource) => resource.kind === 'Gateway') as ResourceOf<'Gateway'>[];
  const documents: object[] = [];
  for (const istio of ['ingressgateway', 'egressgateway'] as const) {
    const pod = snapshot.list('Pod').some(({ metadata }) => metadata.labels.istio === istio) || deployed(snapshot, istio);
    // One with none of the usual ports stands beside the installation's.
    const usual: readonly number[] = USUAL_PORTS[istio];
    const service = snapshot
      .list('Service')
      .find(({ spec }) => spec.selector?.istio === istio && spec.ports.some(({ port }) => usual.includes(port)));
    if (pod || (!routingOnly && (service || istio === 'egressgateway'))) continue;
    if (service) {
      documents.push(podOf(`istio-${istio}`, service.metadata.namespace, service.spec.selector));
      continue;
    }
    const ports = new Set<number>(USUAL_PORTS[istio]);
    if (routingOnly && istio === 'egressgateway') {
      // Which further ports the installation opens is not said either.
      for (const { spec } of gateways) if (spec.selector.istio === istio) for (const { port } of spec.servers) ports.add(port.number);
    }
    const labels = { app: `istio-${istio}`, istio };
    documents.push(podOf(`istio-${istio}`, namespace, labels), serviceOf(`istio-${istio}`, namespace, labels, [...ports]));
  }
  documents.push(...deployedByIstio(snapshot, gateways));
  if (documents.length === 0) return snapshot;
  return new Layered(snapshot, snapshotFromText(documents.map((document) => JSON.stringify(document)).join('\n---\n'), { file: FILE }));
}

/** The proxies that Istio deploys for a Gateway of the Kubernetes Gateway API that names no Service: one Pod for each. */
function deployedByIstio(snapshot: Snapshot, gateways: readonly ResourceOf<'Gateway'>[]): object[] {
  const pods = new Map<string, object>();
  for (const { derivedFrom, spec, metadata } of gateways) {
    const name = derivedFrom && spec.selector[GATEWAY_NAME_LABEL];
    if (name === undefined) continue;
    const namespace = metadata.annotations[PROXY_NAMESPACE_ANNOTATION] ?? metadata.namespace;
    const there = snapshot
      .list('Pod')
      .some((pod) => pod.metadata.namespace === namespace && pod.metadata.labels[GATEWAY_NAME_LABEL] === name);
    if (!there) pods.set(`${namespace}/${name}`, podOf(`${name}-istio`, namespace, spec.selector));
  }
  return [...pods.values()];
}

/** Whether the object comes from here and not from the user's files. */
export function isDefaultGateway(resource: Resource): boolean {
  return resource.source.file === FILE;
}

function deployed(snapshot: Snapshot, istio: string): boolean {
  return snapshot.list('Deployment').some(({ spec }) => spec.template.metadata?.labels?.istio === istio);
}

function podOf(name: string, namespace: string, labels: Readonly<Record<string, string>>): object {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels }, spec: { containers: [{ name: 'istio-proxy' }] } };
}

function serviceOf(name: string, namespace: string, selector: Readonly<Record<string, string>>, ports: readonly number[]): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { selector, ports: ports.map((port) => ({ name: `tcp-${port}`, port })) },
  };
}
