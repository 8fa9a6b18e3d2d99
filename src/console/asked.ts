/** The console of a controller, as its options ask for it. */
import type { ClusterAccess } from '../config/kubernetes/access.ts';
import type { Controller } from '../control/serving/controller.ts';
import { SallyportError } from '../lib/errors.ts';
import { isLoopbackAddress, type SocketAddress } from '../lib/socket-address.ts';
import type { Beside } from './beside.ts';

export interface ConsoleOptions {
  readonly console?: SocketAddress;
  readonly consoleHost: readonly string[];
}

/** @throws SallyportError `usage` */
export function checkConsole({
  console: at,
  consoleHost,
  kube,
  ca,
}: ConsoleOptions & { readonly kube?: boolean; readonly ca?: string }): void {
  if (!at && consoleHost.length > 0) throw new SallyportError('usage', '--console-host names the console: it needs --console');
  if (at && !kube)
    throw new SallyportError('usage', '--console is for people of a cluster: it needs --kube. For files there is sallyport ui');
  if (at && !isLoopbackAddress(at.address) && ca === undefined)
    throw new SallyportError(
      'usage',
      `--console ${at.address}: others than this machine are served over TLS, by a certificate of the CA: name its folder with --ca, or a loopback address`,
    );
}

/** Undefined where it is not asked for. Rejects as `consoleInCluster`, and what `access` rejects with. */
export async function openConsole(
  control: Controller,
  { console: at, consoleHost: hosts }: ConsoleOptions,
  access: () => Promise<ClusterAccess>,
  say: (text: string) => void,
): Promise<Beside | undefined> {
  if (!at) return undefined;
  const { consoleInCluster } = await import('./in-cluster.ts');
  const credentials = isLoopbackAddress(at.address) ? undefined : control.credentials(hosts);
  return consoleInCluster({ control, access: await access(), at, hosts, credentials, say });
}
