/** What a run holds that its command must not have: credentials, and the CA by which TLS is intercepted. */
import { InterceptionAuthority } from '../../ca/interception.ts';
import type { Contained } from '../../lib/contained.ts';
import { SallyportError } from '../../lib/errors.ts';
import { type Allowed, hasSecrets } from '../../policy/allow.ts';
import { heldBy, type Injection } from '../../policy/injection.ts';
import { keepMemory } from '../../sandbox/privileges.ts';
import type { LocalMeshOptions } from '../local/options.ts';
import type { OwnWay } from '../own-way.ts';
import { HeldCredentials, withoutCredentials } from './credentials/held.ts';
import { foldersToHide, type HiddenFile } from './hidden-folders.ts';
import { trustIn } from './trust.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface RunSecrets extends Pick<Contained, 'credentials' | 'minter'> {
  /** For the command: without credentials, and with what has it trust the CA. */
  readonly environment: Environment;
  /** Folders that the command is to find empty. */
  readonly hiddenFolders: readonly string[];
  /** Once the command has ended. */
  close(): void;
}

interface SecretsOptions {
  readonly allowed: readonly Allowed[];
  readonly mesh: LocalMeshOptions;
  readonly environment: Environment;
  /** The PATH of commands that print credentials. */
  readonly path: string;
  /** How requests of this program's own leave; without, directly. */
  readonly way?: OwnWay | undefined;
  readonly say: (line: string) => void;
}

/** Throws `usage`, `credential-unhidden`, `path-not-found`. */
export function openSecrets({ allowed, mesh, environment, path, way, say }: SecretsOptions): RunSecrets {
  const injections = allowed.flatMap((one) => one.injections ?? []);
  const intercepts = allowed.some(isIntercepted);
  refuseUnenforced(allowed, mesh);
  const hiddenFolders = foldersToHide([...injections.flatMap(heldIn), ...allowed.flatMap(keysOf)], environment);
  keepMemory();
  const outside = { ...environment, PATH: path };
  const credentials = new HeldCredentials(injections, { environment: outside, way, now: () => performance.now(), date: Date.now }, say);
  const minter = intercepts ? new InterceptionAuthority(Date.now()) : undefined;
  const trust = minter && trustIn(minter.certificate, environment);
  return {
    credentials,
    minter,
    hiddenFolders,
    environment: { ...withoutCredentials(environment, injections), ...trust?.environment },
    close: () => {
      credentials.close();
      trust?.close();
    },
  };
}

function heldIn({ name, from }: Injection): readonly HiddenFile[] {
  return heldBy(from).files.map((file) => ({ file, what: `credential ${name}` }));
}

function keysOf({ host, ports }: Allowed): readonly HiddenFile[] {
  return ports.flatMap(({ certificate }) => (certificate ? [{ file: certificate.key, what: `client certificate for ${host}` }] : []));
}

function isIntercepted({ ports }: Allowed): boolean {
  return ports.some(({ intercept }) => intercept);
}

/** Where all calls are let through, nothing is bound, and nothing may be put into any. */
function refuseUnenforced(allowed: readonly Allowed[], { allowAll, learn }: LocalMeshOptions): void {
  if (!allowAll && learn === undefined) return;
  const own = allowed.find(hasSecrets)!;
  throw new SallyportError(
    'usage',
    `${own.host} has credentials or is intercepted, which needs a policy that is enforced: leave out what lets all calls through (--would-deny, --learn-policy, --learn).`,
  );
}
