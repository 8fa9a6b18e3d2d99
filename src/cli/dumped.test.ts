import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { configDump } from '../admin/config-dump.ts';
import { snapshotFromText } from '../config/memory.ts';
import { dumpedMesh } from '../prove/dumped.ts';
import { simulateFiles } from '../prove/simulated.ts';
import { parseTarget } from '../simulate/call.ts';
import { translate } from '../translate/index.ts';
import { explain, explainDump } from './explain.ts';
import { hopsOf, podText, WWW_THROUGH_GATEWAY } from './testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-dumped-'));
after(() => rmSync(folder, { recursive: true }));

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
function dumpFile(workload: string, { id, add }: { id?: string; add?: (dump: { configs: unknown[] }) => void } = {}): string {
  const identity = files.proxies.find(({ namespace, name }) => `${namespace}/${name}` === workload)!;
  const { resources } = translate(identity, files.mesh);
  const accepted = { resources, version: () => ({ version: '', at: 0 }), rejected: [] };
  const dump = configDump({ resources: () => accepted, bootstrap: undefined, startTime: 0 }, true) as {
    configs: Record<string, unknown>[];
  };
  if (id) dump.configs[0]!.bootstrap = { node: { id } };
  add?.(dump);
  const file = join(folder, `${workload.replace('/', '-')}.json`);
  writeFileSync(file, JSON.stringify(dump));
  return file;
}

const CALLS = [
  'http://www.example.com/v1',
  'http://www.example.com/v2',
  'http://other.example.com/',
  'tls://www.example.com:443',
  'tcp://1.2.3.4:9',
];

test('the dumps of sidecar and gateway explain what the files explain', async () => {
  const mesh = await dumpedMesh([
    dumpFile('default/app', { id: 'sidecar~10.0.0.1~app.default~default.svc.cluster.local' }),
    dumpFile('istio-system/gateway', { id: 'router~10.0.0.9~gateway.istio-system~istio-system.svc.cluster.local' }),
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

test('dumps that do not say who they are: by their listeners, the gateway where clusters have it', async () => {
  const paths = [dumpFile('default/app'), dumpFile('istio-system/gateway')];
  const mesh = await dumpedMesh(paths);
  assert.deepEqual(
    mesh.proxies.map(({ name, type }) => [name, type]),
    [
      [paths[0], 'sidecar'],
      [paths[1], 'router'],
    ],
  );
  assert.deepEqual(hopsOf(explainDump(mesh, parseTarget('http://www.example.com/v1'), {})), [
    `${paths[0]} outbound|80||istio-egressgateway.istio-system.svc.cluster.local`,
    `${paths[1]} outbound|80||www.example.com`,
  ]);
});

test("a gateway's dump alone: a call to its address", async () => {
  const mesh = await dumpedMesh([dumpFile('istio-system/gateway', { id: 'router~10.0.0.9~gateway.istio-system~x' })]);
  const { trace } = explainDump(mesh, parseTarget('http://www.example.com:8080/v2', { headers: ['host: www.example.com'] }), {
    to: '10.0.0.9',
  });
  assert.deepEqual(trace.outcome, { kind: 'reply', status: 404, location: undefined, details: 'route_not_found' });
});

test("types that are not known here do not keep a dump from being read; Istio's own filters let pass", async () => {
  type Chain = { filters: { name: string; typed_config: object }[] };
  const add = (dump: { configs: unknown[] }) => {
    const config = dump.configs.find((one) => String((one as { '@type': string })['@type']).endsWith('ListenersConfigDump'));
    const { dynamic_listeners: listeners } = config as { dynamic_listeners: { active_state: { listener: { filter_chains?: Chain[] } } }[] };
    for (const { active_state } of listeners) {
      for (const { filters } of active_state.listener.filter_chains ?? [])
        filters.unshift({ name: 'istio.metadata_exchange', typed_config: { '@type': 'type.googleapis.com/x.Unknown', a: 1 } });
    }
  };
  const mesh = await dumpedMesh([dumpFile('default/app', { id: 'sidecar~10.0.0.1~app.default~x', add })]);
  const { trace } = explainDump(mesh, parseTarget('tls://www.example.com:443'), {});
  assert.equal(trace.outcome.kind, 'upstream');
});

test('a sidecar without an inbound listener, as that of `up`, takes nothing in', async () => {
  type Dumped = { dynamic_listeners: { name: string; active_state: { listener: { bind_to_port?: boolean } } }[] };
  const add = (dump: { configs: unknown[] }) => {
    const config = dump.configs.find((one) => String((one as { '@type': string })['@type']).endsWith('ListenersConfigDump')) as Dumped;
    config.dynamic_listeners.find(({ name }) => name === 'virtualInbound')!.active_state.listener.bind_to_port = false;
  };
  const id = 'sidecar~10.0.0.1~app.default~x';
  assert.deepEqual((await dumpedMesh([dumpFile('default/app', { id })])).proxies[0]!.addresses, ['10.0.0.1']);
  assert.deepEqual((await dumpedMesh([dumpFile('default/app', { id, add })])).proxies[0]!.addresses, []);
});

test('who calls is said if there are several; what is no dump is refused', async () => {
  const mesh = await dumpedMesh([dumpFile('default/app', { id: 'sidecar~10.0.0.1~app.default~x' })]);
  assert.throws(() => explainDump(mesh, parseTarget('tcp://1.2.3.4:9'), { from: 'default/b' }), { code: 'no-such-workload' });
  const file = join(folder, 'none.json');
  writeFileSync(file, '{"a": 1}');
  await assert.rejects(dumpedMesh([file]), { code: 'no-config-dump' });
  writeFileSync(
    file,
    JSON.stringify({
      configs: [{ '@type': 'x.ClustersConfigDump', dynamic_active_clusters: [{ cluster: { name: 'c', connect_timeout: 'soon' } }] }],
    }),
  );
  await assert.rejects(dumpedMesh([file]), { code: 'no-config-dump', message: /ClustersConfigDump c can't be read/ });
});
