import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBinary, fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { encoded, routesPatch } from '../../xds/encode.ts';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { HeaderMap } from '../header-map.ts';
import { compileEncodedRoutes, type EncodedRoutes, patchEncodedRoutes } from './encoded.ts';
import { compileRouteConfiguration, type RouteTable } from './route.ts';

const CONTEXT = { hostname: '', environment: {} };

const encode = (json: JsonObject): Uint8Array => toBinary(RouteConfigurationSchema, fromJson(RouteConfigurationSchema, json));

const host = (name: string, cluster: string, domains = [`${name}.example`]): JsonObject => ({
  name,
  domains,
  routes: [{ match: { prefix: '/' }, route: { cluster } }],
});

const config = (...virtualHosts: JsonObject[]): JsonObject => ({ name: 'rc', virtualHosts });

/** Compiles to the end, and counts the steps: one for each host that was checked. */
function compile(json: JsonObject, before?: EncodedRoutes): Compiled {
  return finish(compileEncodedRoutes(encode(json), CONTEXT, before));
}

interface Compiled {
  readonly routes: EncodedRoutes;
  readonly steps: number;
}

/** As `compile`, by the patch from one configuration, which `before` is made of, to another. */
function patch(from: JsonObject, to: JsonObject, before: EncodedRoutes): Compiled {
  const [old, now] = [from, to].map((json) => encoded(RouteConfigurationSchema, fromJson(RouteConfigurationSchema, json)));
  return finish(patchEncodedRoutes(routesPatch(old!, now!) ?? assert.fail('no patch'), CONTEXT, before));
}

function finish(generator: ReturnType<typeof compileEncodedRoutes>): Compiled {
  for (let steps = 0; ; steps++) {
    const step = generator.next();
    if (step.done) return { routes: step.value, steps };
  }
}

const routeOf = (table: RouteTable, authority: string) =>
  table.match({
    method: 'GET',
    authority,
    path: '/',
    scheme: 'http',
    headers: new HeaderMap([]),
    random: 0,
    tls: undefined,
    internal: false,
  });

const clusterOf = (table: RouteTable, authority: string) => {
  const action = routeOf(table, authority)?.action;
  return action?.kind === 'forward' ? action.clusters[0]?.cluster : action?.kind;
};

test('a host whose bytes are the same keeps its compiled form, wherever it stands; a changed one takes effect', () => {
  const first = compile(config(host('a', 'one'), host('b', 'one'), host('c', 'one')));
  assert.equal(first.steps, 3);
  const [a, b, c] = ['a.example', 'b.example', 'c.example'].map((name) => routeOf(first.routes.table, name));
  const second = compile(config(host('a', 'one'), host('b', 'two'), host('c', 'one')), first.routes);
  assert.equal(second.steps, 1);
  assert.equal(routeOf(second.routes.table, 'a.example'), a);
  assert.equal(routeOf(second.routes.table, 'c.example'), c);
  assert.equal(clusterOf(second.routes.table, 'b.example'), 'two');
  const third = compile(config(host('new', 'one'), host('b', 'two'), host('c', 'one')), second.routes);
  assert.equal(third.steps, 1);
  assert.equal(routeOf(third.routes.table, 'c.example'), c);
  assert.equal(routeOf(third.routes.table, 'a.example'), undefined);
  assert.equal(clusterOf(third.routes.table, 'new.example'), 'one');
  // Who still has the first version goes on with it.
  assert.equal(routeOf(first.routes.table, 'b.example'), b);
  assert.equal(clusterOf(first.routes.table, 'a.example'), 'one');
});

test('domains that move from one host to another, and wildcards, are found as in a configuration that is compiled at once', () => {
  const first = compile(config(host('a', 'one', ['x.example', '*.y.example']), host('b', 'two', ['b.example', '*'])));
  assert.equal(clusterOf(first.routes.table, 'x.example'), 'one');
  const next = config(host('a', 'one', ['*.y.example']), host('b', 'two', ['b.example', 'x.example', '*']));
  const second = compile(next, first.routes);
  const whole = compileRouteConfiguration(fromBinary(RouteConfigurationSchema, encode(next)));
  for (const authority of ['x.example', 'q.y.example', 'b.example', 'other', 'X.EXAMPLE', ''])
    assert.equal(clusterOf(second.routes.table, authority), clusterOf(whole, authority), authority);
});

test('what holds for all hosts is compiled into each of them again when it changes', () => {
  const hosts = [host('a', 'one'), host('b', 'one')];
  const first = compile(config(...hosts));
  const a = routeOf(first.routes.table, 'a.example');
  const second = compile({ ...config(...hosts), requestHeadersToRemove: ['x-a'] }, first.routes);
  assert.equal(second.steps, 2);
  assert.equal(a?.requestMutations, undefined);
  assert.notEqual(routeOf(second.routes.table, 'a.example')?.requestMutations, undefined);
});

test('what is refused is refused at once, with the words of the whole, and leaves the version before it as it is', () => {
  const first = compile(config(host('a', 'one'), host('b', 'one')));
  const b = routeOf(first.routes.table, 'b.example');
  const bad: JsonObject[] = [
    config(host('a', 'one'), { name: 'b', domains: ['b.example'], routes: [{ name: 'r', match: { prefix: '/' } }] }),
    config(host('a', 'one'), { ...host('b', 'one'), cors: { maxAge: '1' } }),
    config(host('a', 'one'), host('b', 'one', ['a.example'])),
    config(host('a', 'one', ['a*b'])),
    config(host('a', 'one'), {
      name: 'b',
      domains: ['b.example'],
      routes: [{ match: { safeRegex: { regex: '(' } }, route: { cluster: 'x' } }],
    }),
    { ...config(host('a', 'one')), vhds: { configSource: { ads: {} } } },
  ];
  for (const json of bad) {
    let expected: unknown;
    try {
      compileRouteConfiguration(fromBinary(RouteConfigurationSchema, encode(json)));
    } catch (error) {
      expected = error;
    }
    assert.ok(expected instanceof Error);
    for (const before of [undefined, first.routes])
      assert.throws(() => compile(json, before), { message: expected.message, code: (expected as { code?: string }).code });
  }
  assert.equal(routeOf(first.routes.table, 'b.example'), b);
});

test('no version keeps the bytes of another', () => {
  const first = compile(config(host('a', 'one'), host('b', 'one')));
  const second = compile(config(host('a', 'one'), host('b', 'two')), first.routes);
  const [a, b] = second.routes.parts.hosts;
  assert.equal(a!.bytes.buffer, b!.bytes.buffer);
});

test('a patch that is applied is the whole', () => {
  const shown = (table: RouteTable, authority: string) => {
    const route = routeOf(table, authority);
    return [clusterOf(table, authority), route?.config, route?.requestMutations === undefined];
  };
  const from = config(host('a', 'one'), host('b', 'one'), host('c', 'one'), host('d', 'one'));
  const first = compile(from);
  const a = routeOf(first.routes.table, 'a.example');
  const cases: readonly [JsonObject, number][] = [
    [config(host('a', 'one'), host('b', 'two'), host('c', 'one'), host('d', 'one')), 1],
    [config(host('new', 'one'), host('a', 'one'), host('c', 'one'), host('d', 'one')), 1],
    [config(host('d', 'one'), host('a', 'one', ['a.example', '*']), host('b', 'one')), 1],
    [config(host('c', 'one'), host('a', 'one')), 0],
    [config(), 0],
    [{ ...from, requestHeadersToRemove: ['x-a'] }, 4],
  ];
  for (const [to, steps] of cases) {
    const patched = patch(from, to, first.routes);
    const whole = compileRouteConfiguration(fromBinary(RouteConfigurationSchema, encode(to)));
    assert.equal(patched.steps, steps);
    for (const authority of ['a.example', 'b.example', 'c.example', 'd.example', 'new.example', 'other'])
      assert.deepEqual(shown(patched.routes.table, authority), shown(whole, authority), authority);
  }
  assert.equal(routeOf(patch(from, cases[0]![0], first.routes).routes.table, 'a.example'), a);
});

test('a patch that is refused leaves the version before it as it is', () => {
  const from = config(host('a', 'one'), host('b', 'one'));
  const first = compile(from);
  assert.throws(() => patch(from, config(host('a', 'one'), host('b', 'one', ['a.example'])), first.routes), /a\.example/);
  assert.equal(clusterOf(first.routes.table, 'b.example'), 'one');
});
