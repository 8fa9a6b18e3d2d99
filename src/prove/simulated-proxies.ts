/** The proxies of files, for simulation: each is translated when a call comes to it, and few translations are kept. */
import { once } from '../lib/once.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { Recent } from '../lib/recent.ts';
import { spiffeId } from '../lib/spiffe.ts';
import { type SimulatedProxy, simulatedProxy } from '../simulate/proxy.ts';
import { inboundLookup, type TranslationLookup, translationLookup } from '../translate/lookup.ts';
import type { Mesh } from '../translate/model.ts';
import { INBOUND_PASSTHROUGH_CLUSTER, VIRTUAL_INBOUND_LISTENER } from '../translate/names.ts';
import { indexNames, type NameIndex } from '../xds/name-index.ts';
import { BLACK_HOLE_CLUSTER } from '../xds/names.ts';
import type { XdsLookup } from '../xds/resources.ts';

/**
 * How many whole configurations of sidecars are kept. One is in use while its workload's calls are looked at. Each may have thousands of routes and
 * clusters, and there is one for each workload.
 */
const MOST_SIDECARS = 2;
/** How many inbound sides of other sidecars are kept, for the workloads that are called: tens of kilobytes each. */
const MOST_INBOUND = 1000;

interface KnownTranslation extends TranslationLookup {
  readonly names: () => NameIndex;
}

/** The proxies of a mesh; `translationOf` takes those that `proxyOf` has given. A sidecar's translation may be dropped and made again; its proxy stays the same object. */
export function simulatedProxies(mesh: Mesh, nameOf: (identity: ProxyIdentity) => string) {
  const proxies = new Map<ProxyIdentity, SimulatedProxy>();
  const identities = new WeakMap<SimulatedProxy, ProxyIdentity>();
  const routers = new Map<ProxyIdentity, KnownTranslation>();
  const sidecars = new Recent<ProxyIdentity, KnownTranslation>(MOST_SIDECARS);
  const inbound = new Recent<ProxyIdentity, XdsLookup>(MOST_INBOUND);
  const idOf = ({ namespace, serviceAccount }: ProxyIdentity) =>
    mesh.withoutIdentities ? undefined : spiffeId(mesh.config.trustDomain, namespace, serviceAccount);
  const made = (identity: ProxyIdentity): KnownTranslation => {
    const lookup = translationLookup(identity, mesh);
    return { ...lookup, names: once(() => indexNames(lookup.nameTable())) };
  };
  const translationOf = (identity: ProxyIdentity) => {
    if (identity.type === 'sidecar') return sidecars.get(identity, () => made(identity));
    const known = routers.get(identity) ?? made(identity);
    routers.set(identity, known);
    return known;
  };
  const lookupOf = (identity: ProxyIdentity): XdsLookup => {
    const whole = () => translationOf(identity);
    const ofWorkload = () => sidecars.peek(identity) ?? inbound.get(identity, () => inboundLookup(identity, mesh));
    return {
      listeners: () => whole().listeners(),
      listener: (name) => (name === VIRTUAL_INBOUND_LISTENER && identity.type === 'sidecar' ? ofWorkload() : whole()).listener(name),
      routes: (name) => whole().routes(name),
      cluster: (name) => (isWorkloadCluster(name) && identity.type === 'sidecar' ? ofWorkload() : whole()).cluster(name),
      endpoints: (clusterName) => whole().endpoints(clusterName),
      secret: (name) => whole().secret(name),
    };
  };
  const proxyOf = (identity: ProxyIdentity) => {
    const known =
      proxies.get(identity) ?? simulatedProxy({ ...identity, name: nameOf(identity), identity: idOf(identity) }, lookupOf(identity));
    proxies.set(identity, known);
    identities.set(known, identity);
    return known;
  };
  return { proxyOf, translationOf: (proxy: SimulatedProxy) => translationOf(identities.get(proxy)!) };
}

/** Whether inbound listeners send to this cluster. */
function isWorkloadCluster(name: string): boolean {
  return name === INBOUND_PASSTHROUGH_CLUSTER || name === BLACK_HOLE_CLUSTER || name.startsWith('inbound|');
}
