/** `sallyport proxy --role`: one proxy for a workload of the files, with its control plane in the same process. */

import { openMeshFiles } from '../config/mesh-source.ts';
import { ControlPlane } from '../control/control-plane.ts';
import { Session, say } from '../control/session.ts';
import { startStatusServer } from '../control/status-server.ts';
import { EngineStarter } from '../engine/starter.ts';
import { SallyportError } from '../lib/errors.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Mesh } from '../translate/model.ts';
import type { ProxyOptions } from './proxy.ts';

const DEFAULT_ADMIN = { address: '127.0.0.1', port: 15000 };

/** Returns the exit code, once a signal or a failure has ended the proxy. */
export async function runWorkload(
  role: 'sidecar' | 'router',
  workload: { readonly namespace: string; readonly name: string },
  paths: readonly string[],
  options: ProxyOptions,
): Promise<number> {
  const { engine, envoy, concurrency, envoyLogLevel: logLevel, grace: graceMs } = options;
  const starter = new EngineStarter({ engine, envoy, concurrency, logLevel });
  let identity: ProxyIdentity | undefined;
  const controlPlane = new ControlPlane({
    graceMs,
    // A workload that disappears from the files keeps the identity it had.
    proxiesFor: (mesh) => {
      identity = identityOf(role, workload, mesh) ?? identity;
      if (!identity) throw new SallyportError('workload-missing', missing(workload, mesh));
      return new Map([['proxy', identity]]);
    },
    startEngine: (_key, of) => starter.start({ identity: of, admin: options.adminAddress ?? DEFAULT_ADMIN }),
  });
  const files = await openMeshFiles({ paths, meshConfig: options.meshConfig, watch: options.watch });
  const session = new Session({
    files,
    controlPlane,
    failed: starter.failed,
    graceMs,
    analyse: false,
    prepare: (input) => ({ input, findings: [] }),
  });
  const { address, port } = options.statusAddress;
  const status =
    port > 0 ? await startStatusServer({ address, port, report: () => session.report, reload: () => session.reload() }) : undefined;
  try {
    await session.apply(files.current);
    say('ready');
    return await session.run();
  } catch (error) {
    await controlPlane.close(0);
    throw error;
  } finally {
    status?.close();
    files.close();
  }
}

function identityOf(
  role: 'sidecar' | 'router',
  { namespace, name }: { namespace: string; name: string },
  mesh: Mesh,
): ProxyIdentity | undefined {
  const workload = mesh.registry.workloads.find((candidate) => candidate.namespace === namespace && candidate.name === name);
  if (!workload) return undefined;
  const { labels, serviceAccount, addresses, locality } = workload;
  return { type: role, name, namespace, labels, serviceAccount, addresses, locality };
}

function missing({ namespace, name }: { namespace: string; name: string }, mesh: Mesh): string {
  const there = mesh.registry.workloads.map((workload) => `${workload.namespace}/${workload.name}`);
  return `the files have no Pod or WorkloadEntry ${namespace}/${name}; they have ${there.length > 0 ? there.join(', ') : 'none at all'}.`;
}
