import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromJson } from '@bufbuild/protobuf';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { NameTableSchema } from '../../xds/gen/istio/nds_pb.js';
import { EXPLICIT_PROXY_FILTER } from '../../xds/names.ts';
import type { XdsResources } from '../../xds/resources.ts';
import { typeRegistry } from '../../xds/type-registry.ts';
import { envoyFiles, isSecretFile } from './files.ts';

const options = { registry: typeRegistry };
const EMPTY: XdsResources = { listeners: [], routes: [], clusters: [], endpoints: [], secrets: [], nameTable: create(NameTableSchema) };

const manager = {
  name: 'http',
  typedConfig: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    statPrefix: 'x',
    rds: { routeConfigName: '80', configSource: { ads: {} } },
  },
};

function contentOf(files: ReadonlyMap<string, string>, path: string): { resources: Record<string, unknown>[]; versionInfo: string } {
  return JSON.parse(files.get(path) ?? assert.fail(`${path} is not among ${[...files.keys()].join(', ')}`));
}

test('routes and secrets become files of their own, named by the subscriptions that stood for the stream', () => {
  const set: XdsResources = {
    ...EMPTY,
    listeners: [fromJson(ListenerSchema, { name: 'l', filterChains: [{ filters: [manager] }] }, options)],
    routes: [fromJson(RouteConfigurationSchema, { name: '80' })],
    clusters: [
      fromJson(
        ClusterSchema,
        {
          name: 'c',
          transportSocket: {
            name: 'tls',
            typedConfig: {
              '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
              commonTlsContext: { tlsCertificateSdsSecretConfigs: [{ name: 'kubernetes://a', sdsConfig: { ads: {} } }] },
            },
          },
        },
        options,
      ),
    ],
    secrets: [fromJson(SecretSchema, { name: 'kubernetes://a', tlsCertificate: { privateKey: { inlineString: 'key' } } })],
  };
  const { files } = envoyFiles(set, 'v1', '/folder');
  const paths = [...files.keys()];
  const secret = paths.find(isSecretFile) ?? assert.fail('no file with the secret');
  const route = paths.find((path) => path.startsWith('rds/')) ?? assert.fail('no file with the routes');
  assert.ok(files.get('lds.json')?.includes(`"/folder/${route}"`));
  assert.ok(files.get('cds.json')?.includes(`"/folder/${secret}"`));
  assert.ok(!files.get('cds.json')?.includes('"ads"'));
  assert.equal(contentOf(files, secret).resources[0]?.name, 'kubernetes://a');
  assert.equal(contentOf(files, route).versionInfo, 'v1');
  for (const path of paths.filter((candidate) => !isSecretFile(candidate))) assert.ok(!files.get(path)?.includes('privateKey'));
});

test('a secret that is missing is a subscription without resources: Envoy refuses its connections and nothing else', () => {
  const cluster = fromJson(
    ClusterSchema,
    {
      name: 'c',
      transportSocket: {
        name: 'tls',
        typedConfig: {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
          commonTlsContext: { tlsCertificateSdsSecretConfigs: [{ name: 'missing', sdsConfig: { ads: {} } }] },
        },
      },
    },
    options,
  );
  const { files } = envoyFiles({ ...EMPTY, clusters: [cluster] }, 'v1', '/folder');
  assert.deepEqual(contentOf(files, [...files.keys()].find(isSecretFile)!).resources, []);
});

test('endpoints stand in their cluster', () => {
  const clusters = [fromJson(ClusterSchema, { name: 'a', type: 'EDS', edsClusterConfig: { serviceName: 's', edsConfig: { ads: {} } } })];
  const endpoints = [fromJson(ClusterLoadAssignmentSchema, { clusterName: 's', endpoints: [{ priority: 1 }] })];
  const { files } = envoyFiles({ ...EMPTY, clusters, endpoints }, 'v1', '/folder');
  const [cluster] = contentOf(files, 'cds.json').resources;
  assert.equal(cluster?.type, 'STATIC');
  assert.deepEqual(cluster?.loadAssignment, { clusterName: 's', endpoints: [{ priority: 1 }] });
});

test('the explicit proxy is left out, and that is said', () => {
  const filter = { name: EXPLICIT_PROXY_FILTER, typedConfig: { '@type': 'type.googleapis.com/google.protobuf.Empty' } };
  const listener = fromJson(ListenerSchema, { name: 'explicit', listenerFilters: [filter] }, options);
  const { files, omitted } = envoyFiles({ ...EMPTY, listeners: [listener] }, 'v1', '/folder');
  assert.deepEqual(contentOf(files, 'lds.json').resources, []);
  assert.deepEqual(
    omitted.map(({ resource }) => resource),
    ['listener explicit'],
  );
});
