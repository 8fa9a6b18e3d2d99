/** `proxy -c`: runs what an Envoy bootstrap file says. */
import type { EngineHost, Refusal } from '../engine/contract.ts';
import { startEngine } from '../engine/starter.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { leaveOutMaglev } from '../proxy/idle-memory.ts';
import { type BootstrapEvent, type BootstrapProxy, bootstrapIdentity, followBootstrap, openBootstrap } from './bootstrap.ts';

export interface BootstrapProxyOptions {
  readonly file: string;
  /** Worker threads; 1: the thread that calls carries the traffic. */
  readonly concurrency: number;
  /** In place of the file's. */
  readonly admin: SocketAddress | undefined;
}

export interface BootstrapHost extends EngineHost {
  readonly say: (text: string) => void;
  /** The proxy can serve no longer. */
  readonly ended: (error: unknown) => void;
}

export interface RunningBootstrap extends Pick<BootstrapProxy, 'watch' | 'reload'> {
  reopenLogs(): Promise<void>;
  close(graceMs: number): Promise<void>;
}

/** Rejects with `xds-rejected` where something of the file cannot be run, or what `openBootstrap`, `followBootstrap` and the engine throw. */
export async function startBootstrapProxy(
  { file, concurrency, admin }: BootstrapProxyOptions,
  host: BootstrapHost,
): Promise<RunningBootstrap> {
  leaveOutMaglev();
  const { say } = host;
  const bootstrap = openBootstrap(file);
  const { node } = bootstrap;
  const engine = await startEngine({ engine: 'embedded', envoy: undefined, concurrency, logLevel: '' }, host, {
    identity: bootstrapIdentity(bootstrap),
    node,
    admin: admin ?? bootstrap.admin,
    alone: true,
  });
  void engine.failed.then(host.ended);
  try {
    const proxy = await followBootstrap(bootstrap, engine, (event) => sayEvent(event, say));
    sayRefused(proxy.refused, say);
    if (proxy.refused.length > 0) throw new SallyportError('xds-rejected', `${file}: what is named above cannot be run.`);
    const close = async (graceMs: number) => {
      proxy.close();
      await engine.close(graceMs);
    };
    return { watch: proxy.watch, reload: proxy.reload, reopenLogs: () => engine.reopenLogs(), close };
  } catch (error) {
    await engine.close(0);
    throw error;
  }
}

function sayEvent(event: BootstrapEvent, say: BootstrapHost['say']): void {
  if (event.kind === 'failed') {
    say(`${messageOf(event.error)}; what was in force before stays`);
    return;
  }
  sayRefused(event.refused, say);
  say(event.refused.length > 0 ? 'the rest of the change is in force' : 'the change is in force');
}

function sayRefused(refused: readonly Refusal[], say: BootstrapHost['say']): void {
  for (const { resource, message } of refused) say(`${resource}: ${message}`);
}
