/**
 * The gateways of an installation, for files that leave them out: files that do not define a gateway are not a cluster without one. As in Istio's own
 * analysis the ingress gateway is taken to exist; the egress gateway too unless the files hold workloads or Services of the installation's namespace,
 * and a gateway of another name where nothing of its namespace is among the files. Of the two objects of each, Pod and Service, those that the files
 * have are left as they are.
 */
import { GATEWAY_NAME_LABEL, PROXY_NAMESPACE_ANNOTATION } from '../api/gateway-api/common.ts';
import type { ResourceOf } from '../api/index.ts';
import type { Resource } from '../api/resource.ts';
import { Layered } from '../config/layered.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { fullHostname } from '../lib/hostname.ts';
import { closest } from '../lib/spelling.ts';

const FILE = 'default gateways';
const USUAL_PORTS = { ingressgateway: [15021, 80, 443, 31400, 15443], egressgateway: [80, 443] } as const;

/** The snapshot with the default gateways laid under it. `namespace` is where Istio is installed. */
export function withDefaultGateways(snapshot: Snapshot, namespace: string): Snapshot {
  const gateways = snapshot.all().filter((resource) => resource.kind === 'Gateway') as ResourceOf<'Gateway'>[];
  const installed = (['ingressgateway', 'egressgateway'] as const).flatMap((istio) =>
    installedGateway(snapshot, namespace, gateways, istio),
  );
  const documents = [...installed, ...deployedByIstio(snapshot, gateways)];
  const usual = layered(snapshot, documents);
  const others = namedByRoutes(usual, gateways);
  return others.length > 0 ? layered(snapshot, [...documents, ...others]) : usual;
}

function layered(snapshot: Snapshot, documents: readonly object[]): Snapshot {
  if (documents.length === 0) return snapshot;
  return new Layered(snapshot, snapshotFromText(documents.map((document) => JSON.stringify(document)).join('\n---\n'), { file: FILE }));
}

/** What the files lack of a gateway of the installation. */
function installedGateway(
  snapshot: Snapshot,
  namespace: string,
  gateways: readonly ResourceOf<'Gateway'>[],
  istio: keyof typeof USUAL_PORTS,
): object[] {
  if (snapshot.list('Pod').some(({ metadata }) => metadata.labels.istio === istio) || deployed(snapshot, istio)) return [];
  // One with none of the usual ports stands beside the installation's.
  const usual: readonly number[] = USUAL_PORTS[istio];
  const service = snapshot
    .list('Service')
    .find(({ spec }) => spec.selector?.istio === istio && spec.ports.some(({ port }) => usual.includes(port)));
  if (service) {
    const owner = service.metadata.namespace;
    return hasWorkloads(snapshot, owner) ? [] : [podOf(`istio-${istio}`, owner, service.spec.selector)];
  }
  if (istio === 'egressgateway' && (hasWorkloads(snapshot, namespace) || hasServices(snapshot, namespace, istio))) return [];
  const ports = new Set<number>(USUAL_PORTS[istio]);
  if (istio === 'egressgateway') {
    // Which further ports the installation opens is not said either.
    for (const { spec } of gateways) if (spec.selector.istio === istio) for (const { port } of spec.servers) ports.add(port.number);
  }
  const labels = { app: `istio-${istio}`, istio };
  return [podOf(`istio-${istio}`, namespace, labels), serviceOf(`istio-${istio}`, namespace, labels, [...ports])];
}

function hasWorkloads(snapshot: Snapshot, namespace: string): boolean {
  return (['Pod', 'Deployment'] as const).some((kind) => snapshot.list(kind).some(({ metadata }) => metadata.namespace === namespace));
}

/** Those of the gateway itself (`istio`: its label) say nothing of what else there is. */
function hasServices(snapshot: Snapshot, namespace: string, istio?: string): boolean {
  return snapshot
    .list('Service')
    .some(
      ({ metadata, spec, derivedFrom }) => metadata.namespace === namespace && !derivedFrom && (!istio || spec.selector?.istio !== istio),
    );
}

/**
 * Gateways that routes show: sidecars are led to a Service of a namespace of which the files have nothing, and the same hosts are routed at a Gateway
 * whose pods the files lack. A name near to one that there is would be a misspelling of it.
 */
function namedByRoutes(snapshot: Snapshot, gateways: readonly ResourceOf<'Gateway'>[]): object[] {
  const lacking = gateways.filter(
    ({ spec, derivedFrom }) =>
      !derivedFrom &&
      Object.keys(spec.selector).length > 0 &&
      !snapshot.list('Pod').some(({ metadata }) => holds(metadata.labels, spec.selector)) &&
      !snapshot.list('Deployment').some((deployment) => holds(deployment.spec.template.metadata?.labels ?? {}, spec.selector)),
  );
  if (lacking.length === 0) return [];
  const known = snapshot.list('Service').map(({ metadata }) => `${metadata.name}.${metadata.namespace}.svc.cluster.local`);
  const documents = new Map<string, object>();
  const routes = snapshot.list('VirtualService').filter(({ derivedFrom }) => !derivedFrom);
  for (const { spec, metadata } of routes) {
    if (!spec.gateways.includes('mesh')) continue;
    const gateway = lacking.find((each) =>
      routes.some((other) => isBoundTo(other, each) && other.spec.hosts.some((host) => spec.hosts.includes(host))),
    );
    if (!gateway) continue;
    for (const rule of [...spec.http, ...spec.tls, ...spec.tcp]) {
      for (const { destination } of rule.route) {
        const host = fullHostname(destination.host, metadata.namespace).toLowerCase();
        const [name, namespace, ...rest] = host.split('.');
        if (!name || !namespace || rest.join('.') !== 'svc.cluster.local' || known.includes(host) || documents.has(host)) continue;
        if (closest(host, known) || hasWorkloads(snapshot, namespace) || hasServices(snapshot, namespace)) continue;
        const ports = new Set([
          ...(destination.port ? [destination.port.number] : []),
          ...gateway.spec.servers.map(({ port }) => port.number),
        ]);
        documents.set(host, serviceOf(name, namespace, gateway.spec.selector, [...ports]));
        documents.set(`${host} pod`, podOf(name, namespace, gateway.spec.selector));
      }
    }
  }
  return [...documents.values()];
}

function isBoundTo({ spec, metadata }: ResourceOf<'VirtualService'>, gateway: ResourceOf<'Gateway'>): boolean {
  const { namespace, name } = gateway.metadata;
  return spec.gateways.includes(`${namespace}/${name}`) || (metadata.namespace === namespace && spec.gateways.includes(name));
}

function holds(labels: Readonly<Record<string, string>>, selector: Readonly<Record<string, string>>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
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

/** Whether the object is one of the installation's gateways, of which nobody need say that they are there. */
export function isInstalledGateway({ metadata }: Resource): boolean {
  return metadata.name === 'istio-ingressgateway' || metadata.name === 'istio-egressgateway';
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
