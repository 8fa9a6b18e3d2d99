import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson } from '@bufbuild/protobuf';
import { type EnvoyBootstrapOptions, envoyBootstrap } from './envoy-bootstrap.ts';
import { BootstrapSchema } from './gen/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { ApiConfigSource_ApiType } from './gen/envoy/config/core/v3/config_source_pb.js';
import { UpstreamTlsContextSchema } from './gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { nodeJson } from './node.ts';
import { typeRegistry } from './type-registry.ts';
import { unpack } from './unpack.ts';

const identity = { type: 'router', name: 'egress', namespace: 'shop', addresses: ['10.0.0.7'], labels: { app: 'egress' } } as const;
const OPTIONS: EnvoyBootstrapOptions = {
  node: nodeJson({ ...identity, locality: '', serviceAccount: 'egress' }),
  admin: { address: '127.0.0.1', port: 15000 },
  xds: { address: '127.0.0.1', port: 15010 },
  protocol: 'delta',
  tls: undefined,
};

const read = (options: Partial<EnvoyBootstrapOptions>) =>
  fromJson(BootstrapSchema, envoyBootstrap({ ...OPTIONS, ...options }), { registry: typeRegistry });

test('an Envoy has everything from the control plane, over one stream', () => {
  const { node, dynamicResources, staticResources } = read({});
  assert.equal(node?.id, 'router~10.0.0.7~egress.shop~shop.svc.cluster.local');
  assert.deepEqual(node?.metadata?.LABELS, { app: 'egress' });
  assert.equal(dynamicResources?.adsConfig?.apiType, ApiConfigSource_ApiType.DELTA_GRPC);
  for (const source of [dynamicResources?.cdsConfig, dynamicResources?.ldsConfig]) assert.equal(source?.configSourceSpecifier.case, 'ads');
  assert.deepEqual(
    staticResources?.clusters.map(({ name, transportSocket }) => [name, transportSocket]),
    [['xds', undefined]],
  );
  assert.equal(read({ protocol: 'sotw' }).dynamicResources?.adsConfig?.apiType, ApiConfigSource_ApiType.GRPC);
});

test('over TLS it hears only who has the name of a control plane', () => {
  const tls = { ca: '/ca.pem', serverName: 'istiod.istio-system.svc', own: { certificate: '/chain.pem', key: '/key.pem' } };
  const [cluster] = read({ tls, xds: { address: 'istiod.example.com', port: 15012 } }).staticResources!.clusters;
  assert.ok(cluster?.transportSocket?.configType.case === 'typedConfig');
  const { sni, commonTlsContext } = unpack(cluster.transportSocket.configType.value, UpstreamTlsContextSchema, 'xds');
  assert.equal(sni, tls.serverName);
  assert.deepEqual(commonTlsContext?.tlsCertificates[0]?.privateKey?.specifier, { case: 'filename', value: '/key.pem' });
  const validation = commonTlsContext?.validationContextType;
  assert.ok(validation?.case === 'validationContext');
  assert.deepEqual(validation.value.trustedCa?.specifier, { case: 'filename', value: '/ca.pem' });
  assert.deepEqual(validation.value.matchTypedSubjectAltNames[0]?.matcher?.matchPattern, { case: 'exact', value: tls.serverName });
});

test('beside an agent everything is at sockets of this user alone', () => {
  const { admin, staticResources } = read({ admin: { path: '/run/admin.sock' }, xds: { path: '/run/agent.sock' } });
  assert.ok(admin?.address?.address.case === 'pipe');
  assert.deepEqual([admin.address.address.value.path, admin.address.address.value.mode], ['/run/admin.sock', 0o600]);
  const endpoint = staticResources!.clusters[0]!.loadAssignment!.endpoints[0]!.lbEndpoints[0]!.hostIdentifier;
  assert.ok(endpoint.case === 'endpoint' && endpoint.value.address?.address.case === 'pipe');
  assert.equal(endpoint.value.address.address.value.path, '/run/agent.sock');
});
