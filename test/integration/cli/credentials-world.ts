/** A server that is `api.example` and `other.example`, a file with a secret, and `run` with a policy for them. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { runSandboxed, type Sandboxed, type SandboxedResult, sandboxNeeds } from '../../attacks/sandbox-support.ts';
import { type Certificate, startServer } from '../outside.ts';

/** The names are in a file that root alone can put into the place of /etc/hosts. */
export const skip = sandboxNeeds('root');

interface Run {
  /** Of the list, for `api.example` and the server's port where they do not say. */
  readonly entries: readonly object[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly options?: readonly string[];
  readonly during?: Sandboxed['during'];
}

export interface InjectedWorld {
  readonly port: number;
  readonly folder: string;
  /** Holds the secret, in a folder of its own. */
  readonly file: string;
  readonly requests: readonly IncomingMessage[];
  /** The body. */
  answer: (request: IncomingMessage, response: ServerResponse) => string;
  /** A script of a shell; `PORT` in it is the server's. */
  run(script: string, run: Run): Promise<SandboxedResult>;
}

export async function injectedWorld(
  t: TestContext,
  { secret, certificate }: { readonly secret: string; readonly certificate?: Certificate },
): Promise<InjectedWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-credentials-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'held'));
  const file = join(folder, 'held/secret');
  writeFileSync(file, `${secret}\n`);
  const { port, requests } = await startServer(t, {
    ...(certificate && { certificate }),
    listener: (request, response) => void response.end(world.answer(request, response)),
  });
  const hosts = join(folder, 'hosts');
  writeFileSync(hosts, '127.0.0.1 localhost api.example other.example\n');
  const around = ['unshare', '-m', 'sh', '-c', `mount --bind ${hosts} /etc/hosts && exec "$@"`, 'sh'];
  const world: InjectedWorld = {
    port,
    folder,
    file,
    requests,
    answer: () => 'ok\n',
    run(script, { entries, environment = {}, options = [], during }) {
      const policy = join(folder, 'policy.yaml');
      const allow = entries.map((entry) => ({
        host: 'api.example',
        ...('ports' in entry ? {} : { ports: [port], ...('tls' in entry ? {} : { protocol: 'HTTP' }) }),
        ...entry,
      }));
      writeFileSync(policy, JSON.stringify({ allow }));
      const near = ['api.example', 'other.example'].filter((name) => allow.some(({ host }) => host === name));
      const places = near.flatMap((name) => ['--allow', `${name}:1=127.0.0.0/8`]);
      return runSandboxed(t, 'root', ['sh', '-c', script.replaceAll('PORT', String(port))], {
        around,
        environment: { SHELL: '/bin/sh', ...environment },
        options: ['--policy', policy, ...places, ...options],
        ...(during && { during }),
      });
    },
  };
  return world;
}
