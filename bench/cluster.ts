/**
 * `npm run bench -- cluster --kwok PROGRAM [--entries 5000] [--pods 1000] [--changes 10] [--watch 60]`: what a controller costs in a large cluster. A real API
 * server with its etcd, ServiceEntries with two ports each, and pods in 20 namespaces on 20 nodes, which kwok has run and beat (sigs.k8s.io/kwok/cmd/kwok): CPU
 * time and memory of `controller --kube --gateways` until it is ready and once it has settled, CPU time of an entry more, analysis included, and CPU time
 * while only nodes and pods move. CPU times hold also where other work runs beside.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort } from '../test/integration/cli/program.ts';
import { ApiServer } from '../test/kube/api-server.ts';
import { cpuMicros, residentMiB, settled, start, stopAll, tailOf } from './lib/processes.ts';
import { buildPackage } from './lib/proxies.ts';
import { median } from './lib/report.ts';

const { values } = parseArgs({
  options: {
    kwok: { type: 'string' },
    entries: { type: 'string', default: '5000' },
    pods: { type: 'string', default: '1000' },
    changes: { type: 'string', default: '10' },
    watch: { type: 'string', default: '60' },
  },
});
const [entries, pods, changes] = [Number(values.entries), Number(values.pods), Number(values.changes)];
if (!values.kwok)
  throw new Error('--kwok names the program that runs pods and nodes: build it with go install sigs.k8s.io/kwok/cmd/kwok@v0.7.0');

/** Of namespaces and nodes. */
const GROUPS = 20;
/** Of labels of pods. */
const KINDS = 100;
const LIMIT_MS = 300_000;

const numbered = (count: number) => Array.from({ length: count }, (_, i) => i);

function entry(i: number): object {
  const ports = [
    { number: 443, name: 'tls', protocol: 'TLS' },
    { number: 80, name: 'http', protocol: 'HTTP' },
  ];
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: `outside-${i}`, namespace: `team-${i % GROUPS}` },
    spec: { hosts: [`outside-${i}.example.com`], resolution: 'DNS', ports },
  };
}

function pod(i: number): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `pod-${i}`, namespace: `team-${i % GROUPS}`, labels: { app: `app-${i % KINDS}` } },
    spec: { nodeName: `node-${i % GROUPS}`, containers: [{ name: 'app', image: 'app:1' }] },
  };
}

const namespace = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'istio-injection': 'enabled' } },
});
const node = (i: number) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: `node-${i}`, labels: { 'topology.kubernetes.io/zone': `z${i % 3}` } },
});

/** YAML, which JSON is. */
const textOf = (objects: readonly object[]) => objects.map((object) => `${JSON.stringify(object)}\n`).join('---\n');

async function ready(log: string): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!tailOf(log).includes(': ready')) {
    if (performance.now() > end) throw new Error(`the controller is not ready:\n${tailOf(log)}`);
    await delay(20);
  }
}

const seconds = (micros: number) => `${(micros / 1e6).toFixed(2)} s`;
const mebibytes = (amount: number) => `${amount.toFixed(0)} MiB`;

async function measure(server: ApiServer): Promise<void> {
  await server.apply(
    textOf([...['istio-system', ...numbered(GROUPS).map((i) => `team-${i}`)].map(namespace), ...numbered(GROUPS).map(node)]),
  );
  await server.apply(textOf([...numbered(entries).map(entry), ...numbered(pods).map(pod)]));
  const fake = [
    '--kubeconfig',
    server.kubeconfig(),
    '--manage-all-nodes',
    '--cidr',
    '10.128.0.0/16',
    '--node-lease-duration-seconds',
    '40',
  ];
  start('kwok', '0-1', values.kwok!, fake, join(server.folder, 'kwok.log'));
  const running = ({ status }: { readonly status?: { readonly phase?: string; readonly podIP?: string } }) =>
    status?.phase === 'Running' && !!status.podIP;
  await server.until('/api/v1/pods', ({ items }) => items.length === pods && items.every(running));
  const program = buildPackage(server.folder);
  const log = join(server.folder, 'controller.log');
  const where = ['--xds', String(await freePort()), '--status-address', '0', '--ca', join(server.folder, 'mesh-ca')];
  const asked = ['controller', '--kube', '--kubeconfig', server.kubeconfig(), '--gateways', '--image', 'proxy:1', ...where];
  const controller = start('controller', '0-1', process.execPath, [program, ...asked], log);
  await ready(log);
  console.log(`ready: ${seconds(cpuMicros(controller.pid))} of CPU time, ${mebibytes(residentMiB(controller.pid))}`);
  await settled(controller, LIMIT_MS);
  const first = `${seconds(cpuMicros(controller.pid))} of CPU time, ${mebibytes(residentMiB(controller.pid))}`;
  console.log(`settled, the first analysis done: ${first}, at most ${mebibytes(residentMiB(controller.pid, true))}`);
  const costs: number[] = [];
  for (const i of numbered(changes)) {
    const before = cpuMicros(controller.pid);
    await server.apply(textOf([entry(entries + i)]));
    await settled(controller, LIMIT_MS);
    costs.push(cpuMicros(controller.pid) - before);
  }
  console.log(
    `an entry more: ${[Math.min(...costs), median(costs), Math.max(...costs)].map(seconds).join(', ')} of CPU time (least, median, most)`,
  );
  const before = cpuMicros(controller.pid);
  await delay(Number(values.watch) * 1000);
  console.log(`${values.watch} s of nodes that beat: ${seconds(cpuMicros(controller.pid) - before)} of CPU time`);
  console.log(`at the end ${mebibytes(residentMiB(controller.pid))}, at most ${mebibytes(residentMiB(controller.pid, true))}`);
}

const server = await ApiServer.start();
try {
  await measure(server);
} finally {
  await stopAll();
  await server.stop();
  rmSync(server.folder, { recursive: true, force: true });
}
