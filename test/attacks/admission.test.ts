/** Reviews that no API server sends: each is answered with an error, in bounded time and memory, and the next one is answered as if nothing had been. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entryOf, reviewOf, startedWebhook } from '../../src/control/admission/testing.ts';

const WORLD = `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`;
const PATHS = ['/validate', '/guard'];
/** Before anything that the answer is known to wait for would have ended. */
const BOUND_MS = 20_000;

test('hostile reviews are answered with an error, and leave the webhook as it was', { timeout: 120_000 }, async (t) => {
  const { ask } = await startedWebhook(t, WORLD, { guard: { namespaces: 'all', allowed: ['owners', 'user:dave'] } });
  const entry = entryOf('www');
  const asked = (change: object) => {
    const review = reviewOf(entry) as { request: object };
    return { ...review, request: { ...review.request, ...change } };
  };
  const kindOf = (group: string, kind: string) => ({ group, version: 'v1', kind });
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'shop' }, data: { key: 'c2VjcmV0' } };
  const wrong: readonly (readonly [string, unknown, number])[] = [
    ['no JSON', '{"apiVersion": ', 400],
    ['JSON of another kind', [], 400],
    ['another version', { ...reviewOf(entry), apiVersion: 'admission.k8s.io/v1beta1' }, 400],
    ['no request', { ...reviewOf(entry), request: undefined }, 400],
    ['no object', asked({ object: null }), 400],
    ['a list for an object', asked({ object: [entry] }), 400],
    ['a Secret', asked({ kind: kindOf('', 'Secret'), object: secret }), 400],
    ['a Secret that passes for another', asked({ object: secret }), 400],
    ['another group', asked({ kind: kindOf('example.com', 'ServiceEntry') }), 400],
    ['a kind with a slash', asked({ kind: kindOf('networking.istio.io/v1', 'x') }), 400],
    ['kinds that are no text', asked({ kind: { group: {}, kind: [] } }), 400],
    ['nothing that is gone', asked({ operation: 'DELETE' }), 400],
    ['too much', `"${'x'.repeat(7 * 1024 * 1024)}"`, 413],
    ['nested without end', `{"apiVersion":${'['.repeat(2_000_000)}`, 400],
  ];
  for (const path of PATHS)
    for (const [what, body, status] of wrong) {
      const begun = Date.now();
      const given = await ask(body, path);
      assert.equal(given.status, status, `${path}: ${what}: ${JSON.stringify(given.body)}`);
      assert.ok(typeof given.body.error === 'string' && given.body.error.length < 1000, what);
      assert.ok(!JSON.stringify(given.body).includes('c2VjcmV0'), 'what a Secret holds is not repeated');
      assert.ok(Date.now() - begun < BOUND_MS, what);
    }

  // What is an object, and a hostile one, is refused in few words.
  let deep: unknown = 'x';
  for (let depth = 0; depth < 3000; depth += 1) deep = { a: deep };
  const hosts = Array.from({ length: 50_000 }, (_, n) => `bad host ${n}`);
  const bodies = [
    { ...entry, spec: { ...entry.spec, deep } },
    { ...entry, spec: { ...entry.spec, hosts } },
    { ...entry, spec: { ...entry.spec, ['__proto__x'.repeat(20_000)]: 1 } },
  ];
  for (const path of PATHS)
    for (const object of bodies) {
      const begun = Date.now();
      const { status, body } = await ask(asked({ object }), path);
      assert.deepEqual([status, body.response?.allowed], [200, false]);
      assert.ok(JSON.stringify(body).length < 20_000);
      assert.ok(Date.now() - begun < BOUND_MS);
    }

  // Who says so in the object is nobody's user.
  const claims = { ...entry, metadata: { ...entry.metadata, annotations: { username: 'dave' } }, userInfo: { username: 'dave' } };
  for (const userInfo of [
    undefined,
    null,
    [],
    { username: ['dave'], groups: 'owners' },
    { groups: [['owners']] },
    { username: 'user:dave' },
  ]) {
    const { body } = await ask(asked({ object: { ...claims, userInfo: undefined }, userInfo }), '/guard');
    assert.equal(body.response?.allowed, false, JSON.stringify(userInfo));
  }
  const { body } = await ask(asked({ userInfo: { username: 'dave', groups: [] } }), '/guard');
  assert.equal(body.response?.allowed, true, JSON.stringify(body));
  assert.deepEqual((await ask(reviewOf(entry), '/validate')).body.response, { uid: 'u-1', allowed: true });
});

test('without the guard nobody is told that nothing widens', async (t) => {
  const { ask } = await startedWebhook(t, WORLD);
  assert.equal((await ask(reviewOf(entryOf('www')), '/guard')).status, 404);
});
