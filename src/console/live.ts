/** A mesh that runs, as a console shows it. */
import type { ControlPlane } from '../control/from-files.ts';
import type { Report } from '../control/report.ts';
import type { FlowHub } from '../flows/hub.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { MeshShown, Moment } from './subject.ts';

/** Not everything that changes is told: what proxies run is looked at anew after so long. */
const FRESH_MS = 1_000;

/** A file that changes is read again by itself. */
const FOLLOWED = async (): Promise<void> => undefined;

export interface LiveOptions {
  readonly kind?: 'up' | 'cluster';
  readonly control: Pick<ControlPlane, 'report'>;
  readonly flows: FlowHub | undefined;
  readonly reach?: MeshShown['reach'];
  readonly paths: readonly string[];
  readonly meshConfig: string | undefined;
  /** Whether files may be changed from the console. */
  readonly edit: boolean;
  readonly learned: MeshShown['learned'];
}

export interface LiveMesh {
  readonly shown: MeshShown;
  /** What is in force, or was found, is not what it was. */
  changed(): void;
}

export function liveMesh({ kind = 'up', control, flows, reach, paths, meshConfig, edit, learned }: LiveOptions): LiveMesh {
  let moment: Moment | undefined;
  let taken = 0;
  let mesh: Report['mesh'] | undefined;
  let meshes = 0;
  const read = (): Moment => {
    const { report } = control;
    // Findings come later than the mesh that they are about, and what is asked of the mesh does not depend on them.
    if (report.mesh !== mesh) meshes++;
    mesh = report.mesh;
    // In a cluster those that are connected are the workloads' own.
    return { ...momentOf(report), ...(kind === 'cluster' && { running: [] }), version: String(meshes) };
  };
  const now = (): Moment => {
    if (moment && performance.now() < taken + FRESH_MS) return moment;
    moment = read();
    taken = performance.now();
    return moment;
  };
  return {
    shown: { kind, paths, meshConfig, namespace: undefined, flows, reach, now, learned, ...(edit && { edited: FOLLOWED }) },
    changed: () => {
      moment = undefined;
    },
  };
}

function momentOf({ mesh, findings, proxies }: Report): Omit<Moment, 'version'> {
  const { snapshot, config } = mesh;
  return {
    snapshot,
    config,
    findings,
    proxies: proxies.map(({ identity, version, refusals, resources }) => ({
      identity: { ...identity, addresses: identity.bindAddress === undefined ? identity.addresses : [identity.bindAddress] },
      version,
      refusals: refusals.map(({ message }) => message),
      resources,
    })),
    running: proxies.flatMap(({ identity }) => (identity.type === 'sidecar' ? [simulatedIdentity(identity)] : [])),
  };
}

/** The workload of this machine as one of any machine: where its sidecar listens is no part of a question. */
function simulatedIdentity({ type, name, namespace, labels, serviceAccount, addresses, locality }: ProxyIdentity): ProxyIdentity {
  return { type, name, namespace, labels, serviceAccount, addresses, locality };
}
