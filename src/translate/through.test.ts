import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenerOf, ROUTER, SIDECAR, translated } from '../../test/support/translated.ts';
import { Cluster_DiscoveryType } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type TcpProxy, TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { SALLYPORT_METADATA } from '../xds/names.ts';
import { unpack } from '../xds/unpack.ts';

const PROXY = (annotations = '{}', namespace = 'istio-system') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: proxy, namespace: ${namespace}, annotations: ${annotations}}
spec: {hosts: [proxy.example], addresses: [240.200.0.1], resolution: DNS, ports: [{number: 3128, name: tcp, protocol: TCP}]}
---`;

const ENTRY = (host: string, more = 'resolution: DNS', annotations = '{}') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: "${host.replace('*', 'any')}", namespace: default, annotations: ${annotations}}
spec: {hosts: ["${host}"], ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}], ${more}}
---`;

const DEFAULT = {
  defaultConfig: { proxyMetadata: { SALLYPORT_THROUGH: 'proxy.example:3128', SALLYPORT_NO_THROUGH: '.inside.example, 10.0.0.0/8' } },
};
const LISTENER = 'through|3128||proxy.example';

function tcpProxyOf({ filters }: FilterChain): TcpProxy {
  const config = filters.at(-1)!.configType;
  return unpack(config.case === 'typedConfig' ? config.value : undefined, TcpProxySchema, 'test');
}

type Translated = ReturnType<typeof translated>;

function clusterOf({ resources }: Translated, host: string, port = 443) {
  return resources.clusters.find(({ name }) => name === `outbound|${port}||${host}`)!;
}

/** Where a cluster leads: to itself, through the proxy, or nowhere with the reason. */
function wayTo(made: Translated, host: string): string {
  const cluster = clusterOf(made, host);
  const refusal = cluster.metadata?.filterMetadata[SALLYPORT_METADATA]?.refusal;
  if (typeof refusal === 'string') return `refused: ${refusal}`;
  const endpoints = cluster.loadAssignment?.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints) ?? [];
  const [first] = endpoints;
  const address = first?.hostIdentifier.case === 'endpoint' ? first.hostIdentifier.value.address?.address : undefined;
  if (address?.case !== 'envoyInternalAddress') return 'direct';
  // No name that a resolver would be asked for stands in it.
  assert.equal(cluster.clusterDiscoveryType.value, Cluster_DiscoveryType.STATIC);
  return `${address.value.addressNameSpecifier.value}: ${endpoints.map(({ metadata }) => metadata!.filterMetadata.tunnel!.destination).join(' ')}`;
}

test('by annotation a host is asked of the proxy by its name, at sidecars and gateways, and others are reached as before', () => {
  const through = '{sallyport.dev/through: "proxy.example:3128"}';
  const text = `${PROXY()}${ENTRY('a.example', 'resolution: DNS', through)}${ENTRY('b.example')}${ENTRY('c.example', 'resolution: STATIC, endpoints: [{address: 192.0.2.1}, {address: 192.0.2.2}]', through)}`;
  for (const proxy of [SIDECAR, ROUTER]) {
    const made = translated(text, proxy);
    assert.equal(wayTo(made, 'a.example'), `${LISTENER}: a.example:443`);
    assert.equal(wayTo(made, 'b.example'), 'direct');
    assert.equal(wayTo(made, 'c.example'), `${LISTENER}: 192.0.2.1:443 192.0.2.2:443`);
    assert.ok(!made.resources.endpoints.some(({ clusterName }) => clusterName.endsWith('c.example')));
    const listener = listenerOf(made, LISTENER);
    assert.equal(listener.listenerSpecifier.case, 'internalListener');
    const tcp = tcpProxyOf(listener.filterChains[0]!);
    assert.equal(tcp.clusterSpecifier.value, 'outbound|3128||proxy.example');
    assert.deepEqual(tcp.tunnelingConfig!.headersToAdd, []);
  }
});

test('the mesh’s default is for all hosts outside but the proxy and its exceptions, and what nothing declares leads nowhere', () => {
  const text = `${PROXY()}${ENTRY('a.example')}${ENTRY('x.inside.example')}${ENTRY('b.example', 'resolution: DNS', '{sallyport.dev/through: direct}')}${ENTRY('d.example', 'location: MESH_INTERNAL, resolution: DNS')}${ENTRY('e.example', 'addresses: [10.1.2.3], resolution: STATIC, endpoints: [{address: 10.1.2.3}]')}`;
  const made = translated(text, SIDECAR, { ...DEFAULT, outboundTrafficPolicy: { mode: 'ALLOW_ANY' } });
  assert.equal(wayTo(made, 'a.example'), `${LISTENER}: a.example:443`);
  for (const host of ['x.inside.example', 'b.example', 'd.example', 'e.example']) assert.equal(wayTo(made, host), 'direct', host);
  assert.equal(clusterOf(made, 'proxy.example', 3128).clusterDiscoveryType.value, Cluster_DiscoveryType.STRICT_DNS);
  const unknown = listenerOf(made, 'virtualOutbound');
  assert.equal(tcpProxyOf(unknown.filterChains.at(-1) ?? unknown.defaultFilterChain!).clusterSpecifier.value, 'BlackHoleCluster');
});

test('what no proxy can be asked for, and what is written wrongly, refuses', () => {
  const why = (host: string, more: string, through = 'proxy.example:3128') =>
    wayTo(translated(`${PROXY()}${ENTRY(host, more, `{sallyport.dev/through: "${through}"}`)}`), host);
  assert.match(why('*.example', 'resolution: DYNAMIC_DNS'), /^refused: which hosts it stands for is known only when they are called/);
  assert.match(
    why('a.example', 'addresses: [192.0.2.1], resolution: NONE'),
    /^refused: it is reached at the address that its client dialled/,
  );
  assert.match(why('a.example', 'resolution: DNS', 'http://proxy.example'), /^refused: the forward proxy in front of it is not written as/);
  assert.match(why('a.example', 'resolution: DNS', 'a.example:443'), /^refused: it would be reached through itself/);
});

test('credentials are a variable of the proxy’s environment that the root namespace alone can name, and that no other secret can be', () => {
  const made = (annotations: string, namespace?: string) => {
    const translation = translated(`${PROXY(annotations, namespace)}${ENTRY('a.example')}`, SIDECAR, DEFAULT);
    const tcp = tcpProxyOf(listenerOf(translation, LISTENER).filterChains[0]!);
    const said = translation.findings.filter(({ code }) => code === 'SP1024').map(({ message }) => message);
    return [tcp.clusterSpecifier.value, tcp.tunnelingConfig!.headersToAdd.map(({ header }) => header!.value).join(), said.length];
  };
  const named = (variable: string) => `{sallyport.dev/proxy-authorization: ${variable}}`;
  assert.deepEqual(made(named('SALLYPORT_PROXY_AUTHORIZATION')), [
    'outbound|3128||proxy.example',
    '%ENVIRONMENT(SALLYPORT_PROXY_AUTHORIZATION)%',
    0,
  ]);
  assert.deepEqual(made(named('AWS_SECRET_ACCESS_KEY')), ['BlackHoleCluster', '', 1]);
  assert.deepEqual(made(named('"SALLYPORT_PROXY_)% %ENVIRONMENT(HOME"')), ['BlackHoleCluster', '', 1]);
  assert.deepEqual(made(named('SALLYPORT_PROXY_AUTHORIZATION'), 'default'), ['BlackHoleCluster', '', 1]);
});

test('a proxy that nothing declares, or that is behind another one, leads nowhere', () => {
  const leads = (text: string) => {
    const made = translated(`${text}${ENTRY('a.example')}`, SIDECAR, DEFAULT);
    assert.match(made.findings.map(({ code }) => code).join(), /SP1024/);
    return tcpProxyOf(listenerOf(made, LISTENER).filterChains[0]!).clusterSpecifier.value;
  };
  assert.equal(leads(''), 'BlackHoleCluster');
  assert.equal(leads(PROXY('{sallyport.dev/through: "other.example:1"}')), 'BlackHoleCluster');
});
