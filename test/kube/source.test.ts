/** Keeping up with a cluster: a real API server that changes, goes away and comes back. */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { findCluster } from '../../src/config/kubernetes/find-cluster.ts';
import { openKubernetesSource } from '../../src/config/kubernetes/source.ts';
import type { MeshInput } from '../../src/config/mesh-source.ts';
import { ApiServer, needsApiServer } from './api-server.ts';

const skip = needsApiServer();

let server: ApiServer;

before(
  async () => {
    if (skip) return;
    server = await ApiServer.start();
    await server.apply('apiVersion: v1\nkind: Namespace\nmetadata: { name: istio-system }\n');
    await server.apply(mesh('REGISTRY_ONLY'));
  },
  { timeout: 240_000 },
);
after(() => server?.stop());

const mesh = (mode: string) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: istio, namespace: istio-system }\ndata: { mesh: "outboundTrafficPolicy: { mode: ${mode} }" }\n`;

const entry = (name: string, host: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec: { hosts: ["${host}"], ports: [{ number: 443, name: tls, protocol: TLS }], resolution: DNS }
`;

class Followed {
  readonly inputs: MeshInput[] = [];
  readonly failures: unknown[] = [];
  #waiting: (() => void)[] = [];

  changed(input: MeshInput): void {
    this.inputs.push(input);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  failed(error: unknown): void {
    this.failures.push(error);
  }

  get last(): MeshInput {
    return this.inputs.at(-1)!;
  }

  /** Resolves with the first input that is so, from the newest one on. */
  async until(is: (input: MeshInput) => boolean): Promise<MeshInput> {
    while (!this.inputs.at(-1) || !is(this.last)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.last;
  }
}

async function follow(t: TestContext, kubeconfig = server.kubeconfig(), revision?: string) {
  const access = findCluster({ kubeconfig, environment: {}, home: '/nowhere', interactive: false, now: Date.now });
  const listener = new Followed();
  const times = { coalesce: { quiet: 20, most: 200 }, first: 50, most: 200, rediscoverMs: 300, lostMs: 200 };
  const source = await openKubernetesSource({ access, istioNamespace: 'istio-system', revision, times }, listener);
  t.after(() => source.close());
  source.watch();
  return { source, listener };
}

const hosts = ({ snapshot }: MeshInput) => snapshot.list('ServiceEntry').flatMap(({ spec }) => spec.hosts);

test('what comes, changes and goes is given to the listener, and what stayed is the same object', { skip }, async (t) => {
  await server.apply(entry('a', 'a.example'));
  const { source, listener } = await follow(t);
  assert.deepEqual(hosts(source.first), ['a.example']);
  assert.equal(source.first.mesh.outboundTrafficPolicy.mode, 'REGISTRY_ONLY');
  await server.apply(entry('b', 'b.example'));
  const both = await listener.until((input) => hosts(input).length === 2);
  assert.equal(both.snapshot.get('ServiceEntry', 'default', 'a'), source.first.snapshot.get('ServiceEntry', 'default', 'a'));
  await server.apply(entry('a', 'a2.example'));
  await listener.until((input) => hosts(input).join() === 'a2.example,b.example');
  await server.delete('ServiceEntry', 'networking.istio.io/v1', 'b');
  await listener.until((input) => hosts(input).join() === 'a2.example');
  assert.equal((await source.reload()).snapshot.list('ServiceEntry').length, 1);
  assert.deepEqual(listener.failures, []);
});

test('MeshConfig is followed, and one that breaks or is deleted opens nothing', { skip }, async (t) => {
  const { listener } = await follow(t);
  await server.apply(mesh('ALLOW_ANY'));
  await listener.until((input) => input.mesh.outboundTrafficPolicy.mode === 'ALLOW_ANY');
  await server.apply(mesh('REGISTRY_ONLY'));
  await listener.until((input) => input.mesh.outboundTrafficPolicy.mode === 'REGISTRY_ONLY');
  await server.apply(mesh('ANYTHING'));
  const broken = await listener.until((input) => input.findings.length > 0);
  assert.equal(broken.mesh.outboundTrafficPolicy.mode, 'REGISTRY_ONLY');
  await server.delete('ConfigMap', 'v1', 'istio', 'istio-system');
  const gone = await listener.until(({ findings }) => findings.some(({ message }) => /no ConfigMap istio/.test(message)));
  assert.equal(gone.mesh.outboundTrafficPolicy.mode, 'REGISTRY_ONLY');
  await server.apply(mesh('REGISTRY_ONLY'));
  await listener.until((input) => input.findings.length === 0);
});

test('a kind whose CRD comes later is followed, and its objects go with the CRD', { skip }, async (t) => {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const { spec, metadata } = await server.must('GET', `${path}/workloadgroups.networking.istio.io`);
  await server.must('DELETE', `${path}/${metadata.name}`);
  const { listener } = await follow(t);
  const groups = ({ snapshot }: MeshInput) => snapshot.list('WorkloadGroup').length;
  await server.must('POST', path, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: metadata.name, annotations: metadata.annotations },
    spec,
  });
  const group =
    'apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: { name: g }\nspec: { template: { serviceAccount: s } }\n';
  await server.until('/apis/networking.istio.io/v1/workloadgroups', () => true);
  await server.apply(group);
  await listener.until((input) => groups(input) === 1);
  await server.must('DELETE', `${path}/${metadata.name}`);
  await listener.until((input) => groups(input) === 0);
});

test('a Secret is followed as soon as a gateway refers to it', { skip }, async (t) => {
  const { listener } = await follow(t);
  const secrets = ({ snapshot }: MeshInput) => snapshot.list('Secret').map(({ metadata }) => metadata.name);
  await server.apply(
    'apiVersion: v1\nkind: Secret\nmetadata: { name: cert, namespace: istio-system }\nstringData: { tls.crt: c, tls.key: k }\n',
    'apiVersion: v1\nkind: Secret\nmetadata: { name: other, namespace: istio-system }\nstringData: { tls.crt: c, tls.key: k }\n',
    `
apiVersion: v1
kind: Pod
metadata: { name: gw, namespace: istio-system, labels: { istio: in } }
spec: { containers: [{ name: istio-proxy, image: proxy }] }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: in, namespace: default }
spec:
  selector: { istio: in }
  servers: [{ port: { number: 443, name: https, protocol: HTTPS }, hosts: [in.example], tls: { mode: SIMPLE, credentialName: cert } }]
`,
  );
  assert.deepEqual(secrets(await listener.until((input) => secrets(input).length > 0)), ['cert']);
  await server.apply('apiVersion: v1\nkind: Secret\nmetadata: { name: cert-cacert, namespace: istio-system }\nstringData: { ca.crt: c }\n');
  await listener.until((input) => secrets(input).length === 2);
  await server.delete('Gateway', 'networking.istio.io/v1', 'in');
  await listener.until((input) => secrets(input).length === 0);
});

test('a server that goes away leaves in force what was read last, and says since when; back again it is caught up with', {
  skip,
}, async (t) => {
  await server.apply(entry('a', 'a.example'));
  const { source, listener } = await follow(t);
  await server.down();
  // One list after the other notices.
  const says = /^not kept up with since 20\d\d-.* and \d+ more\. What was read last stays in force/;
  const stale = await listener.until(({ findings }) => findings.some(({ code, message }) => code === 'SP0010' && says.test(message)));
  assert.deepEqual(hosts(stale), ['a.example']);
  await assert.rejects(source.reload(), { code: 'cluster-unreachable' });
  await server.up();
  await server.apply(entry('c', 'c.example'));
  const back = await listener.until((input) => hosts(input).includes('c.example') && input.findings.length === 0);
  assert.deepEqual(hosts(back).sort(), ['a.example', 'c.example']);
});

test('what is labelled for a revision is in force for that control plane alone', { skip }, async (t) => {
  await server.apply(mesh('REGISTRY_ONLY').replace('name: istio,', 'name: istio-canary,'));
  const labelled = (revision: string) =>
    entry('trial', 'trial.example').replace('name: trial,', `name: trial, labels: { istio.io/rev: ${revision} },`);
  await server.apply(entry('shared', 'shared.example'), labelled('canary'));
  const [stable, canary] = [await follow(t), await follow(t, server.kubeconfig(), 'canary')];
  const has = (input: MeshInput) => hosts(input).includes('trial.example');
  assert.deepEqual([has(stable.source.first), has(canary.source.first)], [false, true]);
  assert.ok([stable, canary].every(({ source }) => hosts(source.first).includes('shared.example')));
  // Promoted, and taken back.
  await server.apply(labelled('default'));
  await Promise.all([stable.listener.until(has), canary.listener.until((input) => !has(input))]);
  await server.apply(labelled('canary'));
  await Promise.all([stable.listener.until((input) => !has(input)), canary.listener.until(has)]);
});
