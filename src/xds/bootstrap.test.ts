import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SallyportError } from '../lib/errors.ts';
import { readBootstrap } from './bootstrap.ts';
import { readFileSet } from './bootstrap-files.ts';

const BOOTSTRAP = `
node: { id: edge-1, cluster: edge }
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 9901 } } }
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: 8080 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          rds: { route_config_name: routes, config_source: { path_config_source: { path: rds.yaml } } }
dynamic_resources:
  cds_config: { path_config_source: { path: cds.yaml } }
`;

const FILES: Record<string, string> = {
  'rds.yaml': `
resources:
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: routes
`,
  'cds.yaml': `
resources:
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: upstream
  type: EDS
  eds_cluster_config: { eds_config: { path_config_source: { path: eds.yaml } } }
`,
  'eds.yaml': '{"resources":[{"@type":"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment","cluster_name":"upstream"}]}',
};

function failure(text: string): SallyportError {
  try {
    readBootstrap(text, 'envoy.yaml');
  } catch (error) {
    assert.ok(error instanceof SallyportError);
    return error;
  }
  assert.fail('it was accepted');
}

test('a bootstrap with static resources and file subscriptions becomes one set', () => {
  const bootstrap = readBootstrap(BOOTSTRAP, 'envoy.yaml');
  assert.deepEqual(bootstrap.admin, { address: '127.0.0.1', port: 9901 });
  const { resources, files } = readFileSet(bootstrap, (path) => FILES[path] ?? assert.fail(path));
  assert.deepEqual(
    resources.listeners.map(({ name }) => name),
    ['127.0.0.1_8080'],
  );
  assert.deepEqual(
    resources.routes.map(({ name }) => name),
    ['routes'],
  );
  assert.deepEqual(
    resources.clusters.map(({ name }) => name),
    ['upstream'],
  );
  assert.deepEqual(
    resources.endpoints.map(({ clusterName }) => clusterName),
    ['upstream'],
  );
  assert.deepEqual([...files].sort(), ['cds.yaml', 'eds.yaml', 'rds.yaml']);
});

test('a certificate that a file holds is in the set', () => {
  const bootstrap = readBootstrap(
    `static_resources:
  clusters:
  - name: a
    transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
          tls_certificate_sds_secret_configs: [{ name: client, sds_config: { path_config_source: { path: sds.yaml } } }]
`,
    'envoy.yaml',
  );
  const { resources, files } = readFileSet(
    bootstrap,
    () => '{"resources":[{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret","name":"client"}]}',
  );
  assert.deepEqual(
    resources.secrets.map(({ name }) => name),
    ['client'],
  );
  assert.deepEqual(files, ['sds.yaml']);
});

test('fields that the product lacks are named', () => {
  const error = failure(`${BOOTSTRAP}\nhds_config: { api_type: GRPC }\nflags_path: /x\n`);
  assert.equal(error.code, 'bootstrap-unsupported');
  assert.match(error.message, /hds_config is not supported/);
  assert.match(error.message, /flags_path is not supported/);
});

test('a subscription that is not a file is refused by name', () => {
  assert.match(failure('dynamic_resources: { lds_config: { ads: {} } }').message, /dynamic_resources\.lds_config: only path_config_source/);
});

test('a misspelt field is an error, and so is a type that is not known', () => {
  assert.match(failure('static_resource: {a: 1}').message, /static_resource is not supported/);
  const cluster = (rest: string) => readBootstrap(`static_resources: { clusters: [{ name: a, ${rest} }] }`, 'envoy.yaml');
  const unknown = cluster('transport_socket: { name: q, typed_config: { "@type": type.googleapis.com/a.B } }');
  assert.throws(() => readFileSet(unknown, assert.fail), /static_resources\.clusters\[0\].*a\.B/);
  assert.throws(() => readFileSet(cluster('lb_polcy: RANDOM'), assert.fail), /static_resources\.clusters\[0\].*lb_polcy/);
});

test('text that is no YAML is an error with line and column', () => {
  const error = failure('admin:\n\taddress: 1');
  assert.equal(error.code, 'bad-yaml');
  assert.match(error.message, /^envoy\.yaml:2:1: /);
});

test('aliases that multiply are refused', () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefg'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdef'[i]}`).join(',')}]`),
  ];
  assert.equal(failure(bomb.join('\n')).code, 'bad-yaml');
});
