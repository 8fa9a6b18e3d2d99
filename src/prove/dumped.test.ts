import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { configDump } from '../admin/config-dump.ts';
import { newAuthorityFiles, openAuthority } from '../ca/authority.ts';
import { snapshotFromText } from '../config/memory.ts';
import { spiffeId } from '../lib/spiffe.ts';
import { parseTarget } from '../simulate/call.ts';
import { translate } from '../translate/index.ts';
import { parseDump } from '../xds/config-dump/dump.ts';
import { dumpedMesh, type NamedDump } from './dumped.ts';
import { explain, explainDump } from './explain.ts';
import { type SimulatedFiles, simulateFiles } from './simulated.ts';
import { hopsOf, podText, WWW_THROUGH_GATEWAY } from './testing.ts';

const TEXT = `${podText('app', '10.0.0.1')}${podText('gateway', '10.0.0.9', { namespace: 'istio-system', labels: '{istio: egressgateway}' })}
apiVersion: v1
kind: Service
metadata: {name: istio-egressgateway, namespace: istio-system}
spec: {clusterIP: 10.96.0.9, selector: {istio: egressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}, {name: tls, port: 443, targetPort: 8443}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: default}
spec:
  hosts: [www.example.com]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
---${WWW_THROUGH_GATEWAY}`;
const files = simulateFiles(snapshotFromText(TEXT), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));

/** The dump of a proxy as its admin address gives it; `id` as Istio's agent writes it. */
function dumpOf(
  workload: string,
  { id, add, of = files }: { id?: string; add?: (dump: { configs: unknown[] }) => void; of?: SimulatedFiles } = {},
): NamedDump {
  const identity = of.proxies.find(({ namespace, name }) => `${namespace}/${name}` === workload)!;
  const { resources } = translate(identity, of.mesh);
  const accepted = { resources, version: () => ({ version: '', at: 0 }), rejected: [] };
  const dump = configDump({ resources: () => accepted, bootstrap: undefined, startTime: 0 }, true) as {
    configs: Record<string, unknown>[];
  };
  if (id) dump.configs[0]!.bootstrap = { node: { id } };
  add?.(dump);
  return { name: `${workload}.json`, dump: JSON.parse(JSON.stringify(dump)) };
}

const CALLS = [
  'http://www.example.com/v1',
  'http://www.example.com/v2',
  'http://other.example.com/',
  'tls://www.example.com:443',
  'tcp://1.2.3.4:9',
];

test('the dumps of sidecar and gateway explain what the files explain', () => {
  const mesh = dumpedMesh([
    dumpOf('default/app', { id: 'sidecar~10.0.0.1~app.default~default.svc.cluster.local' }),
    dumpOf('istio-system/gateway', { id: 'router~10.0.0.9~gateway.istio-system~istio-system.svc.cluster.local' }),
  ]);
  for (const url of CALLS) {
    const target = parseTarget(url);
    const expected = explain(files, target, { from: 'default/app', to: '203.0.113.1' });
    const explanation = explainDump(mesh, target, { to: '203.0.113.1' });
    assert.deepEqual(hopsOf(explanation), hopsOf(expected), url);
    assert.deepEqual(explanation.trace.outcome, expected.trace.outcome, url);
    assert.equal(explanation.from, 'default/app');
  }
});

test('hosts that are resources of their own are those that the dump has; where more are fetched for a call nobody knows', () => {
  const parted = (text: string) => text.replaceAll('"virtual_hosts":', '"vhds": { "config_source": { "ads": {} } }, "virtual_hosts":');
  const fetched = (text: string) =>
    parted(text).replaceAll(
      '"http_filters": [',
      '"http_filters": [{ "name": "envoy.filters.http.on_demand", "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand" } }, ',
    );
  const outcome = (change: (text: string) => string) => {
    const { name, dump } = dumpOf('default/app');
    const mesh = dumpedMesh([{ name, dump: JSON.parse(change(JSON.stringify(dump, undefined, 1))) }]);
    return explainDump(mesh, parseTarget('http://other.example.com/'), { to: '203.0.113.1' }).trace.outcome;
  };
  assert.deepEqual(
    outcome(parted),
    outcome((text) => text),
  );
  assert.match(JSON.stringify(outcome(fetched)), /undecided.*on_demand/);
});

test('a dump without endpoints leaves undecided what goes to one, and says what it lacks', () => {
  const without = (dump: { configs: unknown[] }) => {
    dump.configs = dump.configs.filter((config) => !String((config as Record<string, unknown>)['@type']).endsWith('EndpointsConfigDump'));
  };
  const mesh = dumpedMesh([dumpOf('default/app', { add: without })]);
  const { trace } = explainDump(mesh, parseTarget('http://www.example.com/v1'), { to: '203.0.113.1' });
  assert.deepEqual(trace.outcome, {
    kind: 'undecided',
    details: 'default/app.json has no endpoints: take the dump from /config_dump?include_eds',
  });
  const refused = explainDump(mesh, parseTarget('http://other.example.com/'), { to: '203.0.113.1' }).trace.outcome;
  assert.equal(refused.kind, 'reply');
});

/** The app's mutual TLS to the gateway, whose policy lets one service account call. */
const MUTUAL = `${TEXT.replace(
  '80, name: http, protocol: HTTP}, hosts',
  '443, name: https, protocol: HTTPS}, tls: {mode: ISTIO_MUTUAL}, hosts',
)
  .replace('gateways: [egress], port: 80', 'gateways: [egress], port: 443')
  .replace('svc.cluster.local, port: {number: 80}', 'svc.cluster.local, port: {number: 443}')}
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: egress, namespace: istio-system}
spec: {host: istio-egressgateway.istio-system.svc.cluster.local, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: www.example.com}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: one, namespace: istio-system}
spec: {selector: {matchLabels: {istio: egressgateway}}, rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/one]}}]}]}
---`;

test('who calls in mutual TLS: as the certificate in the dump says, else nobody knows', () => {
  const mutual = simulateFiles(snapshotFromText(MUTUAL), meshConfigOf({}));
  const now = Date.now();
  const ca = openAuthority(newAuthorityFiles('cluster.local', now), 'a test');
  const certified = (account: string) => (dump: { configs: unknown[] }) => {
    const { chain } = ca.issue(spiffeId('cluster.local', 'default', account), now);
    const secret = { name: 'default', tls_certificate: { certificate_chain: { inline_string: chain } } };
    dump.configs.push({ '@type': 'x.SecretsConfigDump', dynamic_active_secrets: [{ name: 'default', secret }] });
  };
  const outcome = (add?: (dump: { configs: unknown[] }) => void) => {
    const dumps = [
      dumpOf('default/app', { of: mutual, id: 'sidecar~10.0.0.1~app.default~x', ...(add && { add }) }),
      dumpOf('istio-system/gateway', { of: mutual, id: 'router~10.0.0.9~gateway.istio-system~x' }),
    ];
    return explainDump(dumpedMesh(dumps), parseTarget('http://www.example.com/v1'), { to: '203.0.113.1' }).trace.outcome;
  };
  assert.equal(outcome(certified('one')).kind, 'upstream');
  assert.deepEqual(outcome(certified('other')), {
    kind: 'reply',
    status: 403,
    location: undefined,
    details: 'rbac_access_denied_matched_policy[none]',
  });
  const unknown = outcome();
  assert.equal(unknown.kind, 'undecided');
  assert.match((unknown as { details: string }).details, /^default\/app\.json has no workload certificate/);
});

test('dumps that do not say who they are: by their listeners, the gateway where clusters have it', () => {
  const dumps = [dumpOf('default/app'), dumpOf('istio-system/gateway')];
  const mesh = dumpedMesh(dumps);
  assert.deepEqual(
    mesh.proxies.map(({ name, type }) => [name, type]),
    [
      [dumps[0]!.name, 'sidecar'],
      [dumps[1]!.name, 'router'],
    ],
  );
  assert.deepEqual(hopsOf(explainDump(mesh, parseTarget('http://www.example.com/v1'), {})), [
    `${dumps[0]!.name} outbound|80||istio-egressgateway.istio-system.svc.cluster.local`,
    `${dumps[1]!.name} outbound|80||www.example.com`,
  ]);
});

test("a gateway's dump alone: a call to its address", () => {
  const mesh = dumpedMesh([dumpOf('istio-system/gateway', { id: 'router~10.0.0.9~gateway.istio-system~x' })]);
  const { trace } = explainDump(mesh, parseTarget('http://www.example.com:8080/v2', { headers: ['host: www.example.com'] }), {
    to: '10.0.0.9',
  });
  assert.deepEqual(trace.outcome, { kind: 'reply', status: 404, location: undefined, details: 'route_not_found' });
});

test("types that are not known here do not keep a dump from being read; Istio's own filters let pass", () => {
  type Chain = { filters: { name: string; typed_config: object }[] };
  const add = (dump: { configs: unknown[] }) => {
    const config = dump.configs.find((one) => String((one as { '@type': string })['@type']).endsWith('ListenersConfigDump'));
    const { dynamic_listeners: listeners } = config as { dynamic_listeners: { active_state: { listener: { filter_chains?: Chain[] } } }[] };
    for (const { active_state } of listeners) {
      for (const { filters } of active_state.listener.filter_chains ?? [])
        filters.unshift({ name: 'istio.metadata_exchange', typed_config: { '@type': 'type.googleapis.com/x.Unknown', a: 1 } });
    }
  };
  const mesh = dumpedMesh([dumpOf('default/app', { id: 'sidecar~10.0.0.1~app.default~x', add })]);
  const { trace } = explainDump(mesh, parseTarget('tls://www.example.com:443'), {});
  assert.equal(trace.outcome.kind, 'upstream');
});

test('a sidecar without an inbound listener, as that of `up`, takes nothing in', () => {
  type Dumped = { dynamic_listeners: { name: string; active_state: { listener: { bind_to_port?: boolean } } }[] };
  const add = (dump: { configs: unknown[] }) => {
    const config = dump.configs.find((one) => String((one as { '@type': string })['@type']).endsWith('ListenersConfigDump')) as Dumped;
    config.dynamic_listeners.find(({ name }) => name === 'virtualInbound')!.active_state.listener.bind_to_port = false;
  };
  const id = 'sidecar~10.0.0.1~app.default~x';
  assert.deepEqual(dumpedMesh([dumpOf('default/app', { id })]).proxies[0]!.addresses, ['10.0.0.1']);
  assert.deepEqual(dumpedMesh([dumpOf('default/app', { id, add })]).proxies[0]!.addresses, []);
});

test('who calls is said if there are several; what is no dump is refused', () => {
  const mesh = dumpedMesh([dumpOf('default/app', { id: 'sidecar~10.0.0.1~app.default~x' })]);
  assert.throws(() => explainDump(mesh, parseTarget('tcp://1.2.3.4:9'), { from: 'default/b' }), { code: 'no-such-workload' });
  const broken = {
    configs: [{ '@type': 'x.ClustersConfigDump', dynamic_active_clusters: [{ cluster: { name: 'c', connect_timeout: 'soon' } }] }],
  };
  assert.throws(() => dumpedMesh([{ name: 'broken', dump: broken }]), {
    code: 'no-config-dump',
    message: /ClustersConfigDump c can't be read/,
  });
  assert.throws(() => parseDump('{"a": 1}', 'none.json'), { code: 'no-config-dump' });
});
