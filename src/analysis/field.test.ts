/** Findings that public reports asked for: each kind of them, and the nearest configuration that is right. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { testPairs } from '../../test/support/findings.ts';
import type { MeshConfig } from '../api/index.ts';
import { defaultMeshConfig } from '../api/mesh-config-document.ts';
import { snapshotFromText } from '../config/memory.ts';
import { codesOf, findingsIn, findingsOf } from './testing.ts';

const join = (...objects: object[]) => objects.map((object) => JSON.stringify(object)).join('\n---\n');
const object = (
  kind: string,
  name: string,
  spec: object,
  namespace = 'default',
  apiVersion = 'networking.istio.io/v1',
  labels: object = {},
) => ({
  apiVersion,
  kind,
  metadata: { name, namespace, labels },
  spec,
});
const HOST = 'www.example.com';
const GATEWAY_HOST = 'istio-egressgateway.istio-system.svc.cluster.local';
const port = (number: number, protocol: string, more: object = {}) => ({ number, name: `p${number}`, protocol, ...more });
const [HTTP, TLS] = [port(80, 'HTTP'), port(443, 'TLS')];
const entry = (ports: object[], more: object = {}, namespace = 'default', name = 'www') =>
  object('ServiceEntry', name, { hosts: [HOST], location: 'MESH_EXTERNAL', resolution: 'DNS', ports, ...more }, namespace);
const NONE = { resolution: 'NONE' };
const gateway = (server: object, more: { readonly name?: string; readonly hosts?: string[]; readonly selector?: object } = {}) =>
  object('Gateway', more.name ?? 'out', {
    selector: more.selector ?? { istio: 'egressgateway' },
    servers: [{ hosts: more.hosts ?? [HOST], ...server }],
  });
const HTTP_SERVER = { port: HTTP };
const PASSTHROUGH = { port: TLS, tls: { mode: 'PASSTHROUGH' } };
const to = (host: string, number: number, subset?: string) => [{ destination: { host, port: { number }, ...(subset && { subset }) } }];
const routes = (spec: object, name = 'www', namespace = 'default') =>
  object('VirtualService', name, { hosts: [HOST], gateways: ['mesh', 'out'], ...spec }, namespace);
const rule = (trafficPolicy: object, more: object = {}, namespace = 'default') =>
  object('DestinationRule', 'www', { host: HOST, trafficPolicy, ...more }, namespace);
const at = (number: number, tls: object) => ({ portLevelSettings: [{ port: { number }, tls }] });
const SIMPLE = { mode: 'SIMPLE', sni: HOST, caCertificates: 'system' };
const MUTUAL = { mode: 'MUTUAL', credentialName: 'client', sni: HOST };
const sidecar = (hosts: string[], namespace = 'default') => object('Sidecar', 'default', { egress: [{ hosts }] }, namespace);
const listenerAt = (number: number) =>
  object('Sidecar', 'default', { egress: [{ port: { number, protocol: 'HTTP', name: 'http' }, hosts: ['outside/*'] }] });
const mirrored = (number: number) =>
  routes({ gateways: ['mesh'], http: [{ route: to(HOST, 80), mirror: { host: HOST, port: { number } } }] });
const workloadEntry = (address: string) => object('WorkloadEntry', 'vm', { address, labels: { app: 'web' } });
const selecting = (namespace: string, resolution = 'STATIC') =>
  entry([HTTP], { resolution, workloadSelector: { labels: { app: 'web' } } }, namespace);
const core = (kind: string, name: string, spec: object, namespace = 'default', labels: object = {}) =>
  object(kind, name, spec, namespace, 'v1', labels);
const pod = (name: string, namespace = 'default', labels: object = { app: name }) =>
  core('Pod', name, { containers: [{ name: 'app' }, { name: 'istio-proxy' }] }, namespace, labels);
const onMesh = (number: number, kind: 'http' | 'tls' = 'http', leads = number) => ({
  match: [{ gateways: ['mesh'], port: number, ...(kind === 'tls' && { sniHosts: [HOST] }) }],
  route: to(GATEWAY_HOST, leads),
});
const atGateway = (number: number, kind: 'http' | 'tls' = 'http', leads = number) => ({
  match: [{ gateways: ['out'], port: number, ...(kind === 'tls' && { sniHosts: [HOST] }) }],
  route: to(HOST, leads),
});
const THROUGH = [entry([HTTP, TLS]), gateway(HTTP_SERVER), routes({ http: [onMesh(80), atGateway(80, 'http', 443)] })];
const policy = (spec: object, namespace = 'default') => object('AuthorizationPolicy', 'p', spec, namespace, 'security.istio.io/v1');
const TO_WWW = [{ to: [{ operation: { hosts: [HOST] } }] }];
const FROM_APP = [{ from: [{ source: { principals: ['cluster.local/ns/default/sa/app'] } }] }];
const service = (ports: object[]) =>
  core('Service', 'istio-egressgateway', { selector: { istio: 'egressgateway' }, ports }, 'istio-system');
const egressPod = pod('egress', 'istio-system', { istio: 'egressgateway' });
const onlyRule = (more: object) => routes({ gateways: ['mesh'], http: [{ route: to(HOST, 80), ...more }] });
const second = (spec: object) => object('DestinationRule', 'second', { host: HOST, ...spec });
const asking = (operation: object, source?: object) =>
  policy({ action: 'DENY', rules: [{ to: [{ operation }], ...(source && { from: [{ source }] }) }] });
const inFront = core('Service', 'a', { selector: { app: 'a' }, ports: [{ name: 'http', port: 8000, targetPort: 80 }] });
const strictAt = (number: string) =>
  object(
    'PeerAuthentication',
    'p',
    { selector: { matchLabels: { app: 'a' } }, portLevelMtls: { [number]: { mode: 'STRICT' } } },
    'default',
    'security.istio.io/v1',
  );
const AT_EGRESS = { selector: { matchLabels: { istio: 'egressgateway' } } };
const egressService = service([{ name: 'http2', port: 80, targetPort: 8080 }]);
/** A rule that leads TLS as it is. */
const passing = ({ number }: { readonly number: number }, host = HOST) =>
  routes({ gateways: ['mesh'], tls: [{ match: [{ sniHosts: [HOST] }], route: to(host, number) }] });
const inner = (name: string) => core('Service', 'inner', { selector: { app: 'inner' }, ports: [{ name, port: 80 }] });
/** A rule for each address, at one place. */
const bytesTo = (place: string, ...addresses: string[]) => [
  entry([port(6379, 'TCP')]),
  gateway({ port: port(6379, 'TCP') }),
  routes({ gateways: [place], tcp: addresses.map((address) => ({ match: [{ destinationSubnets: [address] }], route: to(HOST, 6379) })) }),
];
const fromShop = (place: string) => [
  entry([TLS]),
  gateway(PASSTHROUGH),
  routes({ gateways: [place], tls: [{ match: [{ sniHosts: [HOST], sourceNamespace: 'shop' }], route: to(HOST, 443) }] }),
];
const redis = (name: string, gateways: string[] = ['mesh', 'out'], gatewayPort = 6379, more: object = {}) => [
  object('ServiceEntry', name, {
    hosts: [`${name}.example.com`],
    addresses: [`10.59.0.${name.length}`],
    location: 'MESH_EXTERNAL',
    resolution: 'DNS',
    ports: [port(6379, 'TCP')],
  }),
  object('VirtualService', name, {
    hosts: [`${name}.example.com`],
    gateways,
    tcp: [
      { match: [{ gateways: ['mesh'], port: 6379 }], route: to(GATEWAY_HOST, gatewayPort) },
      { match: [{ gateways: gateways.slice(1), port: gatewayPort, ...more }], route: to(`${name}.example.com`, 6379) },
    ],
  }),
];
const tcpGateway = (name: string, host: string, number = 6379) => gateway({ port: port(number, 'TCP') }, { name, hosts: [host] });

testPairs({
  'SP1035 of a tls rule at a gateway': {
    wrong: join(
      entry([HTTP, TLS]),
      gateway(PASSTHROUGH),
      routes({ tls: [onMesh(443, 'tls'), atGateway(443, 'tls')] }),
      rule(at(443, SIMPLE), {}, 'istio-system'),
    ),
    right: join(...THROUGH, rule(at(443, SIMPLE), {}, 'istio-system')),
  },
  "SP1035 of a rule for all ports, where the application's own TLS comes": {
    wrong: join(entry([TLS]), rule({ tls: SIMPLE })),
    right: join(entry([HTTP, TLS]), rule(at(80, SIMPLE))),
  },
  'SP1035 of one subset': {
    wrong: join(
      entry([TLS]),
      gateway(PASSTHROUGH),
      routes({ tls: [{ match: [{ port: 443, sniHosts: [HOST] }], route: to(HOST, 443, 'secured') }] }),
      rule({ connectionPool: { tcp: { maxConnections: 9 } } }, { subsets: [{ name: 'secured', trafficPolicy: { tls: SIMPLE } }] }),
    ),
    right: join(
      entry([TLS]),
      gateway(PASSTHROUGH),
      routes({ tls: [{ match: [{ port: 443, sniHosts: [HOST] }], route: to(HOST, 443, 'plain') }] }),
      rule(
        { connectionPool: { tcp: { maxConnections: 9 } } },
        { subsets: [{ name: 'secured', trafficPolicy: { tls: SIMPLE } }, { name: 'plain' }] },
      ),
    ),
  },
  'SP1036 of TLS to port 80': {
    wrong: join(entry([port(80, 'GRPC')]), rule(at(80, SIMPLE))),
    right: join(entry([port(80, 'GRPC', { targetPort: 443 })]), rule(at(80, SIMPLE))),
  },
  "SP1036 by the endpoint's port": {
    wrong: join(
      entry([port(8080, 'HTTP')], { resolution: 'STATIC', endpoints: [{ address: '192.0.2.1', ports: { p8080: 80 } }] }),
      rule(at(8080, SIMPLE)),
    ),
    right: join(
      entry([port(8080, 'HTTP')], { resolution: 'STATIC', endpoints: [{ address: '192.0.2.1', ports: { p8080: 443 } }] }),
      rule(at(8080, SIMPLE)),
    ),
  },
  'SP1036 of plain HTTP to port 443': {
    wrong: join(entry([port(80, 'HTTP', { targetPort: 443 })])),
    right: join(entry([port(80, 'HTTP', { targetPort: 443 })]), rule(at(80, SIMPLE))),
  },
  'SP1037 of a route to a TLS port': {
    wrong: join(...THROUGH),
    right: join(...THROUGH, rule(at(443, SIMPLE), {}, 'istio-system')),
  },
  'SP1037 of a port of the gateway that passes TLS': {
    wrong: join(entry([HTTP, TLS]), gateway(PASSTHROUGH), routes({ http: [onMesh(80, 'http', 443)], tls: [atGateway(443, 'tls')] })),
    right: join(entry([HTTP, TLS]), gateway(PASSTHROUGH), routes({ tls: [onMesh(443, 'tls'), atGateway(443, 'tls')] })),
  },
  'SP1037 of a port of the gateway that ends TLS': {
    wrong: join(
      entry([HTTP]),
      gateway({ port: port(443, 'HTTPS'), tls: { mode: 'SIMPLE', credentialName: 'c' } }),
      routes({ http: [onMesh(80, 'http', 443), atGateway(443, 'http', 80)] }),
    ),
    right: join(
      entry([HTTP]),
      gateway({ port: port(443, 'HTTPS'), tls: { mode: 'SIMPLE', credentialName: 'c' } }),
      routes({ http: [onMesh(80, 'http', 443), atGateway(443, 'http', 80)] }),
      object('DestinationRule', 'gateway', { host: GATEWAY_HOST, trafficPolicy: { tls: SIMPLE } }, 'istio-system'),
    ),
  },
  'SP1017 of TLS to a port of the gateway for plain HTTP': {
    wrong: join(entry([TLS]), gateway(HTTP_SERVER), routes({ tls: [onMesh(443, 'tls', 80)], http: [atGateway(80, 'http', 443)] })),
    right: join(entry([TLS]), gateway(PASSTHROUGH), routes({ tls: [onMesh(443, 'tls'), atGateway(443, 'tls')] })),
  },
  'SP1017 by the port that the Service leads to': {
    wrong: join(
      entry([TLS]),
      service([{ name: 'https', port: 443, targetPort: 8444 }]),
      gateway({ ...PASSTHROUGH, port: port(8443, 'TLS') }),
      routes({ tls: [onMesh(443, 'tls'), atGateway(8443, 'tls', 443)] }),
    ),
    right: join(
      entry([TLS]),
      service([{ name: 'https', port: 443, targetPort: 8443 }]),
      gateway({ ...PASSTHROUGH, port: port(8443, 'TLS') }),
      routes({ tls: [onMesh(443, 'tls'), atGateway(8443, 'tls', 443)] }),
    ),
  },
  'SP1038 of what sidecars call': {
    wrong: join(entry([port(80, 'HTTP', { targetPort: 443 })]), rule({ tls: MUTUAL })),
    right: join(
      entry([port(80, 'HTTP', { targetPort: 443 })]),
      rule({ tls: MUTUAL }, { workloadSelector: { matchLabels: { app: 'a' } } }),
      pod('a'),
    ),
  },
  'SP1038 at a gateway': {
    wrong: join(
      entry([HTTP, TLS]),
      gateway(HTTP_SERVER),
      routes({ http: [{ match: [{ port: 80 }], route: to(HOST, 443) }] }),
      rule(at(443, MUTUAL), {}, 'default'),
    ),
    right: join(...THROUGH, rule(at(443, MUTUAL), {}, 'istio-system')),
  },
  SP1039: {
    wrong: join(entry([TLS]), routes({ gateways: ['mesh'], http: [{ route: to(HOST, 443), timeout: '10s' }] })),
    right: join(entry([HTTP]), routes({ gateways: ['mesh'], http: [{ route: to(HOST, 80), timeout: '10s' }] })),
  },
  'SP1039 of one of two ports': {
    wrong: join(entry([HTTP, TLS]), routes({ gateways: ['mesh'], http: [{ match: [{ port: 443 }], route: to(HOST, 443) }] })),
    right: join(entry([HTTP, TLS]), routes({ gateways: ['mesh'], http: [{ route: to(HOST, 80) }] })),
  },
  SP1040: {
    wrong: join(entry([TLS], { addresses: ['10.59.0.0/24'], resolution: 'NONE' })),
    right: join(entry([TLS], { addresses: ['10.59.0.0/32', '10.59.0.1'], resolution: 'NONE' })),
  },
  'SP1040 of bytes': {
    wrong: join(entry([port(10250, 'HTTPS')], { addresses: ['10.59.0.0/24'], resolution: 'NONE' })),
    right: join(entry([port(10250, 'TCP')], { addresses: ['10.59.0.0/24'], resolution: 'NONE' })),
  },
  SP1041: {
    wrong: join(entry([TLS], {}, 'outside'), sidecar([`./${HOST}`])),
    right: join(entry([TLS], {}, 'outside'), sidecar([`outside/${HOST}`])),
  },
  'SP1041 of another namespace': {
    wrong: join(entry([TLS], {}, 'outside'), sidecar([`shop/*.example.com`])),
    right: join(entry([TLS], {}, 'outside'), sidecar(['*/*.example.com', './*', './unknown.example.org'])),
  },
  'SP1041 of a listener with a port that no host has': {
    wrong: join(entry([HTTP], {}, 'outside'), listenerAt(8080)),
    right: join(entry([HTTP], {}, 'outside'), listenerAt(80)),
  },
  'IST0101 into a wildcard, which makes no cluster of that name': {
    wrong: join(
      entry([HTTP], { hosts: ['*.example.com'], resolution: 'STATIC', endpoints: [{ address: '192.0.2.1' }] }),
      routes({ hosts: ['www.example.org'], gateways: ['mesh'], http: [{ route: to(HOST, 80) }] }),
    ),
    right: join(entry([HTTP]), routes({ hosts: ['www.example.org'], gateways: ['mesh'], http: [{ route: to(HOST, 80) }] })),
  },
  'SP1037 of copies': {
    wrong: join(entry([HTTP, TLS]), mirrored(443)),
    right: join(entry([HTTP, TLS]), mirrored(80)),
  },
  'SP1029 of a selector whose pods are elsewhere': {
    wrong: join(selecting('default'), pod('web', 'shop')),
    right: join(selecting('shop'), pod('web', 'shop')),
  },
  SP1042: {
    wrong: join(entry([HTTP], {}, 'one'), entry([TLS], {}, 'two'), pod('app', 'one')),
    right: join(entry([HTTP, TLS], {}, 'one'), entry([TLS], {}, 'two'), pod('app', 'one')),
  },
  'SP1042 only where both are seen': {
    wrong: join(entry([HTTP], {}, 'one'), entry([TLS], {}, 'two'), pod('app', 'three')),
    right: join(entry([HTTP], {}, 'one'), entry([TLS], { exportTo: ['.'] }, 'two'), pod('app', 'one')),
  },
  SP1043: {
    wrong: join(entry([port(587, 'TLS')])),
    right: join(entry([port(465, 'TLS'), port(587, 'TCP')], { addresses: ['10.59.0.1'] })),
  },
  'SP1043 by the target port': {
    wrong: join(entry([port(443, 'HTTPS', { targetPort: 5432 })])),
    right: join(entry([port(5432, 'TLS', { targetPort: 443 })])),
  },
  SP1044: {
    wrong: join(
      entry([HTTP]),
      gateway(HTTP_SERVER, { selector: { istio: 'vendor' } }),
      routes({ http: [{ ...onMesh(80), route: to('vendor.gateways.svc.cluster.local', 80) }, atGateway(80)] }),
    ),
    right: join(
      entry([HTTP]),
      gateway(HTTP_SERVER, { selector: { istio: 'vendor' } }),
      routes({ http: [{ ...onMesh(80), route: to('vendor.gateways.svc.cluster.local', 80) }, atGateway(80)] }),
      core('Service', 'vendor', { selector: { istio: 'vendor' }, ports: [{ name: 'http', port: 80 }] }, 'gateways'),
      pod('vendor', 'gateways', { istio: 'vendor' }),
    ),
  },
  'SP1045 of a waypoint': {
    wrong: join(core('Namespace', 'a', {}, '', { 'istio.io/use-waypoint': 'w' })),
    right: join(core('Namespace', 'a', {}, '', { 'istio.io/use-waypoint': 'none', 'istio-injection': 'enabled' })),
  },
  'SP1045 of a mode': {
    wrong: join(core('Namespace', 'a', {}, '', { 'istio.io/dataplane-mode': 'ambient' })),
    right: join(core('Namespace', 'a', {}, '', { 'istio.io/dataplane-mode': 'none' })),
  },
  'SP1045 of a policy': {
    wrong: join(entry([HTTP]), policy({ targetRefs: [{ group: 'networking.istio.io', kind: 'ServiceEntry', name: 'www' }], rules: [{}] })),
    right: join(entry([HTTP]), pod('a'), policy({ rules: [{}] })),
  },
  'IST0101 of a selector, where the installation is among the files': {
    wrong: join(...THROUGH, pod('istiod', 'istio-system')),
    right: join(...THROUGH, pod('app'), core('Service', 'app', { selector: { app: 'app' }, ports: [{ name: 'http', port: 80 }] })),
  },
  'IST0145 of bytes': {
    wrong: join(
      ...redis('a', ['mesh', 'one']),
      ...redis('bb', ['mesh', 'two']),
      tcpGateway('one', 'a.example.com'),
      tcpGateway('two', 'bb.example.com'),
    ),
    right: join(
      ...redis('a', ['mesh', 'one']),
      ...redis('bb', ['mesh', 'two'], 6380),
      tcpGateway('one', 'a.example.com'),
      tcpGateway('two', 'bb.example.com', 6380),
    ),
  },
  'IST0145 of bytes beside plain HTTP': {
    wrong: join(tcpGateway('one', 'a.example.com', 80), gateway(HTTP_SERVER)),
    right: join(gateway(HTTP_SERVER), gateway(HTTP_SERVER, { name: 'two', hosts: ['a.example.com'] })),
  },
  'SP1027 of bytes': {
    wrong: join(...redis('a'), ...redis('bb'), gateway({ port: port(6379, 'TCP') }, { hosts: ['*'] })),
    right: join(...redis('a'), gateway({ port: port(6379, 'TCP') }, { hosts: ['*'] })),
  },
  'SP1029 of names that nobody looks up': {
    wrong: join(selecting('default'), workloadEntry('vm.example.net')),
    right: join(selecting('default'), workloadEntry('192.0.2.7')),
  },
  'SP1029 of names with resolution DNS': {
    wrong: join(selecting('default'), workloadEntry('vm.example.net')),
    right: join(selecting('default', 'DNS'), workloadEntry('vm.example.net')),
  },
  'SP1010 of a fault for no call': {
    wrong: join(entry([HTTP]), onlyRule({ fault: { abort: { httpStatus: 500 } } })),
    right: join(entry([HTTP]), onlyRule({ fault: { abort: { httpStatus: 500, percentage: { value: 100 } } } })),
  },
  'SP1010 of an attempt that takes as long as the whole': {
    wrong: join(entry([HTTP]), onlyRule({ timeout: '2s', retries: { attempts: 2, perTryTimeout: '2s' } })),
    right: join(entry([HTTP]), onlyRule({ timeout: '2s', retries: { attempts: 2, perTryTimeout: '0.5s' } })),
  },
  'SP1010 of what is said of requests at a host of TLS': {
    wrong: join(entry([TLS]), rule({ connectionPool: { http: { idleTimeout: '60s' } } })),
    right: join(entry([TLS]), rule({ connectionPool: { tcp: { idleTimeout: '60s' }, http: { http1MaxPendingRequests: 1 } } })),
  },
  'SP1010 of a hash of requests at a host of TLS': {
    wrong: join(entry([TLS]), rule({ loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } })),
    right: join(entry([TLS]), rule({ loadBalancer: { consistentHash: { useSourceIp: true } } })),
  },
  'SP1010 of requests at a host of TLS, of which none is originated': {
    wrong: join(entry([TLS]), rule({ connectionPool: { http: { idleTimeout: '60s' } }, tls: { mode: 'DISABLE' } })),
    right: join(entry([TLS]), rule({ connectionPool: { http: { idleTimeout: '60s' } }, tls: SIMPLE })),
  },
  'SP1010 of a target port beside an older entry': {
    wrong: join(entry([HTTP], NONE), entry([port(81, 'HTTP', { targetPort: 8081 })], NONE, 'default', 'more')),
    right: join(entry([HTTP], NONE), entry([port(81, 'HTTP', { targetPort: 8081 })], NONE, 'other', 'more')),
  },
  'SP1010 of a target port whose entry is no part of the older one': {
    wrong: join(entry([HTTP], NONE), entry([port(81, 'HTTP', { targetPort: 8081 })], NONE, 'default', 'more')),
    right: join(entry([HTTP]), entry([port(81, 'HTTP', { targetPort: 8081 })], NONE, 'default', 'more')),
  },
  SP1069: {
    wrong: join(entry([HTTP]), rule({ loadBalancer: { simple: 'RANDOM' } }), second({ trafficPolicy: { tls: SIMPLE } })),
    right: join(entry([HTTP]), rule({ loadBalancer: { simple: 'RANDOM' } }), second({ subsets: [{ name: 'one' }] })),
  },
  'SP1069 of rules for different namespaces': {
    wrong: join(entry([HTTP]), rule({ tls: SIMPLE }), second({ trafficPolicy: { tls: SIMPLE }, exportTo: ['shop'] })),
    right: join(entry([HTTP]), rule({ tls: SIMPLE }, { exportTo: ['.'] }), second({ trafficPolicy: { tls: SIMPLE }, exportTo: ['shop'] })),
  },
  'SP1069 of a wider host': {
    wrong: join(
      entry([HTTP]),
      rule({ tls: SIMPLE }, { host: '*.example.com' }),
      second({ trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } }),
    ),
    right: join(
      entry([HTTP]),
      rule({ tls: SIMPLE }, { host: '*.example.com' }),
      second({ trafficPolicy: { loadBalancer: { simple: 'RANDOM' }, tls: { mode: 'DISABLE' } } }),
    ),
  },
  SP1068: { wrong: join(pod('a'), asking({ methods: ['post'] })), right: join(pod('a'), asking({ methods: ['POST'] })) },
  'SP1068 of a path': {
    wrong: join(pod('a'), asking({ paths: ['/v1/*/keys'] })),
    right: join(pod('a'), asking({ paths: ['/v1/{*}/keys', '/v2/*', '*/keys'] })),
  },
  'SP1068 of a query': { wrong: join(pod('a'), asking({ notPaths: ['/find?q'] })), right: join(pod('a'), asking({ notPaths: ['/find'] })) },
  'SP1068 of a host': {
    wrong: join(pod('a'), asking({ hosts: ['https://www.example.com'] })),
    right: join(pod('a'), asking({ hosts: ['www.example.com'] })),
  },
  'SP1068 of a caller': {
    wrong: join(pod('a'), asking({ methods: ['GET'] }, { principals: ['cluster.local/ns/*/sa/web'] })),
    right: join(pod('a'), asking({ methods: ['GET'] }, { principals: ['cluster.local/ns/default/*', '*/sa/web'] })),
  },
  'SP1068 of a port of the Service': {
    wrong: join(
      ...THROUGH,
      egressPod,
      egressService,
      policy({ ...AT_EGRESS, rules: [{ to: [{ operation: { ports: ['80'] } }] }] }, 'istio-system'),
    ),
    right: join(
      ...THROUGH,
      egressPod,
      egressService,
      policy({ ...AT_EGRESS, rules: [{ to: [{ operation: { ports: ['8080'] } }] }] }, 'istio-system'),
    ),
  },
  'SP1068 of a port of a Service inside': {
    wrong: join(pod('a'), inFront, policy({ rules: [{ to: [{ operation: { ports: ['8000'] } }] }] })),
    right: join(pod('a'), inFront, policy({ rules: [{ to: [{ operation: { ports: ['80'] } }] }] })),
  },
  'SP1068 of mutual TLS at a port': { wrong: join(pod('a'), inFront, strictAt('8000')), right: join(pod('a'), inFront, strictAt('80')) },
  SP1066: {
    wrong: join(entry([TLS, HTTP]), passing(HTTP)),
    right: join(entry([TLS, port(80, 'HTTP', { targetPort: 443 })]), passing(HTTP)),
  },
  'SP1066 of a server inside': {
    wrong: join(entry([TLS]), inner('http'), passing(HTTP, 'inner')),
    right: join(entry([TLS]), inner('https'), passing(HTTP, 'inner')),
  },
  'SP1027 of bytes by address': {
    wrong: join(
      ...redis('a', undefined, undefined, { destinationSubnets: ['192.0.2.1/32'] }),
      ...redis('bb'),
      gateway({ port: port(6379, 'TCP') }, { hosts: ['*'] }),
    ),
    right: join(
      ...redis('a', undefined, undefined, { destinationSubnets: ['192.0.2.1/32'] }),
      gateway({ port: port(6379, 'TCP') }, { hosts: ['*'] }),
    ),
  },
  'SP1010 of addresses at a gateway': { wrong: join(...bytesTo('out', '192.0.2.1')), right: join(...bytesTo('mesh', '192.0.2.1')) },
  'SP1010 of callers at a gateway': { wrong: join(...fromShop('out')), right: join(...fromShop('mesh')) },
  'IST0130 of addresses at a gateway': {
    wrong: join(...bytesTo('out', '192.0.2.1', '192.0.2.2')),
    right: join(...bytesTo('mesh', '192.0.2.1', '192.0.2.2')),
  },
  'IST0167 of calls to the outside': {
    wrong: join(entry([TLS]), pod('app'), policy({ action: 'DENY', rules: TO_WWW })),
    right: join(
      ...THROUGH,
      pod('app'),
      egressPod,
      policy({ action: 'DENY', rules: TO_WWW, selector: { matchLabels: { istio: 'egressgateway' } } }, 'istio-system'),
    ),
  },
  'IST0167 of hosts inside': {
    wrong: join(entry([TLS]), pod('app'), policy({ rules: TO_WWW })),
    right: join(entry([TLS], { location: 'MESH_INTERNAL' }), pod('app'), policy({ rules: TO_WWW })),
  },
  SP1046: {
    wrong: join(entry([HTTP]), routes({ gateways: ['mesh'], http: [{ match: [{ port: 9910 }], route: to(HOST, 80) }] })),
    right: join(
      entry([HTTP, port(9910, 'HTTP')]),
      routes({ gateways: ['mesh'], http: [{ match: [{ port: 9910 }], route: to(HOST, 80) }] }),
    ),
  },
  'SP1046 of an undeclared host': {
    wrong: join(
      entry([HTTP]),
      routes({ hosts: ['192.0.2.1'], gateways: ['mesh'], http: [{ match: [{ port: 81 }], route: to(HOST, 80) }] }),
    ),
    right: join(
      entry([HTTP]),
      routes({ hosts: ['192.0.2.1'], gateways: ['mesh'], http: [{ match: [{ port: 80 }], route: to(HOST, 80) }] }),
    ),
  },
  SP1051: {
    wrong: join(
      entry([TLS]),
      routes({ gateways: ['mesh'], tls: [{ match: [{ sniHosts: [HOST] }], route: to(HOST, 443) }] }),
      routes(
        {
          hosts: [HOST, 'api.example.com'],
          gateways: ['mesh'],
          tls: [{ match: [{ sniHosts: [HOST, 'api.example.com'] }], route: to(HOST, 443) }],
        },
        'young',
      ),
    ),
    right: join(
      entry([TLS]),
      routes({ gateways: ['mesh'], tls: [{ match: [{ sniHosts: [HOST] }], route: to(HOST, 443) }] }),
      routes(
        {
          hosts: [HOST, 'api.example.com'],
          gateways: ['mesh'],
          tls: [{ match: [{ sniHosts: [HOST] }], route: to(HOST, 443) }],
        },
        'young',
      ),
    ),
  },
  SP1052: {
    wrong: join(
      entry([TLS], { hosts: ['*.example.com'], resolution: 'DYNAMIC_DNS' }),
      routes({ gateways: ['mesh'], tls: [{ match: [{ sniHosts: [HOST] }], route: to('*.example.com', 443) }] }),
    ),
    right: join(
      entry([TLS], { hosts: ['*.example.com'], resolution: 'DYNAMIC_DNS' }),
      entry([TLS], {}, 'default', 'one'),
      routes({ gateways: ['mesh'], tls: [{ match: [{ sniHosts: [HOST] }], route: to(HOST, 443) }] }),
    ),
  },
  SP1047: {
    wrong: join(
      gateway(HTTP_SERVER),
      policy({ action: 'DENY', rules: FROM_APP, selector: { matchLabels: { istio: 'egressgateway' } } }, 'istio-system'),
    ),
    right: join(
      gateway({ port: port(443, 'HTTPS'), tls: { mode: 'ISTIO_MUTUAL' } }),
      policy({ action: 'DENY', rules: FROM_APP, selector: { matchLabels: { istio: 'egressgateway' } } }, 'istio-system'),
    ),
  },
  'SP1047 of a rule whose every source is an identity': {
    wrong: join(
      gateway(HTTP_SERVER),
      policy(
        {
          rules: [{ from: [{ source: { principals: ['a'] } }, { source: { namespaces: ['shop'] } }] }],
          selector: { matchLabels: { istio: 'egressgateway' } },
        },
        'istio-system',
      ),
    ),
    right: join(
      gateway(HTTP_SERVER),
      policy(
        {
          rules: [{ from: [{ source: { principals: ['a'] } }, { source: { ipBlocks: ['10.0.0.0/8'] } }] }],
          selector: { matchLabels: { istio: 'egressgateway' } },
        },
        'istio-system',
      ),
    ),
  },
  'SP1047 of a condition': {
    wrong: join(
      gateway(HTTP_SERVER),
      policy(
        { rules: [{ when: [{ key: 'source.namespace', values: ['shop'] }] }], selector: { matchLabels: { istio: 'egressgateway' } } },
        'istio-system',
      ),
    ),
    right: join(
      gateway(HTTP_SERVER),
      policy(
        { rules: [{ when: [{ key: 'source.ip', values: ['10.0.0.0/8'] }] }], selector: { matchLabels: { istio: 'egressgateway' } } },
        'istio-system',
      ),
    ),
  },
  'SP1034 of an object that is shown to nobody': {
    wrong: join(core('Namespace', 'default', {}, ''), entry([HTTP], { exportTo: ['.', 'nowhere'] })),
    right: join(core('Namespace', 'default', {}, ''), core('Namespace', 'nowhere', {}, ''), entry([HTTP], { exportTo: ['.', 'nowhere'] })),
  },
  'IST0162 by the name of a port': {
    wrong: join(
      core('Pod', 'g', { containers: [{ name: 'istio-proxy', ports: [{ name: 'web', containerPort: 8444 }] }] }, 'default', { app: 'g' }),
      core('Service', 'g', { selector: { app: 'g' }, ports: [{ port: 443, name: 'tls', targetPort: 'web' }] }),
      gateway({ ...PASSTHROUGH, port: port(8443, 'TLS') }, { selector: { app: 'g' } }),
    ),
    right: join(
      core('Pod', 'g', { containers: [{ name: 'istio-proxy', ports: [{ name: 'web', containerPort: 8443 }] }] }, 'default', { app: 'g' }),
      core('Service', 'g', { selector: { app: 'g' }, ports: [{ port: 443, name: 'tls', targetPort: 'web' }] }),
      gateway({ ...PASSTHROUGH, port: port(8443, 'TLS') }, { selector: { app: 'g' } }),
    ),
  },
});

function messageOf(text: string, code: string): string {
  const found = findingsOf(text).find((finding) => finding.code === code);
  assert.ok(found, `${code} is among ${codesOf(text).join(', ')}`);
  return found.message;
}

describe('messages say what is so', () => {
  test('of a TCP port without addresses where HTTP is read', () => {
    const web = core('Service', 'web', { selector: { app: 'web' }, ports: [{ name: 'http', port: 80 }] }, 'other');
    assert.match(
      messageOf(join(entry([port(80, 'TCP')]), web), 'IST0134'),
      /not HTTP, whatever its address.*Requests are not: web\.other/s,
    );
    assert.doesNotMatch(messageOf(join(entry([port(80, 'TCP')])), 'IST0134'), /Requests/);
    const message = (mode: 'ALLOW_ANY' | 'REGISTRY_ONLY') => {
      const mesh = { ...defaultMeshConfig(), outboundTrafficPolicy: { mode } };
      return findingsIn(snapshotFromText(join(entry([port(80, 'TCP')]), web)), {}, mesh).find(({ code }) => code === 'IST0134')?.message;
    };
    assert.match(message('REGISTRY_ONLY') ?? '', /no HTTP port 80 declares are refused \(502\)\./);
    assert.match(message('ALLOW_ANY') ?? '', /no HTTP port 80 declares leave for the address that was called\./);
  });

  test('of a TCP port without addresses where the mesh is asked for names: in a cluster by pods that do', () => {
    const mesh = defaultMeshConfig();
    const asked: MeshConfig = { ...mesh, defaultConfig: { ...mesh.defaultConfig, proxyMetadata: { ISTIO_META_DNS_CAPTURE: '1' } } };
    const pod = (env: readonly object[]) => core('Pod', 'app', { containers: [{ name: 'app' }, { name: 'istio-proxy', env }] });
    const found = (env: readonly object[], config: MeshConfig = asked, complete = true) =>
      findingsIn(snapshotFromText(join(entry([port(5432, 'TCP')]), pod(env)), { complete }), {}, config).some(
        ({ code }) => code === 'IST0134',
      );
    const captured = [{ name: 'ISTIO_META_DNS_CAPTURE', value: 'true' }];
    assert.equal(found(captured), false);
    assert.equal(found([]), true, 'the pod was injected before, or says otherwise');
    assert.equal(found([], asked, false), false, 'of files');
    assert.equal(found([], mesh, false), true, 'nobody asks');
  });

  test('of the rule whose TLS another one takes: where it stands', () => {
    const led = (hosts: string[]) => ({ match: [{ sniHosts: hosts }], route: to(HOST, 443) });
    const both = [HOST, 'api.example.com'];
    const ofOne = routes({ hosts: both, gateways: ['mesh'], tls: [led([HOST]), led(both)] });
    assert.match(messageOf(join(entry([TLS]), ofOne), 'SP1051'), /rule #1(?! of VirtualService)/);
    const older = routes({ gateways: ['mesh'], tls: [led([HOST])] });
    const younger = routes({ hosts: both, gateways: ['mesh'], tls: [led(both)] }, 'young');
    assert.match(messageOf(join(entry([TLS]), older, younger), 'SP1051'), /rule #1 of VirtualService default\/www/);
  });

  test('of what becomes of calls whose destination is unknown', () => {
    const gone = [{ destination: { host: 'gone.example.com' } }];
    const message = (spec: object) =>
      messageOf(join(entry([HTTP, TLS, port(9000, 'TCP')]), routes({ gateways: ['mesh'], ...spec })), 'IST0101');
    const calls = 'Calls on this route end in 503 (NC)';
    const connections = 'Connections on this route are closed (NC)';
    const copies = 'No copies are made (the calls go on)';
    for (const [spec, fate] of [
      [{ http: [{ route: gone }] }, calls],
      [{ http: [{ route: to(HOST, 80), mirror: { host: 'gone.example.com' } }] }, copies],
      [{ http: [{ route: to(HOST, 80), mirrors: gone }] }, copies],
      [{ tls: [{ match: [{ sniHosts: [HOST] }], route: gone }] }, connections],
      [{ tcp: [{ match: [{ port: 9000 }], route: gone }] }, connections],
    ] as const)
      assert.ok(message(spec).includes(fate), `${fate}: ${message(spec)}`);
  });

  test('of a wildcard that nothing declares', () => {
    const star = routes({
      hosts: ['*.example.com'],
      gateways: ['mesh'],
      tls: [{ match: [{ port: 443, sniHosts: ['*.example.com'] }], route: to('*.example.com', 443) }],
    });
    const message = messageOf(join(entry([TLS]), star), 'IST0101');
    assert.match(message, /write hosts, sniHosts and destination that name it/);
    assert.doesNotMatch(message, /Did you mean/);
  });

  test('of a wildcard without addresses: what Istio takes with DYNAMIC_DNS', () => {
    const wildcard = (protocol: string) =>
      join(
        entry([port(443, protocol)], { hosts: ['*.example.com'], resolution: 'NONE' }),
        gateway(PASSTHROUGH, { hosts: ['*.example.com'] }),
        routes({
          hosts: ['*.example.com'],
          tls: [
            { match: [{ gateways: ['mesh'], port: 443, sniHosts: ['*.example.com'] }], route: to(GATEWAY_HOST, 443) },
            { match: [{ gateways: ['out'], port: 443, sniHosts: ['*.example.com'] }], route: to('*.example.com', 443) },
          ],
        }),
      );
    assert.match(messageOf(wildcard('HTTPS'), 'SP1016'), /DYNAMIC_DNS and protocol: TLS/);
    assert.doesNotMatch(messageOf(wildcard('TLS'), 'SP1016'), /in place of HTTPS/);
    assert.match(
      messageOf(wildcard('TLS'), 'SP1016'),
      /connections on this route are closed \(UH\)/,
      'TLS that is passed on has no status',
    );
  });

  test('of a VirtualService that is bound to a Gateway of the Kubernetes Gateway API', () => {
    const kubernetes = object(
      'Gateway',
      'out',
      { gatewayClassName: 'istio', listeners: [{ name: 'a', port: 80, protocol: 'HTTP' }] },
      'default',
      'gateway.networking.k8s.io/v1',
    );
    assert.match(
      messageOf(join(entry([HTTP]), kubernetes, routes({ http: [atGateway(80)] })), 'IST0101'),
      /no VirtualService can be bound/,
    );
  });

  test('subsets that nothing uses are one note', () => {
    const subsets = Array.from({ length: 8 }, (_, i) => ({ name: `s${i}` }));
    const found = findingsOf(join(entry([HTTP]), rule({ connectionPool: { tcp: { maxConnections: 9 } } }, { subsets }))).filter(
      ({ code }) => code === 'SP1009',
    );
    assert.deepEqual(
      found.map(({ level, message }) => [level, /s0, s1, s2, s3, s4 and 3 more/.test(message)]),
      [['Info', true]],
    );
  });
});

test('proxies of another variant or place in the pod are of the image that the injector writes, unless their version differs', () => {
  const values = { global: { hub: 'r.example.com', tag: '1.30.0', proxy: { image: 'proxyv2' } } };
  const running = (image: string) =>
    join(
      core('Namespace', 'shop', {}, '', { 'istio-injection': 'enabled' }),
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'istio-sidecar-injector', namespace: 'istio-system' },
        data: { values: JSON.stringify(values) },
      },
      core(
        'Pod',
        'app',
        { containers: [{ name: 'app' }], initContainers: [{ name: 'istio-proxy', image, restartPolicy: 'Always' }] },
        'shop',
      ),
    );
  assert.ok(!codesOf(running('r.example.com/proxyv2:1.30.0-distroless')).includes('IST0158'));
  assert.ok(codesOf(running('r.example.com/proxyv2:1.29.0-distroless')).includes('IST0158'));
});

test('a namespace that a Sidecar takes out of its imports is no misspelt one, and no import that fails', () => {
  const codes = codesOf(join(core('Namespace', 'outside', {}, ''), entry([TLS], {}, 'outside'), sidecar(['*/*', `~outside/${HOST}`])));
  assert.deepEqual(
    codes.filter((code) => code === 'SP1034' || code === 'SP1041'),
    [],
  );
});

test('a Sidecar may send unknown calls to a proxy: that is no deprecated field', () => {
  const proxied = object('Sidecar', 's', {
    outboundTrafficPolicy: { mode: 'ALLOW_ANY', egressProxy: { host: HOST, port: { number: 80 } } },
  });
  assert.deepEqual(codesOf(join(entry([HTTP]), proxied)), []);
});
