import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeMeshConfig } from '../api/mesh-config-document.ts';
import { snapshotFromText } from './memory.ts';
import { loadMeshConfig } from './mesh-config.ts';

const NOTHING = snapshotFromText('');

test('Istio’s defaults', () => {
  const { config, findings } = loadMeshConfig(NOTHING);
  assert.deepEqual(findings, []);
  assert.equal(config.rootNamespace, 'istio-system');
  assert.equal(config.trustDomain, 'cluster.local');
  assert.equal(config.accessLogFile, '');
  assert.equal(config.accessLogEncoding, 'TEXT');
  assert.deepEqual(config.outboundTrafficPolicy, { mode: 'ALLOW_ANY' });
  assert.equal(config.connectTimeout, 10_000);
  assert.equal(config.dnsRefreshRate, 60_000);
  assert.equal(config.protocolDetectionTimeout, 0);
  assert.equal(config.enableAutoMtls, true);
  assert.equal(config.pathNormalization.normalization, 'DEFAULT');
  assert.deepEqual(config.defaultDestinationRuleExportTo, ['*']);
  assert.equal(config.defaultConfig.terminationDrainDuration, 5000);
  assert.equal(config.defaultConfig.concurrency, undefined);
});

test('a document of its own; what it says partly keeps the other defaults', () => {
  const { config, findings } = decodeMeshConfig(
    `outboundTrafficPolicy: {}
defaultConfig:
  gatewayTopology: {numTrustedProxies: 2}
defaultServiceExportTo: []
defaultVirtualServiceExportTo: [.]
extensionProviders:
- name: envoy
  envoyFileAccessLog: {path: /var/log/access}
- name: otel
  opentelemetry: {service: otel.example.com, port: 4317}
`,
    'mesh.yaml',
  );
  assert.deepEqual(findings, []);
  assert.equal(config.outboundTrafficPolicy.mode, 'ALLOW_ANY');
  assert.equal(config.defaultConfig.gatewayTopology?.numTrustedProxies, 2);
  assert.equal(config.defaultConfig.statusPort, 15020);
  assert.deepEqual(config.defaultServiceExportTo, ['*']);
  assert.deepEqual(config.defaultVirtualServiceExportTo, ['.']);
  assert.deepEqual(
    config.extensionProviders.map(({ name }) => name),
    ['envoy', 'otel', 'prometheus'],
  );
});

test('the ConfigMap of the mesh, and the place of a mistake in it', () => {
  const map = (namespace: string, mesh: string) => `apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: ${namespace}}
data:
  meshNetworks: "networks: {}"
  mesh: ${mesh}
`;
  const good = '"rootNamespace: from-other"';
  const block = `|-
    # settings
    accessLogFile: /dev/stdout
    outboundTrafficPolicy:
      mode: REGISTRY_ONLYY
    accesLogFormat: x`;
  const { config, findings } = loadMeshConfig(
    snapshotFromText(`${map('other', good)}---\n${map('istio-system', block)}`, { file: 'c.yaml' }),
  );
  assert.equal(config.accessLogFile, '/dev/stdout');
  assert.equal(config.rootNamespace, 'istio-system');
  assert.deepEqual(
    findings.map(({ code, position, message }) => [code, position?.file, position?.line, position?.column, message]),
    [
      [
        'IST0106',
        'c.yaml',
        17,
        13,
        'outboundTrafficPolicy.mode: "REGISTRY_ONLYY" is none of REGISTRY_ONLY, ALLOW_ANY; did you mean REGISTRY_ONLY?',
      ],
      ['SP0008', 'c.yaml', 18, 5, 'accesLogFormat: no such field; did you mean accessLogFormat?'],
      [
        'SP0011',
        'c.yaml',
        15,
        5,
        'is broken and does not say outboundTrafficPolicy.mode: calls to unknown destinations are refused until it is mended',
      ],
    ],
  );
  assert.equal(loadMeshConfig(snapshotFromText(map('other', good))).config.rootNamespace, 'from-other');
  // In a quoted string the lines are not those of the file: the place is where the string begins.
  const [quoted] = loadMeshConfig(snapshotFromText(map('istio-system', '"a: 1"'))).findings;
  assert.deepEqual([quoted?.position?.line, quoted?.position?.column], [6, 9]);
});

test('a file goes before the ConfigMap; it may hold the ConfigMap itself', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-mesh-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'mesh.yaml');
  const snapshot = snapshotFromText('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata: {mesh: "trustDomain: a"}\n');
  writeFileSync(file, 'trustDomain: b\n');
  assert.equal(loadMeshConfig(snapshot, file).config.trustDomain, 'b');
  writeFileSync(file, 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  mesh: |\n    trustDomain: c\n    x: 1\n');
  const { config, findings } = loadMeshConfig(snapshot, file);
  assert.equal(config.trustDomain, 'c');
  assert.deepEqual(
    findings.map(({ position }) => [position?.file, position?.line, position?.column]),
    [
      [file, 7, 5],
      [file, 6, 5],
    ],
  );
  writeFileSync(file, 'kind: ConfigMap\ndata: {}\n');
  assert.match(loadMeshConfig(snapshot, file).findings[0]?.message ?? '', /no key mesh/);
  assert.throws(() => loadMeshConfig(snapshot, join(folder, 'missing')), { code: 'mesh-config-unreadable' });
});

test('what does not parse, and what is no mapping', () => {
  const [finding] = decodeMeshConfig('a: [\n', 'mesh.yaml').findings;
  assert.equal(finding?.code, 'SP0001');
  assert.equal(finding?.position?.file, 'mesh.yaml');
  const text = decodeMeshConfig('text\n', 'mesh.yaml');
  assert.equal(text.config.rootNamespace, 'istio-system');
  assert.match(text.findings[0]?.message ?? '', /must be a mapping/);
});

test('a broken one lets nothing out that it does not plainly let out', () => {
  const mode = (text: string) => decodeMeshConfig(text, 'mesh.yaml').config.outboundTrafficPolicy.mode;
  assert.equal(mode('accessLogFile: x\n'), 'ALLOW_ANY');
  assert.equal(mode('outboundTraficPolicy: {mode: REGISTRY_ONLY}\n'), 'REGISTRY_ONLY');
  assert.equal(mode('outboundTrafficPolicy: {mode: registry_only}\n'), 'REGISTRY_ONLY');
  assert.equal(mode('outboundTrafficPolicy: REGISTRY_ONLY\n'), 'REGISTRY_ONLY');
  assert.equal(mode('a: [\n'), 'REGISTRY_ONLY');
  assert.equal(mode('text\n'), 'REGISTRY_ONLY');
  assert.equal(mode('apiVersion: v1\nkind: ConfigMap\n'), 'REGISTRY_ONLY');
  assert.equal(mode('outboundTrafficPolicy: {mode: ALLOW_ANY}\nx: 1\n'), 'ALLOW_ANY');
  assert.equal(mode('outboundTrafficPolicy: {mode: REGISTRY_ONLY}\nx: 1\n'), 'REGISTRY_ONLY');
});
