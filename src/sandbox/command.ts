/** A command whose traffic is to go through the mesh. */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { exitCodeOf, forwardSignals } from './signals.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The variables by which programs find a proxy. SOCKS carries what is not HTTP. An exception that was made for another proxy does not hold for this one. */
export function proxyEnvironment({ address, port }: SocketAddress): Record<string, string | undefined> {
  const http = `http://${address}:${port}`;
  const socks = `socks5h://${address}:${port}`;
  return {
    HTTP_PROXY: http,
    http_proxy: http,
    HTTPS_PROXY: http,
    https_proxy: http,
    ALL_PROXY: socks,
    all_proxy: socks,
    NO_PROXY: undefined,
    no_proxy: undefined,
    NODE_USE_ENV_PROXY: '1',
  };
}

/** The same inside of a sandbox: the loopback addresses there are the command's own, and lead nowhere else. */
export function insideEnvironment(proxy: SocketAddress): Record<string, string | undefined> {
  return { ...proxyEnvironment(proxy), NO_PROXY: OWN, no_proxy: OWN };
}

const OWN = 'localhost,127.0.0.1,::1';

/**
 * Runs the command with this process's input and output and resolves with its exit code, that of a shell if a signal ended it.
 * Rejects with `command-failed` if it cannot be run.
 * @param environment all of it, apart from the proxy's variables
 */
export function runCommand(words: readonly string[], proxy: SocketAddress, environment: Environment): Promise<number> {
  const [program, ...rest] = words;
  const child = spawn(program!, rest, { stdio: 'inherit', env: { ...environment, ...proxyEnvironment(proxy) } });
  const stop = forwardSignals((signal) => void child.kill(signal));
  return new Promise<number>((resolve, reject) => {
    child.on('error', (error) =>
      reject(new SallyportError('command-failed', `cannot run ${program}: ${messageOf(error)}`, { cause: error })),
    );
    child.on('exit', (code, signal) => resolve(code ?? exitCodeOf(signal)));
  }).finally(stop);
}

/** Throws `command-failed` if there is no such program. */
export function checkProgram(program: string, environment: Environment): void {
  const files = program.includes('/') ? [program] : (environment.PATH ?? '').split(delimiter).map((folder) => join(folder, program));
  const refusals = new Set<string | undefined>();
  for (const file of files) {
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return;
    } catch (error) {
      // Another folder may have one that can be run.
      refusals.add(codeOf(error));
    }
  }
  const why = refusals.has('EACCES') ? 'it may not be executed' : 'there is no such program';
  throw new SallyportError('command-failed', `cannot run ${program}: ${why}`);
}

/** Rejects with `no-mesh` if nothing listens there. */
export function reachProxy({ address, port }: SocketAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port }, () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', (cause) => {
      const what = `nothing listens at ${address}:${port}: start sallyport up PATH..., or name the files: sallyport run PATH... -- CMD`;
      reject(new SallyportError('no-mesh', what, { cause }));
    });
  });
}
