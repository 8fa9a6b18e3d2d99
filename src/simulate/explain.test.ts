import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { copiesOf, explainCall, type SimulatedMesh, simulatedMesh } from './explain.ts';
import { waysOf } from './explore.ts';
import type { SimulatedProxy } from './proxy.ts';
import {
  answer,
  callTo,
  chain,
  cluster,
  dns,
  host,
  http,
  inbound,
  listener,
  originalDestination,
  outbound,
  route,
  router,
  sidecar,
  TLS,
  tcp,
} from './testing.ts';
import type { Trace } from './trace.ts';

const hopsOf = ({ hops }: Trace) => hops.map(({ proxy, cluster }) => `${proxy} ${cluster}`);
const endOf = ({ outcome }: Trace) =>
  outcome.kind === 'upstream' ? outcome.host || `${outcome.endpoint?.ip}:${outcome.endpoint?.port}` : outcome.kind;

const CALL = callTo('http://a.example/', '203.0.113.1');
const sender = (to: string) =>
  sidecar('default/app', '10.0.0.1', { listeners: [outbound(chain(tcp('to')))], clusters: [cluster('to', to)] });
const gateway = (ip: string, to: string, port = 8080) =>
  router(`default/gateway-${ip}`, ip, { listeners: [listener(port, [chain(tcp('to'))])], clusters: [cluster('to', to)] });

test('a call goes from proxy to proxy until an address where none stands', () => {
  const app = sender('10.0.0.8:8080');
  const mesh = simulatedMesh([app, gateway('10.0.0.8', '10.0.0.9:8080'), gateway('10.0.0.9', '198.51.100.7:443')]);
  const trace = explainCall(mesh, app, CALL);
  assert.deepEqual(hopsOf(trace), ['default/app to', 'default/gateway-10.0.0.8 to', 'default/gateway-10.0.0.9 to']);
  assert.equal(endOf(trace), '198.51.100.7:443');
});

test('a router that does not listen on the port refuses the connection', () => {
  const app = sender('10.0.0.9:9999');
  const { outcome } = explainCall(simulatedMesh([app, gateway('10.0.0.9', '198.51.100.7:443')]), app, CALL);
  assert.deepEqual(outcome, {
    kind: 'closed',
    details: 'default/gateway-10.0.0.9 has no listener on port 9999: the connection is refused',
  });
});

test('a call that goes round in a loop is undecided', () => {
  const app = sender('10.0.0.8:8080');
  const mesh = simulatedMesh([app, gateway('10.0.0.8', '10.0.0.9:8080'), gateway('10.0.0.9', '10.0.0.8:8080')]);
  const trace = explainCall(mesh, app, CALL);
  assert.deepEqual([endOf(trace), trace.hops.length], ['undecided', 16]);
});

test("a sidecar's inbound side leads to the application, which nothing takes the call from again", () => {
  const app = sender('10.0.0.2:8080');
  const called = sidecar('default/called', '10.0.0.2', {
    listeners: [outbound(chain(tcp('nowhere'))), inbound(chain(tcp('own')))],
    clusters: [originalDestination('own')],
  });
  const trace = explainCall(simulatedMesh([app, called]), app, CALL);
  assert.deepEqual([hopsOf(trace), endOf(trace)], [['default/app to', 'default/called own'], '10.0.0.2:8080']);
});

test('a Service address leads to its endpoints, and is refused where there is none', () => {
  const app = sender('10.96.0.9:80');
  const behind = (endpoints: SimulatedMesh['behindService']): SimulatedMesh => ({
    ...simulatedMesh([app, gateway('10.0.0.9', '198.51.100.7:443')]),
    behindService: endpoints,
  });
  const service = behind(({ ip, port }) => (ip === '10.96.0.9' && port === 80 ? [{ ip: '10.0.0.9', port: 8080 }] : undefined));
  assert.deepEqual(hopsOf(explainCall(service, app, CALL)), ['default/app to', 'default/gateway-10.0.0.9 to']);
  const empty = behind(({ ip }) => (ip === '10.96.0.9' ? [] : undefined));
  assert.equal(endOf(explainCall(empty, app, CALL)), 'closed');
});

test('a caller without a sidecar goes straight to a gateway, to the one behind a Service, or into the world', () => {
  const mesh: SimulatedMesh = {
    ...simulatedMesh([gateway('10.0.0.9', '198.51.100.7:443')]),
    behindService: ({ ip }) => (ip === '10.96.0.9' ? [{ ip: '10.0.0.9', port: 8080 }] : ip === '10.96.0.8' ? [] : undefined),
  };
  const end = (ip: string, port: number) => {
    const trace = explainCall(mesh, undefined, callTo(`http://a.example:${port}/`, ip));
    return [...hopsOf(trace), endOf(trace)];
  };
  assert.deepEqual(end('10.0.0.9', 8080), ['default/gateway-10.0.0.9 to', '198.51.100.7:443']);
  assert.deepEqual(end('10.96.0.9', 80), ['default/gateway-10.0.0.9 to', '198.51.100.7:443']);
  assert.deepEqual(end('10.96.0.8', 80), ['closed']);
  assert.deepEqual(end('203.0.113.1', 80), ['203.0.113.1:80']);
});

test('a name that a proxy looks up is followed to the proxies of the mesh', () => {
  const app = sidecar('team/app', '10.0.0.1', { listeners: [outbound(chain(tcp('to')))], clusters: [dns('to', 'gateway:8080')] });
  const asked: string[] = [];
  const mesh: SimulatedMesh = {
    ...simulatedMesh([app, gateway('10.0.0.9', '198.51.100.7:443')]),
    lookUp(name, namespace) {
      asked.push(`${name} in ${namespace}`);
      return name === 'gateway' ? ['10.0.0.9'] : undefined;
    },
  };
  assert.deepEqual(hopsOf(explainCall(mesh, app, CALL)), ['team/app to', 'default/gateway-10.0.0.9 to']);
  assert.deepEqual(asked, ['gateway in team']);
  assert.equal(endOf(explainCall({ ...mesh, lookUp: () => undefined }, app, CALL)), 'gateway');
});

test('without other wishes the first cluster that has a weight takes the call', () => {
  const clusters = Object.entries({ none: 0, some: 1, most: 99 }).map(([name, weight]) => ({ name, weight }));
  const app = sidecar('default/app', '10.0.0.1', {
    listeners: [outbound(chain(http(host('*', route('x', { prefix: '/' }, { route: { weighted_clusters: { clusters } } })))))],
    clusters: ['none', 'some', 'most'].map((name) => dns(name, `${name}.example:80`)),
  });
  assert.equal(endOf(explainCall(simulatedMesh([app]), app, CALL)), 'some.example');
});

const mirror = (to: string, ...copies: readonly string[]) =>
  host('*', route(to, { prefix: '/' }, { route: { cluster: to, request_mirror_policies: copies.map((name) => ({ cluster: name })) } }));

/** Sends to the gateway, with a copy to `one`; the gateway sends to `a`, with a copy to `two`. */
function mirroring(): { mesh: SimulatedMesh; app: SimulatedProxy } {
  const app = sidecar('default/app', '10.0.0.1', {
    listeners: [outbound(chain(http(mirror('gateway', 'one'))))],
    clusters: [cluster('gateway', '10.0.0.9:8080'), dns('one', 'one.example:80')],
  });
  const second = router('default/gateway', '10.0.0.9', {
    listeners: [listener(8080, [chain(http(mirror('a', 'two')))])],
    clusters: [dns('a', 'a.example:80'), dns('two', 'two.example:80')],
  });
  return { mesh: simulatedMesh([app, second]), app };
}

test('copies are followed from the proxy on that makes them; the call itself is none', () => {
  const { mesh, app } = mirroring();
  assert.equal(endOf(explainCall(mesh, app, CALL)), 'a.example');
  assert.deepEqual(copiesOf(mesh, app, CALL).map(endOf), ['one.example', 'two.example']);
});

test('the application sees the answer to its call, and none to a copy', () => {
  const { mesh, app } = mirroring();
  assert.ok(explainCall(mesh, app, CALL).response);
  assert.ok(copiesOf(mesh, app, CALL).every(({ response }) => response === undefined));
  const refusing = sidecar('default/app', '10.0.0.1', { listeners: [outbound(chain(http(host('*', answer(403)))))] });
  assert.equal(explainCall(simulatedMesh([refusing]), refusing, CALL).response?.status, 403);
});

test('where a client may show a certificate and need not, what asks for one is not the same for every call', () => {
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';
  const asking = (required: boolean) => ({
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': type,
        common_tls_context: { validation_context: { trusted_ca: { inline_string: 'CA' } } },
        require_client_certificate: required,
      },
    },
  });
  const routes = host('a.example', answer(200, { prefix: '/', tls_context: { presented: true } }), answer(403));
  const answers = (tls: object, certificate?: boolean) => {
    const proxy = router('default/gateway', '10.0.0.9', { listeners: [listener(8443, [chain(http(routes), {}, tls as typeof TLS)])] });
    const call = callTo('https://a.example/', '203.0.113.1');
    const app = sender('10.0.0.9:8443');
    const payload = { ...call.payload, tls: { ...call.payload.tls!, certificate } };
    const { outcome, hops } = explainCall(simulatedMesh([app, proxy]), app, { ...call, payload });
    const varies = hops.some(({ steps }) => steps.some(({ text }) => text.includes('not the same for every request')));
    return [outcome.kind === 'reply' ? outcome.status : outcome.kind, varies];
  };
  assert.deepEqual(answers(TLS), [403, false]);
  assert.deepEqual(answers(asking(false)), [403, true]);
  assert.deepEqual(answers(asking(false), false), [403, false]);
  assert.deepEqual(answers(asking(true)), [200, false]);
  assert.deepEqual(answers(asking(true), false), ['closed', false]);
});

const NETWORK = 'type.googleapis.com/envoy.extensions.filters.network';
const asksAuthorizer: JsonObject = {
  name: 'ext_authz',
  typed_config: { '@type': `${NETWORK}.ext_authz.v3.ExtAuthz`, stat_prefix: 'x', grpc_service: { envoy_grpc: { cluster_name: 'authz' } } },
};
const judges = (action: 'ALLOW' | 'DENY'): JsonObject => ({
  name: 'rbac',
  typed_config: {
    '@type': `${NETWORK}.rbac.v3.RBAC`,
    stat_prefix: 'x',
    rules: { action, policies: { all: { permissions: [{ any: true }], principals: [{ any: true }] } } },
  },
});

test('what an authorizer says of a connection is not known, unless the connection is refused before it is asked', () => {
  const ends = (...before: JsonObject[]) => {
    const filters = [...before, tcp('to')];
    const app = sidecar('default/app', '10.0.0.1', { listeners: [outbound({ filters })], clusters: [cluster('to', '198.51.100.7:80')] });
    return endOf(explainCall(simulatedMesh([app]), app, CALL));
  };
  assert.equal(ends(asksAuthorizer), 'undecided');
  assert.equal(ends(judges('ALLOW'), asksAuthorizer), 'undecided');
  assert.equal(ends(judges('DENY'), asksAuthorizer), 'closed');
  assert.equal(ends(judges('ALLOW')), '198.51.100.7:80');
});

test('why a filter chain takes a call is said: what its match asks for, or that no other one does', () => {
  const why = (match: JsonObject | undefined, url = 'https://a.example/') => {
    const listeners = [{ ...outbound(...(match ? [chain(tcp('to'), match)] : [])), default_filter_chain: chain(tcp('to')) }];
    const app = sidecar('default/app', '10.0.0.1', { listeners, clusters: [cluster('to', '198.51.100.7:80')] });
    const { hops } = explainCall(simulatedMesh([app]), app, callTo(url, '203.0.113.1'));
    return hops[0]?.steps.find(({ kind }) => kind === 'filter-chain')?.text;
  };
  assert.equal(why({}), 'matches everything');
  assert.equal(why(undefined), 'no other filter chain matches');
  assert.equal(why({ transport_protocol: 'raw_buffer' }), 'no other filter chain matches');
  assert.equal(why({ transport_protocol: 'raw_buffer' }, 'http://a.example/'), 'matches because it is not TLS');
  assert.equal(
    why({
      server_names: ['a.example', 'b.example'],
      prefix_ranges: [{ address_prefix: '203.0.113.0', prefix_len: 24 }],
      destination_port: 443,
      transport_protocol: 'tls',
      application_protocols: ['http/1.1', 'h2'],
    }),
    'matches because SNI is one of a.example, b.example and the destination is in 203.0.113.0/24 and the port is 443 and it is TLS and it speaks http/1.1 or h2',
  );
});

test('endpoints that a control plane says are not healthy get nothing, unless too few others are', () => {
  const endpoint = (ip: string, health: string): JsonObject => ({
    endpoint: { address: { socket_address: { address: ip, port_value: 80 } } },
    health_status: health,
  });
  const ends = (threshold: number, ...health: string[]) => {
    const endpoints = health.map((each, i) => endpoint(`10.0.0.${i + 5}`, each));
    const to: JsonObject = {
      name: 'to',
      common_lb_config: { healthy_panic_threshold: { value: threshold } },
      load_assignment: { cluster_name: 'to', endpoints: [{ lb_endpoints: endpoints }] },
    };
    const app = sidecar('default/app', '10.0.0.1', { listeners: [outbound(chain(tcp('to')))], clusters: [to] });
    return [...waysOf(simulatedMesh([app]), app, CALL)].map(endOf);
  };
  assert.deepEqual(ends(0, 'UNHEALTHY', 'HEALTHY', 'DRAINING'), ['10.0.0.6:80']);
  assert.deepEqual(ends(0, 'UNHEALTHY'), ['closed']);
  assert.deepEqual(ends(50, 'UNHEALTHY', 'UNKNOWN'), ['10.0.0.6:80']);
  assert.deepEqual(ends(60, 'UNHEALTHY', 'HEALTHY'), ['10.0.0.5:80', '10.0.0.6:80']);
});

test('HTTP/2 that was agreed upon closes other requests, and is nothing to a chain that passes bytes on', () => {
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';
  const socket = { name: 'tls', typed_config: { '@type': type, common_tls_context: { alpn_protocols: ['h2'] } } };
  const ends = (filter: JsonObject) => {
    const app = sidecar('default/app', '10.0.0.1', {
      listeners: [outbound(chain(filter, undefined, { transport_socket: socket }))],
      clusters: [cluster('to', '10.0.0.9:80')],
    });
    const call = callTo('https://a.example/', '203.0.113.1');
    const tls = { ...call.payload.tls!, alpn: ['h2', 'http/1.1'] };
    return endOf(explainCall(simulatedMesh([app]), app, { ...call, payload: { ...call.payload, tls } }));
  };
  assert.equal(ends(http(host('*', route('to')))), 'closed');
  assert.equal(ends(tcp('to')), '10.0.0.9:80');
});
