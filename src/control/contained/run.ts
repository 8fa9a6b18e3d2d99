/** A contained command and the mesh that decides on its calls, for as long as the command runs. */
import { AUDIT_UNAVAILABLE, AuditSeat } from '../../audit/seat.ts';
import { proxyName } from '../../flows/hub.ts';
import { allowOption } from '../../lib/allow-option.ts';
import type { ObservedCall } from '../../lib/contained.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import type { Allowed } from '../../policy/allow.ts';
import { checkProgram, insideEnvironment } from '../../sandbox/command.ts';
import { INSIDE_LOOPBACK, INSIDE_PORTS, openSandbox, type Sandbox } from '../../sandbox/index.ts';
import { publishPort, type Relayed, relayOut } from '../../sandbox/ports.ts';
import { keepMemory } from '../../sandbox/privileges.ts';
import type { LocalMeshOptions } from '../local/options.ts';
import { sidecarIdentity } from '../local/sidecar.ts';
import type { LocalMesh, LocalMeshHost } from '../local/start.ts';
import type { Asking } from './asking/asking.ts';
import { callerOf } from './caller.ts';
import { Calls } from './calls.ts';
import { foldersToHide, type HiddenFile } from './hidden-folders.ts';
import { allowing, hasSecrets, refuseUnread } from './laid-over.ts';
import { RelayFlows } from './relay-flows.ts';
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
  readonly strict: boolean;
  /** What the command must not see besides. */
  readonly hidden?: readonly HiddenFile[];
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

const NOTHING = { bytesSent: 0, bytesReceived: 0 };
const NOWHERE = { address: INSIDE_LOOPBACK, port: 0 };
const PROXY = { address: INSIDE_LOOPBACK, port: INSIDE_PORTS.proxy };

/** Rejects with `sandbox-unavailable`, `policy-unreadable`, `command-failed`, and what starting a mesh rejects with. */
export async function runContained(options: ContainedOptions): Promise<Ran> {
  const { words, paths, mesh, environment, strict, host, say } = options;
  let local: LocalMesh | undefined;
  checkProgram(words[0]!, environment);
  if (mesh.engine !== 'embedded' || mesh.concurrency !== 1)
    throw new SallyportError('usage', 'a contained command needs --engine embedded and --concurrency 1.');
  const identity = sidecarIdentity(mesh);
  // For good: without a listener Node opens its debugger at this signal, which the command may send.
  process.on('SIGUSR1', () => void local?.control.reopenLogs().catch((error: unknown) => say(messageOf(error))));
  const hiddenFolders = foldersToHide(options.hidden ?? [], environment);
  if (hiddenFolders.length > 0) keepMemory();
  const secrets = await secretsOf(options);
  const opening = openSandbox({
    environment,
    hiddenFolders: [...secrets.hiddenFolders, ...hiddenFolders],
    strict,
    allowedSockets: options.allowedSockets,
    localPorts: options.local.map(({ port }) => port),
  });
  // Loaded while the helper starts.
  const loading = import('../local/start.ts');
  const sandbox = await opening.catch((error: unknown) => {
    secrets.close();
    throw error;
  });
  for (const path of sandbox.open) say(`${path} is reachable: whoever answers there may call what is refused here; --strict hides it`);
  const asking = options.askMs === undefined ? undefined : await askingFor(options, options.askMs, sandbox);
  const start = () => sandbox.run(words, { ...secrets.environment, ...insideEnvironment(PROXY) });
  const closing: (() => void)[] = [];
  try {
    const laidOver = allowing(mesh, options.allowed);
    const calls = new Calls({ say, callerOf, allowing: allowOption, date: () => new Date().toISOString() });
    const seat = options.local.length > 0 && host.audit ? new AuditSeat(host.audit.seat(identity)) : undefined;
    const relays = new RelayFlows(proxyName(identity), Date.now, seat && ((flow) => seat.tell(flow)));
    if (options.local.length > 0) host.flows?.register(identity, relays);
    for (const to of options.local) {
      const count = ({ failure, ...relayed }: Relayed) =>
        calls.add({ ...relayed, verdict: failure ? 'failed' : 'allowed', host: to.address, port: to.port, reason: failure });
      const began = (client: Relayed['client']) => {
        if (seat?.admits === false) {
          relays.refused(client, to, AUDIT_UNAVAILABLE);
          calls.add({ ...NOTHING, client, verdict: 'refused', host: to.address, port: to.port, reason: AUDIT_UNAVAILABLE });
          return undefined;
        }
        const tell = relays.began(client, to);
        return (relayed: Relayed) => {
          count(relayed);
          tell(relayed);
        };
      };
      for (const { port, fd } of sandbox.local) if (port === to.port) closing.push(await relayOut(fd, to, began));
    }
    for (const port of options.published) closing.push(await publishPort(port, sandbox.connect));
    // Where all that may be called is known the command need not wait for the mesh: its calls do.
    const isKnown = paths.length === 0 && mesh.meshConfig === undefined && mesh.learn === undefined;
    const early = isKnown ? start() : undefined;
    // Whoever waits for it learns of it.
    early?.catch(() => undefined);
    const contained = {
      sockets: sandbox.sockets,
      observe: (call: ObservedCall) => calls.add(call),
      credentials: secrets.credentials,
      minter: secrets.minter,
      asker: asking?.questions,
    };
    const { startLocalMesh } = await loading;
    local = await startLocalMesh(asking ? [...paths, asking.file] : paths, insideOptions(laidOver, contained), host);
    refuseUnread(local.control.report.findings);
    asking?.began(local.control);
    // Somebody may grant what is asked for.
    if (asking) local.control.watch();
    const { mode } = local.control.report.mesh.config.outboundTrafficPolicy;
    if (mode === 'ALLOW_ANY' && !mesh.allowAll && mesh.learn === undefined)
      say('MeshConfig lets out what nothing declares (outboundTrafficPolicy.mode ALLOW_ANY): REGISTRY_ONLY refuses it');
    const code = await (early ?? start());
    await local.control.close(mesh.graceMs);
    seat?.flush();
    return { words, code, called: calls.all, others: calls.others, conclude: local.conclude };
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

async function askingFor({ mesh, say }: ContainedOptions, timeoutMs: number, { pause, kill }: Sandbox): Promise<Asking | undefined> {
  try {
    const { openAsking } = await import('./asking/asking.ts');
    return openAsking({ timeoutMs, grants: mesh.grants, namespace: mesh.namespace, pause, say });
  } catch (error) {
    kill();
    throw error;
  }
}

/** What holds them is loaded only where there are any. Rejects with what `openSecrets` throws. */
async function secretsOf({ allowed, mesh, environment, say }: ContainedOptions): Promise<RunSecrets> {
  if (!allowed.some(hasSecrets)) return { environment, hiddenFolders: [], close: () => undefined };
  const { openSecrets } = await import('./secrets.ts');
  return openSecrets({ allowed, mesh, environment, say });
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
