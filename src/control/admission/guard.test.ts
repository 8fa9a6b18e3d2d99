/** What the guard lets in and what it refuses: the decision alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText } from '../../../test/support/mesh.ts';
import { EgressGuard, guardAnswer, mayWiden } from './guard.ts';
import { GUARD_LABEL, type GuardOptions } from './guard-options.ts';
import { submittedIn } from './submitted.ts';
import { type Asked, entryOf, requestOf } from './testing.ts';

const namespace = (name: string, guarded: boolean) => `
apiVersion: v1
kind: Namespace
metadata: {name: ${name}, labels: {${guarded ? `${GUARD_LABEL}: enabled` : ''}}}
---`;
const WORLD = `${namespace('shop', true)}${namespace('free', false)}${namespace('istio-system', false)}
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec: {hosts: [api.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}
---`;
const pod = (name: string, ip: string, more = '') => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: ${name}}}
spec: {serviceAccountName: ${name}, containers: [{name: app, image: x}, {name: istio-proxy, image: x}]}
status: {podIP: ${ip}, phase: Running}
---${more}`;

const STRICT = { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } };
const LABELLED: GuardOptions = { namespaces: 'labelled', allowed: ['egress-owners', 'user:dave'] };

function answer(object: Parameters<typeof requestOf>[0], { asked = {} as Asked, world = WORLD, options = LABELLED } = {}) {
  const request = requestOf(object, asked);
  const guard = new EgressGuard(options, () => performance.now());
  return guard.answer(submittedIn(request)!, meshFromText(world, STRICT), request.user);
}

test('another host widens, and is refused with the call that shows it', async () => {
  const { refusal, forbidden, warnings } = await answer(entryOf('www'));
  assert.match(
    refusal!,
    /^it would widen egress: .*shop\/\*: a call to www\.example\.com:443 reaches the host directly; before, it is closed/,
  );
  assert.match(refusal!, /--allow-widening-by/);
  assert.deepEqual([forbidden, warnings], [true, undefined]);
});

test('what widens nothing is let in', async () => {
  assert.deepEqual(await answer(entryOf('api'), { asked: { operation: 'UPDATE', oldObject: entryOf('api') } }), {});
  assert.deepEqual(await answer(entryOf('api'), { asked: { operation: 'DELETE' } }), {});
  // Nobody who is guarded sees it.
  const apart = { ...entryOf('www', 'free'), spec: { ...entryOf('www').spec, exportTo: ['.'] } };
  assert.deepEqual(await answer(apart), {});
  assert.match((await answer(apart, { options: { ...LABELLED, namespaces: 'all' } })).refusal!, /^it would widen egress: free\/\*/);
});

test('from a namespace that is not guarded, it widens what guarded ones reach all the same', async () => {
  assert.match((await answer(entryOf('www', 'free'))).refusal!, /^it would widen egress: shop\/\*/);
});

test('the same host at another server widens', async () => {
  const there = entryOf('api');
  const elsewhere = { ...there, spec: { ...there.spec, endpoints: [{ address: 'elsewhere.example.net' }] } };
  assert.match(
    (await answer(elsewhere, { asked: { operation: 'UPDATE', oldObject: there } })).refusal!,
    /^it would widen egress: .*api\.example\.com:443/,
  );
});

test('what counts is what the API server has, not what was seen of it a moment ago', async () => {
  // It is being made again, or wider again, and is still seen as it was.
  assert.match((await answer(entryOf('api'))).refusal!, /^it would widen egress: .*api\.example\.com:443/);
  const narrow = entryOf('api', 'shop', 'narrow.example.com');
  const asked: Asked = { operation: 'UPDATE', oldObject: narrow };
  assert.match((await answer(entryOf('api'), { asked })).refusal!, /^it would widen egress: .*api\.example\.com:443/);
});

test('one is judged at a time, and all are answered', async () => {
  const guard = new EgressGuard(LABELLED, () => performance.now());
  const mesh = meshFromText(WORLD, STRICT);
  const names = ['a', 'b', 'c'];
  const answers = await Promise.all(
    names.map((name) => {
      const request = requestOf(entryOf(name));
      return guard.answer(submittedIn(request)!, mesh, request.user);
    }),
  );
  for (const [i, name] of names.entries()) assert.match(answers[i]!.refusal!, new RegExp(`${name}\\.example\\.com:443`));
});

test('a DENY policy that is deleted widens', async () => {
  const service = `
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.1.0.1, selector: {app: db}, ports: [{name: tcp, port: 5432}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed, namespace: shop}
spec: {selector: {matchLabels: {app: db}}, action: DENY, rules: [{from: [{source: {notNamespaces: [nobody]}}]}]}
---`;
  const world = WORLD + pod('web', '10.0.0.1') + pod('db', '10.0.0.2', service);
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'closed', namespace: 'shop' },
    spec: {},
  };
  const { refusal } = await answer(policy, { asked: { operation: 'DELETE' }, world });
  assert.match(refusal!, /^it would widen egress: .*shop\/web.*db/);
});

test('what is not known is refused as if it widened, with the reason', async () => {
  const filter = {
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'EnvoyFilter',
    metadata: { name: 'patch', namespace: 'shop' },
    spec: { configPatches: [] },
  };
  assert.match(
    (await answer(filter, { world: WORLD + pod('web', '10.0.0.1') })).refusal!,
    /is not known.*undecided: .*EnvoyFilter shop\/patch/,
  );
  const unread = { ...filter, apiVersion: 'extensions.istio.io/v1alpha1', kind: 'WasmPlugin' };
  assert.match((await answer(unread)).refusal!, /undecided: .*WasmPlugin/);
  const broken = { ...entryOf('www'), spec: { hosts: 7 } };
  assert.match((await answer(broken)).refusal!, /it is not valid: spec\.hosts/);
});

test('a comparison that takes too long, or breaks, is not known either', async () => {
  const request = requestOf(entryOf('www'));
  let now = 0;
  const slow = new EgressGuard(LABELLED, () => (now += 26_000));
  assert.match((await slow.answer(submittedIn(request)!, meshFromText(WORLD, STRICT), request.user)).refusal!, /takes longer than 25 s/);
});

test('who may widen it is warned', async () => {
  const asked = { userInfo: { username: 'erin', groups: ['egress-owners'] } };
  const { refusal, warnings = [] } = await answer(entryOf('www'), { asked });
  assert.equal(refusal, undefined);
  assert.match(warnings.join(), /,widens egress: shop\/\*: a call to www\.example\.com:443/);
});

test('groups and users are told apart', () => {
  const user = (name: string, ...groups: string[]) => ({ name, groups });
  assert.ok(mayWiden(user('dave'), ['user:dave']));
  assert.ok(mayWiden(user('x', 'system:masters'), ['system:masters']));
  for (const other of [user('user:dave'), user('egress-owners'), user('x', 'user:dave'), user('', 'dave'), user('')])
    assert.ok(!mayWiden(other, ['user:dave', 'egress-owners', 'user:']), JSON.stringify(other));
});

test('many calls are told in short', () => {
  const { refusal } = guardAnswer({ widens: Array.from({ length: 20 }, (_, n) => `call ${n}`), undecided: [] }, false);
  assert.match(refusal!, /call 4; and 15 more\./);
});
