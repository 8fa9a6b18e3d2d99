/** The mesh of `up`: control plane, local sidecar, local routers. */
import type { MeshConfig } from '../api/index.ts';
import { SallyportError } from '../lib/errors.ts';
import type { Mesh, Proxy as ProxyIdentity } from '../translate/model.ts';
import { ControlPlane, type Report } from './control-plane.ts';
import { EngineStarter } from './engines.ts';
import { type LocalMesh, localMesh, RouterAddresses } from './local-mesh.ts';
import { openMeshFiles } from './mesh-files.ts';
import type { SocketOption } from './options.ts';
import { Session, say } from './session.ts';
import { startStatusServer } from './status-server.ts';
import type { UpOptions } from './up.ts';

export interface RunningMesh {
  /** What is in force. */
  readonly report: Report;
  /** Goes on with other files in place of those it was started with; resolves when they are in force. */
  use(paths: readonly string[]): Promise<void>;
  /** Serves until a signal or a failure; returns the exit code. */
  run(): Promise<number>;
  /** Ends it without waiting for a signal. */
  close(): Promise<void>;
}

const SIDECAR = 'sidecar';

/** Addresses that cannot be had: a mesh that nobody reaches does not start. */
const ADDRESS_CODES: ReadonlySet<string> = new Set(['port-in-use', 'port-forbidden', 'address-unavailable', 'listen-failed']);

/** @param adjust changes the mesh's settings beyond what the files say */
export async function startLocalMesh(
  paths: readonly string[],
  options: UpOptions,
  adjust: (config: MeshConfig) => MeshConfig = (config) => config,
): Promise<RunningMesh> {
  const { engine, envoy, concurrency, envoyLogLevel: logLevel, grace: graceMs } = options;
  const starter = new EngineStarter({ engine, envoy, concurrency, logLevel });
  const addresses = new RouterAddresses(options.routerAddress);
  const sidecar = sidecarIdentity(options);
  let local: LocalMesh | undefined;
  const controlPlane = new ControlPlane({
    graceMs,
    proxiesFor: (_mesh: Mesh) =>
      new Map([...(local?.routers ?? []).map(({ key, identity }) => [key, identity] as const), [SIDECAR, sidecar]]),
    startEngine: (key, identity) => {
      if (key !== SIDECAR) return starter.start({ identity, admin: adminOf(options, identity.bindAddress!) });
      const dns = options.dnsAddress.port > 0 ? options.dnsAddress : undefined;
      return starter.start({ identity, admin: adminOf(options, options.adminAddress.address), dns });
    },
  });
  const files = await openMeshFiles({ paths, meshConfig: options.meshConfig, watch: options.watch });
  const session = new Session({
    files,
    controlPlane,
    failed: starter.failed,
    graceMs,
    analyse: !options.quiet,
    prepare: (input) => {
      local = localMesh(input.snapshot, input.mesh.rootNamespace, addresses);
      return { input: { ...input, snapshot: local.snapshot, mesh: adjust(input.mesh) }, findings: local.findings };
    },
  });
  const { address, port } = options.statusAddress;
  const status =
    port > 0 ? await startStatusServer({ address, port, report: () => session.report, reload: () => session.reload() }) : undefined;
  const end = () => {
    status?.close();
    files.close();
  };
  try {
    const report = await session.apply(files.current);
    const unheard = report.proxies.flatMap(({ refusals }) => refusals).find(({ code }) => code !== undefined && ADDRESS_CODES.has(code));
    if (unheard) throw new SallyportError(unheard.code!, unheard.message);
    if (!options.quiet) announce(options, report);
    return {
      get report() {
        return session.report ?? report;
      },
      use: async (others) => {
        const next = await openMeshFiles({ paths: others, meshConfig: options.meshConfig, watch: false });
        await session.apply(next.current);
        next.close();
      },
      run: () => session.run().finally(end),
      close: async () => {
        end();
        await controlPlane.close(graceMs);
      },
    };
  } catch (error) {
    end();
    await controlPlane.close(0);
    throw error;
  }
}

/** Every proxy has its admin server at one port and an address of its own; port 0 is none. */
function adminOf({ adminAddress: { port } }: UpOptions, address: string): SocketOption | undefined {
  return port > 0 ? { address, port } : undefined;
}

function sidecarIdentity({ namespace, workload, proxyAddress, engine }: UpOptions): ProxyIdentity {
  if (namespace === '') throw new SallyportError('usage', '--namespace must not be empty.');
  return {
    type: 'sidecar',
    name: workload.app || 'local',
    namespace,
    labels: workload,
    serviceAccount: 'default',
    addresses: [],
    locality: '',
    bindAddress: '127.0.0.1',
    ...(proxyAddress.port > 0 && engine === 'embedded' && { explicitProxy: proxyAddress }),
  };
}

function announce({ engine, proxyAddress, dnsAddress }: UpOptions, { proxies }: Report): void {
  for (const { identity } of proxies) {
    if (identity.type === 'router') say(`router ${identity.namespace}/${identity.name} at ${identity.bindAddress}`);
  }
  if (engine === 'embedded' && dnsAddress.port > 0) say(`DNS at ${dnsAddress.address}:${dnsAddress.port}`);
  if (engine === 'embedded' && proxyAddress.port > 0) say(`ready: use the proxy http://${proxyAddress.address}:${proxyAddress.port}`);
  else if (engine === 'envoy')
    say('ready; Envoy has no explicit proxy and no DNS of ours: redirect traffic to port 15001, or call the routers');
  else say('ready');
}
