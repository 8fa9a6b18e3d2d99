/** Where commands have config dumps from: a running proxy, a file, or configuration files that are translated. */
import { messageOf, SallyportError } from '../lib/errors.ts';
import { readRegularText } from '../lib/regular-file.ts';
import { hostPort, type SocketAddress } from '../lib/socket-address.ts';
import type { SimulatedFiles } from '../prove/simulated.ts';
import { translatedFor } from '../prove/translated.ts';
import { type Dump, type Json, parseDump } from '../xds/config-dump/dump.ts';

/** Asks a running proxy, ours or an Envoy. Rejects with `admin-unreachable`. */
export async function askProxy({ address, port }: SocketAddress): Promise<Dump> {
  const base = `http://${hostPort(address, port)}`;
  const ask = async (path: string): Promise<Json> => {
    let answer: Response;
    try {
      answer = await fetch(base + path, { signal: AbortSignal.timeout(10_000) });
    } catch (error) {
      const reason = messageOf(error instanceof Error && error.cause ? error.cause : error);
      throw new SallyportError(
        'admin-unreachable',
        `no proxy answers at ${base}: ${reason}. Is it running there? Give its admin address with --admin.`,
        { cause: error },
      );
    }
    if (!answer.ok)
      throw new SallyportError('admin-unreachable', `${base}${path} answered ${answer.status}: ${(await answer.text()).slice(0, 200)}`);
    return answer.json();
  };
  const [dump, states] = await Promise.all([ask('/config_dump?include_eds'), ask('/clusters?format=json')]);
  return { dump, states };
}

/** Reads a dump from a file, or from stdin for `-`. Rejects with `no-config-dump`. */
export async function readDump(path: string): Promise<Dump> {
  return parseDump(path === '-' ? await readStdin() : readRegularText(path), path);
}

async function readStdin(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk;
  return text;
}

/** What a workload's proxy would get from these files. Rejects with `no-such-workload`. */
export async function translatedDump(files: SimulatedFiles, workload: string | undefined): Promise<Dump> {
  const { configDump } = await import('../admin/config-dump.ts');
  const accepted = { resources: translatedFor(files, workload), version: () => ({ version: '', at: 0 }), rejected: [] };
  return { dump: configDump({ resources: () => accepted, bootstrap: undefined, startTime: 0 }, true) };
}
