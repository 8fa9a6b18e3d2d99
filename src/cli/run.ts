/** `sallyport run -- CMD`: a command whose traffic goes through the mesh. */

import { spawn } from 'node:child_process';
import { getCompileCacheDir } from 'node:module';
import { connect } from 'node:net';
import { Command } from 'commander';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { addMeshOptions, type UpOptions } from './up.ts';

/** @param words the command and its arguments: what stands after `--`. */
export function runCommand(words: readonly string[]): Command {
  const command = new Command('run')
    .summary('run a command with its traffic through the mesh: sallyport run [PATH...] -- CMD')
    .description(
      'Runs CMD with HTTP_PROXY, HTTPS_PROXY and ALL_PROXY set to the explicit proxy, and ends with its exit code. ' +
        'With PATH or --learn it starts a mesh for as long as CMD runs; without, it uses the one that `sallyport up` runs. ' +
        'What takes no heed of these variables is not captured.',
    )
    .usage('[options] [path...] -- CMD [argument...]')
    .argument('[path...]', 'files and folders with resources');
  return addMeshOptions(command).action(async (paths: string[], options: UpOptions) => {
    if (words.length === 0) throw new SallyportError('usage', 'say what to run after --, e.g. sallyport run -- curl http://HOST/');
    if (options.proxyAddress.port === 0)
      throw new SallyportError('usage', 'run needs the explicit proxy: --proxy-address must have a port.');
    if (paths.length === 0 && options.learn === undefined) {
      await reach(options.proxyAddress);
      process.exitCode = await runWith(words, options.proxyAddress);
      return;
    }
    const { startLocalMesh } = await import('../control/local.ts');
    const mesh = await startLocalMesh(paths, options);
    try {
      process.exitCode = await runWith(words, options.proxyAddress);
    } finally {
      await mesh.close();
    }
  });
}

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

function runWith(words: readonly string[], proxy: SocketAddress): Promise<number> {
  const [program, ...rest] = words;
  const env = { ...process.env, ...proxyEnvironment(proxy) };
  // Ours, for our threads.
  if (env.NODE_COMPILE_CACHE === getCompileCacheDir()) delete env.NODE_COMPILE_CACHE;
  const child = spawn(program!, rest, { stdio: 'inherit', env });
  const forward = (signal: NodeJS.Signals) => void child.kill(signal);
  process.on('SIGTERM', forward).on('SIGINT', forward);
  return new Promise<number>((resolve, reject) => {
    child.on('error', (error) =>
      reject(new SallyportError('command-failed', `cannot run ${program}: ${messageOf(error)}`, { cause: error })),
    );
    child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  }).finally(() => process.off('SIGTERM', forward).off('SIGINT', forward));
}

function reach({ address, port }: SocketAddress): Promise<void> {
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
