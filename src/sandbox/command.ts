/** A command whose traffic is to go through the mesh. */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { exitCodeOf, isForeground } from './signals.ts';

/** The variables by which programs find a proxy. SOCKS carries what is not HTTP. */
export function proxyEnvironment({ address, port }: SocketAddress): Record<string, string> {
  const http = `http://${address}:${port}`;
  const socks = `socks5h://${address}:${port}`;
  return {
    HTTP_PROXY: http,
    http_proxy: http,
    HTTPS_PROXY: http,
    https_proxy: http,
    ALL_PROXY: socks,
    all_proxy: socks,
    NODE_USE_ENV_PROXY: '1',
  };
}

/**
 * Runs the command with this process's input and output, passes on to it SIGTERM, and SIGINT where it has not come from the terminal to both, and
 * resolves with its exit code, or with 128 and the number of the signal that ended it, as a shell. Rejects with `command-failed` if it cannot be run.
 * @param environment all of it, apart from the proxy's variables
 */
export function runCommand(
  words: readonly string[],
  proxy: SocketAddress,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const [program, ...rest] = words;
  const child = spawn(program!, rest, { stdio: 'inherit', env: { ...environment, ...proxyEnvironment(proxy) } });
  const forward = (signal: NodeJS.Signals) => {
    if (signal !== 'SIGINT' || !isForeground()) child.kill(signal);
  };
  process.on('SIGTERM', forward).on('SIGINT', forward);
  return new Promise<number>((resolve, reject) => {
    child.on('error', (error) =>
      reject(new SallyportError('command-failed', `cannot run ${program}: ${messageOf(error)}`, { cause: error })),
    );
    child.on('exit', (code, signal) => resolve(code ?? exitCodeOf(signal)));
  }).finally(() => process.off('SIGTERM', forward).off('SIGINT', forward));
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
