/** `sallyport proxy --xds`: runs it, and says what becomes of it. */
import type { Missing, RemoteEvent } from '../control/remote.ts';
import type { FlowHub } from '../flows/hub.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { few } from '../lib/few.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { clientCredentials } from '../xds/ads/client-credentials.ts';
import type { Protocol } from '../xds/ads/subscription.ts';
import { engineHost, say } from './say.ts';
import { serve } from './serve.ts';
import { readTls, type TlsFiles } from './xds-options.ts';

export interface RemoteProxyOptions {
  readonly xds: SocketAddress;
  readonly identity: ProxyIdentity;
  readonly protocol: Protocol;
  readonly tls: TlsFiles | undefined;
  readonly admin: SocketAddress;
  readonly concurrency: number;
  /** For running requests, ms. */
  readonly grace: number;
  /** Folder for the last good configuration; undefined for none. */
  readonly keep: string | undefined;
  readonly flows: FlowHub | undefined;
  /** Where it is said whether the proxy is ready; undefined for nowhere. */
  readonly status: SocketAddress | undefined;
  /** Probes of the application, and where they are asked for. */
  readonly probes: { readonly at: SocketAddress; readonly json: string };
}

/** Serves until it is told to end; returns the exit code. Rejects with what is wrong with the files of TLS. */
export async function serveRemote({
  xds,
  identity,
  protocol,
  tls,
  admin,
  concurrency,
  grace,
  keep,
  flows,
  status,
  probes,
}: RemoteProxyOptions): Promise<number> {
  const credentials = () => clientCredentials(xds.address, readTls(tls));
  // What is wrong with the files now is the user's to mend; later it may be for a moment.
  credentials();
  const [{ startRemoteProxy }, { startReadyServer }] = await Promise.all([
    import('../control/remote.ts'),
    import('../control/ready-server.ts'),
  ]);
  const asked = await probesOf(probes, identity);
  const where = `${xds.address}:${xds.port}`;
  return serve(
    async (ended) => {
      const say = teller(where, ended);
      let ready = false;
      let stale = false;
      const tell = (event: RemoteEvent) => {
        if (event.kind === 'ready' || event.kind === 'stale') ready = true;
        if (event.kind === 'ready' || event.kind === 'stale') stale = event.kind === 'stale';
        say(event);
      };
      const readiness =
        status && status.port > 0
          ? await startReadyServer(
              status,
              () => ready,
              () => (stale ? STALE : ''),
            )
          : undefined;
      const proxy = await startRemoteProxy(
        { identity, target: xds, protocol, credentials, admin, concurrency, keep },
        { ...engineHost, flows, tell },
      ).catch((error: unknown) => {
        readiness?.close();
        asked?.close();
        throw error;
      });
      return {
        ...proxy,
        watch: () => {},
        close: async (graceMs: number) => {
          ready = false;
          await proxy.close(graceMs);
          readiness?.close();
          asked?.close();
        },
      };
    },
    { watch: false, grace },
  );
}

/** Undefined where there are none. */
async function probesOf({ at, json }: RemoteProxyOptions['probes'], { addresses }: ProxyIdentity): Promise<{ close(): void } | undefined> {
  if (json === '{}' || at.port === 0) return undefined;
  const [{ appProbes }, { startProbeServer }] = await Promise.all([import('../agent/app-probes.ts'), import('../agent/probe-server.ts')]);
  return startProbeServer(at, appProbes(json), addresses[0]!);
}
/** What readiness says beside its status. */
const STALE = 'stale: in force is what was kept of a control plane that cannot be had\n';

function teller(where: string, ended: (error: unknown) => void): (event: RemoteEvent) => void {
  let lost = false;
  let ready = false;
  /** Of the change before: what is refused still is no news. */
  let refused: readonly string[] = [];
  return (event) => {
    switch (event.kind) {
      case 'lost':
        lost = true;
        say(`the control plane at ${where} cannot be had (${event.reason}): trying again${ready ? '; what is in force stays' : ''}`);
        return;
      case 'connected':
        if (lost) say(`the control plane at ${where} is ${ready ? 'back' : 'there'}`);
        lost = false;
        return;
      case 'waiting':
        say(`waiting for the first configuration from ${where}: ${missingText(event.missing)}`);
        return;
      case 'gave-up':
        say(`the control plane has no answer for ${missingText(event.missing)}: what refers to that goes without it`);
        return;
      case 'stale':
        ready = true;
        say(
          `stale: what the control plane said last, at ${new Date(event.at).toISOString()}, is in force until it is back; what needs a secret is closed`,
        );
        return;
      case 'not-kept':
        say(`the configuration is not kept: ${messageOf(event.error)}`);
        return;
      case 'ready':
        ready = true;
        say('ready');
        return;
      case 'in-force':
        {
          const lines = event.refused.map(({ resource, message }) => `${resource}: ${message}`);
          for (const line of lines) if (!refused.includes(line)) say(line);
          refused = lines;
        }
        return;
      case 'unreadable':
        say(`a response of the control plane is refused: ${messageOf(event.error)}; what is in force stays`);
        return;
      case 'failed':
        if (event.first) ended(event.error);
        else say(`this change could not be brought into force: ${messageOf(event.error)}`);
    }
  };
}

const WHAT = {
  cluster: 'clusters',
  endpoint: 'endpoints of',
  listener: 'listeners',
  route: 'route configuration',
  secret: 'secret',
  virtualHost: 'virtual host',
  nameTable: 'names',
} as const;

function missingText(missing: Missing): string {
  if (missing.length === 0) return 'all of it came, and is being brought into force';
  return few(missing.map(({ type, name }) => (name === undefined ? WHAT[type] : `${WHAT[type]} ${name}`)));
}

export interface OtherSources {
  readonly config?: string;
  readonly meshConfig?: string;
  readonly ca?: string;
  readonly engine: string;
  readonly paths: readonly string[];
}

/** Throws `usage` for options that mean another kind of proxy. */
export function checkRemote({ config, meshConfig, ca, engine, paths }: OtherSources): void {
  if (config !== undefined) throw new SallyportError('usage', '-c and --xds are two sources of one configuration: leave one out.');
  if (paths.length > 0) throw new SallyportError('usage', 'with --xds the resources are those of the control plane: leave PATH out.');
  if (meshConfig !== undefined || ca !== undefined)
    throw new SallyportError(
      'usage',
      'with --xds MeshConfig and identities are those of the control plane: leave --mesh-config and --ca out.',
    );
  if (engine !== 'embedded')
    throw new SallyportError('usage', 'Envoy connects to a control plane itself: run it with what sallyport bootstrap prints.');
}
