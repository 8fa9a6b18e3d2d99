/** Tokens of a cluster's service accounts, and a controller's CA: what the API server no longer takes, the CA does not take either. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { requestCertificate } from '../../src/agent/ca-client.ts';
import { newKey } from '../../src/ca/certificates.ts';
import { freePort, PROGRAM, Program } from '../integration/cli/program.ts';
import { ApiServer, needsApiServer } from './api-server.ts';

const skip = needsApiServer();
const IN_SHOP = '/api/v1/namespaces/shop';

let server: ApiServer;
let controller: Program;
let port: number;

const WORKLOAD = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: cart, namespace: shop }
---
apiVersion: v1
kind: Pod
metadata: { name: cart-1, namespace: shop }
spec: { serviceAccountName: cart, containers: [{ name: app, image: app }] }
`;

before(
  async () => {
    if (skip) return;
    server = await ApiServer.start();
    await server.apply(...WORKLOAD.split('---'));
    port = await freePort();
    const xds = ['--xds', '0', '--xds-tls', `127.0.0.1:${port}`, '--ca', join(server.folder, 'ca'), '--status-address', '0'];
    const args = ['controller', '--kube', '--kubeconfig', server.kubeconfig(), '--cluster-tokens', ...xds];
    controller = new Program(args, [process.execPath, PROGRAM]);
    await controller.says(/: ready/);
  },
  { timeout: 240_000 },
);
after(async () => {
  await controller?.end();
  await server?.stop();
});

/** A token for the CA, as the kubelet asks for one. */
async function tokenFor(pod?: string): Promise<string> {
  const { uid } = pod === undefined ? { uid: '' } : (await server.must('GET', `${IN_SHOP}/pods/${pod}`)).metadata;
  const bound = pod === undefined ? {} : { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: pod, uid } };
  const spec = { audiences: ['istio-ca'], expirationSeconds: 3600, ...bound };
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
  return (await server.must('POST', `${IN_SHOP}/serviceaccounts/cart/token`, request)).status.token;
}

const identityBy = async (token: string): Promise<string> => {
  const roots = readFileSync(join(server.folder, 'ca', 'root-cert.pem'), 'utf8');
  const target = { address: '127.0.0.1', port };
  return (await requestCertificate({ target, roots, proof: { token }, key: newKey(), lifeMs: 60_000 })).identity;
};

/** The API server itself remembers for some 10 s that it took a token; nothing tells when it has forgotten. */
const SOME_TRIES = 60;

async function refusedIn(tries: number, token: string, why: RegExp): Promise<void> {
  const error = await identityBy(token).then(
    () => undefined,
    (refusal: { code: string; message: string }) => refusal,
  );
  if (error) {
    assert.equal(error.code, 'ca-unauthenticated');
    assert.match(error.message, why);
    return;
  }
  assert.ok(tries > 0, 'the token is still taken');
  await new Promise((resolve) => setTimeout(resolve, 500));
  await refusedIn(tries - 1, token, why);
}

test('a token holds as long as its pod, and its service account', { skip, timeout: 120_000 }, async () => {
  const [ofPod, ofAccount] = [await tokenFor('cart-1'), await tokenFor()];
  for (const token of [ofPod, ofAccount]) assert.equal(await identityBy(token), 'spiffe://cluster.local/ns/shop/sa/cart');
  await server.must('DELETE', `${IN_SHOP}/pods/cart-1?gracePeriodSeconds=0`);
  await refusedIn(SOME_TRIES, ofPod, /its pod or service account may be gone/);
  assert.equal(await identityBy(ofAccount), 'spiffe://cluster.local/ns/shop/sa/cart');
  await server.must('DELETE', `${IN_SHOP}/serviceaccounts/cart`);
  await refusedIn(SOME_TRIES, ofAccount, /its pod or service account may be gone/);
});

test('while the API server does not answer no token is taken, and the client is told to come again', {
  skip,
  timeout: 120_000,
}, async () => {
  await server.apply(...WORKLOAD.split('---').slice(1));
  const token = await tokenFor('cart-1');
  await server.down();
  await assert.rejects(identityBy(token), { code: 'ca-unavailable', message: /cannot be verified now: try again/ });
  await server.up();
  assert.equal(await identityBy(token), 'spiffe://cluster.local/ns/shop/sa/cart');
});
