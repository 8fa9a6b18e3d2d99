import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { JwtAuthenticationSchema } from '../../xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import { Head } from '../head.ts';
import { HeaderMap } from '../header-map.ts';
import type { JudgedRequest } from './filter.ts';
import { JwtAuthnFilter } from './jwt-authn.ts';

/** Whether a request without a token is answered, not sent on. */
function isRefused(bypassCorsPreflight: boolean, method: string, fields: readonly string[]): boolean {
  const config = fromJson(JwtAuthenticationSchema, {
    providers: { own: { issuer: 'https://issuer.example', local_jwks: { inline_string: '{"keys":[]}' } } },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'own' } }],
    bypass_cors_preflight: bypassCorsPreflight,
  });
  const head = new Head('HTTP/1.1', method, 'a.example', '/', 'http', new HeaderMap([...fields]), 0, '', false, 0, undefined);
  const request: JudgedRequest = { head, route: undefined, client: {} as JudgedRequest['client'], now: 0, metadata: undefined };
  return new JwtAuthnFilter('jwt', config, 'filter "jwt"').judge(request).answer !== undefined;
}

const ORIGIN = ['origin', 'https://b.example'];
const ASKS = ['access-control-request-method', 'PUT'];

test('a preflight needs no token where the filter says so, and nothing else goes for one', () => {
  const preflight = [...ORIGIN, ...ASKS];
  assert.equal(isRefused(true, 'OPTIONS', preflight), false);
  assert.equal(isRefused(false, 'OPTIONS', preflight), true);
  assert.equal(isRefused(true, 'GET', preflight), true);
  for (const fields of [ORIGIN, ASKS, [], ['origin', '', ...ASKS], [...ORIGIN, 'access-control-request-method', '']])
    assert.equal(isRefused(true, 'OPTIONS', fields), true, fields.join());
});

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const SECRETS: Readonly<Record<string, string>> = { one: 'the secret of the first issuer', two: 'the secret of the second issuer' };
/** Signed by the issuer, unless another's secret is named. */
function token(issuer: string, claims: object = {}, secret = issuer): string {
  const signed = `${part({ alg: 'HS256' })}.${part({ iss: issuer, ...claims })}`;
  return `${signed}.${createHmac('sha256', SECRETS[secret]!).update(signed).digest('base64url')}`;
}

const provider = (issuer: string, more: JsonObject = {}): JsonObject => {
  const keys = [{ kty: 'oct', k: Buffer.from(SECRETS[issuer]!).toString('base64url') }];
  return { issuer, local_jwks: { inline_string: JSON.stringify({ keys }) }, ...more };
};
const NOW = Date.UTC(2026, 0, 1);
const SECOND = NOW / 1000;

interface Asked {
  readonly requires: JsonObject;
  readonly fields?: readonly string[];
  readonly path?: string;
  readonly one?: JsonObject;
}

function judged({ requires, fields = [], path = '/', one = {} }: Asked) {
  const config = fromJson(JwtAuthenticationSchema, {
    providers: { one: provider('one', one), two: provider('two') },
    rules: [{ match: { prefix: '/' }, requires }],
  });
  const head = new Head('HTTP/1.1', 'GET', 'a.example', path, 'http', new HeaderMap([...fields]), 0, '', false, 0, undefined);
  const request: JudgedRequest = { head, route: undefined, client: {} as JudgedRequest['client'], now: NOW, metadata: undefined };
  const { answer, edit, metadata, reroutes } = new JwtAuthnFilter('jwt', config, 'filter "jwt"').judge(request);
  edit?.(head);
  return { status: answer?.reply.status, body: String(answer?.reply.body ?? 'passes'), headers: head.headers, metadata, reroutes, answer };
}

const bearer = (text: string) => ['authorization', `Bearer ${text}`];
const ONE: JsonObject = { provider_name: 'one' };
const TWO: JsonObject = { provider_name: 'two' };
const any = (...requirements: JsonObject[]): JsonObject => ({ requires_any: { requirements } });
const all = (...requirements: JsonObject[]): JsonObject => ({ requires_all: { requirements } });
const MISSING_ALLOWED: JsonObject = { allow_missing: {} };

/** What is required, the token, and the words that refuse it. */
const REQUIREMENTS: readonly (readonly [name: string, requires: JsonObject, fields: readonly string[], said: string])[] = [
  ['the issuer’s', ONE, bearer(token('one')), 'passes'],
  ['none', ONE, [], 'Jwt is missing'],
  ['another issuer’s', ONE, bearer(token('two')), 'Jwt issuer is not configured'],
  ['one that somebody else signed', ONE, bearer(token('one', {}, 'two')), 'Jwt verification fails'],
  ['any of two: the second’s', any(ONE, TWO), bearer(token('two')), 'passes'],
  ['any of two: none', any(ONE, TWO), [], 'Jwt is missing'],
  ['any of two: a wrong one counts for more than another’s', any(ONE, TWO), bearer(token('one', {}, 'two')), 'Jwt verification fails'],
  ['any of two, whichever comes first', any(TWO, ONE), bearer(token('one', {}, 'two')), 'Jwt verification fails'],
  ['any or none: none', any(ONE, MISSING_ALLOWED), [], 'passes'],
  ['any or none: a wrong one is not none', any(ONE, MISSING_ALLOWED), bearer(token('one', {}, 'two')), 'Jwt verification fails'],
  ['any or none: another issuer’s is not none', any(ONE, MISSING_ALLOWED), bearer(token('two')), 'Jwt issuer is not configured'],
  ['any or what fails', any(ONE, { allow_missing_or_failed: {} }), bearer(token('one', {}, 'two')), 'passes'],
  ['all of two: one', all(ONE, TWO), bearer(token('one')), 'Jwt issuer is not configured'],
  ['none at all', MISSING_ALLOWED, [], 'passes'],
  ['none at all: a right one', MISSING_ALLOWED, bearer(token('one')), 'Jwt is missing'],
];

for (const [name, requires, fields, said] of REQUIREMENTS) {
  test(`tokens: ${name}`, () => assert.equal(judged({ requires, fields }).body, said));
}

/** Claims of a token, settings of its provider, and the words that refuse it. */
const CLAIMS: readonly (readonly [claims: object, settings: JsonObject, said: string])[] = [
  [{ exp: SECOND - 60 }, {}, 'passes'],
  [{ exp: SECOND - 61 }, {}, 'Jwt is expired'],
  [{ exp: SECOND - 61 }, { clock_skew_seconds: 61 }, 'passes'],
  [{ nbf: SECOND + 60 }, {}, 'passes'],
  [{ nbf: SECOND + 61 }, {}, 'Jwt not yet valid'],
  [{}, { require_expiration: true }, 'Jwt is expired'],
  [{ exp: SECOND + 1 }, { require_expiration: true }, 'passes'],
  [{ aud: 'a' }, { audiences: ['a', 'b'] }, 'passes'],
  [{ aud: ['x', 'https://b/'] }, { audiences: ['a', 'http://b'] }, 'passes'],
  [{ aud: 'c' }, { audiences: ['a', 'b'] }, 'Audiences in Jwt are not allowed'],
  [{}, { audiences: ['a'] }, 'Audiences in Jwt are not allowed'],
  [{ sub: 7 }, {}, 'Jwt payload [sub] field is not a string'],
  [{ exp: 1.5 }, {}, 'Jwt payload [exp] field is not an integer'],
  [{ nbf: -1 }, {}, 'Jwt payload [nbf] field is not a positive integer'],
  [{ aud: [1] }, {}, 'Jwt payload [aud] field is not a string or string list'],
];

for (const [claims, settings, said] of CLAIMS) {
  test(`claims: ${JSON.stringify(claims)} by ${JSON.stringify(settings)}`, () => {
    const { body, status } = judged({ requires: ONE, fields: bearer(token('one', claims)), one: settings });
    assert.equal(body, said);
    assert.equal(status, said === 'passes' ? undefined : said.startsWith('Audiences') ? 403 : 401);
  });
}

test('a token that was accepted is judged again by what time and keys say', () => {
  const filterOf = (secret: string) => {
    const config = fromJson(JwtAuthenticationSchema, {
      providers: { one: { ...provider(secret), issuer: 'one' } },
      rules: [{ match: { prefix: '/' }, requires: ONE }],
    });
    const filter = new JwtAuthnFilter('jwt', config, 'filter "jwt"');
    return (text: string, now: number) => {
      const head = new Head('HTTP/1.1', 'GET', 'a.example', '/', 'http', new HeaderMap(bearer(text)), 0, '', false, 0, undefined);
      const { answer } = filter.judge({ head, route: undefined, client: {} as JudgedRequest['client'], now, metadata: undefined });
      return String(answer?.reply.body ?? 'passes');
    };
  };
  const said = filterOf('one');
  const own = token('one', { exp: SECOND + 10, nbf: SECOND });
  assert.deepEqual([said(own, NOW), said(own, NOW)], ['passes', 'passes']);
  assert.equal(said(own, NOW + 71_000), 'Jwt is expired');
  assert.equal(said(own, NOW - 61_000), 'Jwt not yet valid');
  assert.equal(said(own, NOW), 'passes');
  const forged = token('one', { exp: SECOND + 10, nbf: SECOND }, 'two');
  assert.deepEqual([said(forged, NOW), said(forged, NOW)], ['Jwt verification fails', 'Jwt verification fails']);
  assert.equal(filterOf('two')(own, NOW), 'Jwt verification fails', 'other keys, which a new configuration brings');
});

test('where a token is looked for, and that it goes no further unless that is wanted', () => {
  const own = token('one');
  const passes = (asked: Partial<Asked>) => judged({ requires: ONE, ...asked }).body === 'passes';
  assert.deepEqual([passes({ path: `/?access_token=${own}` }), passes({ path: `/?other=${own}` })], [true, false]);
  const elsewhere = { from_headers: [{ name: 'X-Own', value_prefix: 'T ' }], from_params: ['t'], from_cookies: ['c'] };
  assert.equal(passes({ one: elsewhere, fields: bearer(own) }), false, 'only where it is told to');
  assert.equal(passes({ one: elsewhere, fields: ['x-own', `T ${own}`] }), true);
  assert.equal(passes({ one: elsewhere, path: `/?t=${own}` }), true);
  assert.equal(passes({ one: elsewhere, fields: ['cookie', `a=b; c="${own}"`] }), true);
  assert.equal(passes({ fields: [...bearer(own), ...bearer(own)] }), false, 'a list is no token');
  assert.equal(judged({ requires: ONE, fields: bearer(own) }).headers.get('authorization'), undefined);
  assert.equal(judged({ requires: ONE, fields: bearer(own), one: { forward: true } }).headers.get('authorization'), `Bearer ${own}`);
});

test('what is made of the claims: fields that a client cannot make itself, and metadata', () => {
  const settings = {
    forward_payload_header: 'X-Payload',
    pad_forward_payload_header: true,
    claim_to_headers: [
      { header_name: 'X-Sub', claim_name: 'sub' },
      { header_name: 'X-Deep', claim_name: 'a.b' },
      { header_name: 'X-None', claim_name: 'none' },
    ],
    payload_in_metadata: 'claims',
    normalize_payload_in_metadata: { space_delimited_claims: ['scope'] },
    clear_route_cache: true,
  };
  const claims = { sub: 'me', a: { b: 7 }, scope: 'x  y' };
  const forged = ['x-sub', 'root', 'x-none', 'root', 'x-payload', 'root'];
  const { headers, metadata, reroutes } = judged({ requires: ONE, fields: [...bearer(token('one', claims)), ...forged], one: settings });
  const payload = part({ iss: 'one', ...claims });
  assert.deepEqual(
    ['x-sub', 'x-deep', 'x-none', 'x-payload'].map((name) => headers.all(name)),
    [['me'], ['7'], [], [payload + '='.repeat((4 - (payload.length % 4)) % 4)]],
  );
  assert.deepEqual(metadata, { 'envoy.filters.http.jwt_authn': { claims: { iss: 'one', ...claims, scope: ['x', 'y'] } } });
  assert.equal(reroutes, true);
});

test('a client that is refused is told why, and where', () => {
  const field = (fields: readonly string[]) => judged({ requires: ONE, fields, path: '/x' }).answer?.reply.headers?.get('www-authenticate');
  assert.equal(field([]), 'Bearer realm="http://a.example/x"');
  assert.equal(field(bearer(token('two'))), 'Bearer realm="http://a.example/x", error="invalid_token"');
});
