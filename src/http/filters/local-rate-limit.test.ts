import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromJson, type JsonObject } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { LocalRateLimitSchema } from '../../xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js';
import { HeaderMap } from '../header-map.ts';
import { compileRoutesOnDemand } from '../routes/route.ts';
import type { FilterStream } from './filter.ts';
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
  const filter = new LocalRateLimitFilter(NAME, create(LocalRateLimitSchema, { statPrefix: 'none' }), 'here');
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
      takeToken: ({ key }) => {
        taken = key;
        return true;
      },
    } as FilterStream);
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
  const filterOf = (tokenBucket: JsonObject) => () => new LocalRateLimitFilter(NAME, limitOf({ tokenBucket }), 'here');
  const refused = (tokenBucket: JsonObject, message: RegExp) => assert.throws(filterOf(tokenBucket), { code: 'xds-invalid', message });
  refused({ maxTokens: 0, fillInterval: '1s' }, /here\.token_bucket\.max_tokens/);
  refused({ maxTokens: 2, tokensPerFill: 0, fillInterval: '1s' }, /here\.token_bucket\.tokens_per_fill/);
  refused({ maxTokens: 2 }, /here\.token_bucket\.fill_interval/);
  refused({ maxTokens: 2, fillInterval: '0.049s' }, /here\.token_bucket\.fill_interval/);
  assert.doesNotThrow(filterOf({ maxTokens: 2, tokensPerFill: 5, fillInterval: '0.05s' }));
});
