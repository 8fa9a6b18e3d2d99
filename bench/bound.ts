/**
 * `npm run bench -- bound`: what it costs that destinations are bound and credentials put in. One proxy has a listener for each; they take turns, and what is compared are
 * the rounds' ratios of CPU time a request.
 *
 *   node bench/bound.ts [--rounds 7] [--seconds 3] [--connections 64]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { wrk } from './lib/load.ts';
import { listening, PROXY_CORE, pinSelf, start, stopAll } from './lib/processes.ts';
import { buildPackage, startUpstream, UPSTREAM } from './lib/proxies.ts';
import { median } from './lib/report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
  },
});

const HOST = 'api.bench.test';
const FIRST_PORT = 18_700;
const ADMIN_PORT = 18_799;
const EXTENSIONS = 'type.googleapis.com/envoy.extensions';
/** Bound, and given credentials, that it may cost: CPU time a request, beside neither. */
const MOST = 1.1;

interface Way {
  readonly name: string;
  /** Of the virtual host and of the cluster, in our metadata. */
  readonly host?: object;
  readonly cluster?: object;
  readonly injects?: boolean;
}

const bind = { mode: 'enforce', hosts: [HOST], ports: [80], addresses: [] };
const rule = (more: object) => ({ name: 'bench/api/token', methods: ['GET', 'POST'], paths: ['/', '/v1/*'], ...more });
const injecting = (name: string, credential: object): Way => ({
  name,
  host: { bind, credentials: [rule(credential)] },
  cluster: { bind },
  injects: true,
});

const WAYS: readonly Way[] = [
  { name: 'neither' },
  { name: 'bound', host: { bind }, cluster: { bind } },
  injecting('bound, with a bearer token', { header: 'authorization', scheme: 'Bearer' }),
  injecting('bound, with a parameter of the query', { query: 'key' }),
];

const metadata = (sallyport: object | undefined) => (sallyport ? { metadata: { filter_metadata: { sallyport } } } : {});
const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function listener({ name, host, injects }: Way, i: number, log: string): object {
  const own = { name: 'sallyport.filters.http.credentials', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Empty' } };
  const router = { name: 'envoy.filters.http.router', typed_config: { '@type': `${EXTENSIONS}.filters.http.router.v3.Router` } };
  const routes = [{ match: { prefix: '/' }, route: { cluster: `way-${i}`, timeout: '0s' } }];
  const manager = {
    '@type': `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    route_config: { name, virtual_hosts: [{ name, domains: ['*'], routes, ...metadata(host) }] },
    http_filters: [...(injects ? [own] : []), router],
    access_log: [
      { name: 'envoy.access_loggers.file', typed_config: { '@type': `${EXTENSIONS}.access_loggers.file.v3.FileAccessLog`, path: log } },
    ],
  };
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }];
  return { name: `way-${i}`, address: address(FIRST_PORT + i), filter_chains: [{ filters }] };
}

function cluster({ cluster: bound }: Way, i: number): object {
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: address(UPSTREAM.http) } }] }];
  return {
    name: `way-${i}`,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { cluster_name: `way-${i}`, endpoints },
    ...metadata(bound),
  };
}

function bootstrap(log: string): string {
  const value = { inline_string: 'bench-secret-of-some-length-0123456789' };
  return JSON.stringify({
    node: { id: 'bench', cluster: 'bench' },
    admin: { address: address(ADMIN_PORT) },
    static_resources: {
      listeners: WAYS.map((way, i) => listener(way, i, log)),
      clusters: WAYS.map(cluster),
      secrets: [{ name: 'credential:bench/api/token', generic_secret: { secret: value } }],
    },
  });
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
try {
  pinSelf();
  await startUpstream(folder);
  const config = join(folder, 'bootstrap.json');
  writeFileSync(config, bootstrap(join(folder, 'access.log')));
  const log = join(folder, 'proxy.log');
  const words = [buildPackage(folder), 'proxy', '-c', config, '--concurrency', '1', '--status-address', '0'];
  const proxy = start('sallyport', PROXY_CORE, process.execPath, words, log);
  await listening(FIRST_PORT, 'the proxy', log);
  const samples = WAYS.map((): number[] => []);
  const load = { connections: Number(values.connections), seconds: Number(values.seconds), headers: [`Host: ${HOST}`] };
  // The first round warms up.
  for (let round = 0; round <= Number(values.rounds); round++)
    for (const place of WAYS.keys()) {
      const i = (place + round) % WAYS.length;
      const { cpuMicrosPerRequest } = await wrk(FIRST_PORT + i, proxy, load);
      if (round > 0) samples[i]!.push(cpuMicrosPerRequest);
    }
  for (const [i, { name }] of WAYS.entries()) {
    const ratio = median(samples[i]!.map((value, round) => value / samples[0]![round]!));
    const verdict = ratio <= MOST ? '' : `, more than ${MOST}`;
    console.log(`${name.padEnd(40)} ${median(samples[i]!).toFixed(1)} µs of CPU a request, ratio ${ratio.toFixed(3)}${verdict}`);
    if (ratio > MOST) process.exitCode = 1;
  }
} finally {
  await stopAll();
}
