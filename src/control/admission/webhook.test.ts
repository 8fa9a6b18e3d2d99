/** The webhook of a controller, asked over HTTPS as an API server asks. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { Agent, request as secureRequest } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { newAuthorityFiles } from '../../ca/authority.ts';
import { injectPath } from './inject.ts';
import { startedWebhook } from './testing.ts';

const MESH = `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "trustDomain: td.example"}
---
apiVersion: v1
kind: Namespace
metadata: {name: closed, labels: {istio-injection: disabled}}
`;

const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { generateName: 'web-', labels: { app: 'web' } },
  spec: { containers: [{ name: 'app' }] },
};

function review(object: unknown, more: object = {}) {
  const asked = { uid: 'u-1', kind: { group: '', version: 'v1', kind: 'Pod' }, operation: 'CREATE', namespace: 'shop', object, ...more };
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: asked };
}

const started = (t: TestContext, service?: string) => startedWebhook(t, MESH, { service });

test('a pod gets its proxy, with what the mesh and the path say', async (t) => {
  const { ask } = await started(t);
  const { status, body } = await ask(review(POD), '/inject/net/n1/cluster/east');
  assert.equal(status, 200);
  const { uid, allowed, patchType, patch } = body.response!;
  assert.deepEqual({ uid, allowed, patchType }, { uid: 'u-1', allowed: true, patchType: 'JSONPatch' });
  const text = Buffer.from(String(patch), 'base64').toString();
  const operations: { op: string; path: string; value: unknown }[] = JSON.parse(text);
  assert.ok(operations.some(({ op, path }) => op === 'add' && path === '/spec/initContainers'));
  assert.match(text, /topology.istio.io~1network","value":"n1"/);
  assert.match(text, /"name":"ISTIO_META_CLUSTER_ID","value":"east"/);
  assert.match(text, /"name":"TRUST_DOMAIN","value":"td.example"/);
});

test('what is no pod to inject passes as it is', async (t) => {
  const { ask } = await started(t);
  const allowed = { uid: 'u-1', allowed: true };
  const asked = [
    review(POD, { namespace: 'closed' }),
    review(POD, { namespace: 'kube-system' }),
    review(POD, { operation: 'UPDATE' }),
    review(POD, { subResource: 'ephemeralcontainers' }),
    review({ kind: 'Service' }, { kind: { group: '', version: 'v1', kind: 'Service' } }),
    review({ ...POD, spec: { ...POD.spec, hostNetwork: true } }),
  ];
  for (const each of asked) assert.deepEqual((await ask(each)).body.response, allowed);
});

test('a pod that cannot be injected is refused, and told', async (t) => {
  const { ask, events } = await started(t);
  const annotations = { 'traffic.sidecar.istio.io/excludeOutboundPorts': 'many' };
  const { body } = await ask(review({ ...POD, metadata: { ...POD.metadata, annotations } }));
  assert.equal(body.response?.allowed, false);
  assert.match(String((body.response!.status as { message: string }).message), /excludeOutboundPorts says "many"/);
  assert.equal(body.response?.patch, undefined);
  const told = events.flatMap((event) => (event.kind === 'not-admitted' ? [event.object] : []));
  assert.deepEqual(told, ['Pod shop/web-']);
  assert.equal((await ask(review({ spec: {} }))).body.response?.allowed, false);
  assert.equal((await ask(review(undefined))).body.response?.allowed, false);
  const leaving = { 'traffic.sidecar.istio.io/excludeOutboundPorts': '6379' };
  const warned = await ask(review({ ...POD, metadata: { ...POD.metadata, annotations: leaving } }));
  assert.match(String(warned.body.response?.warnings), /leaves a way round/);
});

test('what is no review is no answer', async (t) => {
  const { ask, port } = await started(t);
  assert.equal((await ask('{')).status, 400);
  assert.match((await ask({ ...review(POD), apiVersion: 'admission.k8s.io/v1beta1' })).body.error ?? '', /admissionReviewVersions/);
  assert.equal((await ask({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' })).status, 400);
  assert.equal((await ask(review(POD), '/valid')).status, 404);
  assert.equal((await ask(review(POD), '/inject/other/x')).status, 404);
  assert.equal((await ask('', '/inject', 'PUT')).status, 405);
  assert.equal((await ask(`"${'x'.repeat(7 * 1024 * 1024)}"`)).status, 413);
  // Plaintext is not spoken.
  await assert.rejects(once(request({ host: '127.0.0.1', port, path: '/inject' }).end(), 'response'));
});

test('its certificate follows the CA', async (t) => {
  const { ask, ca, control } = await started(t);
  const before = (await ask(review(POD))).certificate;
  const { mesh } = control.report;
  for (const [name, text] of Object.entries(newAuthorityFiles(mesh.config.trustDomain, Date.now())))
    writeFileSync(join(ca, name), typeof text === 'string' ? text : text.reveal());
  await control.reload();
  const after = (await ask(review(POD))).certificate;
  assert.notEqual(after, before);
});

test('a control plane of another name is known by it', async (t) => {
  const { ask } = await started(t, 'istiod-canary.mesh.svc');
  assert.equal((await ask(review(POD))).status, 200);
});

test('paths, as Istio’s', () => {
  assert.deepEqual(injectPath('/inject/'), {});
  assert.deepEqual(injectPath('/inject/cluster/a--slash--b/net/n'), { cluster: 'a/b', network: 'n' });
  for (const path of ['/', '/injected', '/inject/net', '/inject/net/', '/inject/user/x']) assert.equal(injectPath(path), undefined, path);
});

test('a controller that ends answers for its grace, each time as the last over that connection', async (t) => {
  const { control, port } = await started(t);
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  const asked = async () => {
    const given = secureRequest({ host: '127.0.0.1', port, path: '/inject', method: 'POST', agent }).end(JSON.stringify(review(POD)));
    const [answer] = (await once(given, 'response')) as [IncomingMessage];
    await once(answer.resume(), 'end');
    return [answer.statusCode, answer.headers.connection];
  };
  assert.deepEqual(await asked(), [200, 'keep-alive']);
  const ends = control.close(1000);
  assert.deepEqual(await asked(), [200, 'close']);
  assert.deepEqual(await asked(), [200, 'close']);
  await ends;
  await assert.rejects(asked, { code: 'ECONNREFUSED' });
});
