/**
 * RequestAuthentications as a stock Envoy judges what they are translated to, beside our own filter: good tokens and every way of getting one wrong. Envoy is
 * the one that `scripts/fetch-envoy.ts` finds (SALLYPORT_ENVOY, PATH or its cache).
 */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { type JsonObject, toJson } from '@bufbuild/protobuf';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { JwtAuthnFilter } from '../../src/http/filters/jwt-authn.ts';
import { Head } from '../../src/http/head.ts';
import { HeaderMap } from '../../src/http/header-map.ts';
import { JwtAuthenticationSchema } from '../../src/xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import { HttpFilterSchema } from '../../src/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { typeRegistry } from '../../src/xds/type-registry.ts';
import { unpack } from '../../src/xds/unpack.ts';
import { httpOf, listenerOf, ROUTER, translated } from '../support/translated.ts';
import { type RunningEnvoy, startEnvoy } from './envoy-process.ts';

const ENVOY = findEnvoy();
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
const SECRET = Buffer.from('a secret that both sides know, long enough');

const jwks = (keys: object[]) => JSON.stringify({ keys });
const RSA_KEYS = jwks([
  { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'r', alg: 'RS256' },
  { ...ec.publicKey.export({ format: 'jwk' }), kid: 'e' },
]);
const SHARED_KEYS = jwks([{ kty: 'oct', kid: 's', alg: 'HS256', k: SECRET.toString('base64url') }]);

const base64url = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
function token(header: object, claims: unknown, key: KeyObject | Buffer): string {
  const text = `${base64url({ typ: 'JWT', ...header })}.${base64url(claims)}`;
  const bytes = Buffer.isBuffer(key)
    ? createHmac('sha256', key).update(text).digest()
    : sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${bytes.toString('base64url')}`;
}

const LATER = 4_102_444_800;
const RS = { alg: 'RS256', kid: 'r' };
const good = { iss: 'one', sub: 'bob', aud: ['a', 'https://b/'], exp: LATER, group: 'eng', n: { m: 7 }, scope: 'x y', yes: true };
const rs = (claims: unknown, header: object = RS, key: KeyObject = rsa.privateKey) => token(header, claims, key);
const bearer = (text: string): [string, string][] => [['authorization', `Bearer ${text}`]];

const REQUESTS: readonly { readonly name: string; readonly path?: string; readonly headers: readonly [string, string][] }[] = [
  { name: 'none', headers: [] },
  { name: 'good', headers: bearer(rs(good)) },
  { name: 'forged fields', headers: [...bearer(rs({ iss: 'one', sub: 's', aud: 'a' })), ['x-group', 'forged'], ['x-payload', 'forged']] },
  { name: 'forged claim', headers: [['x-group', 'eng']] },
  { name: 'forged claim, another token', headers: [...bearer(rs({ iss: 'one', sub: 's', aud: 'a' })), ['x-group', 'eng']] },
  { name: 'good, query', path: `/p?access_token=${rs(good)}&q=1`, headers: [] },
  { name: 'good, ec', headers: bearer(rs(good, { alg: 'ES256', kid: 'e' }, ec.privateKey)) },
  { name: 'good, no kid', headers: bearer(rs(good, { alg: 'RS256' })) },
  { name: 'good, shared', headers: bearer(token({ alg: 'HS256', kid: 's' }, { iss: 'two', sub: 'eve' }, SECRET)) },
  { name: 'audience as a text', headers: bearer(rs({ ...good, aud: 'b' })) },
  { name: 'wrong audience', headers: bearer(rs({ ...good, aud: 'c' })) },
  { name: 'no audience', headers: bearer(rs({ ...good, aud: undefined })) },
  { name: 'wrong issuer', headers: bearer(rs({ ...good, iss: 'three' })) },
  { name: 'no issuer', headers: bearer(rs({ ...good, iss: undefined })) },
  { name: 'expired', headers: bearer(rs({ ...good, exp: 1000 })) },
  { name: 'not yet', headers: bearer(rs({ ...good, nbf: LATER })) },
  { name: 'another key', headers: bearer(rs(good, RS, other.privateKey)) },
  { name: 'unknown kid', headers: bearer(rs(good, { alg: 'RS256', kid: 'q' })) },
  { name: 'other algorithm of the key', headers: bearer(rs(good, { alg: 'RS512', kid: 'r' })) },
  { name: 'alg none', headers: bearer(`${base64url({ alg: 'none' })}.${base64url(good)}.`) },
  { name: 'public key as a secret', headers: bearer(token({ alg: 'HS256', kid: 'r' }, good, Buffer.from(RSA_KEYS))) },
  { name: 'no alg', headers: bearer(`${base64url({ typ: 'JWT' })}.${base64url(good)}.AAAA`) },
  { name: 'two parts', headers: bearer('a.b') },
  { name: 'bad header', headers: bearer('x.y.z') },
  { name: 'header no JSON', headers: bearer(`${base64url('no')}.${base64url(good)}.AAAA`) },
  { name: 'payload no JSON', headers: bearer(`${base64url(RS)}.${base64url('no')}.AAAA`) },
  { name: 'bad payload', headers: bearer(`${base64url(RS)}.a.AAAA`) },
  { name: 'bad signature', headers: bearer(`${base64url(RS)}.${base64url(good)}.A`) },
  { name: 'iss is a number', headers: bearer(rs({ ...good, iss: 7 })) },
  { name: 'exp is a text', headers: bearer(rs({ ...good, exp: 'soon' })) },
  { name: 'other scheme', headers: [['authorization', `Basic ${rs(good)}`]] },
  { name: 'empty', headers: bearer('') },
  { name: 'two fields, the second good', headers: [...bearer('x.y.z'), ...bearer(rs(good))] },
  { name: 'a claim outside ASCII', headers: bearer(rs({ ...good, group: 'Zoë' })) },
  {
    name: 'a claim with characters that end in those of a line break',
    headers: bearer(rs({ ...good, group: 'a\u010d\u010ax-yes: forged' })),
  },
  { name: 'long path', path: `/${'a'.repeat(300)}`, headers: bearer('x.y.z') },
];

const TEXT = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: istio-system }
spec: { selector: { istio: egressgateway }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }] }
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: r, namespace: istio-system }
spec:
  jwtRules:
    - issuer: one
      audiences: [a, http://b]
      jwks: '${RSA_KEYS}'
      outputPayloadToHeader: x-payload
      outputClaimToHeaders: [{ header: x-group, claim: group }, { header: x-m, claim: n.m }, { header: x-n, claim: n }, { header: x-yes, claim: 'yes' }]
    - { issuer: two, jwks: '${SHARED_KEYS}', forwardOriginalToken: true }
`;

const FIELDS = ['authorization', 'x-payload', 'x-group', 'x-m', 'x-n', 'x-yes'];
const BY_CLAIM = [{ name: 'x-group', stringMatch: { exact: 'eng' } }];
const HCM = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

describe('JSON Web Tokens beside Envoy', { skip: ENVOY ? false : 'there is no Envoy' }, () => {
  const [filter] = httpOf(listenerOf(translated(TEXT, ROUTER), '0.0.0.0_80').filterChains[0]!).httpFilters;
  const own = new JwtAuthnFilter('jwt', unpack(filter!.configType.value as never, JwtAuthenticationSchema, 'test'), 'test');
  let envoy: RunningEnvoy;
  before(async () => {
    const responseHeadersToAdd = FIELDS.map((name): JsonObject => ({ header: { key: `seen-${name}`, value: `%REQ(${name})%` } }));
    const routes: JsonObject[] = [
      {
        match: { prefix: '/', headers: BY_CLAIM },
        directResponse: { status: 200, body: { inlineString: 'by claim' } },
        responseHeadersToAdd,
      },
      { match: { prefix: '/' }, directResponse: { status: 200 }, responseHeadersToAdd },
    ];
    const config = {
      '@type': HCM,
      statPrefix: 'x',
      httpFilters: [
        toJson(HttpFilterSchema, filter!, { registry: typeRegistry }),
        { name: 'router', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } },
      ],
      routeConfig: {
        name: 'rc',
        virtualHosts: [
          {
            name: 'v',
            domains: ['*'],
            routes,
          },
        ],
      },
    };
    envoy = await startEnvoy(ENVOY!, {
      name: 'l',
      address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
      filterChains: [{ filters: [{ name: 'hcm', typedConfig: config }] }],
    });
  });
  after(() => envoy.stop());

  for (const { name, path = '/a?b=c', headers } of REQUESTS) {
    test(name, async () => {
      const answer = await fetch(`http://127.0.0.1:${envoy.port}${path}`, { headers: [...headers] });
      const text = await answer.text();
      const seen = Object.fromEntries(
        FIELDS.flatMap((field) => {
          const value = answer.headers.get(`seen-${field}`);
          return value === null || value === '-' ? [] : [[field, value]];
        }),
      );
      const given =
        answer.status === 200
          ? { status: 200, seen, byClaim: text === 'by claim' }
          : { status: answer.status, text, challenge: answer.headers.get('www-authenticate') };
      assert.deepEqual(judged(path, headers), given);
    });
  }

  function judged(path: string, headers: readonly [string, string][]): object {
    const map = new HeaderMap();
    // What fetch makes of a field that comes twice.
    for (const [name, value] of new Headers([...headers])) map.append(name, value);
    const head = new Head('HTTP/1.1', 'GET', `127.0.0.1:${envoy.port}`, path, 'http', map, 0, '', false, 0, undefined);
    const end = { ip: '127.0.0.1', port: 0 };
    const client = { remoteAddress: end, directRemoteAddress: end, localAddress: end, serverName: '', tls: undefined };
    const isByClaim = () => map.get('x-group') === 'eng';
    const before = isByClaim();
    const { answer, edit, reroutes } = own.judge({ head, route: undefined, client, now: Date.now(), metadata: undefined });
    if (answer) {
      const { status, body, headers: made } = answer.reply;
      return { status, text: body, challenge: made?.get('www-authenticate') ?? null };
    }
    edit?.(head);
    return {
      status: 200,
      byClaim: reroutes ? isByClaim() : before,
      seen: Object.fromEntries(FIELDS.flatMap((field) => (map.has(field) ? [[field, map.all(field).join(',')]] : []))),
    };
  }
});
