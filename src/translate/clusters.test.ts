import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { meshConfigOf, meshFromText, proxyOf, type TestMesh } from '../../test/support/mesh.ts';
import { decodeDocuments } from '../api/documents.ts';
import { Store } from '../config/store.ts';
import type { Finding } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { type BuiltRegistry, buildRegistry } from '../registry/index.ts';
import { type Cluster, Cluster_DiscoveryType } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { LbEndpoint } from '../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.js';
import { ClusterConfigSchema } from '../xds/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js';
import { UpstreamTlsContextSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { HttpProtocolOptionsSchema } from '../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { unpack } from '../xds/unpack.ts';
import { buildClusters } from './clusters.ts';
import { startTranslation, type TranslateContext } from './context.ts';
import type { Mesh } from './model.ts';
import { nameTable } from './name-table.ts';
import { secretResources } from './secret-resources.ts';
import type { SecretReferences } from './secrets.ts';

function contextOf(mesh: Mesh, proxy: ProxyIdentity): TranslateContext {
  return startTranslation(proxy, mesh).context;
}

/** The secrets that `ask` asks for at a gateway, and what is wrong with them. */
function secretsOf(mesh: TestMesh, ask: (secrets: SecretReferences) => void) {
  const { context, requests } = startTranslation(proxyOf({ type: 'router', namespace: 'istio-system' }), mesh);
  ask(context.secrets);
  const findings: Finding[] = [];
  const secrets = secretResources(requests.values(), 'istio-system', mesh.snapshot, (finding) => findings.push(finding));
  return { secrets, findings };
}

function clustersOf(text: string, proxy = proxyOf(), overrides = {}): ReadonlyMap<string, Cluster> {
  return new Map(buildClusters(contextOf(meshFromText(text, overrides), proxy)).clusters.map((cluster) => [cluster.name, cluster]));
}

function addressIn({ hostIdentifier }: LbEndpoint): string {
  const address = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined;
  return address?.case === 'socketAddress' ? `${address.value.address}:${address.value.portSpecifier.value}` : '';
}

const object = (kind: string, name: string, spec: string, namespace = 'default') => `
apiVersion: networking.istio.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
---`;

const SERVER = `
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: default, labels: { app: web } }
spec: { containers: [{ name: app }] }
status: { phase: Running, podIP: 10.1.1.1 }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec: { clusterIP: 10.96.0.1, selector: { app: web }, ports: [{ name: http2, port: 80, targetPort: 8080 }, { name: x, port: 81, targetPort: 8081 }] }
---`;
const WEB = proxyOf({ name: 'web', labels: { app: 'web' }, addresses: ['10.1.1.1'] });

test('a sidecar has the standing clusters, a gateway only the black hole', () => {
  const standing = ['BlackHoleCluster', 'InboundPassthroughCluster', 'PassthroughCluster'];
  assert.deepEqual([...clustersOf('').keys()].sort(), standing);
  assert.deepEqual([...clustersOf('', proxyOf({ type: 'router' })).keys()], ['BlackHoleCluster']);
});

test('inbound: one cluster a port that the workload serves, from 127.0.0.6 to the address called', () => {
  const clusters = clustersOf(SERVER, WEB);
  const inbound = clusters.get('inbound|8080||');
  assert.equal(inbound?.clusterDiscoveryType.value, Cluster_DiscoveryType.ORIGINAL_DST);
  assert.equal(inbound?.upstreamBindConfig?.sourceAddress?.address, '127.0.0.6');
  assert.ok(clusters.has('inbound|8081||'));
  const local = clustersOf(SERVER, WEB, { inboundTrafficPolicy: { mode: 'LOCALHOST' } }).get('inbound|8080||');
  assert.equal(local?.clusterDiscoveryType.value, Cluster_DiscoveryType.STATIC);
  assert.equal(local?.upstreamBindConfig, undefined);
});

test('inbound: what a rule limits on connections of HTTP/2 holds at the server too', () => {
  const rule = object('DestinationRule', 'web', '{ host: web, trafficPolicy: { connectionPool: { http: { maxConcurrentStreams: 7 } } } }');
  const options = clustersOf(SERVER + rule, WEB).get('inbound|8080||')!.typedExtensionProtocolOptions[HttpProtocolOptionsSchema.typeName];
  const { upstreamProtocolOptions } = unpack(options, HttpProtocolOptionsSchema, 'options');
  assert.ok(upstreamProtocolOptions.case === 'explicitHttpConfig');
  const { protocolConfig } = upstreamProtocolOptions.value;
  assert.equal(protocolConfig.case === 'http2ProtocolOptions' && protocolConfig.value.maxConcurrentStreams, 7);
});

test('inbound: `ingress` of a Sidecar replaces the ports of services', () => {
  const sidecar = object(
    'Sidecar',
    's',
    `{ ingress: [{ port: { number: 9080, protocol: HTTP, name: a }, defaultEndpoint: '127.0.0.1:8080' },
                 { port: { number: 9081, protocol: TCP, name: b }, defaultEndpoint: '0.0.0.0:8081' },
                 { port: { number: 9082, protocol: HTTP, name: c }, defaultEndpoint: 'unix:///run/app.sock' },
                 { port: { number: 9083, protocol: HTTP, name: d } }] }`,
  );
  const clusters = clustersOf(SERVER + sidecar, WEB);
  const target = (name: string) => {
    const host = clusters.get(name)?.loadAssignment?.endpoints[0]?.lbEndpoints[0]?.hostIdentifier;
    const address = host?.case === 'endpoint' ? host.value.address?.address : undefined;
    if (address?.case === 'pipe') return address.value.path;
    return address?.case === 'socketAddress' ? `${address.value.address}:${address.value.portSpecifier.value}` : undefined;
  };
  assert.equal(clusters.has('inbound|8080||'), false);
  assert.deepEqual(
    [9080, 9081, 9082, 9083].map((port) => target(`inbound|${port}||`)),
    ['127.0.0.1:8080', '10.1.1.1:8081', '/run/app.sock', undefined],
  );
  assert.equal(clusters.get('inbound|9080||')?.upstreamBindConfig, undefined, 'loopback is not redirected');
  assert.equal(clusters.get('inbound|9081||')?.upstreamBindConfig?.sourceAddress?.address, '127.0.0.6');
});

test('a DNS cluster that a subset leaves without endpoints does not exist, an EDS cluster is empty', () => {
  const clusters = clustersOf(
    object('ServiceEntry', 'd', '{ hosts: [d.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }') +
      object('DestinationRule', 'd', '{ host: d.example.com, subsets: [{ name: v, labels: { v: x } }] }') +
      SERVER +
      object('DestinationRule', 'w', '{ host: web, subsets: [{ name: v, labels: { v: x } }] }'),
  );
  assert.equal(clusters.has('outbound|80|v|d.example.com'), false);
  assert.ok(clusters.has('outbound|80|v|web.default.svc.cluster.local'));
});

test('AUTO_PASSTHROUGH gateways have a second cluster for each service of the mesh, without TLS of their own', () => {
  const gateway = object(
    'Gateway',
    'g',
    '{ selector: { istio: eastwest }, servers: [{ port: { number: 15443, name: tls, protocol: TLS }, hosts: ["*.local"], tls: { mode: AUTO_PASSTHROUGH } }] }',
  );
  const rule = object('DestinationRule', 'w', '{ host: web, trafficPolicy: { tls: { mode: SIMPLE } } }');
  const clusters = clustersOf(SERVER + gateway + rule, proxyOf({ type: 'router', labels: { istio: 'eastwest' } }));
  assert.ok(clusters.get('outbound|80||web.default.svc.cluster.local')?.transportSocket);
  const dnat = clusters.get('outbound_.80_._.web.default.svc.cluster.local');
  assert.ok(dnat);
  assert.equal(dnat.transportSocket, undefined);
  const east = proxyOf({ type: 'router', labels: { istio: 'eastwest' } });
  const behind = (labels: string) => {
    const mesh = meshFromText(SERVER.replace('labels: { app: web }', `labels: { app: web${labels} }`) + gateway);
    const { endpoints } = buildClusters(contextOf(mesh, east));
    return endpoints.find(({ clusterName }) => clusterName === dnat.name)!.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints).length;
  };
  assert.equal(behind(''), 0, 'only what speaks the mesh’s TLS is behind an SNI');
  assert.equal(behind(', security.istio.io/tlsMode: istio'), 1);
  assert.equal(clustersOf(SERVER + gateway, proxyOf({ type: 'router' })).has(dnat.name), false, 'not at gateways that it does not select');
});

test('what a rule leaves out of TCP keepalives is the mesh’s; where it asks for passthrough its subsets have it too', () => {
  const rule = object(
    'DestinationRule',
    'web',
    `{ host: web, trafficPolicy: { loadBalancer: { simple: PASSTHROUGH }, connectionPool: { tcp: { tcpKeepalive: { interval: 5s } } } },
       subsets: [{ name: v1, trafficPolicy: { loadBalancer: { simple: RANDOM } } }] }`,
  );
  const clusters = clustersOf(SERVER + rule, proxyOf(), { tcpKeepalive: { time: '60s', probes: 3 } });
  const host = 'web.default.svc.cluster.local';
  const { keepaliveProbes, keepaliveTime, keepaliveInterval } = clusters.get(`outbound|80||${host}`)!.upstreamConnectionOptions!
    .tcpKeepalive!;
  assert.deepEqual([keepaliveProbes, keepaliveTime, keepaliveInterval], [3, 60, 5]);
  assert.equal(clusters.get(`outbound|80|v1|${host}`)?.clusterDiscoveryType.value, Cluster_DiscoveryType.ORIGINAL_DST);
});

test('the certificate of a name that is looked up as it is called has to name it, whatever SNI and names the rule has', () => {
  const entry = object(
    'ServiceEntry',
    's',
    "{ hosts: ['*.example.com'], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DYNAMIC_DNS }",
  );
  const verified = (tls: string) => {
    const rule = object('DestinationRule', 'd', `{ host: '*.example.com', trafficPolicy: { tls: { ${tls} } } }`);
    const cluster = clustersOf(entry + rule).get('outbound|80||*.example.com')!;
    const http = unpack(Object.values(cluster.typedExtensionProtocolOptions)[0], HttpProtocolOptionsSchema, 'options');
    assert.ok(cluster.clusterDiscoveryType.case === 'clusterType');
    const { allowInsecureClusterOptions } = unpack(cluster.clusterDiscoveryType.value.typedConfig, ClusterConfigSchema, 'cluster');
    const { autoSni = false, autoSanValidation = false } = http.upstreamHttpProtocolOptions ?? {};
    return { autoSni, autoSanValidation, allowInsecureClusterOptions };
  };
  const byName = { autoSni: true, autoSanValidation: true, allowInsecureClusterOptions: false };
  const bySni = { autoSni: false, autoSanValidation: true, allowInsecureClusterOptions: true };
  assert.deepEqual(verified('mode: SIMPLE'), byName);
  assert.deepEqual(verified('mode: SIMPLE, subjectAltNames: [www.example.com]'), byName);
  assert.deepEqual(verified('mode: SIMPLE, sni: www.example.com'), bySni);
  assert.deepEqual(verified('mode: ISTIO_MUTUAL'), byName);
  assert.deepEqual(verified('mode: ISTIO_MUTUAL, sni: www.example.com'), bySni);
  assert.deepEqual(verified('mode: SIMPLE, insecureSkipVerify: true'), {
    autoSni: true,
    autoSanValidation: false,
    allowInsecureClusterOptions: true,
  });
});

test('whom a server may be: what its ServiceEntry names and the accounts of its endpoints, in every trust domain of the mesh', () => {
  const entry = object(
    'ServiceEntry',
    's',
    `{ hosts: [s.example.com], location: MESH_INTERNAL, resolution: STATIC, subjectAltNames: ['spiffe://cluster.local/ns/x/sa/y', s.example.com],
       ports: [{ number: 80, name: http, protocol: HTTP }], endpoints: [{ address: 192.0.2.1, serviceAccount: z }] }`,
  );
  const names = (tls: string) => {
    const rule = object('DestinationRule', 'd', `{ host: s.example.com, trafficPolicy: { tls: { ${tls} } } }`);
    const clusters = clustersOf(entry + rule, proxyOf(), { trustDomainAliases: ['old.td'] });
    const config = clusters.get('outbound|80||s.example.com')!.transportSocket!.configType;
    assert.ok(config.case === 'typedConfig');
    const { validationContextType } = unpack(config.value, UpstreamTlsContextSchema, 'TLS').commonTlsContext!;
    assert.ok(validationContextType.case === 'combinedValidationContext');
    return validationContextType.value.defaultValidationContext!.matchSubjectAltNames.map(({ matchPattern }) => matchPattern.value);
  };
  const all = [
    's.example.com',
    'spiffe://cluster.local/ns/default/sa/z',
    'spiffe://cluster.local/ns/x/sa/y',
    'spiffe://old.td/ns/default/sa/z',
    'spiffe://old.td/ns/x/sa/y',
  ];
  assert.deepEqual(names('mode: ISTIO_MUTUAL'), all);
  assert.deepEqual(names('mode: SIMPLE'), all);
  assert.deepEqual(names('mode: SIMPLE, subjectAltNames: [own]'), ['own']);
});

test('where a rule asks for passthrough, gateways too have the mesh’s TLS for all of the cluster', () => {
  const rule = object('DestinationRule', 'web', '{ host: web, trafficPolicy: { loadBalancer: { simple: PASSTHROUGH } } }');
  const taking = SERVER.replace('labels: { app: web }', 'labels: { app: web, security.istio.io/tlsMode: istio }');
  const cluster = clustersOf(taking + rule, proxyOf({ type: 'router' })).get('outbound|80||web.default.svc.cluster.local')!;
  assert.deepEqual([cluster.transportSocket?.name, cluster.transportSocketMatches.length], ['envoy.transport_sockets.tls', 0]);
});

test('where endpoints are dialled by their addresses, the mesh’s TLS is for all that have proxies, but where the Service’s namespace takes none', () => {
  const rule = object('DestinationRule', 'web', '{ host: web, trafficPolicy: { loadBalancer: { simple: PASSTHROUGH } } }');
  const taking = SERVER.replace('labels: { app: web }', 'labels: { app: web, security.istio.io/tlsMode: istio }');
  const speaks = (text: string) =>
    clustersOf(text + rule).get('outbound|80||web.default.svc.cluster.local')!.transportSocket?.name === 'envoy.transport_sockets.tls';
  const policy = (spec: string) => object('PeerAuthentication', 'p', spec).replace('networking.istio.io/v1', 'security.istio.io/v1');
  assert.equal(speaks(SERVER), false);
  assert.ok(speaks(taking));
  assert.ok(speaks(taking + policy('{ selector: { matchLabels: { app: web } }, mtls: { mode: DISABLE } }')));
  assert.equal(speaks(taking + policy('{ mtls: { mode: DISABLE } }')), false);
});

test('settings of a port that say nothing of TLS leave it to the rule which endpoints take the mesh’s', () => {
  const taking = SERVER.replace('labels: { app: web }', 'labels: { app: web, security.istio.io/tlsMode: istio }');
  const modes = (text: string, tls: string) => {
    const rule = object(
      'DestinationRule',
      'web',
      `{ host: web, trafficPolicy: { ${tls}, portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: RANDOM } }] } }`,
    );
    const { endpoints } = buildClusters(contextOf(meshFromText(text + rule), proxyOf()));
    const found = endpoints.find(({ clusterName }) => clusterName === 'outbound|80||web.default.svc.cluster.local')!.endpoints;
    return found.flatMap(({ lbEndpoints }) =>
      lbEndpoints.map(({ metadata }) => metadata?.filterMetadata['envoy.transport_socket_match']?.tlsMode),
    );
  };
  assert.deepEqual(modes(taking, 'tls: { mode: DISABLE }'), [undefined]);
  assert.deepEqual(modes(SERVER, 'tls: { mode: ISTIO_MUTUAL }'), ['istio']);
  assert.deepEqual(modes(taking, 'loadBalancer: { simple: RANDOM }'), ['istio']);
});

test('a targetPort holds where the client’s address is dialled, unless a rule asks for that: then the port that was called stays', () => {
  const port = (resolution: string, host: string) => {
    const entry = object(
      'ServiceEntry',
      's',
      `{ hosts: [s.example.com], addresses: [203.0.113.1], ports: [{ number: 80, name: tcp, protocol: TCP, targetPort: 8080 }], resolution: ${resolution} }`,
    );
    const rule = object('DestinationRule', 'd', `{ host: ${host}, trafficPolicy: { loadBalancer: { simple: PASSTHROUGH } } }`);
    const { clusterDiscoveryType, lbConfig } = clustersOf(entry + rule).get('outbound|80||s.example.com')!;
    assert.equal(clusterDiscoveryType.value, Cluster_DiscoveryType.ORIGINAL_DST);
    return lbConfig.case === 'originalDstLbConfig' ? lbConfig.value.upstreamPortOverride : undefined;
  };
  assert.equal(port('NONE', 'other.example.com'), 8080);
  assert.equal(port('DNS', 's.example.com'), undefined);
});

test('at a gateway a service without endpoints is at the addresses that it declares where clients dial these, and nowhere else', () => {
  const at = (resolution: string, addresses: string, more = '') => {
    const entry = object(
      'ServiceEntry',
      's',
      `{ hosts: [s.example.com], addresses: [${addresses}], ports: [{ number: 80, name: tcp, protocol: TCP, targetPort: 8080 }], resolution: ${resolution}${more} }`,
    );
    const { endpoints } = buildClusters(contextOf(meshFromText(entry), proxyOf({ type: 'router' })));
    const found = endpoints.find(({ clusterName }) => clusterName === 'outbound|80||s.example.com');
    return found?.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints.map((each) => addressIn(each)));
  };
  assert.deepEqual(at('NONE', '203.0.113.1, 203.0.113.2'), ['203.0.113.1:8080', '203.0.113.2:8080']);
  assert.deepEqual(at('NONE', '203.0.113.1, 198.51.100.0/24'), ['203.0.113.1:8080'], 'a range has no address of its own');
  assert.deepEqual(at('STATIC', '203.0.113.1'), []);
  assert.deepEqual(at('STATIC', '203.0.113.1', ', endpoints: [{ address: 192.0.2.1 }]'), ['192.0.2.1:8080']);
});

test('unhealthy endpoints get nothing, however few the healthy ones are', () => {
  const threshold = (settings: string) => {
    const rule = object('DestinationRule', 'd', `{ host: web, trafficPolicy: { ${settings} } }`);
    const { commonLbConfig } = clustersOf(SERVER + rule).get('outbound|80||web.default.svc.cluster.local')!;
    return commonLbConfig!.healthyPanicThreshold?.value;
  };
  assert.equal(threshold('loadBalancer: { simple: RANDOM }'), 0);
  assert.equal(threshold('outlierDetection: { minHealthPercent: 30 }'), 30);
});

test('outliers are looked for as the rule says: of what may happen 0 times nothing is enforced', () => {
  const detection = (settings: string) => {
    const rule = object('DestinationRule', 'd', `{ host: web, trafficPolicy: { outlierDetection: { ${settings} } } }`);
    const { outlierDetection, commonLbConfig } = clustersOf(SERVER + rule).get('outbound|80||web.default.svc.cluster.local')!;
    assert.equal(outlierDetection!.enforcingSuccessRate, 0);
    assert.equal(commonLbConfig!.healthyPanicThreshold!.value, 0);
    const { consecutive5xx, enforcingConsecutive5xx, consecutiveGatewayFailure, enforcingConsecutiveGatewayFailure } = outlierDetection!;
    return [consecutive5xx, enforcingConsecutive5xx, consecutiveGatewayFailure, enforcingConsecutiveGatewayFailure];
  };
  assert.deepEqual(detection('consecutive5xxErrors: 3, consecutiveGatewayErrors: 2'), [3, 100, 2, 100]);
  assert.deepEqual(detection('consecutive5xxErrors: 0, consecutiveGatewayErrors: 0'), [0, 0, 0, 0]);
  assert.deepEqual(detection('interval: 5s'), [undefined, undefined, undefined, undefined]);
});

test('a cluster of names follows its workloads, while the service that declares it stays the same', () => {
  const store = new Store();
  const declared = `{ hosts: [s.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS, workloadSelector: { labels: { app: s } } }`;
  store.set('service.yaml', decodeDocuments(object('ServiceEntry', 's', declared), 'service.yaml'));
  const config = meshConfigOf();
  let registry: BuiltRegistry | undefined;
  const services = new Set<unknown>();
  const behind = (address: string) => {
    store.set(
      'workload.yaml',
      decodeDocuments(object('WorkloadEntry', 'w', `{ address: ${address}, labels: { app: s } }`), 'workload.yaml'),
    );
    const snapshot = store.snapshot();
    registry = buildRegistry(snapshot, config, registry);
    services.add(registry.registry.lookup('s.example.com', 'default'));
    const { clusters } = buildClusters(contextOf({ snapshot, config, ...registry }, proxyOf()));
    const { loadAssignment } = clusters.find(({ name }) => name === 'outbound|80||s.example.com')!;
    return loadAssignment!.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints.map((each) => addressIn(each)));
  };
  assert.deepEqual([behind('one.example.com'), behind('two.example.com')], [['one.example.com:80'], ['two.example.com:80']]);
  assert.equal(services.size, 1);
});

test('locality failover needs outlier detection; the nearer locality has the higher priority', () => {
  const entry = object(
    'ServiceEntry',
    's',
    `{ hosts: [s.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS, endpoints: [
         { address: far.example.com, locality: us/1 }, { address: near.example.com, locality: eu/2 }, { address: here.example.com, locality: eu/1 }] }`,
  );
  const priorities = (text: string) =>
    clustersOf(text, proxyOf({ locality: 'eu/1' }))
      .get('outbound|80||s.example.com')
      ?.loadAssignment?.endpoints.map(({ locality, priority }) => `${locality?.region}/${locality?.zone} ${priority}`);
  assert.deepEqual(priorities(entry), ['eu/1 0', 'eu/2 0', 'us/1 0']);
  const outlier = (more = '') =>
    object('DestinationRule', 'd', `{ host: s.example.com, trafficPolicy: { outlierDetection: { consecutive5xxErrors: 1 }${more} } }`);
  assert.deepEqual(priorities(entry + outlier()), ['eu/1 0', 'eu/2 1', 'us/1 2']);
  assert.deepEqual(priorities(entry + outlier(', loadBalancer: { localityLbSetting: { enabled: false } }')), [
    'eu/1 0',
    'eu/2 0',
    'us/1 0',
  ]);
  const weights = clustersOf(
    entry + outlier(', loadBalancer: { localityLbSetting: { distribute: [{ from: eu/*, to: { eu/1: 80, us/*: 20 } }] } }'),
    proxyOf({ locality: 'eu/1' }),
  );
  assert.deepEqual(
    weights
      .get('outbound|80||s.example.com')
      ?.loadAssignment?.endpoints.map(
        ({ locality, loadBalancingWeight }) => `${locality?.region}/${locality?.zone} ${loadBalancingWeight}`,
      ),
    ['eu/1 80', 'us/1 20'],
  );
});

test('a Secret that is missing, incomplete or mismatched leaves its reference without a resource and says so once', () => {
  const golden = readFileSync(new URL('../../test/golden/upstream-tls/in.yaml', import.meta.url), 'utf8');
  const good = golden.slice(golden.indexOf('apiVersion: v1\nkind: Secret'));
  const variants: [string, RegExp][] = [
    ['', /Secret istio-system\/client does not exist/],
    [good.replace(/ {2}tls\.key: \|\n( {4}.*\n)+/, ''), /lacks tls\.crt and tls\.key/],
    [good.replace(/(tls\.key: \|\n)( {4}.*\n)+/, '$1    no key\n'), /holds no PEM private key/],
    [good.replace(/(tls\.crt: \|\n)( {4}.*\n)+/, '$1    no certificate\n'), /holds no PEM certificate/],
  ];
  for (const [secret, expected] of variants) {
    const mesh = meshFromText(secret);
    const origin = mesh.snapshot.list('Secret')[0] ?? meshFromText(good).snapshot.list('Secret')[0]!;
    const { secrets, findings } = secretsOf(mesh, (references) => {
      assert.equal(references.credential('client', origin).name, 'kubernetes://client');
      references.credential('client', origin);
    });
    assert.deepEqual(secrets, []);
    assert.equal(findings.length, 1);
    assert.match(findings[0]!.message, expected);
  }
});

test('the CA of a credential: the Secret NAME-cacert comes before ca.crt of the Secret itself', () => {
  const golden = readFileSync(new URL('../../test/golden/upstream-tls/in.yaml', import.meta.url), 'utf8');
  const whole = golden.slice(golden.indexOf('apiVersion: v1\nkind: Secret'));
  const separate = `${whole.replace('name: client,', 'name: client-cacert,').replace('ca.crt:', 'cacert:')}\n---\n`;
  const mesh = meshFromText(separate);
  const [origin] = mesh.snapshot.list('Secret');
  const { secrets, findings } = secretsOf(mesh, (references) => references.credentialCa('client', origin!));
  assert.deepEqual(
    secrets.map(({ name, type }) => [name, type.case]),
    [['kubernetes://client-cacert', 'validationContext']],
  );
  assert.deepEqual(findings, []);
});

test('the name table has declared addresses, else allocated ones; without addresses those that other name servers may be asked for', () => {
  const text =
    object(
      'ServiceEntry',
      'a',
      '{ hosts: [a.example.com], addresses: [203.0.113.1], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }',
    ) +
    object('ServiceEntry', 'b', '{ hosts: [b.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }') +
    object('ServiceEntry', 'c', '{ hosts: ["*.example.org"], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: NONE }') +
    object(
      'ServiceEntry',
      'd',
      '{ hosts: [d.example.com], addresses: [203.0.113.0/24], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: STATIC, endpoints: [{ address: 198.51.100.1 }] }',
    ) +
    object(
      'VirtualService',
      'routed',
      '{ hosts: [routed.example.net, a.example.com], http: [{ route: [{ destination: { host: a.example.com } }] }] }',
    ) +
    object(
      'VirtualService',
      'at-gateway',
      '{ hosts: [other.example.net], gateways: [g], http: [{ route: [{ destination: { host: a.example.com } }] }] }',
    );
  const policy = (mode: 'ALLOW_ANY' | 'REGISTRY_ONLY', proxyMetadata: Record<string, string> = {}) =>
    meshFromText(text, { outboundTrafficPolicy: { mode }, defaultConfig: { proxyMetadata } });
  const ips = (mesh: Mesh, proxy: ProxyIdentity = proxyOf()) =>
    Object.fromEntries(Object.entries(nameTable(contextOf(mesh, proxy)).table).map(([name, info]) => [name, info.ips.length]));
  const declared = { 'a.example.com': 1, 'b.example.com': 1, '*.example.org': 0, 'd.example.com': 0 };
  const strict = policy('REGISTRY_ONLY');
  assert.deepEqual(ips(strict), { ...declared, 'routed.example.net': 0 });
  assert.deepEqual(ips(strict, proxyOf({ addresses: ['10.0.0.1', 'fd00::1'] })), {
    ...declared,
    'b.example.com': 2,
    'routed.example.net': 0,
  });
  assert.deepEqual(ips(policy('ALLOW_ANY')), { ...declared, '*': 0 });
  const allowed = policy('REGISTRY_ONLY', { SALLYPORT_DNS_ALLOW: 'ntp.example.net, *.corp.example,' });
  assert.deepEqual(ips(allowed), { ...declared, 'routed.example.net': 0, 'ntp.example.net': 0, '*.corp.example': 0 });
});

test("HTTP/2 that a rule asks for: not at a sidecar's port of any protocol, where the client's version is kept", () => {
  const text = `${SERVER}${object('DestinationRule', 'web', '{ host: web, trafficPolicy: { connectionPool: { http: { h2UpgradePolicy: UPGRADE } } } }')}`;
  const plain = text.replace('name: http2', 'name: http');
  const versions = (proxy: ProxyIdentity) => {
    const clusters = clustersOf(plain, proxy);
    return [80, 81].map((port) => {
      const any = clusters.get(`outbound|${port}||web.default.svc.cluster.local`)!.typedExtensionProtocolOptions[
        HttpProtocolOptionsSchema.typeName
      ];
      return any && anyUnpack(any, HttpProtocolOptionsSchema)?.upstreamProtocolOptions.case;
    });
  };
  assert.deepEqual(versions(proxyOf()), ['explicitHttpConfig', 'useDownstreamProtocolConfig']);
  assert.deepEqual(versions(proxyOf({ type: 'router', namespace: 'istio-system' })), ['explicitHttpConfig', 'explicitHttpConfig']);
});
