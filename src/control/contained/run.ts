/** A contained command and the mesh that decides on its calls, for as long as the command runs. */
import { setTimeout } from 'node:timers/promises';
import { allowOption } from '../../lib/allow-option.ts';
import type { ObservedCall } from '../../lib/contained.ts';
import { SallyportError } from '../../lib/errors.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import { type Allowed, hasSecrets } from '../../policy/allow.ts';
import { checkProgram, insideEnvironment } from '../../sandbox/command.ts';
import { type Ended, INSIDE_LOOPBACK, INSIDE_PORTS, openSandbox, type Sandbox } from '../../sandbox/index.ts';
import { publishPort } from '../../sandbox/ports.ts';
import { keepMemory } from '../../sandbox/privileges.ts';
import { calls as systemCalls } from '../../sandbox/system.ts';
import type { LocalMeshOptions } from '../local/options.ts';
import { sidecarIdentity } from '../local/sidecar.ts';
import type { LocalMesh, LocalMeshHost } from '../local/start.ts';
import type { OwnWay } from '../own-way.ts';
import type { Asking } from './asking/asking.ts';
import { callerOf } from './caller.ts';
import { Calls, type CallsOptions } from './calls.ts';
import { foldersToHide, grantsToHide, type HiddenFile } from './hidden-folders.ts';
import type { LocalServices } from './local-services.ts';
import { foldersToKeep, outsidePrograms, pathOutside } from './outside-programs.ts';
import { compiledCodeFolders, refuseChangedModules } from './own-code.ts';
import type { Account } from './report.ts';
import type { RunSecrets } from './secrets.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface ContainedOptions {
  /** The command and its arguments. */
  readonly words: readonly string[];
  /** Files with resources. */
  readonly paths: readonly string[];
  /** What else may be called. */
  readonly allowed: readonly Allowed[];
  /** Addresses are those inside; what is said of others is left aside. */
  readonly mesh: LocalMeshOptions;
  readonly host: LocalMeshHost;
  readonly environment: Environment;
  /** How requests of this program's own leave; without, directly. */
  readonly way?: OwnWay | undefined;
  readonly strict: boolean;
  /** What the command must not see besides. */
  readonly hidden?: readonly HiddenFile[];
  /** What signs the audit, for a shell. */
  readonly signs?: string | undefined;
  /** Paths of unix sockets of this machine that may be called. */
  readonly allowedSockets: readonly string[];
  /** Services of this machine that may be called, at the same port inside. */
  readonly local: readonly SocketAddress[];
  /** Ports inside that this machine may call at its own loopback. */
  readonly published: readonly number[];
  /** Hold what nothing allows for so many ms, and ask. */
  readonly askMs?: number | undefined;
  readonly say: (line: string) => void;
}

export interface Ran extends Account {
  readonly conclude: LocalMesh['conclude'];
}

const NOWHERE = { address: INSIDE_LOOPBACK, port: 0 };
/** How long a command that has called nobody may run without a mesh, and how often that is looked at, ms. Many a command is over by then. */
const HEAD_START_MS = 150;
const LOOK_EVERY_MS = 10;
const PROXY = { address: INSIDE_LOOPBACK, port: INSIDE_PORTS.proxy };

/** Rejects with `sandbox-unavailable`, `policy-unreadable`, `command-failed`, and what starting a mesh rejects with. */
export async function runContained(options: ContainedOptions): Promise<Ran> {
  const { words, paths, mesh, environment, strict, host, say } = options;
  let local: LocalMesh | undefined;
  checkProgram(words[0]!, environment);
  if (mesh.engine !== 'embedded' || mesh.concurrency !== 1)
    throw new SallyportError('usage', 'a contained command needs --engine embedded and --concurrency 1.');
  const identity = sidecarIdentity(mesh);
  // For good: without a listener Node opens its debugger at this signal, which the command may send. Logs are not opened anew either: it may have put links there.
  process.on('SIGUSR1', () => undefined);
  const hiddenFolders = foldersToHide([...(options.hidden ?? []), ...(await grantsToHide(mesh))], environment);
  if (hiddenFolders.length > 0) keepMemory();
  const keptFolders = foldersToKeep(outsidePrograms(options), environment);
  const secrets = await secretsOf(options, pathOutside(environment, keptFolders));
  const opening = openSandbox({
    environment,
    keptFolders: [...keptFolders, ...compiledCodeFolders()],
    hiddenFolders: [...secrets.hiddenFolders, ...hiddenFolders],
    strict,
    allowedSockets: options.allowedSockets,
    localPorts: options.local.map(({ port }) => port),
  });
  // Loaded while the helper starts.
  const loading = loadMesh(options);
  loading.catch(() => undefined);
  const sandbox = await opening.catch((error: unknown) => {
    secrets.close();
    throw error;
  });
  for (const path of sandbox.open) say(`${path} is reachable: whoever answers there may call what is refused here; --strict hides it`);
  const asking = options.askMs === undefined ? undefined : await askingFor(options, options.askMs, sandbox);
  refuseChangedModules();
  const start = () => sandbox.run(words, { ...secrets.environment, ...insideEnvironment(PROXY) });
  const closing: (() => void)[] = [];
  try {
    const laidOver = await loading;
    let asOf: CallsOptions['allowedAs'];
    const calls = new Calls({
      say,
      callerOf,
      allowing: allowOption,
      allowedAs: (target) => asOf?.(target),
      date: () => new Date().toISOString(),
    });
    const services = options.local.length > 0 ? await openLocalServices(options, identity, sandbox, calls) : undefined;
    if (services) closing.push(services.close);
    for (const port of options.published) closing.push(await publishPort(port, sandbox.connect));
    // Where all that may be called is known the command need not wait for the mesh: its calls do.
    const isKnown = paths.length === 0 && mesh.meshConfig === undefined && mesh.learn === undefined;
    const early = isKnown ? start() : undefined;
    const account = () => ({ words, called: calls.all, others: calls.others });
    const unused = early && unwantedAfter(early);
    if (early) await firstNeed(early, sandbox);
    const contained = {
      sockets: sandbox.sockets,
      observe: (call: ObservedCall) => calls.add(call),
      credentials: secrets.credentials,
      minter: secrets.minter,
      asker: asking?.questions,
    };
    try {
      unused?.throwIfAborted();
      const [{ startLocalMesh }, { allowedAs }] = await Promise.all([import('../local/start.ts'), import('./allowed-as.ts')]);
      const files = asking ? [...paths, asking.file] : paths;
      // The command may write the files, and is not to allow itself anything by them.
      const followed = asking ? [asking.file] : [];
      const started = await startLocalMesh(files, { ...insideOptions(laidOver, contained), followed }, { ...host, unwanted: unused });
      local = started;
      asOf = (target) => allowedAs(started.control.report.mesh.registry, identity.namespace, target);
    } catch (error) {
      if (early && unused?.aborted && error === unused.reason) return { ...account(), code: (await early).code, conclude: () => true };
      throw error;
    }
    const { refuseUnread } = await import('./laid-over.ts');
    refuseUnread(local.control.report.findings);
    asking?.began(local.control);
    // Somebody may grant something meanwhile.
    if (asking || mesh.grants !== undefined) local.control.watch();
    const { mode } = local.control.report.mesh.config.outboundTrafficPolicy;
    if (mode === 'ALLOW_ANY' && !mesh.allowAll && mesh.learn === undefined)
      say('MeshConfig lets out what nothing declares (outboundTrafficPolicy.mode ALLOW_ANY): REGISTRY_ONLY refuses it');
    const { code } = await (early ?? start());
    await local.control.close(mesh.graceMs);
    services?.flush();
    return { ...account(), code, conclude: local.conclude };
  } catch (error) {
    sandbox.kill();
    await local?.control.close(0);
    throw error;
  } finally {
    secrets.close();
    asking?.close();
    for (const close of closing) close();
  }
}

/**
 * The mesh's options with what is allowed; what it takes to start it is loaded by then. Where nothing is allowed hardly anything is called, and a command that
 * calls nobody gets no mesh. Rejects with `policy-unreadable`.
 */
async function loadMesh({ mesh, allowed, paths }: ContainedOptions): Promise<LocalMeshOptions> {
  // Machine code cannot be held against what it was between reading and running it: it is loaded before the command is there.
  systemCalls();
  if (allowed.length + paths.length === 0) return mesh;
  const { loadLocalMesh } = await import('../local/start.ts');
  await loadLocalMesh();
  const { allowing } = await import('./laid-over.ts');
  return allowing(mesh, allowed);
}

/** Resolves when a call waits inside, the command has ended, or it has had its head start. Rejects as `ending`. */
async function firstNeed(ending: Promise<Ended>, sandbox: Sandbox): Promise<void> {
  let isOver = false;
  const over = ending.then(() => {
    isOver = true;
  });
  for (let ms = 0; ms < HEAD_START_MS && !isOver && sandbox.isQuiet(); ms += LOOK_EVERY_MS)
    await Promise.race([over, setTimeout(LOOK_EVERY_MS, undefined, { ref: false })]);
}

/** Aborted when the command has ended without having called anybody: then its mesh has nothing to decide. */
function unwantedAfter(ending: Promise<Ended>): AbortSignal {
  const unwanted = new AbortController();
  // Whoever waits for the command learns why it could not be run.
  ending.then(
    ({ quiet }) => quiet && unwanted.abort(),
    () => undefined,
  );
  return unwanted.signal;
}

async function askingFor({ mesh, say }: ContainedOptions, timeoutMs: number, { pause, kill }: Sandbox): Promise<Asking | undefined> {
  try {
    const { openAsking } = await import('./asking/asking.ts');
    return openAsking({ timeoutMs, grants: mesh.grants, namespace: mesh.namespace, pause, say });
  } catch (error) {
    kill();
    throw error;
  }
}

async function openLocalServices(
  { local, host }: ContainedOptions,
  identity: ProxyIdentity,
  sandbox: Sandbox,
  calls: Calls,
): Promise<LocalServices> {
  const services = await import('./local-services.ts');
  return services.openLocalServices(local, { identity, host, sandbox, calls });
}

/** What holds them is loaded only where there are any. Rejects with what `openSecrets` throws. */
async function secretsOf({ allowed, mesh, environment, way, say }: ContainedOptions, path: string): Promise<RunSecrets> {
  if (!allowed.some(hasSecrets)) return { environment, hiddenFolders: [], close: () => undefined };
  const { openSecrets } = await import('./secrets.ts');
  return openSecrets({ allowed, mesh, environment, path, way, say });
}

/** Where the routers of `up` are. */
const COMMON_ROUTER = '127.0.100.1';

/** A loopback network of 256 addresses for the routers of each run, so that several get on beside each other. */
function routerAddressOf(pid: number): string {
  const network = pid % (190 * 254);
  return `127.${64 + Math.floor(network / 254)}.${1 + (network % 254)}.1`;
}

function insideOptions(mesh: LocalMeshOptions, contained: LocalMeshOptions['contained']): LocalMeshOptions {
  return {
    ...mesh,
    contained,
    routerAddress: mesh.routerAddress === COMMON_ROUTER ? routerAddressOf(process.pid) : mesh.routerAddress,
    proxyAddress: PROXY,
    capturePort: INSIDE_PORTS.capture,
    dnsAddress: { address: INSIDE_LOOPBACK, port: INSIDE_PORTS.dns },
    adminAddress: NOWHERE,
    statusAddress: NOWHERE,
  };
}
