import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { compileRoutesOnDemand } from '../http/routes/route.ts';
import { type RouteMatch, RouteMatchSchema, RouteSchema } from '../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import { type HttpRequest, parseTarget } from './call.ts';
import { covers, disjoint, sampleRequests } from './sample.ts';

const matchOf = (json: JsonObject): RouteMatch => fromJson(RouteMatchSchema, json);
const header = (name: string, matcher: JsonObject, invert = false): JsonObject => ({
  name,
  ...matcher,
  ...(invert && { invert_match: true }),
});
const exact = (value: string): JsonObject => ({ string_match: { exact: value } });

/** Whether the data plane's own matcher takes the request. */
function takes(match: RouteMatch, request: HttpRequest): boolean {
  const config = fromJson(RouteConfigurationSchema, { name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'] }] });
  config.virtualHosts[0]!.routes = [fromJson(RouteSchema, { direct_response: { status: 200 } })];
  config.virtualHosts[0]!.routes[0]!.match = match;
  const table = compileRoutesOnDemand(config);
  return table.match({ ...request, scheme: 'http', random: 0, tls: undefined, internal: false }) !== undefined;
}

const samples = (match: RouteMatch, neighbours: readonly RouteMatch[] = []) => [...sampleRequests('a.example', match, neighbours)];
const lines = (match: RouteMatch) => samples(match).map(({ method, authority, path }) => `${method} ${authority}${path}`);

test('for each way to match there is a sample that the data plane takes', () => {
  const matches: JsonObject[] = [
    { prefix: '/' },
    { prefix: '/a' },
    { path: '/a/b' },
    { path_separated_prefix: '/a' },
    { safe_regex: { regex: '/a/[0-9]+/.*' } },
    { safe_regex: { regex: '^(/one|/two)$' } },
    { safe_regex: { regex: '/\\d+\\.json' } },
    { path: '/a', case_sensitive: false },
    { prefix: '/', headers: [header(':method', exact('PATCH'))] },
    { prefix: '/', headers: [header(':method', exact('GET'), true)] },
    { prefix: '/', headers: [header(':authority', exact('b.example'))] },
    { prefix: '/', headers: [header(':authority', { string_match: { suffix: ':8080' } })] },
    { prefix: '/', headers: [header('x', { present_match: true })] },
    { prefix: '/', headers: [header('x', { present_match: true }, true)] },
    { prefix: '/', headers: [header('x', { string_match: { prefix: 'a' } }), header('y', { string_match: { contains: 'b' } })] },
    { prefix: '/', headers: [header('x', { string_match: { safe_regex: { regex: 'a.+b' } } })] },
    { prefix: '/', headers: [header('x', { range_match: { start: '5', end: '7' } })] },
    {
      prefix: '/',
      query_parameters: [
        { name: 'q', string_match: { exact: '1' } },
        { name: 'r', present_match: true },
      ],
    },
  ];
  for (const json of matches) {
    const match = matchOf(json);
    assert.ok(
      samples(match).some((request) => takes(match, request)),
      JSON.stringify(json),
    );
  }
  // What no sample is made for is said to be undecided by whoever asked.
  for (const regex of ['/(one|two)', '/a{2}', 'a']) assert.deepEqual(lines(matchOf({ safe_regex: { regex } })), [], regex);
});

test('samples of a prefix reach what is exactly it, what goes on, and what is below it', () => {
  assert.deepEqual(
    lines(matchOf({ prefix: '/a', headers: [header(':method', exact('GET'))] })),
    ['/a', '/azz-other', '/a/zz-other', '/azz-other/zz-other'].map((path) => `GET a.example${path}`),
  );
});

test('what neighbours exclude a request by is tried with and without', () => {
  const neighbours = [matchOf({ prefix: '/', headers: [header('x', exact('1'), true)] })];
  const values = samples(matchOf({ path: '/' }), neighbours).map(({ headers }) => headers.get('x'));
  assert.deepEqual([...new Set(values)], [undefined, '1']);
});

test('a header that must not be there is not added for a neighbour', () => {
  const match = matchOf({ path: '/', headers: [header('x', { present_match: true }, true)] });
  const values = samples(match, [matchOf({ prefix: '/', headers: [header('x', exact('1'), true)] })]).map(({ headers }) =>
    headers.get('x'),
  );
  assert.deepEqual([...new Set(values)], [undefined]);
});

test('a match takes all that another one takes', () => {
  const yes: [JsonObject, JsonObject][] = [
    [{ prefix: '/' }, { path: '/a' }],
    [{ prefix: '/' }, { safe_regex: { regex: '/x.*' } }],
    [{ prefix: '/a' }, { prefix: '/ab' }],
    [{ path_separated_prefix: '/a' }, { path: '/a/b' }],
    [{ path_separated_prefix: '/a' }, { path_separated_prefix: '/a' }],
    [{ prefix: '/a', case_sensitive: false }, { prefix: '/a' }],
    [{ prefix: '/' }, { prefix: '/', headers: [header('x', exact('1'))] }],
  ];
  const no: [JsonObject, JsonObject][] = [
    [{ path: '/a' }, { prefix: '/a' }],
    [{ prefix: '/ab' }, { prefix: '/a' }],
    [{ path_separated_prefix: '/a' }, { path: '/ab' }],
    [{ path_separated_prefix: '/a' }, { prefix: '/a' }],
    [{ prefix: '/a' }, { prefix: '/a', case_sensitive: false }],
    [{ prefix: '/' }, { connect_matcher: {} }],
    [{ prefix: '/', headers: [header('x', exact('1'))] }, { prefix: '/' }],
    [
      { prefix: '/', headers: [header('x', exact('1'))] },
      { prefix: '/', headers: [header('x', exact('2'))] },
    ],
    [{ prefix: '/', query_parameters: [{ name: 'q', present_match: true }] }, { prefix: '/' }],
    [{ prefix: '/', runtime_fraction: { default_value: { numerator: 50 } } }, { prefix: '/' }],
    [{ prefix: '/', grpc: {} }, { prefix: '/' }],
    [{ safe_regex: { regex: '/a.*' } }, { path: '/ab' }],
  ];
  for (const [wide, narrow] of yes) assert.ok(covers(matchOf(wide), matchOf(narrow)), JSON.stringify([wide, narrow]));
  for (const [wide, narrow] of no) assert.ok(!covers(matchOf(wide), matchOf(narrow)), JSON.stringify([wide, narrow]));
});

test('two matches take nothing in common', () => {
  const yes: [JsonObject, JsonObject][] = [
    [{ path: '/a' }, { path: '/b' }],
    [{ path: '/b' }, { prefix: '/a' }],
    [{ prefix: '/a' }, { prefix: '/b' }],
    [
      { prefix: '/', headers: [header(':method', exact('GET'))] },
      { prefix: '/', headers: [header(':method', exact('POST'))] },
    ],
  ];
  const no: [JsonObject, JsonObject][] = [
    [{ prefix: '/a' }, { prefix: '/ab' }],
    [{ path: '/a' }, { prefix: '/a' }],
    [{ path: '/a' }, { path: '/b', case_sensitive: false }],
    // A header may come twice.
    [
      { prefix: '/', headers: [header('x', exact('1'))] },
      { prefix: '/', headers: [header('x', exact('2'))] },
    ],
    [
      { prefix: '/', headers: [header(':method', exact('GET'), true)] },
      { prefix: '/', headers: [header(':method', exact('POST'))] },
    ],
    [{ safe_regex: { regex: '/a' } }, { path: '/b' }],
  ];
  for (const [a, b] of yes) {
    assert.ok(disjoint(matchOf(a), matchOf(b), true), JSON.stringify([a, b]));
    assert.ok(disjoint(matchOf(b), matchOf(a), true), JSON.stringify([b, a]));
  }
  for (const [a, b] of no) assert.ok(!disjoint(matchOf(a), matchOf(b), true), JSON.stringify([a, b]));
  assert.ok(!disjoint(matchOf({ path: '/a' }), matchOf({ path: '/b' }), false), 'where the path is rewritten between them');
});

const PATHS = ['/', '/a', '/A', '/ab', '/a/', '/a/b', '/b'];
const anyMatch = fc
  .record({
    path: fc.constantFrom<JsonObject>(
      ...PATHS.flatMap((value): JsonObject[] => [{ path: value }, { prefix: value }]),
      { path_separated_prefix: '/a' },
      { path_separated_prefix: '/b' },
      { safe_regex: { regex: '/a.*' } },
    ),
    sensitive: fc.boolean(),
    headers: fc.subarray([
      header('x', exact('1')),
      header(':method', exact('GET')),
      header(':method', exact('POST')),
      header('x', exact('1'), true),
    ]),
    query: fc.subarray<JsonObject>([{ name: 'q', present_match: true }]),
  })
  .map(({ path, sensitive, headers, query }) =>
    matchOf({ ...path, ...(!sensitive && { case_sensitive: false }), headers, query_parameters: query }),
  );

/** Every request of a small space. */
const requests = PATHS.flatMap((path) => [path, `${path}?q=1`]).flatMap((path) =>
  ['GET', 'POST'].flatMap((method) => [[], ['x: 1'], ['x: 1', 'x: 2']].map((headers) => requestOf(method, path, headers))),
);
function requestOf(method: string, path: string, headers: readonly string[]): HttpRequest {
  return parseTarget(`http://a.example${path}`, { method, headers }).payload.http!;
}

test('whatever two matches are: what one covers it takes, and what is disjoint has nothing in common', () => {
  fc.assert(
    fc.property(anyMatch, anyMatch, (a, b) => {
      const [byA, byB] = [a, b].map((match) => requests.map((request) => takes(match, request))) as [boolean[], boolean[]];
      if (covers(a, b)) assert.ok(byB.every((taken, i) => !taken || byA[i]));
      if (disjoint(a, b, true)) assert.ok(byB.every((taken, i) => !taken || !byA[i]));
    }),
    { numRuns: 300, seed: 8 },
  );
});
