/** Who is behind a port of a service, as far as the mesh's mutual TLS has to know it. */
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import { inTrustDomain, spiffeId } from '../lib/spiffe.ts';
import type { Endpoint, Service } from '../registry/model.ts';
import { type PeerModes, peerModes } from '../registry/peer-modes.ts';
import type { Mesh } from './model.ts';

export interface PortPeers {
  /** Whom the endpoints may be (SPIFFE), sorted. */
  readonly identities: readonly string[];
  /** Whether there are endpoints, and each of them has a proxy of the mesh: what policies say of them does not count here, as in Istio. */
  readonly all: boolean;
}

/** Stands for what proxies without identities have. */
const NONE: object = {};

/** Changes with what decides on the mesh's mutual TLS. */
export function peersKey(mesh: Mesh): object {
  return mesh.withoutIdentities ? NONE : peerModes(mesh);
}

const NOBODY: PortPeers = { identities: [], all: false };
const kept = { lists: new Memo<PortPeers>(), equal: new Memo<PortPeers>() };

/** Equal for lists that come to the same. `peers` undefined: proxies have no identities. */
export function portPeers(endpoints: readonly Endpoint[], peers: PeerModes | undefined, trustDomain: string): PortPeers {
  if (!peers || endpoints.length === 0) return NOBODY;
  return kept.lists.get([peers, endpoints, trustDomain], NO_INPUTS, () => {
    const accounts = endpoints
      // An entry that states no account and takes no TLS is nobody who could show an identity.
      .filter(({ workload, serviceAccount, tlsMode }) => serviceAccount !== '' || (workload !== '' && tlsMode === 'istio'))
      .map(({ namespace, serviceAccount }) => [namespace, serviceAccount] as const);
    const identities = [...new Set(accounts.map(([namespace, account]) => spiffeId(trustDomain, namespace, account)))].sort();
    const all = endpoints.every(({ tlsMode }) => tlsMode === 'istio');
    return kept.equal.get([peers, `${all} ${identities.join(' ')}`], NO_INPUTS, () => ({ identities, all }));
  });
}

/** The names of which a server's certificate has to have one, where the rule has none: of its ServiceEntry, and whom the endpoints may be. */
export function serverNames(
  { subjectAltNames }: Service,
  { identities }: PortPeers,
  trustDomainAliases: readonly string[],
): readonly string[] {
  const named = [...subjectAltNames, ...identities];
  const renamed = named.flatMap((name) => trustDomainAliases.flatMap((alias) => inTrustDomain(name, alias)));
  return [...new Set([...named, ...renamed])].sort();
}

export function takesMeshTls({ tlsMode, namespace, labels, port }: Endpoint, peers: PeerModes): boolean {
  return tlsMode === 'istio' && peers.of({ namespace, labels }, port).mode !== 'DISABLE';
}
