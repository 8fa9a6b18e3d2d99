/** Who a client of the control plane is: what the node of its first request says, and what the files and its certificate say to that. */
import { isIP } from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import { SallyportError } from '../../lib/errors.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import { spiffeId } from '../../lib/spiffe.ts';
import type { Mesh } from '../../translate/model.ts';
import { isFromRelease } from '../../xds/envoy-version.ts';
import type { Node } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { FIRST_THAT_COUNTS } from '../../xds/istio-stats.ts';
import { COUNTS_BY } from '../../xds/node.ts';

const FORM = 'TYPE~ADDRESS~NAME.NAMESPACE~DOMAIN, e.g. sidecar~10.1.2.3~cart.shop~shop.svc.cluster.local';

/** Characters of what is kept of a node: a proxy outlives its streams. Labels of Kubernetes have 350 at most, and a Pod has some dozens. */
const MOST_KEPT = 64 * 1024;
/** Of its id, which is a part of what is said of it. */
const MOST_ID = 2048;

type NodeParts = Pick<Node, 'id' | 'metadata' | 'locality' | 'extensions' | 'userAgentVersionType'>;

/** The proxy that a node says it is, in the form of Istio's agent. Throws `xds-invalid-node`. */
export function proxyOfNode(node: NodeParts): ProxyIdentity {
  const { id, metadata = {}, locality } = node;
  if (id.length > MOST_ID) throw invalid(`node.id has ${id.length} characters, more than ${MOST_ID}`);
  const parts = id.split('~');
  const [type, address = '', workload = ''] = parts;
  if (parts.length !== 4) throw invalid(`node.id "${id}" is not ${FORM}`);
  if (type !== 'sidecar' && type !== 'router') throw invalid(`node.id "${id}" begins with "${type}": there are sidecar and router`);
  // Namespaces have no dot.
  const dot = workload.lastIndexOf('.');
  const [name, namespace] = [workload.slice(0, Math.max(dot, 0)), workload.slice(dot + 1)];
  if (name === '' || namespace === '') throw invalid(`node.id "${id}" has no NAME.NAMESPACE in its third part`);
  agree('NAME', metadata, name);
  agree('NAMESPACE', metadata, namespace);
  const addresses = textOf('INSTANCE_IPS', metadata)?.split(',').filter(Boolean) ?? [address];
  for (const one of addresses.length > 0 ? addresses : ['']) if (!isIP(one)) throw invalid(`"${one}" of node ${id} is no IP address`);
  const { region = '', zone = '', subZone = '' } = locality ?? {};
  const proxy: ProxyIdentity = {
    type,
    name,
    namespace,
    labels: labelsOf(metadata),
    serviceAccount: textOf('SERVICE_ACCOUNT', metadata) || 'default',
    addresses,
    locality: [region, zone, subZone].filter(Boolean).join('/'),
    ...countsBy(node),
    ...(textOf(COUNTS_BY, metadata) === 'embedded' ? {} : { injects: false }),
  };
  const kept = JSON.stringify(proxy).length;
  if (kept > MOST_KEPT)
    throw invalid(`the node says ${kept} characters of its labels, addresses and names, more than the ${MOST_KEPT} that are kept`);
  return proxy;
}

const STATS_LOGGER = 'envoy.access_loggers.stats';

/** An Envoy that lacks the logger would refuse each listener that has it. */
function countsBy(node: NodeParts): Pick<ProxyIdentity, 'countsBy'> {
  const { metadata = {}, extensions } = node;
  const said = textOf(COUNTS_BY, metadata);
  if (said === 'embedded') return { countsBy: said };
  return said === 'envoy' && isFromRelease(node, FIRST_THAT_COUNTS) && extensions.some(({ name }) => name === STATS_LOGGER)
    ? { countsBy: said }
    : {};
}

/**
 * The proxy as the mesh knows it: where the files declare its workload, what they say of it. Throws `xds-forbidden` where a label or the service account
 * that it claims is another there.
 */
export function declaredProxy(claimed: ProxyIdentity, mesh: Mesh): ProxyIdentity {
  const declared = declarationOf(claimed, mesh);
  if (!declared) return claimed;
  const { kind, labels, serviceAccount } = declared.workload;
  const what = `${kind} ${claimed.namespace}/${claimed.name}`;
  for (const [key, value] of Object.entries(claimed.labels)) {
    if (labels[key] !== undefined && labels[key] !== value)
      throw forbidden(`the node's label ${key} is "${value}", but ${what} is declared with "${labels[key]}"`);
  }
  if (claimed.serviceAccount !== serviceAccount)
    throw forbidden(`the node's SERVICE_ACCOUNT is "${claimed.serviceAccount}", but ${what} is declared with "${serviceAccount}"`);
  return declared.identity;
}

/** The same of one that was admitted before: the files are followed. */
export function followedProxy(claimed: ProxyIdentity, before: ProxyIdentity, mesh: Mesh): ProxyIdentity {
  return declarationOf(claimed, mesh)?.identity ?? before;
}

function declarationOf(claimed: ProxyIdentity, mesh: Mesh) {
  const workload = workloadsByName(mesh).get(`${claimed.namespace}/${claimed.name}`);
  if (!workload) return undefined;
  const { labels, serviceAccount, addresses, locality } = workload;
  const identity: ProxyIdentity = {
    ...claimed,
    labels,
    serviceAccount,
    addresses: addresses.length > 0 ? addresses : claimed.addresses,
    locality: locality || claimed.locality,
  };
  return { workload, identity };
}

type Workload = Mesh['registry']['workloads'][number];

const byName = new WeakMap<readonly Workload[], ReadonlyMap<string, Workload>>();

/** By `namespace/name`; of a Pod and a WorkloadEntry of one name the Pod. */
function workloadsByName({ registry: { workloads } }: Mesh): ReadonlyMap<string, Workload> {
  let found = byName.get(workloads);
  if (!found) {
    found = new Map(workloads.toReversed().map((workload) => [`${workload.namespace}/${workload.name}`, workload]));
    byName.set(workloads, found);
  }
  return found;
}

/** Throws `xds-forbidden` unless the SPIFFE ID that a client proved is that of the proxy. */
export function checkIdentity(proven: string, identity: ProxyIdentity, { config: { trustDomain } }: Mesh): void {
  if (proves(proven, identity, trustDomain)) return;
  throw forbidden(`the client proved that it is ${proven}, but its node claims to be ${uriOf(identity, trustDomain)}`);
}

/** Whether the SPIFFE ID that a client proved is that of the proxy. */
export function proves(proven: string, identity: ProxyIdentity, trustDomain: string): boolean {
  return proven === uriOf(identity, trustDomain);
}

function uriOf({ namespace, serviceAccount }: ProxyIdentity, trustDomain: string): string {
  return spiffeId(trustDomain, namespace, serviceAccount);
}

function agree(field: string, metadata: JsonObject, value: string): void {
  const said = textOf(field, metadata);
  if (said !== undefined && said !== '' && said !== value)
    throw invalid(`node.metadata.${field} is "${said}", but node.id says "${value}"`);
}

function textOf(field: string, metadata: JsonObject): string | undefined {
  const value = metadata[field];
  if (value !== undefined && typeof value !== 'string') throw invalid(`node.metadata.${field} is no text`);
  return value;
}

function labelsOf({ LABELS: labels = {} }: JsonObject): Readonly<Record<string, string>> {
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) throw invalid('node.metadata.LABELS is no map of labels');
  for (const [key, value] of Object.entries(labels))
    if (typeof value !== 'string') throw invalid(`node.metadata.LABELS: the value of ${key} is no text`);
  return labels as Readonly<Record<string, string>>;
}

function invalid(message: string): SallyportError {
  return new SallyportError('xds-invalid-node', message);
}

function forbidden(message: string): SallyportError {
  return new SallyportError('xds-forbidden', message);
}
