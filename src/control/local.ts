/** The mesh of `up`: control plane, local sidecar, local routers. */

import { clone } from '@bufbuild/protobuf';
import type { MeshConfig } from '../api/index.ts';
import { EXIT } from '../cli/exit.ts';
import type { UpOptions } from '../cli/up.ts';
import type { LocalMesh } from '../config/local-mesh.ts';
import { EngineStarter } from '../engine/starter.ts';
import { SallyportError } from '../lib/errors.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import type { Mesh } from '../translate/model.ts';
import { VIRTUAL_INBOUND_LISTENER, VIRTUAL_OUTBOUND_LISTENER } from '../translate/names.ts';
import { type Listener, ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { Report } from './control-plane.ts';
import type { Learning } from './learning/learning.ts';
import { Session, say } from './session.ts';
import type { StatusServer } from './status-server.ts';

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
  const sidecar = sidecarIdentity(options);
  const learning = await startLearning(paths, options, sidecar);
  const dns = options.dnsAddress.port > 0 ? options.dnsAddress : undefined;
  // Its threads load while this one does.
  const first = starter.start({ identity: sidecar, admin: adminOf(options, options.adminAddress.address), dns });
  let adopted = false;
  const abandon = async () => {
    if (!adopted) await first.then((engine) => engine.close(0));
  };
  const [{ ControlPlane }, { localMesh, RouterAddresses }, { openMeshFiles }] = await Promise.all([
    import('./control-plane.ts'),
    import('../config/local-mesh.ts'),
    import('../config/mesh-source.ts'),
  ]);
  const addresses = new RouterAddresses(options.routerAddress);
  let local: LocalMesh | undefined;
  const controlPlane = new ControlPlane({
    graceMs,
    adapt: (resources, identity) => {
      const adapted = { ...resources, listeners: resources.listeners.map((listener) => withoutPort(listener, options)) };
      return learning?.recorded(adapted, identity) ?? adapted;
    },
    proxiesFor: (_mesh: Mesh) =>
      new Map([...(local?.routers ?? []).map(({ key, identity }) => [key, identity] as const), [SIDECAR, sidecar]]),
    startEngine: (key, identity) => {
      if (key !== SIDECAR) return starter.start({ identity, admin: adminOf(options, identity.bindAddress!) });
      adopted = true;
      return first;
    },
  });
  const files = await openMeshFiles({ paths, meshConfig: options.meshConfig, watch: options.watch }).catch(async (error: unknown) => {
    await abandon();
    learning?.abandon();
    throw error;
  });
  const session = new Session({
    files,
    controlPlane,
    failed: starter.failed,
    graceMs,
    analyse: !options.quiet,
    prepare: (given) => {
      const input = learning?.allowing(given) ?? given;
      local = localMesh(input.snapshot, input.mesh.rootNamespace, addresses);
      return { input: { ...input, snapshot: local.snapshot, mesh: adjust(captured(input.mesh, options)) }, findings: local.findings };
    },
  });
  const { address, port } = options.statusAddress;
  let status: StatusServer | undefined;
  const end = () => {
    status?.close();
    files.close();
  };
  try {
    if (port > 0) {
      const { startStatusServer } = await import('./status-server.ts');
      status = await startStatusServer({ address, port, report: () => session.report, reload: () => session.reload() });
    }
    const report = await session.apply(files.current);
    const unheard = report.proxies.flatMap(({ refusals }) => refusals).find(({ code }) => code !== undefined && ADDRESS_CODES.has(code));
    if (unheard) throw new SallyportError(unheard.code!, unheard.message);
    learning?.start();
    if (!options.quiet) announce(options, report);
    const learned = (write: (text: string) => void) => learning?.finish(write) ?? true;
    return {
      get report() {
        return session.report ?? report;
      },
      use: async (others) => {
        const next = await openMeshFiles({ paths: others, meshConfig: options.meshConfig, watch: false });
        await session.apply(next.current);
        next.close();
      },
      run: async () => {
        const code = await session.run().finally(end);
        const kept = learned((text) => process.stdout.write(text));
        return code === EXIT.fine && !kept ? EXIT.findings : code;
      },
      close: async () => {
        end();
        await controlPlane.close(graceMs);
        // Standard output is the command's own.
        learned((text) => process.stderr.write(text));
      },
    };
  } catch (error) {
    end();
    await Promise.all([controlPlane.close(0), abandon()]);
    learning?.abandon();
    throw error;
  }
}

/** Undefined where nothing is to be learned. Throws `usage`, and what `proposalFile` throws. */
async function startLearning(paths: readonly string[], options: UpOptions, caller: ProxyIdentity): Promise<Learning | undefined> {
  if (options.learn === undefined) return undefined;
  if (options.engine !== 'embedded')
    throw new SallyportError('usage', '--learn needs the embedded engine: it reads what its sidecar records.');
  const { Learning } = await import('./learning/learning.ts');
  // As whoever rotates logs does it.
  return new Learning(options.learn, { paths, meshConfig: options.meshConfig, caller, reopenLogs: () => process.emit('SIGUSR1') });
}

function captured(config: MeshConfig, { capturePort }: UpOptions): MeshConfig {
  return capturePort > 0 ? { ...config, proxyListenPort: capturePort } : config;
}

/** The local sidecar has no address of its own, so nothing comes in; and what is redirected comes in only where that is wanted. */
function withoutPort(listener: Listener, { capturePort }: UpOptions): Listener {
  if (listener.name !== VIRTUAL_INBOUND_LISTENER && (listener.name !== VIRTUAL_OUTBOUND_LISTENER || capturePort > 0)) return listener;
  const unbound = clone(ListenerSchema, listener);
  unbound.bindToPort = false;
  return unbound;
}

/** Every proxy has its admin server at one port and an address of its own; port 0 is none. */
function adminOf({ adminAddress: { port } }: UpOptions, address: string): SocketAddress | undefined {
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

function announce({ engine, proxyAddress, dnsAddress, learn }: UpOptions, { proxies }: Report): void {
  for (const { identity } of proxies) {
    if (identity.type === 'router') say(`router ${identity.namespace}/${identity.name} at ${identity.bindAddress}`);
  }
  if (learn !== undefined) say('learning: every call is allowed and recorded');
  if (engine === 'embedded' && dnsAddress.port > 0) say(`DNS at ${dnsAddress.address}:${dnsAddress.port}`);
  if (engine === 'embedded' && proxyAddress.port > 0) say(`ready: use the proxy http://${proxyAddress.address}:${proxyAddress.port}`);
  else if (engine === 'envoy')
    say('ready; Envoy has no explicit proxy and no DNS of ours: redirect traffic to port 15001, or call the routers');
  else say('ready');
}
