import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toJson } from '@bufbuild/protobuf';
import { MetadataMatcherSchema } from '../../xds/gen/envoy/type/matcher/v3/metadata_pb.js';
import { claimValue, requestPrincipal } from './claims.ts';

const json = (match: ReturnType<typeof claimValue>) => toJson(MetadataMatcherSchema, create(MetadataMatcherSchema, match));
const ANYTHING = { safeRegex: { regex: '.+' } };

test('a principal of a request: issuer and subject, with a star at one end', () => {
  const principals: Readonly<Record<string, readonly [iss: object, sub: object]>> = {
    '*': [ANYTHING, ANYTHING],
    'iss/sub': [{ exact: 'iss' }, { exact: 'sub' }],
    'https://iss/a/sub': [{ exact: 'https://iss/a' }, { exact: 'sub' }],
    'iss/*': [{ exact: 'iss' }, ANYTHING],
    'iss/su*': [{ exact: 'iss' }, { prefix: 'su' }],
    'is*': [{ prefix: 'is' }, ANYTHING],
    '*/sub': [ANYTHING, { exact: 'sub' }],
    '*s/sub': [{ suffix: 's' }, { exact: 'sub' }],
    '*ub': [ANYTHING, { suffix: 'ub' }],
    iss: [{ exact: 'iss' }, {}],
  };
  for (const [value, [iss, sub]] of Object.entries(principals)) {
    const claims = requestPrincipal(value).map(json);
    const stated = (name: string, match: object) => ({
      filter: 'envoy.filters.http.jwt_authn',
      path: [{ key: 'payload' }, { key: name }],
      value: { stringMatch: Object.keys(match).length > 0 ? match : { exact: '' } },
    });
    assert.deepEqual(claims, [stated('iss', iss), stated('sub', sub)], value);
  }
});

test('a claim is the value, or a list that holds it', () => {
  assert.deepEqual(json(claimValue(['realm', 'roles'], 'admin*')), {
    filter: 'envoy.filters.http.jwt_authn',
    path: [{ key: 'payload' }, { key: 'realm' }, { key: 'roles' }],
    value: {
      orMatch: {
        valueMatchers: [{ listMatch: { oneOf: { stringMatch: { prefix: 'admin' } } } }, { stringMatch: { prefix: 'admin' } }],
      },
    },
  });
});
