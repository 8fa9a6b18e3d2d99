/** A real API server asks the webhook of a controller, and takes what `sallyport inject` prints. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, PROGRAM, Program } from '../integration/cli/program.ts';
import { ApiServer, needsApiServer } from './api-server.ts';

const skip = needsApiServer();

/** The Service has no address of its own: the API server asks this machine. */
const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: istio-system }
---
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio-injection: enabled } }
`;
const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: istiod, namespace: istio-system }
spec: { type: ExternalName, externalName: localhost }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: "trustDomain: td.example" }
`;
const PODS = '/api/v1/namespaces/shop/pods';
const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';

let server: ApiServer;
let controller: Program | undefined;

before(
  async () => {
    if (skip) return;
    server = await ApiServer.start();
    await server.apply(WORLD);
    await server.apply(SERVICE);
    const port = await freePort();
    const ca = join(server.folder, 'mesh-ca');
    const own = ['--ca', ca, '--xds', String(await freePort()), '--status-address', '0', '--webhook', `127.0.0.1:${port}`];
    controller = new Program(
      ['controller', '--kube', '--kubeconfig', server.kubeconfig(), ...own, '--image', 'proxy:1'],
      [process.execPath, PROGRAM],
    );
    await controller.says(/: ready/);
    const caBundle = readFileSync(join(ca, 'root-cert.pem')).toString('base64');
    const rules = [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }];
    const clientConfig = { caBundle, service: { name: 'istiod', namespace: 'istio-system', path: '/inject/cluster/east', port } };
    const how = { sideEffects: 'None', admissionReviewVersions: ['v1'], failurePolicy: 'Fail' };
    const webhooks = [
      { name: 'inject.sallyport.dev', clientConfig, rules, ...how, namespaceSelector: { matchLabels: { 'istio-injection': 'enabled' } } },
    ];
    await server.must('POST', WEBHOOKS, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'sallyport' },
      webhooks,
    });
    // A server learns of a webhook a moment later.
    await server.until(WEBHOOKS, ({ items }) => items.length === 1);
  },
  { timeout: 240_000 },
);
after(async () => {
  await controller?.end();
  await server?.stop();
});

function pod(name: string, annotations: object = {}, spec: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name }, annotations },
    spec: { containers: [{ name: 'app', image: 'app:1' }], serviceAccountName: 'web', ...spec },
  };
}

const names = (containers: readonly { readonly name: string }[] = []) => containers.map(({ name }) => name);

test('pods come out of the API server with their proxy', { skip, timeout: 120_000 }, async () => {
  // The first may come before the server has the webhook.
  let made = await server.must('POST', `${PODS}?dryRun=All`, pod('web'));
  for (let tries = 0; tries < 50 && !made.spec.initContainers; tries += 1)
    made = await server.must('POST', `${PODS}?dryRun=All`, pod('web'));
  assert.deepEqual(names(made.spec.initContainers), ['istio-init', 'istio-proxy']);
  assert.equal(made.metadata.labels['security.istio.io/tlsMode'], 'istio');
  const env = made.spec.initContainers[1].env as { name: string; value?: string }[];
  const value = (name: string) => env.find((variable) => variable.name === name)?.value;
  assert.deepEqual([value('ISTIO_META_CLUSTER_ID'), value('TRUST_DOMAIN')], ['east', 'td.example']);

  const classic = await server.must(
    'POST',
    PODS,
    pod('classic', { 'sidecar.istio.io/nativeSidecar': 'false', 'sallyport.dev/engine': 'embedded' }),
  );
  assert.equal(classic.spec.containers[1].args[0], 'proxy');
  const gateway = { containers: [{ name: 'istio-proxy', image: 'auto', ports: [{ containerPort: 80 }] }] };
  const router = await server.must('POST', PODS, pod('egress', { 'inject.istio.io/templates': 'gateway' }, gateway));
  assert.deepEqual([router.spec.containers[0].image, router.spec.initContainers], ['proxy:1', undefined]);
  const out = await server.must('POST', PODS, pod('out', { 'sidecar.istio.io/inject': 'false' }));
  assert.deepEqual(names(out.spec.containers), ['app']);
});

test('a pod that cannot be injected is not made, and neither is one while nobody answers', { skip, timeout: 120_000 }, async () => {
  const refused = await server.ask('POST', PODS, pod('wrong', { 'sidecar.istio.io/interceptionMode': 'TPROXY' }));
  assert.equal(refused.status, 400);
  assert.match(refused.body.message, /denied the request: it cannot be injected: interceptionMode TPROXY: .* Choose REDIRECT/);
  await controller?.says(/Pod shop\/wrong is refused: it cannot be injected/);
  await controller?.end();
  const silent = await server.ask('POST', PODS, pod('early'));
  assert.equal(silent.status, 500);
});

test('the API server takes what sallyport inject prints, to the last field', { skip, timeout: 120_000 }, async () => {
  const containers = [
    {
      name: 'app',
      image: 'app:1',
      ports: [{ name: 'http', containerPort: 80 }],
      readinessProbe: { httpGet: { path: '/', port: 'http' } },
      livenessProbe: { grpc: { port: 9000 } },
      startupProbe: { tcpSocket: { port: 80 } },
    },
  ];
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers } };
  const selector = { matchLabels: { app: 'web' } };
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec: { selector, template } };
  const once = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };
  const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'once' }, spec: { template: once } };
  const options = [[], ['--no-native'], ['--engine', 'embedded']];
  for (const [object, path] of [
    [deployment, '/apis/apps/v1/namespaces/default/deployments'],
    [job, '/apis/batch/v1/namespaces/default/jobs'],
  ] as const) {
    for (const more of options) {
      const { stdout } = spawnSync(process.execPath, [PROGRAM, 'inject', '-f', '-', '-o', 'json', ...more], {
        input: JSON.stringify(object),
        encoding: 'utf8',
      });
      const made = await server.must('POST', `${path}?dryRun=All&fieldValidation=Strict`, JSON.parse(stdout));
      assert.ok(names(made.spec.template.spec.initContainers).includes('istio-init'));
    }
  }
});
