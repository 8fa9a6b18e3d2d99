import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { type SimulatedMesh, simulatedMesh } from './explain.ts';
import { explore, waysOf } from './explore.ts';
import type { SimulatedProxy } from './proxy.ts';
import {
  answer,
  callTo,
  chain,
  cluster,
  dns,
  host,
  http,
  lineOf,
  listener,
  originalDestination,
  outbound,
  route,
  router,
  SOURCE,
  sidecar,
  tcp,
} from './testing.ts';
import type { Trace } from './trace.ts';

const REFUSED = outbound(chain(tcp('none')));
const endOf = ({ outcome, hops }: Trace) => {
  const copy = hops.some((hop) => hop.copy) ? 'copy to ' : '';
  if (outcome.kind === 'upstream') return `${copy}${outcome.host || outcome.endpoint?.ip}`;
  return outcome.kind === 'reply' ? String(outcome.status) : outcome.kind;
};

/** The ends that a call may have. */
function ways(proxy: SimulatedProxy, call = callTo('http://a.example/', '203.0.113.1'), mesh: SimulatedMesh = simulatedMesh([proxy])) {
  const undecided = new Set<string>();
  const traces = [...waysOf(mesh, proxy, call, { copies: true, undecided })];
  return { ends: traces.map(endOf), undecided: [...undecided] };
}

/** Every call that is looked at, with its ends. */
function explored(
  proxy: SimulatedProxy,
  others: readonly SimulatedProxy[] = [],
  hosts: readonly string[] = [],
  more: Partial<SimulatedMesh> = {},
) {
  const { calls, undecided } = explore({ ...simulatedMesh([proxy, ...others]), ...more }, proxy, SOURCE, { hosts });
  const all = [...calls].map(({ call, traces }) => ({ line: lineOf(call), ends: traces.map(endOf) }));
  const reaching = (end: string) => [...new Set(all.filter(({ ends }) => ends.includes(end)).map(({ line }) => line))];
  return { all, reaching, undecided: [...undecided] };
}

/** A sidecar that sends requests for `a.example` (or what `domains` say) at port 80 to the gateway at 10.0.0.9:8080. */
const toGateway = (...domains: readonly string[]) =>
  sidecar('default/app', '10.0.0.1', {
    listeners: [
      REFUSED,
      listener(80, [chain(http({ ...host('a.example', route('gateway')), domains: domains.length > 0 ? [...domains] : ['a.example'] }))]),
    ],
    clusters: [cluster('gateway', '10.0.0.9:8080')],
  });
const gatewayOf = (...filterChains: readonly JsonObject[]) =>
  router('default/gateway', '10.0.0.9', {
    listeners: [listener(8080, filterChains)],
    clusters: [dns('inner', 'inner.example:80'), dns('outer', 'outer.example:80')],
  });

test('ways: every weight but 0', () => {
  const weighted = { a: 99, none: 0, b: 1 };
  const clusters = [dns('a', 'a.example:80'), dns('b', 'b.example:80'), dns('none', 'none.example:80')];
  const bytes = sidecar('default/app', '10.0.0.1', { listeners: [outbound(chain(tcp({ a: 99, b: 1 })))], clusters });
  assert.deepEqual(ways(bytes).ends, ['a.example', 'b.example']);
  const byWeight = { clusters: Object.entries(weighted).map(([name, weight]) => ({ name, weight })) };
  const requests = host('*', route('x', { prefix: '/' }, { route: { weighted_clusters: byWeight } }));
  const proxy = sidecar('default/app', '10.0.0.1', { listeners: [outbound(chain(http(requests)))], clusters });
  assert.deepEqual(ways(proxy).ends, ['a.example', 'b.example']);
});

test('a TCP proxy with a weight of 0, which no proxy takes, is undecided', () => {
  for (const weights of [{ a: 99, none: 0 }, { a: 0, b: 0 }, {}] as Record<string, number>[]) {
    const proxy = sidecar('default/app', '10.0.0.1', { listeners: [outbound(chain(tcp(weights)))], clusters: [dns('a', 'a.example:80')] });
    const { ends } = ways(proxy);
    assert.deepEqual(ends, ['undecided']);
  }
});

test('ways: every host of a cluster, and those of one proxy at one port once', () => {
  const proxy = sidecar('default/app', '10.0.0.1', {
    listeners: [outbound(chain(tcp('a')))],
    clusters: [cluster('a', '198.51.100.1:80', '10.0.0.9:8080', '10.0.0.10:8080', '198.51.100.2:80')],
  });
  const twice = router('default/gateway', '10.0.0.9', {
    listeners: [listener(8080, [chain(tcp('out'))])],
    clusters: [dns('out', 'out.example:80')],
  });
  const mesh: SimulatedMesh = { proxyAt: (ip) => (ip === '10.0.0.9' || ip === '10.0.0.10' ? twice : undefined) };
  assert.deepEqual(ways(proxy, undefined, mesh).ends, ['198.51.100.1', 'out.example', '198.51.100.2']);
});

test('ways: choices at several hops are combined', () => {
  const proxy = sidecar('default/app', '10.0.0.1', {
    listeners: [outbound(chain(tcp({ a: 1, gateway: 1 })))],
    clusters: [dns('a', 'a.example:80'), cluster('gateway', '10.0.0.9:8080')],
  });
  const gateway = gatewayOf(chain(tcp({ inner: 1, outer: 1 })));
  assert.deepEqual(ways(proxy, undefined, simulatedMesh([proxy, gateway])).ends, ['a.example', 'inner.example', 'outer.example']);
});

test('ways: a copy that mirroring makes is one, whatever its share', () => {
  const mirrored = { cluster: 'a', request_mirror_policies: [{ cluster: 'b', runtime_fraction: { default_value: { numerator: 1 } } }] };
  const proxy = sidecar('default/app', '10.0.0.1', {
    listeners: [outbound(chain(http(host('*', route('a', { prefix: '/' }, { route: mirrored })))))],
    clusters: [dns('a', 'a.example:80'), dns('b', 'b.example:80')],
  });
  assert.deepEqual(ways(proxy).ends, ['a.example', 'copy to b.example']);
});

test('more ways than can be looked at are undecided', () => {
  const many = (count: number) =>
    sidecar('default/app', '10.0.0.1', {
      listeners: [outbound(chain(tcp('a')))],
      clusters: [cluster('a', ...Array.from({ length: count }, (_, i) => `198.51.${100 + (i >> 8)}.${i & 255}:80`))],
    });
  assert.deepEqual([ways(many(256)).ends.length, ways(many(256)).undecided], [256, []]);
  assert.match(ways(many(257)).undecided.join(), /more than 256 ways/);
});

test('hosts that a gateway tells apart under a wildcard of the sidecar', () => {
  const gateway = gatewayOf(chain(http(host('secret.wild.example', route('inner')), host('*', route('outer')))));
  const { reaching } = explored(toGateway('*.wild.example'), [gateway]);
  assert.deepEqual(reaching('inner.example'), ['203.0.113.1:80 GET secret.wild.example/']);
  assert.deepEqual(reaching('outer.example'), ['203.0.113.1:80 GET zz-other.wild.example/']);
});

test("a domain of the gateway that is not its virtual host's first one", () => {
  const inner = { ...host('other.example', route('inner')), domains: ['other.example', 'secret.wild.example'] };
  const { reaching } = explored(toGateway('*.wild.example'), [gatewayOf(chain(http(inner)))]);
  assert.deepEqual(reaching('inner.example'), ['203.0.113.1:80 GET secret.wild.example/']);
});

test('names of one virtual host of the sidecar that a gateway tells apart', () => {
  const gateway = gatewayOf(chain(http(host('a.example', route('inner')), host('*', route('outer')))));
  const { reaching } = explored(toGateway('a.example', 'a', '10.96.0.7'), [gateway]);
  assert.deepEqual(reaching('inner.example'), ['203.0.113.1:80 GET a.example/']);
  assert.deepEqual(reaching('outer.example'), ['203.0.113.1:80 GET a/', '203.0.113.1:80 GET 10.96.0.7/']);
});

test('routes that a gateway tells apart within one of the sidecar', () => {
  const named = { prefix: '/', headers: [{ name: 'x', string_match: { exact: '1' } }] };
  const gateway = gatewayOf(
    chain(http(host('a.example', route('inner', { path: '/secret' }), route('inner', named), answer(403, { prefix: '/' })))),
  );
  const { reaching, undecided } = explored(toGateway(), [gateway]);
  assert.deepEqual(reaching('inner.example').toSorted(), ['203.0.113.1:80 GET a.example/ x=1', '203.0.113.1:80 GET a.example/secret']);
  assert.deepEqual(undecided, []);
});

test('routes that a gateway tells apart behind a path that the sidecar rewrites', () => {
  const rewriting = { name: 'v1', match: { prefix: '/v1/' }, route: { cluster: 'gateway', prefix_rewrite: '/' } };
  const proxy = sidecar('default/app', '10.0.0.1', {
    listeners: [REFUSED, listener(80, [chain(http(host('a.example', rewriting)))])],
    clusters: [cluster('gateway', '10.0.0.9:8080')],
  });
  const gateway = gatewayOf(chain(http(host('*', route('inner', { path: '/b' }), route('outer')))));
  assert.deepEqual(explored(proxy, [gateway]).reaching('inner.example'), ['203.0.113.1:80 GET a.example/v1/b']);
});

test('a route of the gateway that no request was found for is undecided', () => {
  const gateway = gatewayOf(chain(http(host('a.example', route('inner', { safe_regex: { regex: '/(?:a{3}|b)[^/]{2}' } })))));
  const { undecided } = explored(toGateway(), [gateway]);
  assert.deepEqual(undecided, ['default/gateway: route inner of routes a.example: no request was found that it takes']);
});

test('SNI that a gateway tells apart among what the sidecar passes on', () => {
  const proxy = sidecar('default/app', '10.0.0.1', {
    listeners: [REFUSED, listener(443, [chain(tcp('gateway'))])],
    clusters: [cluster('gateway', '10.0.0.9:8080')],
  });
  const gateway = gatewayOf(chain(tcp('inner'), { server_names: ['secret.example'] }), chain(tcp('outer')));
  const { reaching } = explored(proxy, [gateway]);
  assert.deepEqual(reaching('inner.example'), ['203.0.113.1:443 sni secret.example']);
  assert.ok(reaching('outer.example').includes('203.0.113.1:443 sni undeclared.invalid'));
});

test('requests in what the sidecar takes for bytes: a gateway routes them', () => {
  const proxy = sidecar('default/app', '10.0.0.1', {
    listeners: [REFUSED, listener(9000, [chain(tcp('gateway'))])],
    clusters: [cluster('gateway', '10.0.0.9:8080')],
  });
  const hidden = { ...host('secret.example', route('inner')), domains: ['secret.example', 'second.example'] };
  const { reaching } = explored(proxy, [gatewayOf(chain(http(hidden)))]);
  assert.deepEqual(reaching('inner.example'), ['203.0.113.1:9000 GET secret.example/', '203.0.113.1:9000 GET second.example/']);
});

test('names that a statement asks about count beside others of their domain', () => {
  const sent = { cluster: 'outer' };
  const proxy = sidecar('default/app', '10.0.0.1', {
    listeners: [REFUSED, listener(80, [chain(http(host('*.wild.example', route('outer', { prefix: '/' }, { route: sent }))))])],
    clusters: [dns('outer', 'outer.example:80')],
  });
  const hosts = ['one.wild.example', '*.wild.example', 'one.example'];
  assert.deepEqual(explored(proxy, [], hosts).reaching('outer.example'), [
    '203.0.113.1:80 GET zz-other.wild.example/',
    '203.0.113.1:80 GET one.wild.example/',
  ]);
});

test('a gateway that a caller dials by its address, where the sidecar lets any address through', () => {
  const proxy = sidecar('default/app', '10.0.0.1', {
    listeners: [outbound(chain(tcp('passthrough')))],
    clusters: [originalDestination('passthrough')],
  });
  const gateway = router('default/gateway', '10.0.0.9', {
    listeners: [listener(49_151, [chain(tcp('inner'))]), listener(8080, [chain(tcp('inner'))])],
    clusters: [dns('inner', 'inner.example:80')],
  });
  const entrances = () => [
    { ip: '10.0.0.9', port: 49_151 },
    { ip: '10.0.0.10', port: 8080 },
  ];
  // A port of its own is a cell of its own: only entrances at the dialled one are reached.
  assert.deepEqual(
    [
      ...new Set(
        explored(proxy, [gateway], [], { entrances })
          .reaching('inner.example')
          .map((line) => line.split(' ')[0]),
      ),
    ],
    ['10.0.0.9:49151'],
  );
  assert.ok(explored(proxy, [gateway], [], { entrances }).all.every(({ line }) => !line.startsWith('10.0.0.10:')));
  assert.deepEqual(explored(proxy, [gateway]).reaching('inner.example'), []);
});

test('a route that its own request does not come to is undecided', () => {
  // The sample says that the request is for https; the edge of the mesh does not believe it.
  const https = { prefix: '/', headers: [{ name: ':scheme', string_match: { exact: 'https' } }] };
  const manager = http(host('a.example', route('outer', https)));
  const edge = { ...manager, typed_config: { ...(manager.typed_config as object), use_remote_address: true } };
  const proxy = sidecar('default/app', '10.0.0.1', {
    listeners: [REFUSED, listener(80, [chain(edge)])],
    clusters: [dns('outer', 'outer.example:80')],
  });
  assert.deepEqual(explored(proxy).undecided, ['route outer of a.example: no request was found that comes to it']);
});

test('what is undecided at the sidecar stays undecided', () => {
  assert.deepEqual(explored(sidecar('default/app', '10.0.0.1', { listeners: [] })).undecided, ['there is no listener for what leaves']);
});

test('a route in what the sidecar takes for bytes that no request was found for is undecided', () => {
  const proxy = sidecar('default/app', '10.0.0.1', {
    listeners: [REFUSED, listener(9000, [chain(tcp('gateway'))])],
    clusters: [cluster('gateway', '10.0.0.9:8080')],
  });
  const regex = { safe_regex: { regex: '/(?:a{3}|b)[^/]{2}' } };
  const { undecided } = explored(proxy, [gatewayOf(chain(http(host('secret.example', route('inner', regex)))))]);
  assert.deepEqual(undecided, ['default/gateway: route inner of routes secret.example: no request was found that it takes']);
});

test('domains of a virtual host count by themselves where that is asked for', () => {
  const both = { ...host('a.example', answer(403)), domains: ['a.example', 'b.example', 'c.example'] };
  const proxy = sidecar('default/app', '10.0.0.1', { listeners: [REFUSED, listener(80, [chain(http(both))])] });
  const { calls } = explore(simulatedMesh([proxy]), proxy, SOURCE, { domains: new Set(['c.example', 'd.example']) });
  assert.deepEqual(
    [...calls].map(({ call }) => call.payload.http?.authority).filter((name) => name !== undefined),
    ['a.example', 'c.example'],
  );
});
