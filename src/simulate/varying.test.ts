import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Head } from '../http/head.ts';
import { HeaderMap } from '../http/header-map.ts';
import { compileRouteConfiguration } from '../http/routes/route.ts';
import type { HeaderMatcherSchema } from '../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import { decidingFields, varyingFields } from './varying.ts';

const A = '00000000-0000-4000-8000-000000000000';
const B = '56789abc-5678-4234-9234-9abc56789abc';

function head(id: string, more: readonly string[] = [], path = '/'): Head {
  const headers = new HeaderMap(['x-request-id', id, ...more]);
  return new Head('HTTP/1.1', 'GET', 'a.test', path, 'http', headers, 0, '', false, 0, undefined);
}

type Matcher = MessageInitShape<typeof HeaderMatcherSchema>;
type Pattern = NonNullable<Extract<Matcher['headerMatchSpecifier'], { case: 'stringMatch' }>['value']['matchPattern']>;
const text = (matchPattern: Pattern): Matcher => ({
  name: 'x-request-id',
  headerMatchSpecifier: { case: 'stringMatch', value: { matchPattern } },
});

/** The fields that decide between a route of these matchers and one for all. */
function deciding(headers: readonly Matcher[], heads = [head(A), head(B)] as const): readonly string[] {
  const direct = (status: number) => ({ case: 'directResponse', value: { status } }) as const;
  const table = compileRouteConfiguration(
    create(RouteConfigurationSchema, {
      virtualHosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [
            { match: { pathSpecifier: { case: 'prefix', value: '/' }, headers: [...headers] }, action: direct(200) },
            { match: { pathSpecifier: { case: 'prefix', value: '/' } }, action: direct(404) },
          ],
        },
      ],
    }),
  );
  return decidingFields(table.virtualHost('a.test')!, table.match(heads[0]), { head: heads[0], other: heads[1] });
}

test('what two workings have differently varies', () => {
  assert.deepEqual(varyingFields(new HeaderMap(['a', '1', 'b', '2']), new HeaderMap(['b', '3', 'a', '1', 'c', ''])), ['b', 'c']);
});

test('presence and what every value matches are decided', () => {
  assert.deepEqual(deciding([{ name: 'X-Request-Id' }]), []);
  assert.deepEqual(deciding([{ name: 'x-request-id', invertMatch: true }]), []);
  for (const regex of ['.+', '.*', '[0-9a-f-]+']) assert.deepEqual(deciding([text({ case: 'safeRegex', value: { regex } })]), [], regex);
});

test('what no value matches is decided', () => {
  assert.deepEqual(deciding([text({ case: 'exact', value: 'mine' })]), []);
  assert.deepEqual(deciding([text({ case: 'exact', value: '' })]), []);
  assert.deepEqual(deciding([text({ case: 'prefix', value: 'z' })]), []);
  assert.deepEqual(deciding([{ ...text({ case: 'contains', value: 'x' }), invertMatch: true }]), []);
});

test('a route that presence rules out is not decided by anything else', () => {
  const depends = text({ case: 'prefix', value: 'a' });
  const present = (value: boolean): Matcher => ({ name: 'x-request-id', headerMatchSpecifier: { case: 'presentMatch', value } });
  for (const never of [{ name: 'x-request-id', invertMatch: true }, { ...present(true), invertMatch: true }, present(false)])
    assert.deepEqual(deciding([never, depends]), [], JSON.stringify(never));
  for (const always of [{ name: 'x-request-id' }, present(true), { ...present(false), invertMatch: true }])
    assert.deepEqual(deciding([always, depends]), ['x-request-id'], JSON.stringify(always));
});

test('exact and partial values that a request id may have decide, and so does an expression', () => {
  for (const pattern of [
    { case: 'exact', value: A },
    { case: 'exact', value: 'c0ffee00-0000-4000-8000-000000000000' },
    { case: 'prefix', value: 'a' },
    { case: 'suffix', value: '0' },
    { case: 'contains', value: '-4' },
    { case: 'safeRegex', value: { regex: '[0-7].*' } },
  ] as const)
    assert.deepEqual(deciding([text(pattern)]), ['x-request-id'], JSON.stringify(pattern));
});

test('a route that another field or the path rules out does not count', () => {
  const prefix = text({ case: 'prefix', value: 'a' });
  const other: Matcher = { name: 'x-a' };
  assert.deepEqual(deciding([prefix, other]), []);
  assert.deepEqual(deciding([prefix, other], [head(A, ['x-a', '1']), head(B, ['x-a', '1'])]), ['x-request-id']);
});

test('a field that is not known to be always there decides even by its presence', () => {
  assert.deepEqual(deciding([{ name: 'x-a' }], [head(A, ['x-a', '1']), head(A, ['x-a', '2'])]), ['x-a']);
  assert.deepEqual(deciding([{ name: 'x-forwarded-for' }], [head(A, ['x-forwarded-for', '1.1.1.1']), head(A)]), ['x-forwarded-for']);
});
