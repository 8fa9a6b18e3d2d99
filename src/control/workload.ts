/** `proxy --role`: one proxy for a workload of the files, with its control plane in the same process. */
import { Identities } from '../ca/identities.ts';
import type { EngineHost } from '../engine/contract.ts';
import { countedBy } from '../engine/counted-by.ts';
import { type EngineOptions, startEngine } from '../engine/starter.ts';
import { SallyportError } from '../lib/errors.ts';
import type { OfEngine, ProxyIdentity } from '../lib/proxy-identity.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import type { Mesh } from '../translate/model.ts';
import { engineFleet } from './fleet.ts';
import { type ControlPlane, controlFromFiles } from './from-files.ts';
import type { ControlEvent } from './report.ts';

export interface WorkloadOptions extends EngineOptions {
  readonly role: ProxyIdentity['type'];
  readonly workload: WorkloadName;
  readonly paths: readonly string[];
  readonly meshConfig: string | undefined;
  /** Folder of the CA that gives the proxy its identity; undefined: it has none. */
  readonly ca: string | undefined;
  readonly adminAddress: SocketAddress;
  /** Port 0 for no status server. */
  readonly statusAddress: SocketAddress;
}

interface WorkloadName {
  readonly namespace: string;
  readonly name: string;
}

/** Resolves when the proxy serves what the files say; rejects with `workload-missing` if they do not have the workload. */
export async function startWorkloadProxy(
  options: WorkloadOptions,
  host: EngineHost & { readonly tell: (event: ControlEvent) => void },
): Promise<ControlPlane> {
  const { workload, adminAddress: admin } = options;
  const counted = await countedBy(options, host.environment.PATH ?? '');
  let known: ProxyIdentity | undefined;
  // A workload that disappears from the files keeps the identity it had.
  const identityIn = (mesh: Mesh): ProxyIdentity => {
    known = identityOf(options, mesh, counted) ?? known;
    if (!known) throw new SallyportError('workload-missing', missing(workload, mesh));
    return known;
  };
  return controlFromFiles({
    paths: options.paths,
    meshConfig: options.meshConfig,
    statusAddress: options.statusAddress,
    analyse: false,
    identities: options.ca === undefined ? undefined : new Identities(options.ca, Date.now),
    ca: options.ca,
    audit: host.audit,
    tell: host.tell,
    prepare: (input) => ({ input, findings: [], proxies: (mesh) => new Map([['proxy', identityIn(mesh)]]) }),
    fleet: engineFleet({ startEngine: (_key, identity) => startEngine(options, host, { identity, admin }), graceMs: 0 }),
  });
}

function identityOf({ role, workload: { namespace, name } }: WorkloadOptions, mesh: Mesh, counted: OfEngine): ProxyIdentity | undefined {
  const workload = mesh.registry.workloads.find((candidate) => candidate.namespace === namespace && candidate.name === name);
  if (!workload) return undefined;
  const { labels, serviceAccount, addresses, locality } = workload;
  return { type: role, name, namespace, labels, serviceAccount, addresses, locality, ...counted };
}

function missing({ namespace, name }: WorkloadName, mesh: Mesh): string {
  const there = mesh.registry.workloads.map((workload) => `${workload.namespace}/${workload.name}`);
  return `the files have no Pod or WorkloadEntry ${namespace}/${name}; they have ${there.length > 0 ? there.join(', ') : 'none at all'}.`;
}
