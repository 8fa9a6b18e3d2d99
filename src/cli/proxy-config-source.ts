/** Where `proxy-config` has its dump from: a running proxy, a file, or configuration files that are translated. */

import { readFile } from 'node:fs/promises';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { simulateFiles } from '../prove/simulated.ts';
import { translate } from '../translate/index.ts';
import type { Json } from './proxy-config-tables.ts';
import { readMesh } from './read-mesh.ts';

export interface DumpSource {
  readonly dump: Json;
  /** `/clusters?format=json` of a running proxy. */
  readonly states?: Json;
}

/** Asks a running proxy, ours or an Envoy. Rejects with `admin-unreachable`. */
export async function dumpOfProxy({ address, port }: SocketAddress): Promise<DumpSource> {
  const base = `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
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

/** Reads a config dump as Envoy, `sallyport` or `istioctl proxy-config all -o json` write it. Rejects with `no-config-dump`. */
export async function dumpOfFile(path: string): Promise<DumpSource> {
  const fail = (why: string) => new SallyportError('no-config-dump', `${path} is no config dump: ${why}.`);
  const text = path === '-' ? await readStdin() : await readFile(path, 'utf8');
  let dump: Json;
  try {
    dump = JSON.parse(text);
  } catch (error) {
    throw fail(messageOf(error));
  }
  if (Array.isArray(dump?.cluster_statuses)) return { dump: { configs: [] }, states: dump };
  if (!Array.isArray(dump?.configs)) throw fail('it has no "configs"');
  return { dump: /"(?:dynamicListeners|dynamicActiveClusters|dynamicRouteConfigs)"/.test(text) ? snakeCase(dump) : dump };
}

async function readStdin(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk;
  return text;
}

/** istioctl writes field names in camel case. */
function snakeCase(value: Json): Json {
  if (Array.isArray(value)) return value.map(snakeCase);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      /^[a-z]+(?:[A-Z][a-z0-9]*)+$/.test(key) ? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : key,
      snakeCase(entry),
    ]),
  );
}

export interface FilesOptions {
  readonly workload: string | undefined;
  readonly namespace: string;
  readonly meshConfig: string | undefined;
}

/** What a workload's proxy would get from these files. Rejects with `no-such-workload`. */
export async function dumpOfFiles(paths: readonly string[], { workload, namespace, meshConfig }: FilesOptions): Promise<DumpSource> {
  const { configDump } = await import('../admin/config-dump.ts');
  const { snapshot, mesh: config } = await readMesh(paths, { namespace, meshConfig });
  const files = simulateFiles(snapshot, config);
  const names = files.proxies.map((proxy) => `${proxy.namespace}/${proxy.name}`);
  const wanted =
    workload === undefined && names.length > 1 ? undefined : files.proxies.find((_, i) => workload === undefined || names[i] === workload);
  if (!wanted) {
    const problem = workload === undefined ? 'say which proxy with --workload' : `there is no workload ${workload}`;
    throw new SallyportError('no-such-workload', `${problem}; the files have ${names.join(', ')}.`);
  }
  const { resources } = translate(wanted, files.mesh);
  const accepted = { resources, version: () => ({ version: '', at: 0 }), rejected: [] };
  return { dump: configDump({ resources: () => accepted, bootstrap: undefined, startTime: 0 }, true) };
}
