import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chains, entry, hosts, listenerOf, routesOf, SIDECAR, translated } from '../../../test/support/translated.ts';
import { originText } from '../../lib/origin.ts';

const BLACK_HOLE = 'else → tcp BlackHoleCluster';

test('HTTP services of a port share a listener that leaves other bytes to the fallback', () => {
  const result = translated(entry('a.example.com', ['80 HTTP']) + entry('b.example.com', ['80 HTTP']));
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_80')), ['raw_buffer http/1.1 h2c → http 80', BLACK_HOLE]);
  assert.equal(listenerOf(result, '0.0.0.0_80').bindToPort, false);
});

test('unknown traffic passes where the mesh allows any', () => {
  const result = translated(entry('a.example.com', ['80 HTTP']), SIDECAR, { outboundTrafficPolicy: { mode: 'ALLOW_ANY' } });
  assert.equal(chains(listenerOf(result, '0.0.0.0_80')).at(-1), 'else → tcp PassthroughCluster');
  assert.deepEqual(chains(listenerOf(result, 'virtualOutbound')), ['port 15001 → tcp BlackHoleCluster', 'any → tcp PassthroughCluster']);
});

test('TLS services without an address are told apart by SNI', () => {
  const result = translated(
    entry('a.example.com', ['443 TLS']) + entry('*.example.org', ['443 HTTPS']).replace('resolution: DNS', 'resolution: NONE'),
  );
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_443')), [
    'a.example.com → tcp outbound|443||a.example.com',
    '*.example.org → tcp outbound|443||*.example.org',
    BLACK_HOLE,
  ]);
});

test('TCP services have listeners at their addresses, and chains for their networks', () => {
  const vip = entry('a.example.com', ['9000 TCP'], '  addresses: [203.0.113.9]');
  const network = entry('b.example.com', ['9000 TCP'], '  addresses: [203.0.113.64/26, 198.51.100.1/24]').replace(
    'resolution: DNS',
    'resolution: NONE',
  );
  const result = translated(vip + network);
  assert.deepEqual(chains(listenerOf(result, '203.0.113.9_9000')), ['any → tcp outbound|9000||a.example.com']);
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_9000')), [
    '198.51.100.0/24 203.0.113.64/26 → tcp outbound|9000||b.example.com',
    BLACK_HOLE,
  ]);
});

test('of two TCP services without an address the older has the port, and the younger is reported', () => {
  const result = translated(entry('a.example.com', ['9000 TCP']) + entry('b.example.com', ['9000 TCP']));
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_9000')), ['any → tcp outbound|9000||a.example.com']);
  assert.deepEqual(
    result.findings.map(({ code, origin }) => `${code} ${originText(origin)}`),
    ['SP1011 ServiceEntry default/b-example-com'],
  );
});

test('a younger object with the same host and port adds its address to the listeners, and names the virtual host', () => {
  const older = entry('a.example.com', ['80 HTTP', '443 TLS']);
  const younger = entry('a.example.com', ['80 HTTP', '443 TLS'], '  addresses: [198.51.100.9]').replace('name: a-', 'name: b-');
  const result = translated(older + younger);
  assert.deepEqual(chains(listenerOf(result, '198.51.100.9_443')), ['any → tcp outbound|443||a.example.com']);
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_443')), ['a.example.com → tcp outbound|443||a.example.com', BLACK_HOLE]);
  assert.deepEqual(hosts(routesOf(result, '80')), ['a.example.com:80: a.example.com a.example.com. 198.51.100.9', 'block_all: *']);
  assert.equal(result.resources.clusters.filter(({ name }) => name === 'outbound|443||a.example.com').length, 1);
  assert.deepEqual(
    result.findings.map(({ code }) => code),
    [],
    'the two do not collide',
  );
});

test('a younger object with the same host and port is whole for those who do not see the older', () => {
  const older = entry('a.example.com', ['443 TLS'], "  exportTo: ['.']");
  const younger = entry('a.example.com', ['443 TLS']).replace('name: a-', 'name: b-');
  const result = translated(older + younger, { ...SIDECAR, namespace: 'other' });
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_443')), ['a.example.com → tcp outbound|443||a.example.com', BLACK_HOLE]);
  assert.ok(result.resources.clusters.some(({ name }) => name === 'outbound|443||a.example.com'));
});

test('HTTP and TCP on one port are told apart by the bytes, whichever is older', () => {
  const [http, tcp] = [entry('h.example.com', ['9000 HTTP']), entry('t.example.com', ['9000 TCP'])];
  for (const text of [http + tcp, tcp + http]) {
    const listener = listenerOf(translated(text), '0.0.0.0_9000');
    assert.deepEqual(chains(listener), ['raw_buffer http/1.1 h2c → http 9000', 'else → tcp outbound|9000||t.example.com']);
    assert.deepEqual(
      listener.listenerFilters.map(({ name }) => name),
      ['envoy.filters.listener.http_inspector'],
    );
  }
});

test('a protocol whose server speaks first shares its port with no other', () => {
  const result = translated(entry('h.example.com', ['3306 HTTP']) + entry('m.example.com', ['3306 MySQL']));
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_3306')), ['raw_buffer http/1.1 h2c → http 3306', BLACK_HOLE]);
  assert.deepEqual(
    result.findings.map(({ code, origin }) => `${code} ${originText(origin)}`),
    ['SP1011 ServiceEntry default/m-example-com'],
  );
});

const UNNAMED_PORT = `
apiVersion: v1
kind: Service
metadata: { name: any, namespace: default }
spec: { clusterIP: 10.96.1.30, ports: [{ port: 7000 }] }
`;

test('a port without a protocol is sniffed, and its routes serve any Host', () => {
  const result = translated(UNNAMED_PORT);
  assert.deepEqual(chains(listenerOf(result, '10.96.1.30_7000')), [
    'raw_buffer http/1.1 h2c → http any.default.svc.cluster.local:7000',
    'else → tcp outbound|7000||any.default.svc.cluster.local',
  ]);
  assert.deepEqual(hosts(routesOf(result, 'any.default.svc.cluster.local:7000')), ['any.default.svc.cluster.local:7000: *']);
});

test('protocol detection ends after the time that the mesh allows', () => {
  const timeout = (settings: Record<string, unknown>) =>
    listenerOf(translated(UNNAMED_PORT, SIDECAR, settings), '10.96.1.30_7000').listenerFiltersTimeout;
  assert.equal(timeout({})?.seconds, 0n);
  assert.equal(timeout({ protocolDetectionTimeout: '5s' })?.seconds, 5n);
});

const MESH_RULES = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: steer, namespace: default }
spec:
  hosts: [a.example.com, b.example.com]
  tls:
    - match: [{ port: 443, sniHosts: [a.example.com], sourceLabels: { app: nobody } }]
      route: [{ destination: { host: nowhere.example.com } }]
    - match: [{ port: 443, sniHosts: [a.example.com] }, { port: 8443, sniHosts: [b.example.com] }]
      route: [{ destination: { host: gw.example.com, port: { number: 8443 } } }]
  tcp:
    - match: [{ port: 9000, destinationSubnets: [203.0.113.64/26] }]
      route: [{ destination: { host: gw.example.com, port: { number: 9000 } }, weight: 3 }, { destination: { host: b.example.com }, weight: 1 }]
`;

test('tcp rules: what names no network takes the whole service and leaves nothing for rules behind it', () => {
  const steered = (...matches: readonly string[]) => {
    const rules = matches.map((match, i) => `{ ${match} route: [{ destination: { host: gw${i}.example.com, port: { number: 1 } } }] }`);
    const text = `${entry('b.example.com', ['9000 TCP'], '  addresses: [203.0.113.0/24]').replace('resolution: DNS', 'resolution: NONE')}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: v, namespace: default }
spec: { hosts: [b.example.com], tcp: [${rules.join(', ')}] }`;
    return chains(listenerOf(translated(text), '0.0.0.0_9000'));
  };
  const near = '203.0.113.64/26';
  const whole = (target: string) => `203.0.113.0/24 → tcp ${target}`;
  const own = whole('outbound|9000||b.example.com');
  assert.deepEqual(steered('', 'match: [{ port: 9000 }],'), [whole('outbound|1||gw0.example.com'), BLACK_HOLE]);
  assert.deepEqual(steered('match: [{ port: 1 }],'), [own, BLACK_HOLE]);
  assert.deepEqual(steered(`match: [{ destinationSubnets: [${near}] }, { port: 9000 }],`), [
    whole('outbound|1||gw0.example.com'),
    BLACK_HOLE,
  ]);
  assert.deepEqual(steered(`match: [{ port: 1 }, { destinationSubnets: [${near}] }],`), [
    `${near} → tcp outbound|1||gw0.example.com`,
    own,
    BLACK_HOLE,
  ]);
  assert.deepEqual(steered('match: [{ destinationSubnets: [203.0.113.0/24] }],', ''), [whole('outbound|1||gw0.example.com'), BLACK_HOLE]);
});

test('tls and tcp rules of a VirtualService take the place of the chains of their services', () => {
  const services = entry('a.example.com', ['443 TLS']) + entry('b.example.com', ['443 TLS', '9000 TCP']);
  const result = translated(services + MESH_RULES);
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_443')), ['a.example.com → tcp outbound|8443||gw.example.com', BLACK_HOLE]);
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_9000')), [
    '203.0.113.64/26 → tcp outbound|9000||gw.example.com=3 outbound|9000||b.example.com=1',
    'else → tcp outbound|9000||b.example.com',
  ]);
  assert.deepEqual(result.findings, []);
});

const SUBNETS = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: subnets, namespace: default }
spec:
  hosts: ['*.example.com']
  tls:
    - match: [{ port: 443, sniHosts: [a.example.com] }]
      route: [{ destination: { host: gw.example.com, port: { number: 1 } } }]
    - match:
        - { port: 8443, sniHosts: [b.example.com], destinationSubnets: [198.51.100.0/24] }
        - { port: 443, sniHosts: [b.example.com], destinationSubnets: [203.0.113.64/26] }
        - { port: 443, sniHosts: [c.example.com] }
      route: [{ destination: { host: gw.example.com, port: { number: 2 } } }]
    - match: [{ port: 443, sniHosts: ['*.example.com'] }]
      route: [{ destination: { host: gw.example.com, port: { number: 3 } } }]
`;

test('no name is resolved after a tcp rule: it could be any', () => {
  const dynamic = entry('*.example.com', ['443 TLS']).replace('resolution: DNS', 'resolution: DYNAMIC_DNS');
  const rules = (kind: string, match: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: v, namespace: default }
spec: { hosts: [a.example.org], ${kind}: [{ ${match} route: [{ destination: { host: '*.example.com', port: { number: 443 } } }] }] }
`;
  const filters = (protocol: string, text: string) =>
    listenerOf(translated(dynamic + entry('a.example.org', [`9443 ${protocol}`]) + text), '0.0.0.0_9443')
      .filterChains.flatMap((each) => each.filters.map(({ name }) => name))
      .join(' ');
  const resolved = 'envoy.filters.network.sni_dynamic_forward_proxy envoy.filters.network.tcp_proxy';
  assert.equal(filters('TLS', rules('tls', 'match: [{ sniHosts: [a.example.org] }],')), resolved);
  assert.equal(filters('TCP', rules('tcp', '')), 'envoy.filters.network.tcp_proxy');
});

test('the destinationSubnets of a tls match hold for the matches behind it that name none', () => {
  const result = translated(entry('a.example.com', ['443 TLS']) + SUBNETS);
  assert.deepEqual(chains(listenerOf(result, '0.0.0.0_443')), [
    'a.example.com → tcp outbound|1||gw.example.com',
    '203.0.113.64/26 b.example.com → tcp outbound|2||gw.example.com',
    '203.0.113.64/26 c.example.com → tcp outbound|2||gw.example.com',
    '203.0.113.64/26 *.example.com → tcp outbound|3||gw.example.com',
    BLACK_HOLE,
  ]);
});

const SIDECAR_EGRESS = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: scoped, namespace: default }
spec:
  egress:
    - { port: { number: 80, protocol: HTTP, name: http }, hosts: ['./a.example.com'] }
    - { port: { number: 9000, protocol: TCP, name: own }, bind: 127.0.0.1, captureMode: NONE, hosts: ['./t.example.com'] }
    - { hosts: ['./*'] }
`;

test('a port that a Sidecar names is for the services of that listener', () => {
  const services =
    entry('a.example.com', ['80 HTTP']) + entry('b.example.com', ['80 HTTP', '81 HTTP']) + entry('t.example.com', ['9000 TCP']);
  const result = translated(services + SIDECAR_EGRESS);
  const names = (port: string) => routesOf(result, port).virtualHosts.map(({ name }) => name);
  assert.deepEqual(names('80'), ['a.example.com:80', 'block_all']);
  assert.deepEqual(names('81'), ['b.example.com:81', 'block_all']);
  const own = listenerOf(result, '127.0.0.1_9000');
  assert.deepEqual(chains(own), ['any → tcp outbound|9000||t.example.com']);
  assert.equal(own.bindToPort, undefined);
});

test('the routes of a port that a Sidecar names have the services of that entry only, though another entry brings the listener', () => {
  const sidecar = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: s, namespace: default }
spec: { egress: [{ port: { number: 80, protocol: HTTP, name: http }, hosts: ['other/*'] }, { hosts: ['*/*'] }] }
`;
  const result = translated(entry('a.example.com', ['80 HTTP', '81 HTTP']) + sidecar);
  assert.ok(listenerOf(result, '0.0.0.0_80'));
  const names = (port: string) => routesOf(result, port).virtualHosts.map(({ name }) => name);
  assert.deepEqual(names('80'), ['block_all']);
  assert.deepEqual(names('81'), ['a.example.com:81', 'block_all']);
});

test('a listener on a unix socket is reported, and the others stand', () => {
  const sidecar = SIDECAR_EGRESS.replace('127.0.0.1', 'unix:///tmp/own.sock').replace('number: 9000', 'number: 0');
  const result = translated(entry('a.example.com', ['80 HTTP']) + sidecar);
  assert.ok(listenerOf(result, '0.0.0.0_80'));
  assert.deepEqual(
    result.findings.map(({ code, origin }) => `${code} ${originText(origin)}`),
    ['SP1024 Sidecar default/scoped'],
  );
});

test('a listener of protocol HTTP_PROXY is reported at its field, and the others stand', () => {
  const sidecar = SIDECAR_EGRESS.replace('protocol: TCP', 'protocol: http_proxy').replace('number: 9000', 'number: 3128');
  const result = translated(entry('a.example.com', ['80 HTTP']) + sidecar);
  assert.ok(listenerOf(result, '0.0.0.0_80'));
  assert.deepEqual(
    result.findings.map(({ code, origin, position }) => `${code} ${originText(origin)} ${position?.column}`),
    ['SP1024 Sidecar default/scoped 41'],
  );
});

test('calls to a captured port that is not served are refused, also where everything may leave', () => {
  const open = { outboundTrafficPolicy: { mode: 'ALLOW_ANY' } };
  const captured = SIDECAR_EGRESS.replace('protocol: TCP', 'protocol: HTTP_PROXY')
    .replace(/bind: [^,]+, /, '')
    .replace(/captureMode: NONE,? ?/, '');
  const listener = listenerOf(translated(entry('a.example.com', ['80 HTTP']) + captured, SIDECAR, open), '0.0.0.0_9000');
  assert.deepEqual(chains(listener), ['any → tcp BlackHoleCluster']);
});

const HEADLESS = `
apiVersion: v1
kind: Service
metadata: { name: db, namespace: default }
spec: { clusterIP: None, ports: [{ name: tcp, port: 5432 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: db-1, namespace: default, labels: { kubernetes.io/service-name: db } }
addressType: IPv4
ports: [{ name: tcp, port: 5432 }]
endpoints: [{ addresses: [10.244.1.50] }, { addresses: [10.244.1.10] }]
`;

test('a headless TCP service is known by the addresses of its pods, but for the client’s own', () => {
  const { resources } = translated(HEADLESS);
  assert.deepEqual(
    resources.listeners.map(({ name }) => name).filter((name) => name.endsWith('_5432')),
    ['10.244.1.50_5432'],
  );
});

test('so is a headless service that speaks TLS, whatever the SNI', () => {
  const result = translated(HEADLESS.replaceAll('name: tcp', 'name: tls'));
  assert.deepEqual(chains(listenerOf(result, '10.244.1.50_5432')), ['any → tcp outbound|5432||db.default.svc.cluster.local']);
  assert.ok(!result.resources.listeners.some(({ name }) => name === '0.0.0.0_5432'));
});

test('a headless TCP service takes every address of a port that a Sidecar names', () => {
  const sidecar = `---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: s, namespace: default }
spec: { egress: [{ port: { number: 5432, protocol: TCP, name: db }, hosts: ['*/*'] }] }
`;
  const { resources } = translated(HEADLESS + sidecar);
  const names = resources.listeners.map(({ name }) => name).filter((name) => name.endsWith('_5432'));
  assert.deepEqual(names, ['0.0.0.0_5432']);
});

test('a service on the port on which captured traffic arrives is not served, and reported', () => {
  const result = translated(entry('a.example.com', ['15001 HTTP', '15006 TCP']));
  assert.deepEqual(
    result.resources.listeners.map(({ name }) => name).filter((name) => name.startsWith('0.0.0.0')),
    [],
  );
  assert.deepEqual(
    result.findings.map(({ code }) => code),
    ['SP1011', 'SP1011'],
  );
});
