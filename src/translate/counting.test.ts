import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toJson } from '@bufbuild/protobuf';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { SIDECAR } from '../../test/support/translated.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { Finding } from '../lib/finding.ts';
import { buildRegistry } from '../registry/index.ts';
import { AccessLogSchema } from '../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { typeRegistry } from '../xds/type-registry.ts';
import { accessLogs } from './access-log.ts';
import { loggedConfig } from './logging.ts';
import { scopeFor } from './scope.ts';

const telemetry = (name: string, metrics: string, namespace = 'default') => `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: ${name}, namespace: ${namespace} }
spec: { metrics: [${metrics}] }
---`;

function counted(texts: readonly string[], countsBy: 'envoy' | 'embedded' | 'nobody' = 'envoy', mesh = {}) {
  const config = meshConfigOf(mesh);
  const snapshot = snapshotFromText(texts.join('\n'));
  assert.deepEqual(snapshot.findings, []);
  const findings: Finding[] = [];
  const proxy = { ...SIDECAR, namespace: 'default', ...(countsBy === 'nobody' ? {} : { countsBy }) };
  const given = { snapshot, config, registry: buildRegistry(snapshot, config).registry };
  const made = loggedConfig(
    proxy,
    given,
    () => scopeFor(proxy, given),
    (found) => findings.push(found),
  );
  interface Stat {
    readonly stat: { readonly name: string; readonly tags: readonly { readonly name: string; readonly valueFormat: string }[] };
  }
  const loggers = (mode: 'CLIENT' | 'SERVER', kind: 'http' | 'tcp') =>
    accessLogs(made, mode, kind).map((log) => {
      const json = toJson(AccessLogSchema, log, { registry: typeRegistry }) as unknown as {
        readonly typedConfig: { readonly counters?: readonly Stat[]; readonly histograms?: readonly Stat[] };
        readonly filter?: object;
      };
      const stats = [...(json.typedConfig.counters ?? []), ...(json.typedConfig.histograms ?? [])].map(({ stat }) => stat);
      return { stats, filter: json.filter };
    });
  const tags = (mode: 'CLIENT' | 'SERVER', name: string) =>
    Object.fromEntries(
      loggers(mode, 'http')[0]
        ?.stats.find((stat) => stat.name === name)
        ?.tags.map((tag) => [tag.name, tag.valueFormat] as const) ?? [],
    );
  const names = (mode: 'CLIENT' | 'SERVER', kind: 'http' | 'tcp') => loggers(mode, kind).map(({ stats }) => stats.map(({ name }) => name));
  return { loggers, names, tags, messages: [...new Set(findings.map(({ message }) => message))] };
}

const HTTP = ['requests_total', 'request_duration_milliseconds', 'request_bytes', 'response_bytes'];

test('loggers count for an Envoy that has something beside it, and for others only what is changed', () => {
  assert.deepEqual(counted([]).names('CLIENT', 'http'), [HTTP]);
  assert.deepEqual(counted([], 'embedded').names('CLIENT', 'http'), []);
  const off = telemetry('less', '{ overrides: [{ match: { metric: REQUEST_SIZE, mode: CLIENT }, disabled: true }] }');
  assert.deepEqual(counted([off], 'embedded').names('CLIENT', 'http'), [HTTP.filter((name) => name !== 'request_bytes')]);
  const without = counted([off, telemetry('odd', '{ providers: [{ name: stackdriver }] }', 'istio-system')], 'nobody');
  assert.deepEqual(without.names('CLIENT', 'http'), []);
  assert.match(without.messages[0]!, /names metrics provider stackdriver, which is not for Prometheus/);
  const named = counted([telemetry('named', '{ providers: [{ name: Prometheus }] }')]);
  assert.deepEqual([named.names('CLIENT', 'http'), named.messages], [[HTTP], []]);
  const mesh = { extensionProviders: [{ name: 'Mine', prometheus: {} }] };
  for (const name of ['mine', 'MINE']) {
    const own = counted([telemetry('own', `{ providers: [{ name: ${name} }] }`)], 'envoy', mesh);
    assert.deepEqual([own.names('CLIENT', 'http'), own.messages], [[HTTP], []], 'whatever its case');
  }
});

test('connections are counted when they reach their server, when they never did, and when they end', () => {
  const { loggers } = counted([]);
  const [reached, never, ended] = loggers('CLIENT', 'tcp');
  assert.deepEqual(reached?.filter, { logTypeFilter: { types: ['TcpUpstreamConnected'] } });
  assert.match(JSON.stringify(never?.filter), /TcpConnectionEnd.*"URX"/);
  assert.deepEqual(ended?.filter, { logTypeFilter: { types: ['TcpConnectionEnd'] } });
  assert.deepEqual(
    ended?.stats.map(({ name }) => name),
    ['tcp_connections_closed_total', 'tcp_sent_bytes_total', 'tcp_received_bytes_total'],
  );
});

test('the narrower object has the last word, and each side its own', () => {
  const root = telemetry('root', '{ overrides: [{ match: { mode: CLIENT }, disabled: true }] }', 'istio-system');
  assert.deepEqual(counted([root]).names('CLIENT', 'http'), [[]]);
  assert.deepEqual(counted([root]).names('SERVER', 'http'), [HTTP]);
  const own = telemetry('own', '{ overrides: [{ match: { metric: REQUEST_COUNT }, disabled: false }] }');
  assert.deepEqual(counted([root, own]).names('CLIENT', 'http'), [['requests_total']]);
});

test('labels go or are set; what is not understood is told', () => {
  const { tags, messages } = counted([
    telemetry(
      'labels',
      `{ overrides: [{ match: { metric: REQUEST_COUNT }, tagOverrides: {
        response_code: { operation: REMOVE }, source_app: { operation: REMOVE },
        host: { value: request.host }, team: { value: "'50% red'" }, agent: { value: "request.headers['x-agent']" }, odd: { value: "size(request.path)" } } }] }`,
    ),
  ]);
  const { cluster, flags, code, without, set_host, set_team, set_agent, set_odd } = tags('CLIENT', 'requests_total');
  assert.deepEqual(
    { cluster, flags, code, without, set_host, set_team, set_agent, set_odd },
    {
      cluster: '%UPSTREAM_CLUSTER_RAW%',
      flags: '%RESPONSE_FLAGS%',
      code: undefined,
      without: 'response_code,source_app',
      set_host: '%REQ(:AUTHORITY)%',
      set_team: '50%% red',
      set_agent: '%REQ(X-AGENT)%',
      set_odd: undefined,
    },
  );
  assert.equal(tags('CLIENT', 'request_bytes').code, '%RESPONSE_CODE%');
  assert.deepEqual(messages, [
    'Telemetry default/labels sets the label odd to "size(request.path)", which is not understood here: it is not set.',
  ]);
});
