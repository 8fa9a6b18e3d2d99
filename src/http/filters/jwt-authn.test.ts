import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson } from '@bufbuild/protobuf';
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
