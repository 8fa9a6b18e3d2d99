import assert from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { Any } from '@bufbuild/protobuf/wkt';
import { proxyOf } from '../../../test/support/mesh.ts';
import { httpOf } from '../../../test/support/translated.ts';
import { readKeys } from '../../http/jwt/keys.ts';
import { type KeySource, keySourcesIn } from '../../translate/authorization/key-sources.ts';
import { STAND_IN_KEYS } from '../../translate/authorization/keys.ts';
import { engineFleet } from '../fleet.ts';
import { Loop } from '../loop.ts';
import { inputOf, RecordingEngine } from '../testing.ts';
import { KeyFetcher } from './key-fetcher.ts';
import { fetchKeySet } from './key-set.ts';

const KEYS = '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}';

async function serve(t: { after: (done: () => void) => void }, handle: RequestListener): Promise<string> {
  const server: Server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const sourceOf = (uri: string | undefined, issuer = 'i', timeoutMs = 5000): KeySource => ({ id: uri ?? issuer, uri, issuer, timeoutMs });

test('keys are fetched by their address, by redirects, and by what the issuer says of itself', async (t) => {
  const base = await serve(t, ({ url }, response) => {
    if (url === '/moved') response.writeHead(302, { location: '/keys' }).end();
    else if (url === '/.well-known/openid-configuration')
      response.end(JSON.stringify({ jwks_uri: `http://${response.req.headers.host}/keys` }));
    else response.end(KEYS);
  });
  for (const source of [sourceOf(`${base}/keys`), sourceOf(`${base}/moved`), sourceOf(undefined, base), sourceOf(undefined, `${base}/`)])
    assert.equal(await fetchKeySet(source), KEYS);
});

test('what is no key set, too large, too late or elsewhere is refused with the reason', async (t) => {
  const base = await serve(t, ({ url }, response) => {
    if (url === '/loop') response.writeHead(302, { location: '/loop' }).end();
    else if (url === '/file') response.writeHead(302, { location: 'file:///etc/passwd' }).end();
    else if (url === '/missing') response.writeHead(404).end();
    else if (url === '/large') response.end(`{"keys":[],"x":"${'x'.repeat(1024 * 1024)}"}`);
    else if (url === '/cut') response.writeHead(200, { 'content-length': 100 }).write('{', () => response.destroy());
    else if (url === '/page') response.end('<html>');
  });
  const cases = [
    ['/loop', /more than 5 redirects/],
    ['/file', /"file:\/\/\/etc\/passwd" is no http or https URL/],
    ['/missing', /\/missing: it answers 404/],
    ['/large', /more than 1048576 bytes/],
    ['/cut', /\/cut: (aborted|its answer is cut off)/],
    ['/page', /no JSON Web Key Set/],
  ] as const;
  for (const [path, message] of cases) await assert.rejects(fetchKeySet(sourceOf(base + path)), { code: 'keys-unavailable', message });
  await assert.rejects(fetchKeySet(sourceOf(`${base}/silent`, 'i', 50)), { code: 'keys-unavailable', message: /no answer within 0.05 s/ });
  await assert.rejects(fetchKeySet(sourceOf('http://127.0.0.1:1/')), { code: 'keys-unavailable', message: /ECONNREFUSED/ });
  await assert.rejects(fetchKeySet(sourceOf(undefined, 'an issuer')), { code: 'keys-unavailable', message: /is no http or https URL/ });
});

test('nobody can sign for the key that stands for missing ones: it is on the curve, and x is a digest', () => {
  const [jwk] = (JSON.parse(STAND_IN_KEYS) as { keys: { x: string }[] }).keys;
  const digest = createHash('sha256').update('the keys of these tokens have not been fetched 0').digest('base64url');
  assert.equal(jwk!.x, digest);
  assert.equal(createPublicKey({ key: jwk as object as import('node:crypto').JsonWebKey, format: 'jwk' }).asymmetricKeyType, 'ec');
  assert.equal(readKeys(STAND_IN_KEYS).length, 1);
});

test('keys are fetched again, the last good ones stay for a week, and changes are told', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1000 });
  const told: string[] = [];
  let answer: () => string = () => {
    throw new Error('down');
  };
  let asked = 0;
  const keys = new KeyFetcher({
    changed: () => told.push('changed'),
    failed: (error) => told.push((error as Error).message),
    fetch: async () => {
      asked++;
      return answer();
    },
  });
  const source = sourceOf('u');
  const now = async (ms: number) => {
    t.mock.timers.tick(ms);
    await new Promise((resolve) => setImmediate(resolve));
    return keys.want([source]).get('u');
  };
  assert.equal(keys.want([source]).size, 0);
  await keys.expect([source]);
  assert.equal(keys.expect([source]), undefined);
  assert.deepEqual(await now(0), { problem: 'down' });
  assert.deepEqual(await now(999), { problem: 'down' });
  answer = () => KEYS;
  assert.deepEqual(await now(1), { jwks: KEYS });
  assert.deepEqual(told.splice(0), ['changed', 'changed']);
  assert.deepEqual(await now(20 * 60_000), { jwks: KEYS });
  assert.deepEqual([asked, told], [3, []]);
  answer = () => {
    throw new Error('gone');
  };
  assert.deepEqual(await now(20 * 60_000), { jwks: KEYS });
  assert.deepEqual(await now(1000), { jwks: KEYS });
  assert.deepEqual([asked, told.splice(0)], [5, ['gone']]);
  for (let day = 0; day < 7; day++) for (let five = 0; five < 288; five++) await now(5 * 60_000);
  assert.deepEqual(await now(0), { problem: 'gone' });
  assert.deepEqual(told, ['changed']);
  assert.equal(keys.want([]).size, 0);
  const before = asked;
  t.mock.timers.tick(60 * 60_000);
  assert.equal(asked, before);
  keys.close();
});

const gatewayText = (...uris: string[]) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: default }
spec: { selector: { istio: egressgateway }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }] }
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: r, namespace: default }
spec: { jwtRules: [${uris.map((uri) => `{ issuer: i, jwksUri: '${uri}' }`).join()}] }`;

/** The JWT filter that the engine has newest. */
function keysIn({ resources }: RecordingEngine, at = -1): string {
  const [filter] = httpOf(resources.at(at)!.listeners[0]!.filterChains[0]!).httpFilters;
  return Buffer.from((filter!.configType.value as Any).value).toString('latin1');
}

test('a gateway takes tokens by fetched keys once they are there', async (t) => {
  let down = true;
  const base = await serve(t, (_, response) => (down ? response.writeHead(503).end() : response.end(KEYS)));
  const text = gatewayText(`${base}/keys`);
  const engine = new RecordingEngine();
  const router = proxyOf({ type: 'router', labels: { istio: 'egressgateway' } });
  const keys = new KeyFetcher({ changed: () => loop.renew(), failed: (error) => assert.fail(String(error)) });
  const { promise: mended, resolve } = Promise.withResolvers<void>();
  const loop = new Loop({
    prepare: (given) => ({ input: given, findings: [], proxies: () => new Map([['r', router]]) }),
    fleet: engineFleet({ graceMs: 0, startEngine: async () => engine }),
    keys,
    inForce: ({ findings }) => {
      if (!down && findings.length === 0) resolve();
    },
  });
  const input = inputOf(text);
  assert.deepEqual(
    keySourcesIn(input.snapshot).map(({ id }) => id),
    [`${base}/keys`],
  );
  const report = await loop.apply(input);
  assert.match(
    report.findings.map(({ code, message }) => `${code} ${message}`).join(),
    /SP1024 RequestAuthentication default\/r: there are no keys .* answers 503/,
  );
  const jwks = () => keysIn(engine);
  assert.ok(jwks().includes('sallyport:not-fetched'));
  down = false;
  await mended;
  assert.ok(!jwks().includes('sallyport:not-fetched'));
  assert.ok(jwks().includes('c2VjcmV0'));
  await loop.close(0);
});

test('what names new keys is published when they have come; what comes meanwhile does not wait for them, and nothing older is published after it', async () => {
  const engine = new RecordingEngine();
  const router = proxyOf({ type: 'router', labels: { istio: 'egressgateway' } });
  const answers = new Map<string, PromiseWithResolvers<string>>();
  const asked = Promise.withResolvers<void>();
  const keys = new KeyFetcher({
    changed: () => loop.renew(),
    failed: (error) => assert.fail(String(error)),
    fetch: ({ id }) => {
      const answer = Promise.withResolvers<string>();
      answers.set(id, answer);
      if (answers.size === 2) asked.resolve();
      return answer.promise;
    },
  });
  const loop = new Loop({
    prepare: (given) => ({ input: given, findings: [], proxies: () => new Map([['r', router]]) }),
    fleet: engineFleet({ graceMs: 0, startEngine: async () => engine }),
    keys,
  });
  const first = loop.apply(inputOf(gatewayText('http://one')));
  assert.equal(engine.resources.length, 0);
  answers.get('http://one')!.resolve(KEYS);
  await first;
  assert.ok(keysIn(engine).includes('c2VjcmV0'));
  const two = loop.apply(inputOf(gatewayText('http://one', 'http://two')));
  const three = loop.apply(inputOf(gatewayText('http://three')));
  await asked.promise;
  // Identities may be renewed meanwhile.
  loop.renew();
  await loop.apply(inputOf(gatewayText('http://one')));
  assert.ok(keysIn(engine).includes('c2VjcmV0'));
  answers.get('http://two')!.resolve(KEYS);
  answers.get('http://three')!.reject(new Error('down'));
  const reports = await Promise.all([two, three]);
  for (const { mesh } of reports) assert.equal(mesh, loop.report?.mesh);
  const four = loop.apply(inputOf(gatewayText('http://four')));
  const close = loop.close(0);
  await assert.rejects(four, { code: 'ended' });
  await close;
  for (const [at] of engine.resources.entries()) assert.ok(!keysIn(engine, at).includes('sallyport:not-fetched'));
});
