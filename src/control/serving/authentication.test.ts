/** Who a client of the control plane is taken for. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { PeerCertificate } from 'node:tls';
import { authorityIn } from '../../ca/folder.ts';
import { createLocalToken } from '../../ca/local-tokens.ts';
import { publicKeysIn, type TokenOptions } from '../../ca/tokens.ts';
import { SallyportError } from '../../lib/errors.ts';
import { Authentication } from './authentication.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const HOUR_S = 3600;

function tokenOf(claims: object, { key = privateKey, header = {} }: { key?: KeyObject; header?: object } = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const all = {
    iss: 'https://kubernetes.default.svc',
    sub: 'system:serviceaccount:shop:cart',
    aud: ['istio-ca'],
    exp: now + HOUR_S,
    nbf: now,
    ...claims,
  };
  const signed = [{ alg: 'RS256', kid: 'one', ...header }, all]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
}

function place(t: TestContext, options: Partial<TokenOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-tokens-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [ca, jwks] = [join(folder, 'ca'), join(folder, 'jwks.json')];
  authorityIn(ca, 'cluster.local', Date.now());
  writeFileSync(jwks, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one' }] }));
  const told: string[] = [];
  const authentication = new Authentication({
    tokens: { ca, jwks, audience: 'istio-ca', issuer: undefined, ...options },
    trustDomain: () => 'cluster.local',
    refused: (address, reason) => told.push(`${address}: ${reason}`),
  });
  const identify = (authorization: string | undefined, certificate?: Partial<PeerCertificate>) =>
    authentication.identify({ address: '10.0.0.9:1234', certificate: certificate as PeerCertificate | undefined, authorization });
  return { ca, jwks, told, identify };
}

test('a token of a Kubernetes service account says who calls', async (t) => {
  const { identify } = place(t, { issuer: 'https://kubernetes.default.svc' });
  assert.equal(await identify(`Bearer ${tokenOf({})}`), 'spiffe://cluster.local/ns/shop/sa/cart');
  assert.equal(await identify(`bearer ${tokenOf({ aud: 'istio-ca' })}`), 'spiffe://cluster.local/ns/shop/sa/cart');
});

test('tokens that are for others, from others, of another time or of nobody’s key are refused with the reason', async (t) => {
  const { identify, told, jwks } = place(t, { issuer: 'https://kubernetes.default.svc' });
  const now = Math.floor(Date.now() / 1000);
  const unsigned = tokenOf({}, { header: { alg: 'none' } });
  const [head, payload] = unsigned.split('.');
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const refusals: [string | undefined, RegExp][] = [
    [undefined, /neither a certificate of the mesh nor a bearer token/],
    ['Basic YTpi', /neither a certificate of the mesh nor a bearer token/],
    [tokenOf({ aud: ['vault'] }), /not for the audience "istio-ca"/],
    [tokenOf({ aud: undefined }), /not for the audience "istio-ca"/],
    [tokenOf({ exp: now - HOUR_S }), /it has expired/],
    [tokenOf({ exp: undefined }), /it never expires/],
    [tokenOf({ nbf: now + HOUR_S }), /it is not valid yet/],
    [tokenOf({ iss: 'https://elsewhere' }), /not from the issuer "https:\/\/kubernetes\.default\.svc"/],
    [unsigned, /\[alg\] is not supported/],
    [`${head}.${payload}.`, /not in the form of/],
    [tokenOf({}, { key: stranger }), /verification fails/],
    [tokenOf({}, { header: { kid: 'two' } }), /doesn't have key to match/],
    // Whoever knows the public key must not be able to sign with it as if it were a shared secret.
    [tokenOf({}, { header: { alg: 'HS256' } }), /doesn't have key to match/],
    [tokenOf({ iss: 'sallyport-local' }), /doesn't have key to match/],
    [tokenOf({ sub: 'system:node:one' }), /no service account/],
    [tokenOf({ sub: 'system:serviceaccount:shop:cart/../admin' }), /no service account/],
  ];
  for (const [text, why] of refusals) {
    const authorization = text === undefined || text.includes(' ') ? text : `Bearer ${text}`;
    await assert.rejects(identify(authorization), { code: 'xds-unauthenticated', message: why }, String(why));
  }
  for (const line of told) assert.doesNotMatch(line, /eyJ/);
  assert.ok(told.some((line) => line === '10.0.0.9:1234: the token is refused: it has expired'));
  rmSync(jwks);
  await assert.rejects(identify(`Bearer ${tokenOf({})}`), { code: 'xds-unauthenticated', message: 'the token cannot be verified' });
  assert.match(told.at(-1)!, /jwks\.json cannot be read/);
});

test('a local token is good until it ends or its key has gone', async (t) => {
  const { ca, identify } = place(t, { jwks: undefined });
  const made = (lifeMs: number, at = Date.now(), audience = 'istio-ca') =>
    `Bearer ${createLocalToken({ ca, namespace: 'shop', serviceAccount: 'cart', audience, lifeMs }, at)}`;
  assert.equal(await identify(made(60_000)), 'spiffe://cluster.local/ns/shop/sa/cart');
  await assert.rejects(identify(made(60_000, Date.now() - 3_600_000)), { message: /it has expired/ });
  await assert.rejects(identify(made(60_000, Date.now(), 'other')), { message: /not for the audience/ });
  await assert.rejects(identify(`Bearer ${tokenOf({})}`), { message: /no keys of another issuer \(--token-jwks\)/ });
  const before = made(60_000);
  rmSync(join(ca, 'token-key.pem'));
  await assert.rejects(identify(before), { code: 'xds-unauthenticated' });
});

test('a certificate names one identity, and ends', async (t) => {
  const { identify } = place(t);
  const until = (ms: number) => new Date(Date.now() + ms).toUTCString();
  const URI = 'URI:spiffe://cluster.local/ns/shop/sa/cart';
  assert.equal(
    await identify(undefined, { subjectaltname: `DNS:x, ${URI}`, valid_to: until(60_000) }),
    'spiffe://cluster.local/ns/shop/sa/cart',
  );
  const others: (string | undefined)[] = [
    undefined,
    'DNS:spiffe://cluster.local/ns/shop/sa/cart',
    // As Node prints a name with a comma in it: one name, not two.
    `URI:"spiffe://x, ${URI}, y"`,
    `${URI}, URI:spiffe://cluster.local/ns/shop/sa/other`,
  ];
  for (const subjectaltname of others) {
    const certificate = { valid_to: until(60_000), ...(subjectaltname === undefined ? {} : { subjectaltname }) };
    await assert.rejects(identify(`Bearer ${tokenOf({})}`, certificate), { code: 'xds-unauthenticated' }, String(subjectaltname));
  }
  await assert.rejects(identify(undefined, { subjectaltname: URI, valid_to: until(-1000) }), { message: /has expired/ });
});

test('who fails too often is not heard for a while, and fills no log', async (t) => {
  const { identify, told } = place(t);
  const codes: string[] = [];
  for (let time = 0; time < 30; time += 1) codes.push(await identify('Bearer x').catch((error: { code: string }) => error.code));
  assert.equal(codes[0], 'xds-unauthenticated');
  assert.equal(codes.at(-1), 'xds-too-much');
  assert.equal(told.length, 1);
  // A certificate is no guess.
  const certificate = {
    subjectaltname: 'URI:spiffe://cluster.local/ns/shop/sa/cart',
    valid_to: new Date(Date.now() + 60_000).toUTCString(),
  };
  assert.equal(await identify(undefined, certificate), 'spiffe://cluster.local/ns/shop/sa/cart');
});

test('a token of the cluster around is asked about, once its signature is right', async (t) => {
  const asked: string[] = [];
  const problems: (string | Error | undefined)[] = [undefined, 'its pod is gone', new SallyportError('token-not-reviewed', 'no answer')];
  const cluster = {
    keys: () => ({
      issuer: 'https://kubernetes.default.svc',
      keys: publicKeysIn(JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] }), 'test'),
    }),
    problemOf: async (token: string) => {
      asked.push(token);
      const problem = problems.shift();
      if (problem instanceof Error) throw problem;
      return problem;
    },
  };
  const { ca, identify, told } = place(t, { jwks: undefined, cluster });
  const token = tokenOf({});
  assert.equal(await identify(`Bearer ${token}`), 'spiffe://cluster.local/ns/shop/sa/cart');
  await assert.rejects(identify(`Bearer ${token}`), { code: 'xds-unauthenticated', message: /its pod is gone/ });
  await assert.rejects(identify(`Bearer ${token}`), { code: 'xds-unavailable', message: /try again/ });
  assert.equal(told.at(-1), '10.0.0.9:1234: no answer');
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  for (const bad of [tokenOf({ aud: 'vault' }), tokenOf({}, { key: stranger })])
    await assert.rejects(identify(`Bearer ${bad}`), { code: 'xds-unauthenticated' });
  const local = createLocalToken({ ca, namespace: 'shop', serviceAccount: 'cart', audience: 'istio-ca', lifeMs: 60_000 }, Date.now());
  assert.equal(await identify(`Bearer ${local}`), 'spiffe://cluster.local/ns/shop/sa/cart');
  assert.deepEqual(asked, [token, token, token], 'what is no token of the cluster, or not right, is not sent anywhere');
});
