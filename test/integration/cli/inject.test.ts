/** `sallyport inject` as it is called: what it prints, and what it leaves as it is. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { PROGRAM } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-inject-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function inject(args: readonly string[], input = ''): { code: number | null; out: string; err: string } {
  const env = { ...process.env, NO_COLOR: '1' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'inject', ...args], { input, env, encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const SERVICE = `# The shop's front door.
apiVersion: v1
kind: Service
metadata: {name: web}   # as it is
spec: {ports: [{port: 80}]}
`;
const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {since: 2026-01-01, note: "yes"}}
    spec:
      containers: [{name: app, image: nginx, args: [--at, 10:20, '0o17', '017', 'on', '1_0'], tty: yes}]
      volumes: [{name: c, configMap: {name: c, defaultMode: 0644}}]
`;

test('what has no pods stays to the byte, what has gets its proxy, and means the same otherwise', () => {
  const { code, out, err } = inject(['-f', '-'], `${SERVICE}---\n${DEPLOYMENT}---\n${SERVICE}`);
  assert.deepEqual([code, err], [0, '']);
  assert.ok(out.startsWith(`${SERVICE}---\n`));
  assert.ok(out.endsWith(`---\n${SERVICE}`));
  const text = out.slice(SERVICE.length + 4, -SERVICE.length - 4);
  // As readers of either version of YAML take it.
  for (const version of ['1.1', '1.2'] as const) {
    const { template } = parse(text, { version }).spec;
    assert.deepEqual(
      template.spec.initContainers.map(({ name }: { name: string }) => name),
      ['istio-init', 'istio-proxy'],
    );
    assert.deepEqual(template.spec.containers[0], {
      name: 'app',
      image: 'nginx',
      args: ['--at', '10:20', '0o17', '017', 'on', '1_0'],
      tty: true,
    });
    assert.deepEqual(template.spec.volumes[0].configMap, { name: 'c', defaultMode: 420 });
    assert.deepEqual([template.metadata.annotations.since, template.metadata.annotations.note], ['2026-01-01', 'yes']);
  }
  // What it printed is injected already.
  const again = inject(['-f', '-'], out);
  assert.equal(again.out, out);
  assert.match(again.err, /Deployment shop\/web is left as it is: it is injected already/);
});

test('several files, JSON, and options', () => {
  const [one, two] = [file('one.yaml', SERVICE), file('two.json', JSON.stringify(parse(DEPLOYMENT)))];
  const { out } = inject(['-f', one, '-f', two, '--image', 'mine:2', '--no-native', '--revision', 'canary', '--engine', 'embedded']);
  const [service, deployment] = parseAllDocuments(out).map((document) => document.toJS());
  assert.equal(service.kind, 'Service');
  const { containers, initContainers } = deployment.spec.template.spec;
  assert.deepEqual(
    initContainers.map(({ name }: { name: string }) => name),
    ['istio-init'],
  );
  assert.equal(containers[1].image, 'mine:2');
  assert.deepEqual(containers[1].args.slice(0, 3), ['proxy', '--xds', 'istiod-canary.istio-system.svc:15012']);
  const json = JSON.parse(inject(['-f', one, '-f', two, '-o', 'json']).out);
  assert.deepEqual([json.kind, json.items.length], ['List', 2]);
  const off = inject(['-f', '-', '--injection-off'], DEPLOYMENT);
  assert.equal(off.out, DEPLOYMENT);
});

test('settings of the mesh', () => {
  const mesh = file('mesh.yaml', 'trustDomain: td.example\ndefaultConfig: {concurrency: 3}\n');
  const { out } = inject(['-f', '-', '--mesh-config', mesh], DEPLOYMENT);
  assert.match(out, /- name: TRUST_DOMAIN\n\s+value: td.example/);
  assert.match(out, /- --concurrency\n\s+- "3"/);
  const broken = inject(['-f', '-', '--mesh-config', file('broken.yaml', 'defaultConfig: {concurrency: many}\n')], DEPLOYMENT);
  assert.deepEqual([broken.code, broken.out], [3, '']);
  assert.match(broken.err, /broken.yaml:1:30: defaultConfig.concurrency/);
});

test('what is wrong is said with its place, and nothing is printed', () => {
  const wrong = DEPLOYMENT.replace('note: "yes"', 'sidecar.istio.io/interceptionMode: TPROXY');
  const cases: readonly (readonly [string, RegExp])[] = [
    [`${SERVICE}---\n${wrong}`, /-, document 2: Deployment shop\/web: interceptionMode TPROXY/],
    [`${SERVICE}---\na: [`, /-, document 2: /],
    [
      'kind: Deployment\napiVersion: apps/v1\nmetadata: {name: web}\n',
      /document 1: Deployment default\/web: spec.template has to be a pod/,
    ],
  ];
  for (const [text, message] of cases) {
    const { code, out, err } = inject(['-f', '-'], text);
    assert.deepEqual([code, out], [3, ''], text);
    assert.match(err, message);
  }
  assert.equal(inject([]).code, 2);
  assert.equal(inject(['-f', join(folder, 'none.yaml')]).code, 3);
});
