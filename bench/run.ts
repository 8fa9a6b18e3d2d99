/**
 * `npm run bench`: Sallyport's data plane beside Envoy, nginx and HAProxy, on the same work in one run. Sallyport and Envoy run on the same bootstrap.
 *
 *   node bench/run.ts [--only http,tls,termination,new,burdens,http2,tcp,body,beside,pair,start,memory,slow] [--proxies sallyport,envoy,nginx,haproxy] [--repeats 3] [--seconds 5]
 *     [--connections 1,8,512,64] [--against DIR] [--out FILE]
 *
 * With `--against`, the build of another working copy takes part as `before`. The proxies have core 0 to themselves, load and upstream share core 1. A machine with other work on it gives other figures.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fetchEnvoy } from '../scripts/fetch-envoy.ts';
import { findTool } from '../test/integration/tools.ts';
import { BURDENS } from './lib/burdens.ts';
import { pinSelf, stopAll } from './lib/processes.ts';
import { buildPackage, type Contestant, envoy, haproxy, nginx, sallyport, startUpstream } from './lib/proxies.ts';
import { Report, type Target } from './lib/report.ts';
import * as scenarios from './lib/scenarios.ts';

const INSTALL: Readonly<Record<string, string>> = {
  curl: 'curl',
  h2load: 'nghttp2-client',
  haproxy: 'haproxy',
  nginx: 'nginx-light',
  openssl: 'openssl',
  taskset: 'util-linux',
  wrk: 'wrk',
};

const CPU = 'CPU us/request';

const TARGETS: readonly Target[] = [
  ...[1, 8, 64, 512].flatMap((connections): Target[] => [
    { scenario: scenarios.HTTP(connections), unit: CPU, ratio: 1 / 2.5 },
    { scenario: scenarios.HTTP(connections), unit: CPU, ratio: 1 / 0.7, to: 'haproxy' },
  ]),
  { scenario: scenarios.TLS, unit: CPU, ratio: 1 / 1.8 },
  { scenario: scenarios.TERMINATION, unit: CPU, ratio: 1 / 1.5 },
  { scenario: scenarios.HANDSHAKES, unit: CPU, ratio: 1 },
  { scenario: scenarios.RESUMED, unit: CPU, ratio: 1 },
  { scenario: scenarios.NEW, unit: CPU, ratio: 1 },
  { scenario: scenarios.HTTP2_TO_1, unit: CPU, ratio: 1 / 1.3 },
  { scenario: scenarios.HTTP2, unit: CPU, ratio: 1 / 1.3 },
  { scenario: scenarios.GRPC, unit: CPU, ratio: 1 / 1.3 },
  { scenario: scenarios.TCP, unit: 'CPU s/GB', ratio: 1 },
  { scenario: scenarios.BODY, unit: 'CPU s/GB', ratio: 1 },
  { scenario: scenarios.PAIR, unit: 'p50 ms', ratio: 1 },
  { scenario: scenarios.PAIR, unit: 'p99 ms', ratio: 1 },
  { scenario: scenarios.START, unit: 'ms', bound: 250 },
  { scenario: scenarios.MEMORY, unit: 'MiB', ratio: 1 },
  ...BURDENS.slice(1).map(
    ({ name }): Target => ({
      scenario: scenarios.BURDEN(name),
      unit: CPU,
      ratio: 1.1,
      without: scenarios.BURDEN(BURDENS[0]!.name),
    }),
  ),
];

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: 'start,memory,http,tls,termination,new,burdens,http2,tcp,body,beside,pair' },
    proxies: { type: 'string', default: 'sallyport,envoy,nginx,haproxy' },
    repeats: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '1,8,512,64' },
    against: { type: 'string' },
    out: { type: 'string' },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
// Started by root, nginx reads the big file as another user.
chmodSync(folder, 0o755);
// Also when a signal ends it.
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
try {
  process.exitCode = await main();
} finally {
  await stopAll();
}

async function main(): Promise<number> {
  const missing = ['taskset', 'wrk', 'h2load', 'nginx', 'curl', 'openssl'].filter((tool) => findTool(tool) === undefined);
  for (const tool of missing) console.error(`bench: ${tool} is needed. On Debian: apt-get install ${INSTALL[tool]}`);
  if (cpus().length < 2) console.error('bench: two cores are needed, one for the proxy and one for load and upstream');
  if (missing.length > 0 || cpus().length < 2) return 3;
  const contestants = chooseContestants(new Set(options.proxies.split(',')));
  pinSelf();
  await startUpstream(folder);
  const report = new Report();
  const bench = {
    folder,
    contestants,
    report,
    repeats: Number(options.repeats),
    seconds: Number(options.seconds),
    connections: options.connections.split(',').map(Number),
  };
  const only = new Set(options.only.split(','));
  if (only.has('start')) await scenarios.start(bench);
  if (only.has('memory')) await scenarios.memory(bench);
  if (only.has('slow')) await scenarios.slowReader(bench);
  if (only.has('burdens')) await scenarios.burdens(bench);
  if (only.has('pair')) await scenarios.pair(bench);
  if (['http', 'tls', 'termination', 'new', 'http2', 'tcp', 'body', 'beside'].some((name) => only.has(name))) {
    const started = await scenarios.startAll(bench);
    if (only.has('http')) await scenarios.http(bench, started);
    if (only.has('tls')) await scenarios.tlsOrigination(bench, started);
    if (only.has('termination')) await scenarios.tlsTermination(bench, started);
    if (only.has('new')) await scenarios.newConnections(bench, started);
    if (only.has('http2')) await scenarios.http2(bench, started);
    if (only.has('tcp')) await scenarios.transfer(bench, started, scenarios.TCP, (ports) => ports.tcp);
    if (only.has('beside')) await scenarios.beside(bench, started);
    if (only.has('body')) await scenarios.transfer(bench, started, scenarios.BODY, (ports) => ports.http);
  }
  console.log(`\n${report.table()}\n\n${report.targets(TARGETS)}`);
  const out =
    options.out ?? join(dirname(fileURLToPath(import.meta.url)), 'results', `${new Date().toISOString().replaceAll(':', '-')}.json`);
  mkdirSync(dirname(out), { recursive: true });
  const machine = { cpu: cpus()[0]!.model, cores: cpus().length, node: process.version };
  writeFileSync(
    out,
    `${JSON.stringify({ date: new Date().toISOString(), machine, seconds: bench.seconds, figures: report.summary() }, undefined, 1)}\n`,
  );
  console.log(`\nwritten: ${out}`);
  return 0;
}

function chooseContestants(names: ReadonlySet<string>): Contestant[] {
  const contestants: Contestant[] = [];
  if (names.has('sallyport')) contestants.push(sallyport(folder, buildPackage(folder)));
  if (options.against !== undefined) contestants.push(sallyport(folder, buildPackage(folder, options.against, 'before'), [], 'before'));
  if (names.has('envoy')) contestants.push(envoy(folder, fetchEnvoy()));
  if (names.has('nginx')) contestants.push(nginx(folder, findTool('nginx')!));
  const haproxyBinary = findTool('haproxy');
  if (names.has('haproxy') && haproxyBinary !== undefined) contestants.push(haproxy(folder, haproxyBinary));
  else if (names.has('haproxy')) console.error(`bench: haproxy is left out. On Debian: apt-get install ${INSTALL.haproxy}`);
  return contestants;
}
