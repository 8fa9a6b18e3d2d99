/** What a controller keeps in its cluster: its CA, the roots in each namespace, and its webhook's caBundle. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newAuthorityFiles } from '../../src/ca/authority.ts';
import { freePort, PROGRAM, Program } from '../integration/cli/program.ts';
import { ApiServer, needsApiServer } from './api-server.ts';

const skip = needsApiServer();
const SECRETS = '/api/v1/namespaces/istio-system/secrets';
const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';

let server: ApiServer;
const running: Program[] = [];

const namespace = (name: string) => `
apiVersion: v1
kind: Namespace
metadata: { name: ${name} }
`;
const mapIn = (name: string) => `/api/v1/namespaces/${name}/configmaps/istio-ca-root-cert`;

async function controller(folder: string, ...options: readonly string[]): Promise<Program> {
  const ca = ['--ca', join(server.folder, folder), '--ca-secret', 'sallyport-ca'];
  const ports = ['--xds', String(await freePort()), '--status-address', '0', '--webhook', `127.0.0.1:${await freePort()}`];
  const program = new Program(
    ['controller', '--kube', '--kubeconfig', server.kubeconfig(), ...ca, ...ports, ...options],
    [process.execPath, PROGRAM],
  );
  running.push(program);
  await program.says(/: ready/);
  return program;
}

before(
  async () => {
    if (skip) return;
    server = await ApiServer.start();
    await server.apply(namespace('istio-system'), namespace('shop'));
    const clientConfig = { url: 'https://127.0.0.1:1/inject' };
    const how = { sideEffects: 'None', admissionReviewVersions: ['v1'], clientConfig, rules: [] };
    const webhooks = ['a', 'b'].map((name) => ({ name: `${name}.inject.sallyport.dev`, ...how }));
    const metadata = { name: 'ours' };
    await server.must('POST', WEBHOOKS, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata,
      webhooks,
    });
  },
  { timeout: 240_000 },
);
after(async () => {
  for (const program of running) await program.end();
  await server?.stop();
});

test('a CA is made once and shared; roots and bundles are what it says, come back, and follow it', { skip, timeout: 240_000 }, async () => {
  await Promise.all([controller('one', '--root-maps', '--webhook-config', 'ours'), controller('two')]);
  const secret = await server.must('GET', `${SECRETS}/sallyport-ca`);
  const root = Buffer.from(secret.data['root-cert.pem'], 'base64').toString();
  for (const folder of ['one', 'two']) assert.equal(readFileSync(join(server.folder, folder, 'root-cert.pem'), 'utf8'), root);

  const holds = (roots: string) => (map: { data: object }) => (map.data as Record<string, string>)['root-cert.pem'] === roots;
  const bundled = (roots: string) => (config: { webhooks: { clientConfig: { caBundle?: string } }[] }) =>
    config.webhooks.every(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? '', 'base64').toString() === roots);
  for (const name of ['istio-system', 'shop', 'default']) await server.until(mapIn(name), holds(root));
  await server.until(`${WEBHOOKS}/ours`, bundled(root));

  await server.apply(namespace('late'));
  await server.until(mapIn('late'), holds(root));
  await server.must('DELETE', mapIn('shop'));
  await server.until(mapIn('shop'), holds(root));
  await server.must('PUT', mapIn('late'), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio-ca-root-cert', namespace: 'late' },
    data: { 'root-cert.pem': 'nothing' },
  });
  await server.until(mapIn('late'), holds(root));

  const other = newAuthorityFiles('cluster.local', Date.now());
  const files = { ...other, 'ca-key.pem': other['ca-key.pem'].revealText(), 'root-cert.pem': `${root}${other['root-cert.pem']}` };
  await server.must('PUT', `${SECRETS}/sallyport-ca`, { ...secret, data: undefined, stringData: files });
  for (const name of ['istio-system', 'shop', 'default', 'late']) await server.until(mapIn(name), holds(files['root-cert.pem']));
  await server.until(`${WEBHOOKS}/ours`, bundled(files['root-cert.pem']));
});

test('a Secret that is of no use, or gone, changes nothing, and is told', { skip, timeout: 120_000 }, async () => {
  const [first] = running;
  const before = await server.must('GET', mapIn('shop'));
  const secret = await server.must('GET', `${SECRETS}/sallyport-ca`);
  await server.must('PUT', `${SECRETS}/sallyport-ca`, { ...secret, data: { ...secret.data, 'ca-key.pem': 'bm9uZQ==' } });
  await first!.says(/not up to date: Secret istio-system\/sallyport-ca: /);
  await server.must('DELETE', `${SECRETS}/sallyport-ca`);
  await first!.says(/Secret istio-system\/sallyport-ca is gone/);
  await server.must('DELETE', mapIn('shop'));
  await server.until(mapIn('shop'), (map) => map.data['root-cert.pem'] === before.data['root-cert.pem']);
});

test('what is done in a cluster needs one', () => {
  const program = new Program(['controller', '--root-maps', '--ca', 'x', 'examples'], [process.execPath, PROGRAM]);
  return program.exit.then((code) => {
    assert.equal(code, 2);
    assert.match(program.errors, /--root-maps is done in a cluster: it needs --kube/);
  });
});
