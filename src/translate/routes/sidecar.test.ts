import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chains, entry, hosts, listenerOf, ROUTER, routesOf, SIDECAR, translated } from '../../../test/support/translated.ts';
import type { Metadata } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { Translation } from '../model.ts';

/** Virtual hosts as `name → clusters or answers of their routes`. */
function lines(result: Translation, name: string): string[] {
  return routesOf(result, name).virtualHosts.map((host) => {
    const targets = host.routes.map(({ action }) => {
      if (action.case === 'directResponse') return String(action.value.status);
      assert.ok(action.case === 'route' && action.value.clusterSpecifier.case === 'cluster');
      return action.value.clusterSpecifier.value;
    });
    return `${host.name} → ${targets.join(', ')}`;
  });
}

function virtualService(name: string, wanted: readonly string[], destination: string, more = ''): string {
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${wanted.map((host) => `'${host}'`).join(', ')}]
  http: [{ route: [{ destination: { host: ${destination} } }] ${more} }]
---
`;
}

const KUBERNETES = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec: { clusterIP: 10.96.1.40, ports: [{ port: 80, name: http }] }
---
apiVersion: v1
kind: Service
metadata: { name: pods, namespace: other }
spec: { clusterIP: None, ports: [{ port: 80, name: http }] }
`;

test('a service answers to every spelling of its name', () => {
  assert.deepEqual(hosts(routesOf(translated(KUBERNETES), '80')), [
    'pods.other.svc.cluster.local:80: pods.other.svc.cluster.local pods.other.svc.cluster.local. pods.other.svc pods.other ' +
      '*.pods.other.svc.cluster.local *.pods.other.svc.cluster.local. *.pods.other.svc *.pods.other',
    'web.default.svc.cluster.local:80: web.default.svc.cluster.local web.default.svc.cluster.local. web web.default.svc web.default 10.96.1.40',
    'block_all: *',
  ]);
});

test('hosts that nobody declares are refused, or pass where the mesh allows any', () => {
  const text = entry('a.example.com', ['80 HTTP']);
  const expected = (last: string) => ['a.example.com:80 → outbound|80||a.example.com', last];
  assert.deepEqual(lines(translated(text), '80'), expected('block_all → 502'));
  const open = translated(text, SIDECAR, { outboundTrafficPolicy: { mode: 'ALLOW_ANY' } });
  assert.deepEqual(lines(open, '80'), expected('allow_any → PassthroughCluster'));
});

test('of two VirtualServices for a host only the older counts', () => {
  const services = entry('a.example.com', ['80 HTTP']);
  const result = translated(
    services + virtualService('zz', ['a.example.com'], 'first.example.com') + virtualService('aa', ['a.example.com'], 'second.example.com'),
  );
  assert.deepEqual(lines(result, '80'), ['a.example.com:80 → outbound|80||first.example.com', 'block_all → 502']);
});

test('on port 80 a VirtualService routes hosts that nothing declares, elsewhere it does not', () => {
  const result = translated(entry('a.example.com', ['80 HTTP', '8080 HTTP']) + virtualService('v', ['b.example.com'], 'gw.example.com'));
  assert.deepEqual(lines(result, '80'), [
    'a.example.com:80 → outbound|80||a.example.com',
    'b.example.com:80 → outbound|80||gw.example.com',
    'block_all → 502',
  ]);
  assert.deepEqual(lines(result, '8080'), ['a.example.com:8080 → outbound|8080||a.example.com', 'block_all → 502']);
});

test('of several wildcards the most specific has a service', () => {
  const services = entry('x.api.example.com', ['80 HTTP']) + entry('y.example.com', ['80 HTTP']) + entry('z.example.com', ['80 HTTP']);
  const rules =
    virtualService('wide', ['*.example.com'], 'wide.test') +
    virtualService('narrow', ['*.api.example.com'], 'narrow.test') +
    virtualService('exact', ['z.example.com'], 'exact.test');
  assert.deepEqual(lines(translated(services + rules), '80'), [
    'x.api.example.com:80 → outbound|80||narrow.test',
    'y.example.com:80 → outbound|80||wide.test',
    'z.example.com:80 → outbound|80||exact.test',
    'block_all → 502',
  ]);
});

test('a VirtualService that is not on the mesh does not concern a sidecar', () => {
  const bound = virtualService('v', ['a.example.com'], 'gw.example.com').replace('  http:', '  gateways: [istio-system/egress]\n  http:');
  const result = translated(entry('a.example.com', ['80 HTTP']) + bound);
  assert.deepEqual(lines(result, '80'), ['a.example.com:80 → outbound|80||a.example.com', 'block_all → 502']);
});

test('a destination without a port is on the port of the request; at gateways on the only port of its service, if it has one', () => {
  const services =
    entry('a.example.com', ['80 HTTP']) + entry('one.example.com', ['8080 HTTP']) + entry('two.example.com', ['8080 HTTP', '9090 HTTP']);
  const gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: gw, namespace: default }
spec: { selector: { istio: egressgateway }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }] }
---
`;
  const text = (host: string) =>
    services + gateway + virtualService('v', ['a.example.com'], host).replace('  http:', '  gateways: [mesh, gw]\n  http:');
  const to = (host: string) => lines(translated(text(host)), '80')[0];
  const atGateway = (host: string) => lines(translated(text(host), ROUTER), 'http.80')[0];
  assert.equal(atGateway('one.example.com'), 'a.example.com:80 → outbound|8080||one.example.com');
  assert.equal(atGateway('two.example.com'), 'a.example.com:80 → outbound|80||two.example.com');
  assert.equal(to('one.example.com'), 'a.example.com:80 → outbound|80||one.example.com');
  assert.equal(to('two.example.com'), 'a.example.com:80 → outbound|80||two.example.com');
  assert.equal(to('unknown.example.com'), 'a.example.com:80 → outbound|80||unknown.example.com');
});

test('every route and virtual host names the objects that it follows from', () => {
  const result = translated(entry('a.example.com', ['80 HTTP']) + virtualService('v', ['a.example.com'], 'gw.example.com'));
  const [host] = routesOf(result, '80').virtualHosts;
  const origins = (metadata: Metadata | undefined) => {
    const listed = metadata!.filterMetadata.sallyport!.origins as { kind: string; name: string }[];
    return listed.map(({ kind, name }) => `${kind} ${name}`);
  };
  assert.deepEqual(origins(host!.metadata), ['VirtualService v', 'ServiceEntry a-example-com']);
  assert.deepEqual(origins(host!.routes[0]!.metadata), ['VirtualService v']);
});

test('what is called by the name of an ExternalName Service is what it stands for', () => {
  const alias = (name: string, target: string) => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: default }
spec: { type: ExternalName, externalName: ${target}, ports: [{ port: 80, name: http }] }
---
`;
  const text =
    entry('a.example.com', ['80 HTTP', '443 TLS']) +
    alias('outer', 'inner.default.svc.cluster.local') +
    alias('inner', 'a.example.com') +
    alias('round', 'about.default.svc.cluster.local') +
    alias('about', 'round.default.svc.cluster.local');
  const result = translated(text);
  const [first] = hosts(routesOf(result, '80'));
  assert.match(first!, /^a\.example\.com:80: a\.example\.com a\.example\.com\. inner\.default\.svc\.cluster\.local .* inner .* outer /);
  assert.deepEqual(
    chains(listenerOf(result, '0.0.0.0_443'))[0]!
      .split(' ')
      .filter((name) => /^(a|inner|outer)/.test(name)).length,
    1 + 2 * 5,
  );
  const sidecar = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: s, namespace: default }
spec: { egress: [{ hosts: [./a.example.com, ./inner.default.svc.cluster.local] }] }
`;
  const [narrowed] = hosts(routesOf(translated(text + sidecar), '80'));
  assert.match(narrowed!, / inner /);
  assert.doesNotMatch(narrowed!, /outer/, 'a Sidecar imports aliases like other hosts');
});

test('an allocated IPv6 address is a name for those alone who have such an address', () => {
  const text = entry('a.example.com', ['80 HTTP']);
  const domains = (addresses: string[]) => routesOf(translated(text, { ...SIDECAR, addresses }), '80').virtualHosts[0]!.domains.slice(2);
  assert.match(domains(['10.244.1.10']).join(' '), /^240\.240\.[\d.]+$/);
  assert.match(domains(['10.244.1.10', 'fd00::10']).join(' '), /^240\.240\.[\d.]+ \[2001:2::[\da-f:]+\]$/);
});
