/** Local rate limits by descriptors, on a stock Envoy and on the embedded data plane: the same requests are answered the same. */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { typed } from '../dataplane/support.ts';
import { ask, type Config, ENVOY, engines, startUpstream } from './engines.ts';

const NAME = 'envoy.filters.http.local_ratelimit';
const TYPE = 'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit';
const ALL = { defaultValue: { numerator: 100 } };

let upstream: Awaited<ReturnType<typeof startUpstream>>;
before(async () => {
  upstream = await startUpstream();
});
after(() => upstream.stop());

/** So many, and none more for the time of a test. */
const bucket = (maxTokens: number, fillInterval = '3600s'): JsonObject => ({ maxTokens, fillInterval });
const limitOf = (more: JsonObject): JsonObject =>
  typed(TYPE, {
    statPrefix: 'limit',
    filterEnabled: ALL,
    filterEnforced: ALL,
    responseHeadersToAdd: [{ header: { key: 'x-limited', value: 'yes' } }],
    ...more,
  });
const entries = (...all: [key: string, value: string][]): JsonObject[] => all.map(([key, value]) => ({ key, ...(value && { value }) }));
const byHeader = (headerName: string): JsonObject => ({ requestHeaders: { headerName, descriptorKey: headerName } });

/** Envoy's flag comes after its answer. */
const seen = ({ fields, ...rest }: Awaited<ReturnType<typeof ask>>) => ({
  ...rest,
  fields: fields.filter((field) => !field.startsWith('x-outcome')),
});

/** A request by what its headers say: `a=1 b=2`. */
async function statuses(t: TestContext, config: Omit<Config, 'ports'>, requests: readonly string[]): Promise<(number | undefined)[]> {
  const both = await engines(t, { ...config, ports: { upstream: upstream.port, limits: 1 } });
  const outcome = async (port: number) => {
    const answers: object[] = [];
    for (const each of requests) {
      const [path = '/', ...headers] = each.split(' ');
      answers.push({ each, ...seen(await ask(port, { path, headers: Object.fromEntries(headers.map((header) => header.split('='))) })) });
    }
    return answers;
  };
  const expected = await outcome(both[0]);
  assert.deepEqual(await outcome(both[1]), expected);
  return expected.map((answer) => (answer as { status?: number }).status);
}

const filter = (more: JsonObject) => ({ filters: [{ name: NAME, typedConfig: limitOf(more) }] });
const times = (count: number, request: string): string[] => Array.from({ length: count }, () => request);

describe('local rate limits by descriptors beside Envoy', { skip: ENVOY ? false : 'there is no Envoy' }, () => {
  const DESCRIPTORS = [
    { entries: entries(['x-a', 'one']), tokenBucket: bucket(1) },
    { entries: entries(['x-a', 'two']), tokenBucket: bucket(2) },
    { entries: entries(['x-a', 'one'], ['x-b', 'two']), tokenBucket: bucket(1) },
    { entries: entries(['x-a', 'quiet']), tokenBucket: bucket(1), shadowMode: true },
  ] as JsonObject[];
  const action = { rateLimits: [{ actions: [byHeader('x-a')] }, { actions: [byHeader('x-a'), byHeader('x-b')] }] };
  const REQUESTS = [
    ...times(2, '/ x-a=one'),
    ...times(3, '/ x-a=two'),
    ...times(2, '/ x-a=quiet'),
    ...times(2, '/ x-a=other'),
    ...times(2, '/ x-a=one x-b=two'),
    ...times(2, '/'),
  ];

  test('a bucket for each, and one for all', async (t) => {
    const descriptors = DESCRIPTORS.slice(0, 3);
    assert.deepEqual(await statuses(t, { ...filter({ descriptors, tokenBucket: bucket(6) }), action }, REQUESTS), [
      ...[200, 429, 200, 200, 429, 200, 200, 200],
      ...[429, 429, 429, 429, 429],
    ]);
  });

  for (const [name, more] of [
    ['one for all those that have none', { tokenBucket: bucket(3), alwaysConsumeDefaultTokenBucket: false }],
    ['none but these', {}],
    ['limits of another stage', { tokenBucket: bucket(3), stage: 1 }],
    [
      'none enforced',
      {
        tokenBucket: bucket(1),
        filterEnforced: { defaultValue: { numerator: 0 } },
        requestHeadersToAddWhenNotEnforced: [{ header: { key: 'x-over', value: '1' } }],
      },
    ],
    [
      'rate limits of the filter',
      { tokenBucket: bucket(9), rateLimits: [{ actions: [byHeader('x-b')] }, { actions: [byHeader('x-a')], hitsAddend: { number: '2' } }] },
    ],
  ] as const)
    test(name, async (t) => {
      await statuses(t, { ...filter(JSON.parse(JSON.stringify({ descriptors: DESCRIPTORS, ...more }))), action }, REQUESTS);
    });

  test('a bucket for each value of a header, of so many values', async (t) => {
    const descriptors = [
      { entries: entries(['x-a', '']), tokenBucket: bucket(1) },
      { entries: entries(['x-a', ''], ['x-b', 'two']), tokenBucket: bucket(2) },
    ];
    const values = ['1', '2', '1', '2', '3', '1', '1', '2', '3', '3'].map((value) => `/ x-a=${value}`);
    const requests = [...values, ...times(3, '/ x-a=9 x-b=two'), ...times(2, '/ x-a=9 x-b=other')];
    const few = await statuses(t, { ...filter({ descriptors, tokenBucket: bucket(90), maxDynamicDescriptors: 2 }), action }, requests);
    // The third value takes the place of the first, which is as new when it comes back.
    assert.deepEqual(few.slice(0, 7), [200, 200, 429, 429, 200, 200, 429]);
    const many = await statuses(t, { ...filter({ descriptors, tokenBucket: bucket(90) }), action }, requests);
    assert.deepEqual(many.slice(0, 7), [200, 200, 429, 429, 200, 429, 429]);
  });

  test('what fills slowest is asked first, and what others gave is gone', async (t) => {
    const descriptors = [
      { entries: entries(['x-a', '1']), tokenBucket: bucket(2, '1800s') },
      { entries: entries(['x-b', '1']), tokenBucket: bucket(1, '3600s') },
    ];
    const rateLimits = [{ actions: [byHeader('x-a')] }, { actions: [byHeader('x-b')] }];
    const requests = [...times(2, '/ x-a=1 x-b=1'), ...times(2, '/ x-a=1')];
    const found = await statuses(t, { ...filter({ descriptors, tokenBucket: bucket(90) }), action: { rateLimits } }, requests);
    assert.deepEqual(found, [200, 429, 200, 429]);
  });

  test('limits of virtual hosts, and of routes with a limit of their own', async (t) => {
    const descriptors = [
      { entries: entries(['generic_key', 'host']), tokenBucket: bucket(2) },
      { entries: entries(['generic_key', 'route']), tokenBucket: bucket(1) },
    ];
    const of = (descriptorValue: string) => [{ actions: [{ genericKey: { descriptorValue } }] }];
    const to = { cluster: 'upstream' };
    const own = (more: JsonObject) => ({ typedPerFilterConfig: { [NAME]: limitOf({ descriptors, tokenBucket: bucket(90), ...more }) } });
    const routes: JsonObject[] = [
      { match: { path: '/route' }, route: { ...to, rateLimits: of('route') } },
      { match: { path: '/both' }, route: { ...to, rateLimits: of('route'), includeVhRateLimits: true } },
      {
        match: { path: '/include' },
        route: { ...to, rateLimits: of('route') },
        ...own({ vhRateLimits: 'INCLUDE', status: { code: 503 } }),
      },
      { match: { path: '/ignore' }, route: to, ...own({ vhRateLimits: 'IGNORE' }) },
      { match: { path: '/disabled' }, route: { ...to, rateLimits: [{ ...of('route')[0]!, disableKey: 'x' }] } },
      { match: { path: '/direct' }, directResponse: { status: 204 } },
    ];
    const requests = ['/', '/route', '/both', '/include', '/ignore', '/disabled', '/direct'].flatMap((path) => times(3, path));
    const config = { ...filter({ descriptors, tokenBucket: bucket(90) }), routes, host: { rateLimits: of('host') } };
    assert.deepEqual((await statuses(t, config, requests)).slice(9, 12), [200, 503, 503]);
  });
});
