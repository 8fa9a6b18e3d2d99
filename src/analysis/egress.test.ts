/** Findings on what gets round the gateway, or dies at it. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { testPairs } from '../../test/support/findings.ts';
import { decodeDocuments } from '../api/documents.ts';
import { Store } from '../config/store.ts';
import { codesOf, findingsIn, findingsOf } from './testing.ts';

const join = (...objects: object[]) => objects.map((object) => JSON.stringify(object)).join('\n---\n');
const istio = (kind: string, name: string, spec: object, namespace = 'default') => ({
  apiVersion: 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace },
  spec,
});

const HTTP = { number: 80, name: 'http', protocol: 'HTTP' };
const HTTPS = { number: 443, name: 'https', protocol: 'HTTPS' };
const TLS = { number: 443, name: 'tls', protocol: 'TLS' };
const HOST = 'www.example.com';
const external = (ports: object[] = [HTTP], spec: object = {}, namespace = 'default') =>
  istio('ServiceEntry', 'www', { hosts: [HOST], location: 'MESH_EXTERNAL', resolution: 'DNS', ports, ...spec }, namespace);
const gateway = (hosts = [HOST], server: object = { port: HTTP }) =>
  istio('Gateway', 'egress', { selector: { istio: 'egressgateway' }, servers: [{ ...server, hosts }] }, 'istio-system');
const to = (host: string, number: number) => [{ destination: { host, port: { number } } }];
const TO_GATEWAY = to('istio-egressgateway.istio-system.svc.cluster.local', 80);
const AT_GATEWAY = ['istio-system/egress'];
const BOTH = ['mesh', ...AT_GATEWAY];
const onMesh = { match: [{ gateways: ['mesh'], port: 80 }], route: TO_GATEWAY };
const atGateway = (number = 80) => ({ match: [{ gateways: AT_GATEWAY, port: 80 }], route: to(HOST, number) });
const routes = (http: object[], spec: object = {}, name = 'v', namespace = 'default') =>
  istio('VirtualService', name, { hosts: [HOST], gateways: BOTH, http, ...spec }, namespace);
const api = istio('ServiceEntry', 'api', { hosts: ['api.example.com'], location: 'MESH_EXTERNAL', resolution: 'DNS', ports: [HTTP] });
const api443 = istio('ServiceEntry', 'api', { hosts: ['api.example.com'], location: 'MESH_EXTERNAL', resolution: 'DNS', ports: [TLS] });
const STANDARD_PARTS = [external(), gateway(), routes([onMesh, atGateway()])];
const STANDARD = join(...STANDARD_PARTS);
const imports = (...hosts: string[]) => istio('Sidecar', 'default', { egress: [{ hosts }] }, 'shop');
const prefix = (value: string, name: string, gateways: string[] = AT_GATEWAY) =>
  routes([{ match: [{ uri: { prefix: value } }], route: to(HOST, 80) }], { gateways }, name);
/** A Gateway that nothing is bound to: it redirects, and has another server. */
const twoServers = (server: object) =>
  istio(
    'Gateway',
    'unbound',
    {
      selector: { istio: 'egressgateway' },
      servers: [
        { port: { ...HTTP, number: 82 }, hosts: [HOST], tls: { httpsRedirect: true } },
        { hosts: [HOST], ...server },
      ],
    },
    'istio-system',
  );
/** One rule with a path for sidecars and another one for the gateway. */
const byPlace = (sidecars: string, gateway: string) =>
  routes(
    [
      {
        match: [
          { gateways: ['mesh'], uri: { prefix: sidecars } },
          { gateways: AT_GATEWAY, uri: { prefix: gateway } },
        ],
        route: to(HOST, 80),
      },
    ],
    {},
    'one',
  );

const PASSTHROUGH = gateway(['*.example.com'], { port: TLS, tls: { mode: 'PASSTHROUGH' } });
/** Passes TLS for the hosts to the gateway and on. `source`: a condition on the workloads. */
const sniRoutes = (name: string, hosts: string[], gateways = BOTH, source: object = {}, of = hosts) =>
  istio('VirtualService', name, {
    hosts: of,
    gateways,
    tls: gateways.map((where) => ({
      match: [{ gateways: [where], port: 443, sniHosts: hosts, ...(where === 'mesh' && source) }],
      route: where === 'mesh' ? to('istio-egressgateway.istio-system.svc.cluster.local', 443) : to(HOST, 443),
    })),
  });

const TCP = { number: 6379, name: 'tcp', protocol: 'TCP' };
const TCP_GATEWAY = gateway(['*'], { port: { ...TCP, number: 443 } });
const tcpRoutes = (onMesh: object) =>
  istio('VirtualService', 'v', {
    hosts: [HOST],
    gateways: BOTH,
    tcp: [
      { match: [{ gateways: ['mesh'], port: 6379, ...onMesh }], route: to('istio-egressgateway.istio-system.svc.cluster.local', 443) },
      { match: [{ gateways: AT_GATEWAY, port: 443 }], route: to(HOST, 6379) },
    ],
  });
const originates = (spec: object, namespace = 'default') =>
  istio(
    'DestinationRule',
    'www',
    { host: HOST, trafficPolicy: { tls: { mode: 'SIMPLE', sni: HOST, caCertificates: 'system' } }, ...spec },
    namespace,
  );

const TO_SUBSET = [{ destination: { host: 'istio-egressgateway.istio-system.svc.cluster.local', subset: 'www', port: { number: 80 } } }];
const subsetOf = (where: string) =>
  istio('DestinationRule', 'gateway', { host: 'istio-egressgateway.istio-system.svc.cluster.local', subsets: [{ name: 'www' }] }, where);
const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
const pod = (name: string, where = 'default') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: where },
  spec: { containers: [{ name: 'app' }] },
});
const ledToSubset = (...objects: object[]) =>
  join(
    external(),
    gateway(),
    routes([{ ...onMesh, route: TO_SUBSET }, atGateway()]),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'istio-egressgateway', namespace: 'istio-system' },
      spec: { selector: { istio: 'egressgateway' }, ports: [{ name: 'http', port: 80 }] },
    },
    ...objects,
  );

/** Calls are led to a gateway whose pods are there. */
const ledToPods = (selector: object) =>
  join(
    external(),
    istio('Gateway', 'egress', { selector, servers: [{ port: HTTP, hosts: [HOST] }] }, 'istio-system'),
    routes([onMesh, atGateway()]),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'istio-egressgateway', namespace: 'istio-system' },
      spec: { selector: { istio: 'egressgateway' }, ports: [{ name: 'http', port: 80 }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'gateway', namespace: 'istio-system', labels: { istio: 'egressgateway' } },
      spec: { containers: [{ name: 'istio-proxy' }] },
    },
  );

testPairs({
  'SP1017 of pods that no Gateway selects': {
    wrong: ledToPods({ istio: 'other' }),
    right: ledToPods({ istio: 'egressgateway' }),
  },
  'SP1017 of pods that a Gateway for all proxies selects': {
    wrong: ledToPods({ istio: 'egressgateway', app: 'other' }),
    right: ledToPods({}),
  },
  'SP1004 by a Sidecar': {
    wrong: join(external([HTTP], {}, 'outside'), gateway(), routes([onMesh, atGateway()], {}, 'v', 'platform'), imports('outside/*')),
    right: join(
      external([HTTP], {}, 'outside'),
      gateway(),
      routes([onMesh, atGateway()], {}, 'v', 'platform'),
      imports('outside/*', 'platform/*'),
    ),
  },
  'SP1002 of a port that no gateway uses': {
    wrong: join(external([HTTP, HTTPS]), gateway(), routes([onMesh, atGateway()])),
    right: join(external([HTTP, HTTPS]), gateway(), routes([onMesh, atGateway(443)])),
  },
  'SP1005 of a port that the gateway uses': {
    hints: true,
    wrong: join(external([HTTP, HTTPS]), gateway(), routes([onMesh, atGateway(443)])),
    right: join(
      external([HTTP, TLS]),
      gateway(),
      routes([onMesh, atGateway()], { tls: [{ match: [{ gateways: ['mesh'], port: 443, sniHosts: [HOST] }], route: TO_GATEWAY }] }),
    ),
  },
  'SP1001 of a wildcard of which one name is routed': {
    wrong: join(external([TLS], { hosts: ['*.example.com'], resolution: 'NONE' }), PASSTHROUGH, sniRoutes('v', [HOST])),
    right: join(external([TLS], { hosts: ['*.example.com'], resolution: 'NONE' }), PASSTHROUGH, sniRoutes('v', ['*.example.com'])),
  },
  'SP1027 of tls rules': {
    wrong: join(external([TLS]), PASSTHROUGH, sniRoutes('one', [HOST]), sniRoutes('two', [HOST], AT_GATEWAY)),
    right: join(external([TLS]), PASSTHROUGH, sniRoutes('one', [HOST], ['mesh']), sniRoutes('two', [HOST], AT_GATEWAY)),
  },
  'SP1001 of a host that a gateway leads other calls to': {
    wrong: join(external(), api, gateway(), routes([onMesh, atGateway()])),
    right: join(
      external(),
      api,
      gateway(),
      routes([
        onMesh,
        { match: [{ gateways: AT_GATEWAY, port: 80, uri: { prefix: '/api' } }], route: to('api.example.com', 80) },
        atGateway(),
      ]),
    ),
  },
  'SP1005 of a host that a gateway leads other calls to': {
    hints: true,
    wrong: join(
      external([HTTP, TLS]),
      api,
      gateway(),
      routes(
        [onMesh, { match: [{ gateways: AT_GATEWAY, port: 80, uri: { prefix: '/api' } }], route: to('api.example.com', 80) }, atGateway()],
        {
          tls: [{ match: [{ gateways: ['mesh'], port: 443, sniHosts: [HOST] }], route: TO_GATEWAY }],
        },
      ),
    ),
    right: join(
      external([HTTP, TLS]),
      gateway(),
      routes([onMesh, atGateway()], { tls: [{ match: [{ gateways: ['mesh'], port: 443, sniHosts: [HOST] }], route: TO_GATEWAY }] }),
    ),
  },
  'SP1005 of a port that nothing declares': {
    hints: true,
    wrong: STANDARD,
    right: join(
      external([TLS]),
      gateway([HOST], { port: TLS, tls: { mode: 'PASSTHROUGH' } }),
      routes([], { tls: [{ match: [{ gateways: ['mesh'], port: 443, sniHosts: [HOST] }], route: TO_GATEWAY }] }),
    ),
  },
  SP1008: {
    wrong: join(
      external(),
      gateway(),
      routes([{ ...onMesh, match: [{ gateways: ['mesh'], uri: { prefix: '/gw' } }] }, { route: to(HOST, 80) }]),
    ),
    right: join(external(), gateway(), routes([onMesh, { match: [{ gateways: AT_GATEWAY }], route: to(HOST, 80) }])),
  },
  'SP1008 of HTTP for some workloads': {
    wrong: join(
      external(),
      gateway(),
      routes([{ match: [{ port: 80, sourceLabels: { app: 'shop' } }], route: TO_GATEWAY }], { gateways: ['mesh'] }),
      routes([atGateway()], { gateways: AT_GATEWAY }, 'g'),
    ),
    right: join(
      external(),
      gateway(),
      routes([{ match: [{ port: 80, sourceLabels: { app: 'shop' } }], route: TO_GATEWAY }, { route: TO_GATEWAY }], { gateways: ['mesh'] }),
      routes([atGateway()], { gateways: AT_GATEWAY }, 'g'),
    ),
  },
  'SP1008 of TLS for one namespace': {
    wrong: join(external([TLS]), PASSTHROUGH, sniRoutes('v', [HOST], BOTH, { sourceNamespace: 'shop' })),
    right: join(external([TLS]), PASSTHROUGH, sniRoutes('v', [HOST])),
  },
  'SP1008 of TCP to other addresses': {
    wrong: join(
      external([TCP], { addresses: ['10.59.118.59'] }),
      TCP_GATEWAY,
      tcpRoutes({ destinationSubnets: ['10.59.118.58/32', '10.0.0.0/16'] }),
    ),
    right: join(external([TCP], { addresses: ['10.59.118.59'] }), TCP_GATEWAY, tcpRoutes({ destinationSubnets: ['10.59.118.59/32'] })),
  },
  'SP1001 of a host whose name is in no tls rule': {
    wrong: join(external([TLS]), api443, PASSTHROUGH, sniRoutes('v', [HOST], BOTH, {}, [HOST, 'api.example.com'])),
    right: join(external([TLS]), api443, PASSTHROUGH, sniRoutes('v', [HOST, 'api.example.com'])),
  },
  'SP1017 of a name that is in no tls rule of the gateway': {
    wrong: join(
      external([TLS]),
      api443,
      PASSTHROUGH,
      sniRoutes('v', [HOST, 'api.example.com'], ['mesh']),
      sniRoutes('g', [HOST], AT_GATEWAY),
    ),
    right: join(external([TLS]), api443, PASSTHROUGH, sniRoutes('v', [HOST, 'api.example.com'])),
  },
  'SP1010 of TLS settings without a mode': {
    wrong: join(...STANDARD_PARTS, originates({ trafficPolicy: { tls: { sni: HOST } } })),
    right: join(...STANDARD_PARTS, originates({})),
  },
  'SP1022 of a ServiceEntry without ports': { wrong: join(external([])), right: STANDARD },
  'SP1010 of a source beside gateways': {
    wrong: join(
      external(),
      gateway(),
      routes([{ match: [{ gateways: ['mesh'], port: 80, sourceLabels: { app: 'shop' } }], route: TO_GATEWAY }, atGateway()]),
    ),
    right: STANDARD,
  },
  'SP1010 of settings for a port that is not there': {
    wrong: join(
      ...STANDARD_PARTS,
      originates({ trafficPolicy: { portLevelSettings: [{ port: { number: 443 }, tls: { mode: 'SIMPLE' } }] } }),
    ),
    right: join(
      ...STANDARD_PARTS,
      originates({ trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, tls: { mode: 'SIMPLE' } }] } }),
    ),
  },
  'SP1012 of a Gateway': { wrong: join(external(), gateway([HOST, 'api.example.com']), routes([onMesh, atGateway()])), right: STANDARD },
  'SP1012 of a VirtualService': {
    wrong: join(external(), gateway(), routes([atGateway()], { gateways: AT_GATEWAY, hosts: [HOST, 'api.example.com'] })),
    right: join(
      external(),
      gateway([HOST, '*.example.com']),
      routes([atGateway()], { gateways: AT_GATEWAY, hosts: [HOST, 'api.example.com'] }),
    ),
  },
  'SP1017 without a rule for the gateway': { wrong: join(external(), gateway(), routes([onMesh])), right: STANDARD },
  'SP1017 with a rule of a VirtualService that is not bound to the gateway': {
    wrong: join(external(), gateway(), routes([onMesh, atGateway()], { gateways: ['mesh'] })),
    right: STANDARD,
  },
  'SP1028 of a gateway': {
    wrong: join(external(), gateway(), routes([onMesh, atGateway()], { gateways: ['mesh'] })),
    right: STANDARD,
  },
  'SP1028 of mesh': {
    wrong: join(external(), gateway(), routes([onMesh, atGateway()], { gateways: AT_GATEWAY })),
    right: join(external(), gateway(), routes([onMesh, atGateway()], { gateways: ['egress', 'mesh'] }, 'v', 'istio-system')),
  },
  'SP1016 of a host without addresses': {
    wrong: join(external([HTTP], { resolution: 'NONE' }), gateway(), routes([onMesh, atGateway()])),
    right: STANDARD,
  },
  SP1029: {
    wrong: join(external([HTTP], { resolution: 'STATIC' })),
    right: join(external([HTTP], { resolution: 'STATIC', endpoints: [{ address: '192.0.2.1' }] })),
  },
  SP1031: {
    wrong: join(...STANDARD_PARTS, originates({ exportTo: ['.'] }, 'default')),
    right: join(...STANDARD_PARTS, originates({ exportTo: ['.'] }, 'istio-system'), originates({ exportTo: ['.'] }, 'default')),
  },
  SP1033: {
    wrong: ledToSubset(pod('web', 'shop'), subsetOf('elsewhere')),
    right: ledToSubset(pod('web', 'shop'), subsetOf('istio-system')),
  },
  'SP1033 for some namespaces': {
    hints: true,
    wrong: ledToSubset(pod('web', 'shop'), pod('a'), subsetOf('default')),
    right: ledToSubset(pod('web', 'shop'), subsetOf('shop')),
  },
  SP1034: {
    wrong: join(namespace('shop'), namespace('default'), external([HTTP], { exportTo: ['shp'] })),
    right: join(namespace('shop'), namespace('default'), external([HTTP], { exportTo: ['shop', '.'] })),
  },
  'SP1034 of a Sidecar': {
    wrong: join(namespace('shop'), namespace('outside'), imports('outsid/*')),
    right: join(namespace('shop'), namespace('outside'), imports('outside/*', '*/a.example.com', 'other/*')),
  },
  'SP1034 of a Gateway': {
    wrong: join(namespace('default'), external(), gateway([`defualt/${HOST}`])),
    right: join(namespace('default'), external(), gateway([`default/${HOST}`])),
  },
  'SP1017 without a server on the port': {
    wrong: join(external(), gateway([HOST], { port: { number: 443, name: 'https', protocol: 'HTTP' } }), routes([onMesh, atGateway()])),
    right: STANDARD,
  },
  'SP1017 with a tcp rule where TLS passes through': {
    wrong: join(
      external([TLS]),
      gateway([HOST], { port: TLS, tls: { mode: 'PASSTHROUGH' } }),
      routes([], {
        tls: [
          {
            match: [{ gateways: ['mesh'], port: 443, sniHosts: [HOST] }],
            route: to('istio-egressgateway.istio-system.svc.cluster.local', 443),
          },
        ],
        tcp: [{ match: [{ gateways: AT_GATEWAY, port: 443 }], route: to(HOST, 443) }],
      }),
    ),
    right: join(
      external([TLS]),
      gateway([HOST], { port: TLS, tls: { mode: 'PASSTHROUGH' } }),
      routes([], {
        tls: [
          {
            match: [{ gateways: ['mesh'], port: 443, sniHosts: [HOST] }],
            route: to('istio-egressgateway.istio-system.svc.cluster.local', 443),
          },
          { match: [{ gateways: AT_GATEWAY, port: 443, sniHosts: [HOST] }], route: to(HOST, 443) },
        ],
      }),
    ),
  },
  'SP1022 of a Gateway of which a server only redirects, and another one does not': {
    wrong: join(external(), STANDARD_PARTS[1]!, twoServers({ port: HTTPS, tls: { mode: 'PASSTHROUGH' } }), STANDARD_PARTS[2]!),
    right: join(
      external(),
      STANDARD_PARTS[1]!,
      twoServers({ port: { ...HTTP, number: 81 }, tls: { httpsRedirect: true } }),
      STANDARD_PARTS[2]!,
    ),
  },
  'SP1022 of a ServiceEntry': {
    wrong: join(external([HTTP], { exportTo: ['~'] })),
    right: join(external([HTTP], { exportTo: ['.'] })),
  },
  SP1027: {
    wrong: join(external(), gateway(), prefix('/a', 'one'), prefix('/a/b', 'two')),
    right: join(external(), gateway(), prefix('/a/b', 'one'), prefix('/a', 'two')),
  },
  'SP1027 of rules of which a part is for sidecars': {
    wrong: join(external(), gateway(), byPlace('/b', '/a'), prefix('/a/b', 'two')),
    right: join(external(), gateway(), byPlace('/a', '/b'), prefix('/a/b', 'two')),
  },
  'SP1027 of rules that take everything': {
    wrong: join(external(), gateway(), prefix('/', 'one'), prefix('/', 'two')),
    // What takes everything comes last, whatever its age.
    right: join(external(), gateway(), prefix('/', 'one'), prefix('/a', 'two')),
  },
});

test('what is served by one VirtualService with a misspelt gateway and no TLS mode says each fault and its mend', {
  skip: seeds('tls-egress-1-faulty'),
}, () => {
  const findings = findingsOf(seed('tls-egress-1-faulty'));
  const codes = [...new Set(findings.map(({ code }) => code))].sort();
  assert.deepEqual(codes, ['IST0101', 'IST0106', 'SP1003', 'SP1006', 'SP1007', 'SP1022']);
  const mode = findings.find(({ code }) => code === 'IST0106');
  assert.match(mode!.message, /PASSTHROUGH/);
  assert.match(mode!.message, /SIMPLE/);
});

test('of a Gateway or VirtualService with a misspelt field nothing is said of what it would serve', () => {
  const { number, name } = HTTP;
  const misspeltPort = gateway([HOST], { port: { number, name, protocl: 'HTTP' } });
  assert.deepEqual(codesOf(join(external(), misspeltPort, routes([onMesh, atGateway()]))), ['IST0106', 'SP0008']);
  const misspeltHosts = istio(
    'Gateway',
    'egress',
    { selector: { istio: 'egressgateway' }, servers: [{ port: HTTP, host: [HOST] }] },
    'istio-system',
  );
  assert.ok(!codesOf(join(external(), misspeltHosts, routes([onMesh, atGateway()]))).some((code) => ['SP1017', 'IST0132'].includes(code)));
  const misspeltMatch = { matches: [{ gateways: AT_GATEWAY, port: 80 }], route: to(HOST, 80) };
  assert.ok(!codesOf(join(external(), gateway(), routes([onMesh, misspeltMatch], { gateways: ['mesh'] }))).includes('SP1017'));
});

test('right configurations give no finding', { skip: seeds('http-egress') }, () => {
  assert.deepEqual(findingsOf(seed('http-egress')), []);
  assert.deepEqual(findingsOf(`${seed('redis-1-serviceentry')}\n---\n${seed('redis-3-egress')}`), []);
  assert.deepEqual(findingsOf(seed('tls-egress-2')), []);
});

test('the patterns of Istio’s egress tasks give no finding', () => {
  const subset = istio('DestinationRule', 'egressgateway-for-www', {
    host: 'istio-egressgateway.istio-system.svc.cluster.local',
    subsets: [{ name: 'www' }],
  });
  const through = { host: 'istio-egressgateway.istio-system.svc.cluster.local', subset: 'www' };
  const toSubset = (number: number) => [{ destination: { ...through, port: { number } }, weight: 100 }];
  const http = routes([{ ...onMesh, route: toSubset(80) }, atGateway()]);
  const tls = (host: string) =>
    istio('VirtualService', 'v', {
      hosts: [host],
      gateways: BOTH,
      tls: [
        { match: [{ gateways: ['mesh'], port: 443, sniHosts: [host] }], route: toSubset(443) },
        { match: [{ gateways: AT_GATEWAY, port: 443, sniHosts: [host] }], route: to(HOST, 443) },
      ],
    });
  const patterns: Record<string, string> = {
    'access to an external service': join(
      external(),
      routes([{ timeout: '3s', route: [{ destination: { host: HOST } }] }], { gateways: ['mesh'] }),
    ),
    'a wildcard without a gateway': join(external([HTTPS], { hosts: ['*.example.com'], resolution: undefined })),
    'a proxy outside the mesh': join(
      external([{ number: 3128, name: 'tcp', protocol: 'TCP' }], { addresses: ['10.1.2.3/32'], resolution: 'NONE' }),
    ),
    'HTTP through the gateway': join(external(), gateway(), subset, http),
    'TLS through the gateway': join(external([TLS]), PASSTHROUGH, subset, tls(HOST)),
    'a wildcard through the gateway': join(external([HTTPS]), PASSTHROUGH, subset, tls('*.example.com')),
  };
  for (const [name, pattern] of Object.entries(patterns)) assert.deepEqual(findingsOf(pattern), [], name);
});

const examples = new URL('../../examples', import.meta.url).pathname;
// Those of policies are a mesh each (prove/examples.test.ts).
for (const folder of globSync('*/', { cwd: examples }).filter((name) => !name.startsWith('policies'))) {
  test(`the example ${folder} gives no finding`, () => {
    const files = globSync('*.yaml', { cwd: `${examples}/${folder}` });
    assert.ok(files.length > 0);
    assert.deepEqual(findingsOf(files.map((file) => readFileSync(`${examples}/${folder}/${file}`, 'utf8')).join('\n---\n')), []);
  });
}

test('a rule that delegates leads where its delegate does', () => {
  const toGateway = istio('VirtualService', 'on', { http: [{ route: TO_GATEWAY }] }, 'routing');
  const past = istio('VirtualService', 'on', { http: [{ route: to(HOST, 80) }] }, 'routing');
  const root = routes([{ match: [{ gateways: ['mesh'], port: 80 }], delegate: { name: 'on', namespace: 'routing' } }, atGateway()]);
  assert.deepEqual(codesOf(join(external(), gateway(), root, toGateway)), []);
  assert.deepEqual(codesOf(join(external(), gateway(), root, past)), ['SP1001']);
  const hidden = istio('VirtualService', 'on', { http: [{ route: TO_GATEWAY }], exportTo: ['.'] }, 'routing');
  assert.deepEqual(codesOf(join(external(), gateway(), root, hidden)), ['IST0101', 'SP1001']);
});

test('where only the delegate changes, the finding follows it', () => {
  const store = new Store();
  const set = (file: string, ...objects: object[]) => store.set(file, decodeDocuments(join(...objects), file));
  const codes = () => findingsIn(store.snapshot(['mesh', 'delegate'])).map(({ code }) => code);
  const on = (route: object[]) => istio('VirtualService', 'on', { http: [{ route }] }, 'routing');
  const root = routes([{ match: [{ gateways: ['mesh'], port: 80 }], delegate: { name: 'on', namespace: 'routing' } }, atGateway()]);
  set('mesh', external(), gateway(), root);
  set('delegate', on(TO_GATEWAY));
  assert.deepEqual(codes(), []);
  set('delegate', on(to(HOST, 80)));
  assert.deepEqual(codes(), ['SP1001']);
});

test('a ServiceEntry and a VirtualService of other namespaces meet where both are exported to', () => {
  const seen = external([HTTP], { exportTo: ['shop', 'istio-system'] }, 'hosts');
  const on = (exportTo: string[]) => routes([onMesh, atGateway()], { exportTo }, 'v', 'routing');
  assert.deepEqual(codesOf(join(seen, gateway(), on(['shop', 'istio-system']))), []);
  assert.ok(codesOf(join(seen, gateway(), on(['other', 'istio-system']))).includes('SP1004'));
});

test('a rule for a port that the gateway does not serve leads nobody round in it', () => {
  const rules = (port: number) =>
    routes([
      { match: [{ gateways: AT_GATEWAY, port: 80 }], route: to(HOST, 80) },
      { match: [{ port }], route: TO_GATEWAY },
    ]);
  const ports = [HTTP, { number: 8080, name: 'http-alt', protocol: 'HTTP' }];
  assert.ok(!codesOf(join(external(ports), gateway(), rules(8080))).includes('SP1015'));
  assert.ok(codesOf(join(external(ports), gateway(), rules(80))).includes('SP1015'));
});

test('a route at a gateway of any name says that the host is meant to go there', () => {
  const database = external([TCP], { addresses: ['240.0.0.1'] });
  const atIt = (more: object = {}) =>
    istio('VirtualService', 'v', {
      hosts: [HOST],
      gateways: AT_GATEWAY,
      tcp: [{ match: [{ port: 443 }], route: to(HOST, 6379) }],
      ...more,
    });
  assert.ok(codesOf(join(database, TCP_GATEWAY, atIt())).includes('SP1003'));
  assert.ok(!codesOf(join(database, TCP_GATEWAY, tcpRoutes({}))).some((code) => /^SP100/.test(code)));
});

test('a rule to the gateway that meets no call does not keep calls from leaving straight', () => {
  const rules = { hosts: [HOST], tcp: [{ match: [{ port: 5433 }], route: to('istio-egressgateway.istio-system.svc.cluster.local', 443) }] };
  const database = external([{ number: 5432, name: 'tcp', protocol: 'TCP' }], { addresses: ['240.0.0.1'] });
  assert.ok(
    codesOf(join(database, gateway(['*'], { port: { ...TCP, number: 443 } }), istio('VirtualService', 'v', rules))).includes('SP1001'),
  );
});

test('hints are not given unasked', () => {
  assert.deepEqual(codesOf(STANDARD), []);
  assert.deepEqual(codesOf(STANDARD, { hints: true }), ['SP1005', 'SP1021']);
});

function seedPath(name: string): URL {
  return new URL(`../../../shared/seeds/${name}.yaml`, import.meta.url);
}

function seed(name: string): string {
  return readFileSync(seedPath(name), 'utf8');
}

/** The reason to leave a test out, where the scenarios are not beside the repository. */
function seeds(name: string): string | false {
  return existsSync(seedPath(name)) ? false : 'the scenarios in ../shared are not here';
}
