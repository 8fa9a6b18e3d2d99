import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { HeaderValueOptionSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { SAMPLE_RECORD } from '../format/testing.ts';
import { HeaderMap } from '../header-map.ts';
import type { PseudoHeaderTarget } from './model.ts';
import { chainMutations, compileMutations } from './mutation.ts';

const CONTEXT = { hostname: 'node-1', environment: {} };
const option = (key: string, value: string, more: JsonObject = {}): JsonObject => ({ header: { key, value }, ...more });
const compile = (add: readonly JsonObject[], remove: readonly string[] = []) =>
  compileMutations(
    add.map((each) => fromJson(HeaderValueOptionSchema, each)),
    remove,
    CONTEXT,
  );

interface Changed {
  readonly add?: readonly JsonObject[];
  readonly remove?: readonly string[];
  readonly headers?: readonly string[];
  /** Of a request, whose target may be changed. */
  readonly target?: PseudoHeaderTarget;
}

/** The fields after the changes, of `x-there: 1` unless others are given. */
function changed({ add = [], remove = [], headers = ['x-there', '1'], target }: Changed): string[] {
  const map = new HeaderMap([...headers]);
  compile(add, remove)!.apply(map, SAMPLE_RECORD, target);
  return [...map].map(([name, value]) => `${name}: ${value}`);
}

test('where there are no changes there is nothing to apply', () => {
  assert.equal(compile([]), undefined);
  assert.equal(chainMutations([undefined, undefined]), undefined);
});

test('fields are removed, whatever their case, before others are added', () => {
  const headers = ['x-there', '1', 'x-gone', '1', 'x-gone', '2'];
  assert.deepEqual(changed({ headers, remove: ['X-Gone'] }), ['x-there: 1']);
  assert.deepEqual(changed({ headers, remove: ['x-gone'], add: [option('X-Gone', '3')] }), ['x-there: 1', 'x-gone: 3']);
});

test('each way to add', () => {
  const both = (more: JsonObject) => changed({ add: [option('x-there', '2', more), option('x-new', '2', more)] });
  const appending: readonly JsonObject[] = [{}, { append: true }, { appendAction: 'APPEND_IF_EXISTS_OR_ADD' }];
  for (const more of appending) assert.deepEqual(both(more), ['x-there: 1', 'x-there: 2', 'x-new: 2'], JSON.stringify(more));
  const setting: readonly JsonObject[] = [{ append: false }, { appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }];
  for (const more of setting) assert.deepEqual(both(more), ['x-there: 2', 'x-new: 2'], JSON.stringify(more));
  assert.deepEqual(both({ appendAction: 'ADD_IF_ABSENT' }), ['x-there: 1', 'x-new: 2']);
  assert.deepEqual(both({ appendAction: 'OVERWRITE_IF_EXISTS' }), ['x-there: 2']);
});

test('what overwrites comes first', () => {
  const add = [
    option('x-there', '2'),
    option('x-there', '3', { append: false }),
    option('x-agent', '%REQ(user-agent)%', { append: false }),
  ];
  assert.deepEqual(changed({ add }), ['x-there: 3', 'x-agent: curl/8', 'x-there: 2']);
});

test('an empty value is left out, unless it is to be kept', () => {
  assert.deepEqual(changed({ add: [option('x-new', '')] }), ['x-there: 1']);
  assert.deepEqual(changed({ add: [option('x-new', '', { keepEmptyValue: true })] }), ['x-there: 1', 'x-new: ']);
});

test('an answer goes on without a value that cannot be in it; a request has it, and is refused later', () => {
  const record = { ...SAMPLE_RECORD, requestHeaders: new HeaderMap(['x', 'a\r\nb: c']) };
  const mutations = compile([option('x-new', '%REQ(x)%'), option('x-other', '%PROTOCOL%')])!;
  const [answer, request] = [new HeaderMap(), new HeaderMap()];
  mutations.apply(answer, record);
  mutations.apply(request, record, { authority: 'a', path: '/', method: 'GET' });
  assert.deepEqual([...answer], [['x-other', 'HTTP/1.1']]);
  assert.equal(request.get('x-new'), 'a\r\nb: c');
});

test('host, path and method of a request may be overwritten, those of an answer are none', () => {
  const add = [
    option('host', 'b', { append: false }),
    option(':path', '/b', { append: false }),
    option(':method', 'PUT', { appendAction: 'OVERWRITE_IF_EXISTS' }),
  ];
  const target = { authority: 'a', path: '/', method: 'GET' };
  assert.deepEqual(changed({ add, target }), ['x-there: 1']);
  assert.deepEqual(target, { authority: 'b', path: '/b', method: 'PUT' });
  assert.deepEqual(changed({ add }), ['x-there: 1']);
});

test('what can’t be changed is refused by name', () => {
  for (const [add, remove, message] of [
    [[], ['Host'], 'header "host" may not be removed'],
    [[], [':path'], 'header ":path" may not be removed'],
    [[option('host', 'b')], [], 'header "host" may be overwritten, not appended to'],
    [[option(':scheme', 'b', { append: false })], [], 'header ":scheme" may not be changed'],
    [[option('', 'b')], [], 'a header to add has no name'],
  ] as const)
    assert.throws(() => compile(add, remove), { code: 'xds-invalid', message });
});

test('several levels are applied one after the other', () => {
  const [first, second] = [compile([option('x', '1')]), compile([option('x', '2', { append: false })])];
  const headers = new HeaderMap();
  chainMutations([first, undefined, second])!.apply(headers, SAMPLE_RECORD);
  assert.deepEqual([...headers], [['x', '2']]);
  assert.equal(chainMutations([undefined, first]), first);
});
