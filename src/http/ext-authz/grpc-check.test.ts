import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { prefixOf } from '../../lib/grpc/messages.ts';
import { GrpcServiceSchema } from '../../xds/gen/envoy/config/core/v3/grpc_service_pb.js';
import { CheckResponseSchema } from '../../xds/gen/envoy/service/auth/v3/external_auth_pb.js';
import { typeRegistry } from '../../xds/type-registry.ts';
import { Head } from '../head.ts';
import { HeaderMap } from '../header-map.ts';
import { compileGrpcCheck } from './grpc-check.ts';

const check = compileGrpcCheck(fromJson(GrpcServiceSchema, { envoyGrpc: { clusterName: 'authz' } }), {
  tells: () => true,
  packAsBytes: false,
  includeTlsSession: false,
  where: 'here',
});

const OK: JsonObject = { status: { code: 0 } };

/** What the authorizer's answer comes to; `trailers` as a flat list. */
function verdict(response: JsonObject, { trailers = ['grpc-status', '0'], status = 200, cut = 0 } = {}) {
  const message = toBinary(CheckResponseSchema, fromJson(CheckResponseSchema, response, { registry: typeRegistry }));
  const whole = Buffer.concat([prefixOf(message), message]);
  const body = whole.subarray(0, whole.length - cut);
  return check.read({ status, headers: new HeaderMap(), body, trailers: new HeaderMap(trailers) });
}

const option = (key: string, value: string, more: JsonObject = {}): JsonObject => ({ header: { key, value }, ...more });

function requestAfter(okResponse: JsonObject, headers: readonly string[], path = '/'): string[] {
  const found = verdict({ ...OK, okResponse });
  assert.equal(found.kind, 'allowed');
  const head = new Head('HTTP/1.1', 'GET', 'a.test', path, 'http', new HeaderMap([...headers]), 0, '', false, 0, undefined);
  if (found.kind === 'allowed') found.edit?.(head);
  return [head.path, ...[...head.headers].map(([name, value]) => `${name}: ${value}`)];
}

function responseAfter(options: readonly JsonObject[]): string[] {
  const found = verdict({ ...OK, okResponse: { responseHeadersToAdd: [...options] } });
  const headers = new HeaderMap(['x-there', '1']);
  if (found.kind === 'allowed') found.mark?.(headers);
  return [...headers].map(([name, value]) => `${name}: ${value}`);
}

test('an answer allows by status 0 alone, and is none where it can’t be read', () => {
  assert.equal(verdict(OK).kind, 'allowed');
  assert.equal(verdict({}).kind, 'allowed');
  assert.equal(verdict({ status: { code: 7 } }).kind, 'denied');
  assert.equal(verdict(OK, { status: 503 }).kind, 'error');
  for (const trailers of [['grpc-status', '14'], []]) assert.equal(verdict(OK, { trailers }).kind, 'error');
  assert.equal(verdict({ status: { code: 7 } }, { cut: 1 }).kind, 'error');
  assert.equal(check.read(undefined).kind, 'error');
});

test('what is denied has the authorizer’s status, text and fields, as far as they are such', () => {
  const denied = (deniedResponse: JsonObject) => {
    const found = verdict({ status: { code: 7 }, deniedResponse });
    return found.kind === 'denied'
      ? [found.status, found.body.toString(), ...[...found.headers].map(([name, value]) => `${name}: ${value}`)]
      : [];
  };
  assert.deepEqual(denied({}), [403, '']);
  assert.deepEqual(
    denied({ status: { code: 'Unauthorized' }, body: 'who?', headers: [option('WWW-Authenticate', 'Basic'), option('a b', '1')] }),
    [401, 'who?', 'www-authenticate: Basic'],
  );
  assert.deepEqual(denied({ status: { code: 'Continue' } }), [403, '']);
});

test('fields of the request are set, joined to what is there, and removed', () => {
  const there = ['x-there', '1', 'x-gone', '1'];
  assert.deepEqual(requestAfter({}, there), ['/', 'x-there: 1', 'x-gone: 1']);
  assert.deepEqual(requestAfter({ headers: [option('X-There', '2'), option('x-new', '3')], headersToRemove: ['X-Gone'] }, there), [
    '/',
    'x-there: 2',
    'x-new: 3',
  ]);
  const joining = { append: true };
  assert.deepEqual(requestAfter({ headers: [option('x-there', '2', joining), option('x-new', '3', joining)] }, there), [
    '/',
    'x-there: 1,2',
    'x-gone: 1',
  ]);
});

test('parameters of the query are set and removed', () => {
  const ok = { queryParametersToSet: [{ key: 'a', value: '2' }], queryParametersToRemove: ['b'] };
  assert.deepEqual(requestAfter(ok, [], '/p?a=1&b=1&c=1'), ['/p?a=2&c=1']);
  assert.deepEqual(requestAfter(ok, [], '/p'), ['/p?a=2']);
  assert.deepEqual(requestAfter({ queryParametersToRemove: ['b'] }, [], '/p?b=1'), ['/p']);
});

test('fields of the response are added or set as each says', () => {
  const added = (name: string, more: JsonObject) => responseAfter([option(name, '2', more)]);
  const adding: readonly JsonObject[] = [{}, { append: true }, { appendAction: 'APPEND_IF_EXISTS_OR_ADD' }];
  const setting: readonly JsonObject[] = [{ append: false }, { appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }];
  for (const more of adding) {
    assert.deepEqual(added('x-there', more), ['x-there: 1', 'x-there: 2'], JSON.stringify(more));
    assert.deepEqual(added('x-new', more), ['x-there: 1', 'x-new: 2'], JSON.stringify(more));
  }
  for (const more of setting) {
    assert.deepEqual(added('x-there', more), ['x-there: 2'], JSON.stringify(more));
    assert.deepEqual(added('x-new', more), ['x-there: 1', 'x-new: 2'], JSON.stringify(more));
  }
  assert.deepEqual(added('x-there', { appendAction: 'ADD_IF_ABSENT' }), ['x-there: 1']);
  assert.deepEqual(added('x-new', { appendAction: 'ADD_IF_ABSENT' }), ['x-there: 1', 'x-new: 2']);
  assert.deepEqual(added('x-there', { appendAction: 'OVERWRITE_IF_EXISTS' }), ['x-there: 2']);
  assert.deepEqual(added('x-new', { appendAction: 'OVERWRITE_IF_EXISTS' }), ['x-there: 1']);
});

test('what can’t be a field of a response is left out', () => {
  assert.deepEqual(responseAfter([option('a b', '1'), option('x', '1\r\ny: 2'), option('x-new', '2')]), ['x-there: 1', 'x-new: 2']);
});
