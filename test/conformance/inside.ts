/** Runs inside of the lab's network: what the cluster lacks, the controller, and the suite. `run.ts` starts it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMapping } from '../../src/api/decode.ts';
import { ApiClient } from '../../src/config/kubernetes/client.ts';
import { findCluster } from '../../src/config/kubernetes/find-cluster.ts';
import { Program } from '../integration/cli/program.ts';
import { Surroundings } from './surroundings.ts';
import { watchAll } from './watch.ts';

const HOST = '10.250.0.1';

interface Order {
  readonly kubeconfig: string;
  readonly image: string;
  readonly engine: string;
  readonly suite: readonly [program: string, ...args: string[]];
  /** For logs and the CA. */
  readonly folder: string;
}

const OBJECTS: readonly { readonly path: string; readonly object: object }[] = [
  { path: '/api/v1/namespaces/istio-system', object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } } },
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

async function main({ kubeconfig, image, engine, suite, folder }: Order): Promise<number> {
  const access = findCluster({ kubeconfig, environment: {}, home: '/', interactive: false, now: Date.now });
  const client = new ApiClient(access);
  const surroundings = new Surroundings(client);
  await surroundings.start(HOST);
  for (const { path, object } of OBJECTS)
    await client.send('PATCH', `${path}?fieldManager=lab&force=true`, object, 'application/apply-patch+yaml');
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
  try {
    // A machine that does much beside this takes longer than a test waits.
    await controller.says(/: ready/).catch(() => controller.says(/: ready/));
    await classIsAccepted(client);
    const log = openSync(join(folder, 'suite.log'), 'w');
    const [program, ...args] = suite;
    const [code] = await once(spawn(program, [...args, '-kubeconfig', kubeconfig], { stdio: ['ignore', log, log] }), 'close');
    return code as number;
  } finally {
    await controller.end();
    writeFileSync(join(folder, 'controller.log'), controller.errors);
    surroundings.close();
    client.close();
  }
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
