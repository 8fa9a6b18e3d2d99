import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromJson, type JsonObject } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { LocalRateLimitSchema } from '../../xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js';
import { HeaderMap } from '../header-map.ts';
import { compileRoutesOnDemand } from '../routes/route.ts';
import type { FilterStream, JudgedRequest, TokenBucket } from './filter.ts';
import { LocalRateLimitFilter } from './local-rate-limit.ts';

const NAME = 'envoy.filters.http.local_ratelimit';
const limitOf = (more: JsonObject = {}) =>
  fromJson(LocalRateLimitSchema, {
    statPrefix: 'limit',
    tokenBucket: { maxTokens: 1, fillInterval: '60s' },
    filterEnabled: { defaultValue: { numerator: 100 } },
    ...more,
  });
const entry = () => ({ [NAME]: anyPack(LocalRateLimitSchema, limitOf()) });

type Level = 'configuration' | 'host' | 'route';

/** What a thread has: the buckets, by number, from which requests for these hosts and paths take, in this order. */
function thread(level: Level) {
  const filter = new LocalRateLimitFilter(NAME, create(LocalRateLimitSchema, { statPrefix: 'none' }), {
    where: 'here',
    serviceCluster: '',
  });
  const routeOf = (prefix: string) => ({
    ...{ name: 'same', match: { pathSpecifier: { case: 'prefix', value: prefix } as const } },
    action: { case: 'directResponse', value: { status: 200 } } as const,
    ...(level === 'route' && { typedPerFilterConfig: entry() }),
  });
  const hostOf = (name: string) => ({
    ...{ name, domains: [name], routes: [routeOf('/a'), routeOf('/b')] },
    ...(level === 'host' && { typedPerFilterConfig: entry() }),
  });
  const config = {
    name: 'r',
    virtualHosts: [hostOf('one'), hostOf('two')],
    ...(level === 'configuration' && { typedPerFilterConfig: entry() }),
  };
  const table = compileRoutesOnDemand(create(RouteConfigurationSchema, config));
  return (authority: string, path: string): bigint => {
    const headers = new HeaderMap();
    const route = table.match({ ...{ authority, path, headers, method: 'GET', random: 0 } } as Parameters<typeof table.match>[0]);
    let taken: bigint | undefined;
    filter.run({
      ...{ route, head: { headers }, random: () => 0 },
      tokens: {
        take: ({ key }: TokenBucket) => {
          taken = key;
          return true;
        },
        fill: () => {},
      },
    } as unknown as FilterStream);
    return taken!;
  };
}

const CALLS: readonly (readonly [string, string])[] = [
  ['one', '/a'],
  ['one', '/b'],
  ['two', '/a'],
  ['two', '/b'],
];

for (const [level, buckets] of [
  ['configuration', 1],
  ['host', 2],
  ['route', 4],
] as const)
  test(`a limit of a ${level} has one bucket, the same in each thread, whichever request comes first`, () => {
    const [first, second] = [thread(level), thread(level)];
    const there = CALLS.map((call) => first(...call));
    const back = [...CALLS].reverse().map((call) => second(...call));
    assert.deepEqual(there, back.reverse());
    assert.equal(new Set(there).size, buckets);
  });

test('a bucket that Envoy does not take is refused', () => {
  const filterOf = (tokenBucket: JsonObject) => () =>
    new LocalRateLimitFilter(NAME, limitOf({ tokenBucket }), { where: 'here', serviceCluster: '' });
  const refused = (tokenBucket: JsonObject, message: RegExp) => assert.throws(filterOf(tokenBucket), { code: 'xds-invalid', message });
  refused({ maxTokens: 0, fillInterval: '1s' }, /here\.token_bucket\.max_tokens/);
  refused({ maxTokens: 2, tokensPerFill: 0, fillInterval: '1s' }, /here\.token_bucket\.tokens_per_fill/);
  refused({ maxTokens: 2 }, /here\.token_bucket\.fill_interval/);
  refused({ maxTokens: 2, fillInterval: '0.049s' }, /here\.token_bucket\.fill_interval/);
  assert.doesNotThrow(filterOf({ maxTokens: 2, tokensPerFill: 5, fillInterval: '0.05s' }));
});

test('explain is told of the buckets that a request may take from', () => {
  const bucket = (maxTokens: number) => ({ maxTokens, fillInterval: '60s' });
  const descriptors: JsonObject[] = [
    { entries: [{ key: 'path', value: '/a' }], tokenBucket: bucket(2) },
    { entries: [{ key: 'path', value: '/a' }, { key: 'who' }], tokenBucket: bucket(1), shadowMode: true },
  ];
  const rateLimits = [{ actions: [{ genericKey: { descriptorValue: 'x' } }] }];
  const textOf = (more: JsonObject) =>
    new LocalRateLimitFilter(NAME, limitOf(more), { where: 'here', serviceCluster: '' }).limit({
      head: {},
      route: undefined,
    } as JudgedRequest);
  const ONE = '1 requests, and one more each 60s';
  assert.equal(textOf({}), `answers 429 beyond ${ONE}`);
  assert.equal(textOf({ descriptors }), `answers 429 beyond ${ONE}`);
  assert.equal(
    textOf({ descriptors, rateLimits }),
    `answers 429 beyond ${ONE}; beyond 2 requests, and one more each 60s, with path /a; beyond ${ONE}, with path /a and each value of who (not enforced)`,
  );
});

test('descriptors that Envoy does not take are refused', () => {
  const tokenBucket = { maxTokens: 1, fillInterval: '60s' };
  const entries = [{ key: 'a', value: 'b' }];
  const refused = (descriptors: JsonObject[], message: RegExp) =>
    assert.throws(() => new LocalRateLimitFilter(NAME, limitOf({ descriptors }), { where: 'here', serviceCluster: '' }), {
      code: 'xds-invalid',
      message,
    });
  refused([{ entries }], /here\.descriptors\[0\]\.token_bucket/);
  refused([{ entries, tokenBucket: { ...tokenBucket, maxTokens: 0 } }], /here\.descriptors\[0\]\.token_bucket\.max_tokens/);
  refused([{ tokenBucket }], /has no entries/);
  refused(
    [
      { entries, tokenBucket },
      { entries, tokenBucket },
    ],
    /here\.descriptors\[1\]: another has the same entries/,
  );
  refused([{ entries: [{ key: 'a' }], tokenBucket: { maxTokens: 1 } }], /fill_interval/);
});
