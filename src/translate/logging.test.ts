import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toJson } from '@bufbuild/protobuf';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { SIDECAR } from '../../test/support/translated.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { Finding } from '../lib/finding.ts';
import { buildRegistry } from '../registry/index.ts';
import { AccessLogSchema } from '../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { logFilter } from '../xds/log-filter.ts';
import { typeRegistry } from '../xds/type-registry.ts';
import { accessLogs, listenerAccessLogs } from './access-log.ts';
import { Translations } from './classes.ts';
import { loggedConfig } from './logging.ts';
import type { LogMode } from './model.ts';
import { scopeFor } from './scope.ts';

const telemetry = (name: string, spec: string, namespace = 'default') => `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
---`;
const PROVIDERS = [
  { name: 'text', envoyFileAccessLog: { path: '/dev/text', logFormat: { text: '%PROTOCOL%' } } },
  { name: 'json', envoyFileAccessLog: { path: '/dev/json', logFormat: { labels: { p: '%PROTOCOL%' } } } },
  { name: 'otel', envoyOtelAls: { service: 'otel.default.svc.cluster.local', port: 4317 } },
];
const PROXY = { ...SIDECAR, namespace: 'default', labels: { app: 'web' } };

function logged(texts: readonly string[], settings: object = {}) {
  const config = meshConfigOf({ accessLogFile: '/dev/mesh', extensionProviders: PROVIDERS, ...settings });
  const snapshot = snapshotFromText(texts.join('\n'));
  assert.deepEqual(snapshot.findings, []);
  const findings: Finding[] = [];
  const mesh = { snapshot, config, registry: buildRegistry(snapshot, config).registry };
  const made = loggedConfig(
    PROXY,
    mesh,
    () => scopeFor(PROXY, mesh),
    (finding) => findings.push(finding),
  );
  const of = (mode: LogMode) =>
    accessLogs(made, mode, 'http').map((log) => {
      const { typedConfig, filter } = toJson(AccessLogSchema, log, { registry: typeRegistry }) as {
        typedConfig: { path: string };
        filter?: object;
      };
      return filter ? [typedConfig.path, filter] : typedConfig.path;
    });
  return { client: of('CLIENT'), server: of('SERVER'), messages: [...new Set(findings.map(({ message }) => message))], config: made };
}

const log = (names: string, more = '') => `{ accessLogging: [{ providers: [${names.replaceAll(/\w+/g, '{ name: $& }')}]${more} }] }`;

test('without Telemetry MeshConfig says what is logged', () => {
  assert.deepEqual(logged([]).client, ['/dev/mesh']);
  assert.deepEqual(logged([], { defaultProviders: { accessLogging: ['json'] } }).server, ['/dev/json']);
  assert.deepEqual(logged([telemetry('other', log('json'), 'elsewhere')]).client, ['/dev/mesh']);
});

test('the narrower object replaces the wider one’s providers', () => {
  const root = telemetry('root', log('text'), 'istio-system');
  assert.deepEqual(logged([root]).client, ['/dev/text']);
  assert.deepEqual(logged([root, telemetry('own', log('json'))]).client, ['/dev/json']);
  const narrow = (app: string) => telemetry('narrow', `{ selector: { matchLabels: { app: ${app} } }, ${log('text, envoy').slice(1)}`);
  assert.deepEqual(logged([root, telemetry('own', log('json')), narrow('web')]).client, ['/dev/stdout', '/dev/text']);
  assert.deepEqual(logged([telemetry('own', log('json')), narrow('other')]).client, ['/dev/json']);
});

test('disabled, and by direction', () => {
  const root = telemetry('root', log('text'), 'istio-system');
  assert.deepEqual(logged([root, telemetry('quiet', '{ accessLogging: [{ disabled: true }] }')]).client, []);
  const server = logged([root, telemetry('quiet', '{ accessLogging: [{ disabled: true, match: { mode: SERVER } }] }')]);
  assert.deepEqual([server.client, server.server], [['/dev/text'], []]);
  const client = logged([telemetry('own', log('json', ', match: { mode: CLIENT }'))]);
  assert.deepEqual([client.client, client.server], [['/dev/json'], ['/dev/mesh']]);
});

test('a filter is Envoy’s own; what is not understood logs everything and is told', () => {
  const { client, config } = logged([telemetry('own', log('json', `, filter: { expression: "response.code >= 400" }`))]);
  const atLeast = (defaultValue: number) => ({
    statusCodeFilter: { comparison: { op: 'GE', value: { defaultValue, runtimeKey: 'sallyport.unset' } } },
  });
  assert.deepEqual(client, [['/dev/json', atLeast(400)]]);
  const [listener] = listenerAccessLogs(config, 'CLIENT');
  assert.equal(listener!.filter!.filterSpecifier.case, 'andFilter');
  const odd = logged([telemetry('own', log('json', `, filter: { expression: "connection.mtls" }`))]);
  assert.deepEqual(odd.client, ['/dev/json']);
  assert.match(odd.messages.join(), /filters its access log by "connection.mtls", which is not understood here: everything is logged/);
});

test('expressions that are understood, and those that are not', () => {
  const json = (expression: string) => JSON.stringify(logFilter(expression)?.filterSpecifier);
  assert.equal(json('!(response.code < 400)'), json('response.code >= 400'));
  assert.equal(json('!(response.code >= 500 || request.method == "GET")'), json("response.code < 500 && request.method != 'GET'"));
  assert.match(json('has(request.headers["X-Id"])')!, /"x-id".*presentMatch/);
  assert.match(json('has(request.headers.X_Id)')!, /"x_id".*presentMatch/);
  for (const expression of [
    '',
    'response.code',
    'response.code >=',
    'response.code >= 400 &&',
    '(response.code >= 400',
    'response.code >= 400)',
    "request.headers['x'] == 'y'",
    'response.code >= 4.5',
    'response.code + 1 > 2',
    'response.code >= -1',
    "request.url_path.startsWith('/a')",
    'response . code > 1',
    'response.code > 1 ? true : false',
    "request.method == 'it\\'s'",
  ])
    assert.equal(logFilter(expression), undefined, expression);
});

test('the case of a provider’s name does not matter', () => {
  assert.deepEqual(logged([telemetry('own', log('TEXT'))]).client, ['/dev/text']);
  assert.deepEqual(logged([], { defaultProviders: { accessLogging: ['JSON'] }, accessLogFile: '' }).client, ['/dev/json']);
  assert.deepEqual(logged([telemetry('own', log('Envoy'))]).client, ['/dev/stdout']);
});

test('providers that are no files or not there fall back to what the mesh logs, and are told', () => {
  const otel = logged([telemetry('own', log('otel'))]);
  assert.deepEqual(otel.client, ['/dev/mesh']);
  assert.match(otel.messages.join(), /provider otel, which is no envoyFileAccessLog, envoyHttpAls or envoyTcpAls: it gets nothing/);
  assert.deepEqual(logged([], { defaultProviders: { accessLogging: ['gone'] } }).client, ['/dev/mesh']);
  const gone = logged([telemetry('own', log('gone'))]);
  assert.deepEqual(gone.client, ['/dev/mesh']);
  assert.match(gone.messages.join(), /provider gone, which extensionProviders of the MeshConfig do not have/);
});

test('proxies that differ in what they log are of different classes, and a change of Telemetry reaches those that it concerns', () => {
  const config = meshConfigOf({ accessLogFile: '/dev/mesh', extensionProviders: PROVIDERS });
  const pathsOf = (texts: readonly string[]) => {
    const snapshot = snapshotFromText(texts.join('\n'));
    const translations = new Translations({ snapshot, config, registry: buildRegistry(snapshot, config).registry });
    return ['web', 'other'].map((app) => {
      const { listeners } = translations.of({ ...PROXY, name: app, labels: { app } }).resources;
      const [log] = listeners.find(({ name }) => name === 'virtualOutbound')!.accessLog;
      return (toJson(AccessLogSchema, log!, { registry: typeRegistry }) as { typedConfig: { path: string } }).typedConfig.path;
    });
  };
  const narrow = (name: string) => telemetry('narrow', `{ selector: { matchLabels: { app: web } }, ${log(name).slice(1)}`);
  assert.deepEqual(pathsOf([narrow('json')]), ['/dev/json', '/dev/mesh']);
  assert.deepEqual(pathsOf([narrow('text')]), ['/dev/text', '/dev/mesh']);
  assert.deepEqual(pathsOf([]), ['/dev/mesh', '/dev/mesh']);
});

test('where a service of logs cannot be reached nothing is sent, which is said, also of what MeshConfig alone says', () => {
  const als = (service: string) => ({ extensionProviders: [{ name: 'als', envoyHttpAls: { service, port: 9000 } }] });
  const named = [telemetry('own', log('als'))];
  const nowhere = logged(named, als('nowhere.default.svc.cluster.local'));
  assert.deepEqual(nowhere.client, []);
  assert.match(
    nowhere.messages.join(),
    /^Telemetry default\/own names access log provider als, which can't be reached: there is no service nowhere/,
  );
  const hidden = `
apiVersion: v1
kind: Service
metadata: { name: hidden, namespace: other, annotations: { networking.istio.io/exportTo: . } }
spec: { ports: [{ name: grpc, port: 9000 }] }
---`;
  assert.match(logged([...named, hidden], als('hidden.other.svc.cluster.local')).messages.join(), /this proxy does not see service hidden/);
  const { messages } = logged([], { ...als('nowhere.default.svc.cluster.local'), defaultProviders: { accessLogging: ['als'] } });
  assert.match(messages.join(), /^MeshConfig names access log provider als, which can't be reached/);
  assert.match(
    logged([], { enableEnvoyAccessLogService: true }).messages.join(),
    /^MeshConfig sets enableEnvoyAccessLogService, which has no effect/,
  );
});
