/** Runs inside of the lab's network: what the cluster lacks, the controller, and the suite. `run.ts` starts it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isMapping } from '../../src/api/decode.ts';
import { ApiClient } from '../../src/config/kubernetes/client.ts';
import { findCluster } from '../../src/config/kubernetes/find-cluster.ts';
import { Program } from '../integration/cli/program.ts';
import { Surroundings } from './surroundings.ts';
import { watchAll } from './watch.ts';

const run = promisify(execFile);
const HOST = '10.250.0.1';

interface Order {
  readonly kind: 'gateway' | 'mesh';
  readonly kubeconfig: string;
  readonly image: string;
  readonly engine: string;
  /** The program. */
  readonly helm: string;
  readonly suite: readonly [program: string, ...args: string[]];
  /** For logs and the CA. */
  readonly folder: string;
}

interface Placed {
  readonly path: string;
  readonly object: object;
}

const NAMESPACE: Placed = {
  path: '/api/v1/namespaces/istio-system',
  object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } },
};

/** By which proxies find a controller that runs beside the cluster. */
const OUTSIDE: readonly Placed[] = [
  {
    path: '/api/v1/namespaces/istio-system/services/istiod',
    object: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'istiod', namespace: 'istio-system' },
      spec: { ports: [{ name: 'grpc-xds', port: 15012 }] },
    },
  },
  {
    path: '/apis/discovery.k8s.io/v1/namespaces/istio-system/endpointslices/istiod',
    object: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'istiod', namespace: 'istio-system', labels: { 'kubernetes.io/service-name': 'istiod' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [HOST], conditions: { ready: true } }],
      ports: [{ name: 'grpc-xds', port: 15012, protocol: 'TCP' }],
    },
  },
];

const DNS: readonly Placed[] = [
  {
    path: '/api/v1/namespaces/kube-system/services/kube-dns',
    object: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace: 'kube-system' },
      spec: { clusterIP: '10.96.0.10', ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] },
    },
  },
  {
    path: '/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns',
    object: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'kube-dns', namespace: 'kube-system', labels: { 'kubernetes.io/service-name': 'kube-dns' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [HOST], conditions: { ready: true } }],
      ports: [{ name: 'dns', port: 53, protocol: 'UDP' }],
    },
  },
];

async function main(order: Order): Promise<number> {
  const { kubeconfig, kind, suite, folder } = order;
  const access = findCluster({ kubeconfig, environment: {}, home: '/', interactive: false, now: Date.now });
  const client = new ApiClient(access);
  const surroundings = new Surroundings(client);
  await surroundings.start(HOST);
  await place(client, DNS);
  const end = await (kind === 'gateway' ? runController(client, order) : installChart(client, order));
  try {
    await classIsAccepted(client);
    const log = openSync(join(folder, 'suite.log'), 'w');
    const [program, ...args] = suite;
    const [code] = await once(spawn(program, [...args, '-kubeconfig', kubeconfig], { stdio: ['ignore', log, log] }), 'close');
    return code as number;
  } finally {
    await end();
    surroundings.close();
    client.close();
  }
}

async function place(client: ApiClient, placed: readonly Placed[]): Promise<void> {
  for (const { path, object } of placed)
    await client.send('PATCH', `${path}?fieldManager=lab&force=true`, object, 'application/apply-patch+yaml');
}

/** Beside the cluster, as Gateways need no webhook; resolves with what ends it. */
async function runController(client: ApiClient, { kubeconfig, image, engine, folder }: Order): Promise<() => Promise<void>> {
  await place(client, [NAMESPACE, ...OUTSIDE]);
  const xds = ['--xds', '127.0.0.1:0', '--xds-tls', `${HOST}:15012`, '--ca', join(folder, 'ca'), '--root-maps', '--cluster-tokens'];
  const gateways = [
    '--gateways',
    '--engine',
    engine,
    '--image',
    image,
    '--image-pull-policy',
    'Never',
    '--status-address',
    `${HOST}:15021`,
  ];
  const controller = new Program(['controller', '--kube', '--kubeconfig', kubeconfig, ...xds, ...gateways]);
  const end = async () => {
    await controller.end();
    writeFileSync(join(folder, 'controller.log'), controller.errors);
    await removeOutside(client);
  };
  try {
    // A machine that does much beside this takes longer than a test waits.
    await controller.says(/: ready/).catch(() => controller.says(/: ready/));
    return end;
  } catch (error) {
    await end();
    throw error;
  }
}

async function removeOutside(client: ApiClient): Promise<void> {
  for (const { path } of OUTSIDE) await client.send('DELETE', path).catch(() => undefined);
}

/** As it is installed, with the webhook that injects sidecars; resolves with what takes it away. */
async function installChart(client: ApiClient, { kubeconfig, image, engine, helm }: Order): Promise<() => Promise<void>> {
  // A run that was cut off leaves them.
  await removeOutside(client);
  const where = ['--namespace', 'istio-system', '--kubeconfig', kubeconfig, '--wait'];
  // The suite calls a pod by its address, which nothing declares.
  const values = [
    'replicas=1',
    'meshConfig.outboundTrafficPolicy.mode=ALLOW_ANY',
    `image.repository=${image.split(':')[0]}`,
    `injection.engine=${engine}`,
  ];
  const chart = join(import.meta.dirname, '../../deploy/chart');
  const sets = values.flatMap((value) => ['--set', value]);
  await run(helm, ['upgrade', '--install', 'sallyport', chart, '--create-namespace', '--timeout', '3m', ...where, ...sets]);
  return async () => void (await run(helm, ['uninstall', 'sallyport', ...where]));
}

/** The suite asks the class which features there are. */
async function classIsAccepted(client: ApiClient): Promise<void> {
  const abort = new AbortController();
  const path = '/apis/gateway.networking.k8s.io/v1/gatewayclasses';
  await new Promise<void>((resolve) => {
    const see = ({ status }: Record<string, unknown>) => {
      if (isMapping(status) && Array.isArray(status.supportedFeatures)) resolve();
    };
    watchAll(client, path, see, abort.signal);
  });
  abort.abort();
}

process.exitCode = await main(JSON.parse(process.argv[2]!) as Order);
