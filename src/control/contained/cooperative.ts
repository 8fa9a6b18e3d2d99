/** A command that is told of its proxy by variables alone, and the mesh that it leaves through: its own, or that of `up`. */
import { SallyportError } from '../../lib/errors.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import { type Allowed, hasSecrets } from '../../policy/allow.ts';
import { reachProxy, runCommand } from '../../sandbox/command.ts';
import type { ControlPlane } from '../from-files.ts';
import type { LocalMeshOptions } from '../local/options.ts';
import type { LocalMesh, LocalMeshHost } from '../local/start.ts';
import { allowing, refuseUnread } from './laid-over.ts';

interface CooperativeOptions {
  /** The command and its arguments. */
  readonly words: readonly string[];
  /** Files with resources. */
  readonly paths: readonly string[];
  /** What else may be called. */
  readonly allowed: readonly Allowed[];
  readonly mesh: LocalMeshOptions;
  readonly host: LocalMeshHost;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The mesh carries calls; what is returned is called once it does not any more. */
  readonly began: (control: ControlPlane) => () => void;
}

interface RanBeside {
  readonly code: number;
  readonly conclude: LocalMesh['conclude'];
}

/** Resolves with the command's exit code. Rejects with `no-mesh` if nothing listens at the proxy's address. */
export async function runBesideUp(
  words: readonly string[],
  proxy: SocketAddress,
  environment: CooperativeOptions['environment'],
): Promise<number> {
  await reachProxy(proxy);
  return runCommand(words, proxy, environment);
}

/** What nothing declares is refused, unless a MeshConfig lets it out. Rejects with `usage`, `policy-unreadable`, and what starting a mesh rejects with. */
export async function runBesideOwn({ words, paths, allowed, mesh, host, environment, began }: CooperativeOptions): Promise<RanBeside> {
  const held = allowed.find(hasSecrets);
  if (held)
    throw new SallyportError(
      'usage',
      `${held.host} has credentials or is intercepted, which needs a command that is contained: leave out --cooperative.`,
    );
  const laidOver = allowing(mesh, allowed);
  const { startLocalMesh } = await import('../local/start.ts');
  const { control, conclude } = await startLocalMesh(paths, { ...laidOver, closed: true }, host);
  let end: (() => void) | undefined;
  try {
    if (allowed.length > 0) refuseUnread(control.report.findings);
    end = began(control);
    return { code: await runCommand(words, mesh.proxyAddress, environment), conclude };
  } finally {
    await control.close(mesh.graceMs);
    end?.();
  }
}
