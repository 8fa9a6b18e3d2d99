/** A stock Envoy that runs a bootstrap, for tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';

export interface RunningEnvoy {
  /** Port of its first listener. */
  readonly port: number;
  /** `address:port` of its admin server. */
  readonly admin: string;
  stop(): Promise<void>;
}

/** Starts Envoy with one listener; a port 0 of the listener is any free one. Rejects with Envoy's output if it ends at once. */
export async function startEnvoy(binary: string, listener: JsonObject, clusters: readonly JsonObject[] = []): Promise<RunningEnvoy> {
  const envoy = await bootEnvoy(binary, { staticResources: { listeners: [listener], clusters: [...clusters] } });
  try {
    return { ...envoy, port: await firstPort(envoy.admin) };
  } catch (error) {
    await envoy.stop();
    throw error;
  }
}

/** The port of the first listener that has one. */
export async function firstPort(admin: string): Promise<number> {
  const answer = await fetch(`http://${admin}/listeners?format=json`);
  const { listener_statuses: statuses } = (await answer.json()) as {
    listener_statuses: { local_address: { socket_address?: { port_value: number } } }[];
  };
  return statuses.find(({ local_address: { socket_address: address } }) => address)!.local_address.socket_address!.port_value;
}

/** Starts Envoy with a bootstrap, to which an admin server is added. Rejects with Envoy's output if it ends at once. */
export async function bootEnvoy(
  binary: string,
  bootstrap: JsonObject,
  environment: Readonly<Record<string, string>> = {},
): Promise<Omit<RunningEnvoy, 'port'>> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-envoy-'));
  const file = join(folder, 'bootstrap.json');
  const admin = { address: { socketAddress: { address: '127.0.0.1', portValue: 0 } } };
  writeFileSync(file, JSON.stringify({ admin, ...bootstrap }));
  const child = spawn(binary, ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'info'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...environment },
  });
  // In an orderly way, so that Envoy writes what its logs hold.
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true });
  };
  try {
    return { admin: await startedAt(child), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Resolves with the admin address once Envoy serves. */
function startedAt(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    let address = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      address ||= /admin address: (\S+)/.exec(output)?.[1] ?? '';
      if (address && output.includes('starting main dispatch loop')) resolve(address);
    });
    child.once('exit', () => reject(new Error(output.slice(-2000))));
  });
}
