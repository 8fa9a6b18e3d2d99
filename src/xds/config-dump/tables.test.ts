import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from './dump.ts';
import type { Filters } from './table.ts';
import { type Kind, tableOf } from './tables.ts';

const type = (name: string) => ({ '@type': `type.googleapis.com/${name}` });
const at = (address: string, port_value: number) => ({ socket_address: { address, port_value } });
const istio = (config: string) => ({ filter_metadata: { istio: { config: `/apis/networking.istio.io/v1alpha3/namespaces/${config}` } } });

const DUMP: Json = {
  configs: [
    { ...type('envoy.admin.v3.BootstrapConfigDump') },
    {
      dynamic_listeners: [
        {
          name: 'virtualOutbound',
          active_state: {
            listener: {
              name: 'virtualOutbound',
              address: at('0.0.0.0', 15001),
              filter_chains: [{ filters: [{ typed_config: { ...type('x.TcpProxy'), cluster: 'PassthroughCluster' } }] }],
            },
          },
        },
        {
          active_state: {
            listener: {
              address: at('0.0.0.0', 443),
              filter_chains: [
                {
                  filter_chain_match: {
                    server_names: ['a', '*.b'],
                    prefix_ranges: [
                      { address_prefix: '10.0.0.0', prefix_len: 8 },
                      { address_prefix: '1.2.3.4', prefix_len: 32 },
                    ],
                    destination_port: 443,
                  },
                  filters: [
                    {},
                    {
                      typed_config: {
                        ...type('x.TcpProxy'),
                        weighted_clusters: {
                          clusters: [
                            { name: 'c', weight: 1 },
                            { name: 'd', weight: 3 },
                          ],
                        },
                      },
                    },
                  ],
                },
                {
                  filter_chain_match: { transport_protocol: 'tls', application_protocols: ['h2'] },
                  filters: [{ typed_config: { ...type('x.HttpConnectionManager'), rds: { route_config_name: '443' } } }],
                },
              ],
              default_filter_chain: {
                filters: [
                  {
                    typed_config: {
                      ...type('x.HttpConnectionManager'),
                      route_config: { virtual_hosts: [{ routes: [{ route: { cluster: 'in' } }] }] },
                    },
                  },
                ],
              },
            },
          },
        },
        { name: 'refused', error_state: {} },
      ],
    },
    {
      static_route_configs: [{ route_config: { name: 'other', virtual_hosts: [{ name: 'empty', domains: ['*'] }] } }],
      dynamic_route_configs: [
        { route_config: { name: '443' } },
        {
          route_config: {
            name: '80',
            virtual_hosts: [
              {
                name: 'v',
                domains: ['a.example', 'a.example.', 'a'],
                routes: [
                  { match: { prefix: '/x', headers: [{ name: 'h' }] }, metadata: istio('ns/virtual-service/vs'), route: { cluster: 'c' } },
                  {
                    match: { path: '/y' },
                    direct_response: { status: 404 },
                    metadata: { filter_metadata: { sallyport: { origins: [{ kind: 'VirtualService', namespace: 'ns', name: 'other' }] } } },
                  },
                  { match: { safe_regex: { regex: '/z.*' } } },
                  { match: { connect_matcher: {} } },
                ],
              },
              { name: 'block_all', domains: ['*'], routes: [{ match: { prefix: '/' }, direct_response: { status: 502 } }] },
            ],
          },
        },
      ],
    },
    {
      static_clusters: [{ cluster: { name: 'BlackHoleCluster' } }],
      dynamic_active_clusters: [
        { cluster: { name: 'outbound|80|v1|a.example', type: 'EDS', metadata: istio('ns/destination-rule/dr') } },
        { cluster: { name: 'outbound|80||a.example', type: 'EDS' } },
        { cluster: { name: 'inbound|8080||', cluster_type: { name: 'envoy.clusters.x' } } },
      ],
    },
    {
      dynamic_endpoint_configs: [
        {
          endpoint_config: {
            cluster_name: 'outbound|80||a.example',
            endpoints: [
              {
                lb_endpoints: [
                  { endpoint: { address: at('192.0.2.7', 80) } },
                  { health_status: 'UNHEALTHY', endpoint: { address: { pipe: { path: '/s' } } } },
                ],
              },
            ],
          },
        },
      ],
    },
    { dynamic_active_secrets: [{ name: 'default', secret: { tls_certificate: { certificate_chain: { inline_bytes: 'bm9uZQ==' } } } }] },
  ],
};

const NOW = Date.parse('2026-06-01T00:00:00Z');
const rows = (kind: Kind, filters: Filters = {}, states?: Json) => tableOf(kind, { dump: DUMP, states }, filters, NOW).rows;

test('listeners: a row a filter chain, by port', () => {
  assert.deepEqual(rows('listeners'), [
    ['0.0.0.0', '443', 'SNI: a,*.b; Addr: 10.0.0.0/8,1.2.3.4:443', 'Cluster: c[1], d[3]'],
    ['0.0.0.0', '443', 'Trans: tls; App: h2', 'Route: 443'],
    ['0.0.0.0', '443', 'ALL', 'Inline Route: in'],
    ['0.0.0.0', '15001', 'ALL', 'Cluster: PassthroughCluster'],
  ]);
  assert.equal(rows('listeners', { port: 15001 }).length, 1);
  assert.equal(rows('listeners', { address: '10.0.0.1' }).length, 0);
});

test('routes: a row a route, names that are ports first', () => {
  assert.deepEqual(rows('routes'), [
    ['80', 'v', 'a.example, a.example. + 1 more...', '/x* (h)', 'vs.ns'],
    ['80', 'v', 'a.example, a.example. + 1 more...', '/y', 'other.ns 404'],
    ['80', 'v', 'a.example, a.example. + 1 more...', 'regex /z.*', ''],
    ['80', 'v', 'a.example, a.example. + 1 more...', 'CONNECT', ''],
    ['80', 'block_all', '*', '/*', '502'],
    ['other', 'empty', '*', '-', ''],
  ]);
  assert.deepEqual(
    rows('routes', { name: 'other' }).map(([name]) => name),
    ['other'],
  );
  assert.equal(rows('routes', { fqdn: 'a.example' }).length, 4);
});

test('clusters', () => {
  assert.deepEqual(rows('clusters'), [
    ['', '8080', '-', 'inbound', 'envoy.clusters.x', ''],
    ['BlackHoleCluster', '-', '-', '-', 'STATIC', ''],
    ['a.example', '80', '-', 'outbound', 'EDS', ''],
    ['a.example', '80', 'v1', 'outbound', 'EDS', 'dr.ns'],
  ]);
  assert.equal(rows('clusters', { fqdn: 'a.ex', port: 80, subset: 'v1', direction: 'outbound' }).length, 1);
});

test('endpoints: of the dump, or with their health from a running proxy', () => {
  assert.deepEqual(rows('endpoints'), [
    ['192.0.2.7:80', 'HEALTHY', 'OK', 'outbound|80||a.example'],
    ['unix:///s', 'UNHEALTHY', 'OK', 'outbound|80||a.example'],
  ]);
  const states = {
    cluster_statuses: [{ name: 'c', host_statuses: [{ address: at('::1', 5), health_status: { failed_outlier_check: true } }] }],
  };
  assert.deepEqual(rows('endpoints', {}, states), [['[::1]:5', 'HEALTHY', 'FAILED', 'c']]);
  assert.equal(rows('endpoints', { status: 'healthy', fqdn: 'a.example' }).length, 1);
});
