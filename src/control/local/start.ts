/** The mesh of `up`: control plane, local sidecar, local routers. */
import { resolve } from 'node:path';
import type { MeshConfig } from '../../api/index.ts';
import type { FileGuard } from '../../config/read.ts';
import type { Engine, EngineHost } from '../../engine/contract.ts';
import { countedBy } from '../../engine/counted-by.ts';
import { startEngine } from '../../engine/starter.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import type { ControlPlane } from '../from-files.ts';
import type { LearnedSoFar, Learning } from '../learning/learning.ts';
import type { ControlEvent, Report } from '../report.ts';
import type { LocalMeshOptions } from './options.ts';
import { sidecarIdentity } from './sidecar.ts';

export interface LocalMeshHost extends EngineHost {
  readonly tell: (event: ControlEvent) => void;
  /** Changes the mesh's settings beyond what the files say. */
  readonly adjust?: (config: MeshConfig) => MeshConfig;
  /** Once it is aborted the mesh is not wanted any more: unless it carries calls already, its start rejects with the reason. */
  readonly unwanted?: AbortSignal;
}

export interface LocalMesh {
  readonly control: ControlPlane;
  /** What is proposed so far, without the hosts that are left out; undefined where nothing is recorded. */
  readonly learned: ((leftOut: ReadonlySet<string>) => LearnedSoFar) | undefined;
  /** Once the control plane is closed: writes what was learned and says so; false if the proposal does not keep its promise. */
  conclude(out: (text: string) => void): boolean;
}

/** Addresses that cannot be had: a mesh that nobody reaches does not start. */
const ADDRESS_CODES: ReadonlySet<string> = new Set(['port-in-use', 'port-forbidden', 'address-unavailable', 'listen-failed']);

/** What a mesh is made of. Imported when it starts, beside the sidecar's threads. */
function parts() {
  return Promise.all([import('../from-files.ts'), import('../fleet.ts'), import('./prepare.ts'), import('../../ca/identities.ts')]);
}

/** Loads what `startLocalMesh` needs where the sidecar runs in this thread, so that it starts sooner. */
export async function loadLocalMesh(): Promise<void> {
  await Promise.all([import('../../engine/embedded/engine.ts'), import('../../proxy/in-thread.ts'), parts()]);
}

/** Resolves when the mesh is in force. */
export async function startLocalMesh(paths: readonly string[], options: LocalMeshOptions, host: LocalMeshHost): Promise<LocalMesh> {
  const counted = await countedBy(options, host.environment.PATH ?? '');
  const sidecar = { ...sidecarIdentity(options), ...counted };
  let control: ControlPlane | undefined;
  const reopenLogs = () => control?.reopenLogs().catch((error: unknown) => host.log('error', messageOf(error)));
  const learning = await startLearning(paths, options, host, sidecar, reopenLogs);
  const engine = earlyEngine(options, host, sidecar);
  try {
    const [{ controlFromFiles }, { engineFleet }, { localPrepare, SIDECAR }, { Identities }] = await parts();
    host.unwanted?.throwIfAborted();
    control = await controlFromFiles({
      ...(await withGrants(paths, options)),
      meshConfig: options.meshConfig,
      statusAddress: options.statusAddress,
      analyse: options.analyse,
      closed: options.closed ?? options.contained !== undefined,
      identities: new Identities(options.ca, Date.now),
      ca: options.ca,
      audit: host.audit,
      tell: host.tell,
      prepare: localPrepare({ options, sidecar, counted, learning, adjust: host.adjust ?? ((config) => config) }),
      fleet: engineFleet({
        graceMs: options.graceMs,
        startEngine: async (key, identity) => {
          host.unwanted?.throwIfAborted();
          return key === SIDECAR ? engine.take() : startEngine(options, host, { identity, admin: adminOf(options, identity.bindAddress!) });
        },
      }),
    });
    refuseUnheard(control.report);
    learning?.start();
    return { control, learned: learning && ((leftOut) => learning.proposed(leftOut)), conclude: (out) => learning?.finish(out) ?? true };
  } catch (error) {
    await Promise.all([control?.close(0), engine.abandon()]);
    learning?.abandon();
    throw error;
  }
}

/** The file of grants is followed as long as it is nobody else's. Throws what `openGrants` throws. */
async function withGrants(paths: readonly string[], { grants, followed }: LocalMeshOptions) {
  if (grants === undefined) return { paths, followed };
  const { foreign, openGrants } = await import('../grants/grants-file.ts');
  const file = openGrants(grants);
  const guard: FileGuard = (stats) => {
    const problem = foreign(stats);
    return problem && `it ${problem}: what it held before is in force`;
  };
  return {
    paths: [...paths, file],
    followed: followed && [...followed, file],
    guards: new Map([[file, guard]]),
    more: () => ({ grants: resolve(file) }),
  };
}

function refuseUnheard({ proxies }: Report): void {
  const unheard = proxies.flatMap(({ refusals }) => refusals).find(({ code }) => code !== undefined && ADDRESS_CODES.has(code));
  if (unheard) throw new SallyportError(unheard.code!, unheard.message);
}

/** The sidecar's engine is started at once, so that its threads load while this one does; whoever brings the first change takes it over. */
function earlyEngine(options: LocalMeshOptions, host: EngineHost, identity: ProxyIdentity) {
  const dns = options.dnsAddress.port > 0 ? options.dnsAddress : undefined;
  const { contained } = options;
  const start = () => startEngine(options, host, { identity, admin: adminOf(options, options.adminAddress.address), dns, contained });
  let early: Promise<Engine> | undefined = start();
  // Whoever takes it learns why it could not be started.
  early.catch(() => undefined);
  return {
    take: (): Promise<Engine> => {
      const engine = early ?? start();
      early = undefined;
      return engine;
    },
    /** Ends it if nobody has taken it. */
    abandon: async (): Promise<void> => {
      const engine = await early?.catch(() => undefined);
      await engine?.close(0);
    },
  };
}

/** Undefined where nothing is to be learned. Throws `usage`, and what `proposalFile` throws. */
async function startLearning(
  paths: readonly string[],
  { learn, engine, meshConfig }: LocalMeshOptions,
  { log }: LocalMeshHost,
  caller: ProxyIdentity,
  reopenLogs: () => void,
): Promise<Learning | undefined> {
  if (learn === undefined) return undefined;
  if (engine !== 'embedded') throw new SallyportError('usage', '--learn needs the embedded engine: it reads what its sidecar records.');
  const { Learning } = await import('../learning/learning.ts');
  return new Learning(learn, { paths, meshConfig, caller, reopenLogs, log });
}

/** Every proxy has its admin server at one port and an address of its own; port 0 is none. */
function adminOf({ adminAddress: { port } }: LocalMeshOptions, address: string): SocketAddress | undefined {
  return port > 0 ? { address, port } : undefined;
}
