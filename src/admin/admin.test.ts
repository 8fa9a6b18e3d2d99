import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { create, fromJson, type JsonObject } from '@bufbuild/protobuf';
import { anyPack, EmptySchema } from '@bufbuild/protobuf/wkt';
import { labBinary, needed } from '../../test/support/lab.ts';
import { StatsRegistry } from '../proxy/stats/index.ts';
import { BootstrapSchema } from '../xds/gen/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { NodeSchema } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { ClusterLoadAssignmentSchema } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { NameTableSchema } from '../xds/gen/istio/nds_pb.js';
import type { XdsResources } from '../xds/resources.ts';
import { typeRegistry } from '../xds/type-registry.ts';
import { type AdminSource, createAdmin } from './index.ts';

const HCM = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIB0DCCAXegAwIBAgIUcvFGmmYwpdFR7roa8soUMZF/OPYwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPd2ViLmV4YW1wbGUuY29tMCAXDTI2MTEyMTEzNDAzOFoYDzIx
MjYxMDI4MTM0MDM4WjAaMRgwFgYDVQQDDA93ZWIuZXhhbXBsZS5jb20wWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAATlehtyYojfMpFZTDabzANYkMQNOcMAl1a/kQj+
Td4w4Ig57mICdT/hp/97Fd/eEyDjTwHXAy+xDB7mre7cL2Apo4GYMIGVMB0GA1Ud
DgQWBBR9Zg9Y28xZKK6SPPiZnJB9a7M5uDAfBgNVHSMEGDAWgBR9Zg9Y28xZKK6S
PPiZnJB9a7M5uDAPBgNVHRMBAf8EBTADAQH/MEIGA1UdEQQ7MDmCD3dlYi5leGFt
cGxlLmNvbYYgc3BpZmZlOi8vY2x1c3Rlci5sb2NhbC9ucy9hL3NhL2KHBMAAAgEw
CgYIKoZIzj0EAwIDRwAwRAIgckR4pBGq+CctBWfwkPyGlb+raF1a0MW2qtti8XAs
puICIB7BYTJN96Vy92sQFkqQAZrmNOdn5MYC3a3Xla/WVBM1
-----END CERTIFICATE-----
`;

const options = { registry: typeRegistry } as const;
const cluster = fromJson(ClusterSchema, { name: 'outbound|80||www.example.com', type: 'EDS', connectTimeout: '10s' });
cluster.typedExtensionProtocolOptions = {
  odd: anyPack(EmptySchema, create(EmptySchema)),
  unknown: { $typeName: 'google.protobuf.Any', typeUrl: 'type.googleapis.com/no.such.Type', value: new Uint8Array([1]) },
};
const resources: XdsResources = {
  listeners: [
    fromJson(
      ListenerSchema,
      {
        name: '0.0.0.0_80',
        address: { socketAddress: { address: '0.0.0.0', portValue: 80 } },
        bindToPort: false,
        filterChains: [
          {
            filters: [
              {
                name: 'envoy.filters.network.http_connection_manager',
                typedConfig: { '@type': HCM, statPrefix: 'x', rds: { routeConfigName: '80' } },
              },
            ],
          },
        ],
      },
      options,
    ),
  ],
  routes: [
    fromJson(RouteConfigurationSchema, {
      name: '80',
      virtualHosts: [
        {
          name: 'www.example.com:80',
          domains: ['www.example.com'],
          routes: [{ name: 'r', match: { prefix: '/' }, route: { cluster: cluster.name } }],
        },
      ],
    }),
  ],
  clusters: [cluster, fromJson(ClusterSchema, { name: 'static', type: 'STATIC' })],
  endpoints: [
    fromJson(ClusterLoadAssignmentSchema, {
      clusterName: cluster.name,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '192.0.2.7', portValue: 80 } } } }] }],
    }),
  ],
  secrets: [
    fromJson(SecretSchema, {
      name: 'kubernetes://web',
      tlsCertificate: {
        certificateChain: { inlineBytes: Buffer.from(CERTIFICATE).toString('base64') },
        privateKey: { inlineBytes: Buffer.from('TOP SECRET').toString('base64') },
        password: { inlineString: 'TOP SECRET' },
      },
    }),
  ],
  nameTable: create(NameTableSchema),
};

const actions: string[] = [];
let state: ReturnType<AdminSource['state']> = 'LIVE';
const registry = new StatsRegistry();
registry.counter('http.x.downstream_rq_2xx').value = 3;
registry.counter('http.x.downstream_rq_4xx');

const source: AdminSource = {
  version: '0.1.0',
  node: create(NodeSchema, { id: 'sidecar~10.0.0.1~a.b~b.svc', cluster: 'a.b', metadata: { NAMESPACE: 'b' } }),
  bootstrap: create(BootstrapSchema, { node: { id: 'x' } }),
  concurrency: 2,
  startTime: 1_000,
  now: () => 11_500,
  state: () => state,
  resources: () => ({
    resources,
    version: (type, name) => (name === 'static' ? undefined : { version: `v-${type}`, at: 2_000 }),
    rejected: [{ type: 'listener', name: 'bad', message: 'because', version: 'v9', at: 3_000 }],
  }),
  stats: async () => registry.snapshot(),
  clusters: async () => [
    {
      name: cluster.name,
      edsServiceName: '',
      limits: { connections: 10, pending: 20, requests: 30, retries: 3 },
      hosts: [
        {
          address: { ip: '192.0.2.7', port: 80 },
          hostname: 'h',
          healthy: true,
          ejected: true,
          weight: 1,
          priority: 0,
          locality: { region: 'r', zone: 'z', subZone: '' },
          stats: { rq_total: 5 },
        },
      ],
    },
  ],
  listeners: async () => [
    {
      name: '0.0.0.0_80',
      addresses: [
        { ip: '0.0.0.0', port: 80 },
        { ip: '::', port: 80 },
      ],
    },
  ],
  drainListeners: async ({ inboundOnly, graceful }) => void actions.push(`drain ${inboundOnly} ${graceful}`),
  setHealthy: (healthy) => void actions.push(`healthy ${healthy}`),
  quit: () => void actions.push('quit'),
  logLevel: () => 'info',
  setLogLevel: (level) => void actions.push(`level ${level}`),
};

const admin = await createAdmin(async () => source, { address: '127.0.0.1', port: 0 });
after(() => admin.close());
const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${admin.port}${path}`, { method });
const text = async (path: string) => (await ask(path)).text();
// biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes
const json = async (path: string): Promise<any> => (await ask(path)).json();

test('the dump holds every resource with its version, in field names of the API', async () => {
  const { configs } = await json('/config_dump?include_eds');
  assert.deepEqual(
    configs.map((config: JsonObject) => String(config['@type']).split('.').at(-1)),
    [
      'BootstrapConfigDump',
      'ClustersConfigDump',
      'EcdsConfigDump',
      'EndpointsConfigDump',
      'ListenersConfigDump',
      'ScopedRoutesConfigDump',
      'RoutesConfigDump',
      'SecretsConfigDump',
    ],
  );
  const [bootstrap, clusters, , endpoints, listeners, , routes, secrets] = configs;
  assert.equal(bootstrap.bootstrap.node.id, 'x');
  assert.equal(clusters.static_clusters[0].cluster.name, 'static');
  assert.deepEqual(clusters.dynamic_active_clusters[0], {
    version_info: 'v-cluster',
    last_updated: '1970-01-01T00:00:02Z',
    client_status: 'ACKED',
    cluster: {
      '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
      name: 'outbound|80||www.example.com',
      type: 'EDS',
      connect_timeout: '10s',
      typed_extension_protocol_options: {
        odd: { '@type': 'type.googleapis.com/google.protobuf.Empty' },
        unknown: {
          '@type': 'type.googleapis.com/google.protobuf.Struct',
          value: { type_url: 'type.googleapis.com/no.such.Type', value: 'AQ==' },
        },
      },
    },
  });
  assert.equal(endpoints.dynamic_endpoint_configs[0].endpoint_config.cluster_name, cluster.name);
  assert.equal(listeners.dynamic_listeners[0].active_state.listener.filter_chains[0].filters[0].typed_config.rds.route_config_name, '80');
  assert.deepEqual(listeners.dynamic_listeners[1].error_state, {
    details: 'because',
    version_info: 'v9',
    last_update_attempt: '1970-01-01T00:00:03Z',
  });
  assert.equal(routes.dynamic_route_configs[0].route_config.virtual_hosts[0].routes[0].route.cluster, cluster.name);
  const certificate = secrets.dynamic_active_secrets[0].secret.tls_certificate;
  assert.equal(Buffer.from(certificate.private_key.inline_bytes, 'base64').toString(), '[redacted]');
  assert.equal(certificate.password.inline_string, '[redacted]');
  assert.equal(Buffer.from(certificate.certificate_chain.inline_bytes, 'base64').toString(), CERTIFICATE);
  const dump = await text('/config_dump?include_eds');
  assert.ok(!dump.includes('TOP SECRET') && !dump.includes(Buffer.from('TOP SECRET').toString('base64')));
  assert.ok(!(await text('/config_dump')).includes('EndpointsConfigDump'));
});

test('parts of the dump', async () => {
  const one = await json('/config_dump?resource=dynamic_listeners');
  assert.equal(one.configs.length, 2);
  assert.equal(one.configs[0]['@type'], 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener');
  assert.equal((await json('/config_dump?resource=dynamic_listeners&name_regex=ba.')).configs[0].name, 'bad');
  assert.equal((await json('/config_dump?resource=dynamic_endpoint_configs')).configs.length, 1);
  assert.deepEqual((await json('/config_dump?resource=dynamic_warming_clusters')).configs, []);
  const masked = await json('/config_dump?resource=dynamic_active_clusters&mask=cluster.name,version_info');
  assert.deepEqual(masked.configs[0], {
    '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster',
    cluster: { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: cluster.name },
    version_info: 'v-cluster',
  });
  const byMask = await json('/config_dump?mask=dynamic_route_configs.version_info');
  assert.deepEqual(byMask.configs[5].dynamic_route_configs, [{ version_info: 'v-route' }]);
  assert.equal((await ask('/config_dump?resource=nothing')).status, 404);
  assert.equal((await ask('/config_dump?resource=bootstrap')).status, 400);
  assert.equal((await ask('/config_dump?name_regex=(')).status, 400);
});

test('clusters and listeners', async () => {
  const lines = (await text('/clusters')).split('\n');
  for (const line of [
    'default_priority::max_connections::10',
    '192.0.2.7:80::rq_total::5',
    '192.0.2.7:80::health_flags::/failed_outlier_check',
    '192.0.2.7:80::region::r',
  ]) {
    assert.ok(lines.includes(`${cluster.name}::${line}`), line);
  }
  const { cluster_statuses: statuses } = await json('/clusters?format=json');
  assert.equal(statuses[0].host_statuses[0].address.socket_address.port_value, 80);
  assert.equal(statuses[0].host_statuses[0].health_status.failed_outlier_check, true);
  assert.equal(await text('/listeners'), '0.0.0.0_80::0.0.0.0:80\n0.0.0.0_80::[::]:80\n');
  assert.equal((await json('/listeners?format=json')).listener_statuses[0].local_address.socket_address.address, '0.0.0.0');
});

test('stats in each form, filtered', async () => {
  assert.equal(await text('/stats?filter=^http'), 'http.x.downstream_rq_2xx: 3\nhttp.x.downstream_rq_4xx: 0\n');
  assert.equal(await text('/stats?usedonly&type=Counters'), 'http.x.downstream_rq_2xx: 3\n');
  assert.equal(await text('/stats?filter=4xx$'), 'http.x.downstream_rq_4xx: 0\n');
  const gauges = (await text('/stats?type=Gauges')).split('\n');
  for (const line of ['server.live: 1', 'server.uptime: 10', 'server.concurrency: 2', 'cluster_manager.active_clusters: 2'])
    assert.ok(gauges.includes(line), line);
  assert.deepEqual((await json('/stats?format=json&usedonly&type=Counters')).stats, [{ name: 'http.x.downstream_rq_2xx', value: 3 }]);
  const prometheus = await ask('/stats/prometheus?usedonly&filter=^http');
  assert.match(prometheus.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.equal(
    await prometheus.text(),
    '# TYPE envoy_http_downstream_rq counter\nenvoy_http_downstream_rq{response_code_class="2xx",http_conn_manager_prefix="x"} 3\n',
  );
  for (const query of ['filter=(', 'format=yaml', 'type=x']) assert.equal((await ask(`/stats?${query}`)).status, 400, query);
});

test('server state', async () => {
  const info = await json('/server_info');
  assert.deepEqual(
    [info.state, info.version, info.uptime_current_epoch, info.node.id],
    ['LIVE', 'sallyport/0.1.0/Clean/RELEASE/OpenSSL', '10s', 'sidecar~10.0.0.1~a.b~b.svc'],
  );
  assert.equal((await ask('/ready')).status, 200);
  state = 'DRAINING';
  const ready = await ask('/ready');
  assert.deepEqual([ready.status, await ready.text()], [503, 'DRAINING\n']);
  assert.equal((await json('/server_info')).state, 'DRAINING');
  state = 'LIVE';
  assert.ok(Number((await json('/memory')).allocated) > 0);
  assert.deepEqual(await json('/runtime'), { entries: {}, layers: [] });
  assert.match(await text('/help'), /\/quitquitquit \(POST\)/);
  assert.match(await text('/'), /<form action="quitquitquit" method="post">/);
});

test('certificates', async () => {
  const { certificates } = await json('/certs');
  const [details] = certificates[0].cert_chain;
  assert.equal(details.path, '<inline>');
  assert.deepEqual(details.subject_alt_names, [
    { dns: 'web.example.com' },
    { uri: 'spiffe://cluster.local/ns/a/sa/b' },
    { ip_address: '192.0.2.1' },
  ]);
  assert.ok(Number(details.days_until_expiration) > 36_000);
});

test('what changes something takes POST only', async () => {
  for (const path of ['/quitquitquit', '/drain_listeners', '/healthcheck/fail', '/healthcheck/ok', '/reset_counters', '/logging']) {
    assert.equal((await ask(path)).status, 405, path);
  }
  assert.deepEqual(actions, []);
  for (const path of [
    '/drain_listeners?inboundonly&graceful',
    '/healthcheck/fail',
    '/healthcheck/ok',
    '/logging?level=debug',
    '/quitquitquit',
  ]) {
    assert.equal((await ask(path, 'POST')).status, 200, path);
  }
  assert.deepEqual(actions, ['drain true true', 'healthy false', 'healthy true', 'level debug', 'quit']);
  assert.equal((await ask('/logging?level=loud', 'POST')).status, 400);
  assert.equal(await (await ask('/logging', 'POST')).text(), 'active loggers:\n  sallyport: info\n');
  await ask('/reset_counters', 'POST');
  registry.counter('http.x.downstream_rq_2xx').value++;
  assert.equal(await text('/stats?usedonly&type=Counters'), 'http.x.downstream_rq_2xx: 1\n');
  assert.equal((await ask('/nothing')).status, 404);
  assert.equal((await ask('/ready', 'DELETE')).status, 405);
});

test('a page of another site can neither change nor read anything', async () => {
  const base = `http://127.0.0.1:${admin.port}`;
  const form = await fetch(`${base}/quitquitquit`, { method: 'POST', headers: { origin: 'http://evil.example' } });
  assert.equal(form.status, 403);
  const read = await fetch(`${base}/config_dump`, { headers: { 'sec-fetch-site': 'cross-site' } });
  assert.equal(read.status, 403);
});

test('a port in use is said', async () => {
  await assert.rejects(
    createAdmin(async () => source, { address: '127.0.0.1', port: admin.port }),
    {
      code: 'port-in-use',
      message: /127\.0\.0\.1:\d+ is already in use by process \d+ .*\(--admin-address\)/,
    },
  );
});

test('istioctl reads the dump', async (t) => {
  const istioctl = process.env.ISTIOCTL ?? labBinary('istioctl') ?? 'istioctl';
  try {
    execFileSync(istioctl, ['version', '--remote=false'], { stdio: 'ignore' });
  } catch {
    t.skip(needed(false, 'there is no istioctl: set ISTIOCTL, or build it with ../shared/kube/build.sh istio') || undefined);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-dump-'));
  after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'dump.json');
  writeFileSync(file, await text('/config_dump?include_eds'));
  const config = (...args: string[]) => execFileSync(istioctl, ['proxy-config', ...args, '-f', file], { encoding: 'utf8' });
  assert.match(config('routes'), /80\s+www\.example\.com:80\s+www\.example\.com\s+\/\*/);
  assert.match(config('listeners'), /0\.0\.0\.0\s+80/);
  assert.match(config('clusters'), /www\.example\.com\s+80\s+-\s+outbound\s+EDS/);
  assert.match(config('secrets'), /kubernetes:\/\/web\s+CA\s+ACTIVE\s+true/);
});
