/** `sallyport analyze` as it is called: streams, formats, exit codes. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { PROGRAM } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-analyze-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function analyze(args: readonly string[], input?: string): { code: number | null; out: string; err: string } {
  const env = { ...process.env, NO_COLOR: '1' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'analyze', ...args], { input, env, encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

const ENTRY_TEXT = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www}
spec: {hosts: [www.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
`;
/** A Warning: no such host. */
const RULE = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: d}
spec: {host: ww.example.com}
`;
/** An Error. */
const ROUTE = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v}
spec: {hosts: [www.example.com], http: [{route: [{destination: {host: api.example.com}}]}]}
`;
const WARNING = `${ENTRY_TEXT}---\n${RULE}`;
const ERROR = `${WARNING}---\n${ROUTE}`;

test('stdin, namespaces, and exit code 0 without a finding', () => {
  const right = analyze(['-'], ENTRY_TEXT);
  assert.deepEqual(right, { code: 0, out: 'No findings: 1 object read.\n', err: '' });
  const { out } = analyze(['-', '-n', 'shop', '-o', 'json'], WARNING);
  assert.deepEqual(
    JSON.parse(out).map(({ origin }: { origin: string }) => origin),
    ['DestinationRule shop/d'],
  );
});

test('exit code 1 from the level on that --failure-threshold names', () => {
  const file = join(folder, 'warning.yaml');
  writeFileSync(file, WARNING);
  assert.equal(analyze([file]).code, 0);
  assert.equal(analyze([file, '--failure-threshold', 'Warning']).code, 1);
  const { code, out } = analyze(['-'], ERROR);
  assert.equal(code, 1);
  assert.match(out, /^Error \[IST0101\] VirtualService default\/v/);
  assert.match(out, /\n1 errors, 1 warnings, 0 notes: 3 objects read\n$/);
});

test('json, yaml, sarif and github say the same', () => {
  const [json, yaml] = [analyze(['-', '-o', 'json'], ERROR).out, analyze(['-', '-o', 'yaml'], ERROR).out];
  const findings = JSON.parse(json);
  assert.deepEqual(parse(yaml), findings);
  const codes = findings.map(({ code }: { code: string }) => code);
  assert.deepEqual(codes, ['IST0101', 'IST0174']);
  const log = JSON.parse(analyze(['-', '-o', 'sarif'], ERROR).out);
  assert.deepEqual(
    log.runs[0].results.map(({ ruleId }: { ruleId: string }) => ruleId),
    codes,
  );
  assert.equal(log.runs[0].tool.driver.rules[0].name, 'ReferencedResourceNotFound');
  const lines = analyze(['-', '-o', 'github'], ERROR).out.trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => line.slice(0, line.indexOf(' '))),
    ['::error', '::warning'],
  );
});

test('--suppress leaves findings out, and says what it wants', () => {
  const quiet = analyze(['-', '-S', 'IST0174=DestinationRule */d', '-S', 'IST01*=*'], ERROR);
  assert.deepEqual([quiet.code, quiet.out], [0, 'No findings: 3 objects read.\n']);
  const wrong = analyze(['-', '-S', 'IST0174'], ERROR);
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /CODE=ORIGIN/);
});

test('exit codes 2 for wrong usage and 3 for what cannot be read', () => {
  assert.equal(analyze(['-', '-o', 'xml'], ENTRY_TEXT).code, 2);
  assert.equal(analyze([]).code, 2);
  const { code, err } = analyze([join(folder, 'missing.yaml')]);
  assert.equal(code, 3);
  assert.match(err, /missing\.yaml/);
});

test('--mesh-config and --mesh-networks', () => {
  const [mesh, networks] = [join(folder, 'mesh.yaml'), join(folder, 'networks.yaml')];
  writeFileSync(mesh, 'outboundTrafficPolicy: {mode: SOMETIMES}\n');
  writeFileSync(networks, 'networks:\n  far:\n    endpoints:\n    - fromRegistry: Kubernetis\n');
  const { code, out } = analyze(['-', '--mesh-config', mesh, '--mesh-networks', networks, '-o', 'json'], ENTRY_TEXT);
  assert.equal(code, 1);
  const findings = JSON.parse(out) as { code: string; reference: string; message: string }[];
  const unknown = findings.find((finding) => finding.code === 'IST0126');
  assert.equal(unknown?.reference, `${networks}:4:21`);
  assert.match(unknown.message, /Did you mean Kubernetes\?/);
  assert.ok(findings.some((finding) => finding.reference.startsWith(`${mesh}:`)));
});

test('a reader that leaves early ends it quietly', async () => {
  const child = spawn(process.execPath, [PROGRAM, 'schema'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  child.stdout.destroy();
  const [code] = await once(child, 'close');
  assert.deepEqual([code, errors], [0, '']);
});

test('--remote-cluster holds Services against those of other clusters, and says what of them could not be read', () => {
  const service = (type: string) => `apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {type: ${type}, ports: [{name: http, port: 80}]}
`;
  const [here, west, broken] = ['here', 'west', 'broken'].map((name) => join(folder, `${name}.yaml`)) as [string, string, string];
  writeFileSync(here, service('ClusterIP'));
  writeFileSync(west, service('LoadBalancer'));
  writeFileSync(broken, 'a: [');
  const alone = JSON.parse(analyze([here, '-o', 'json']).out);
  assert.deepEqual(alone, []);
  const { out } = analyze([here, '--remote-cluster', `west=${west}`, '--remote-cluster', `east=${broken}`, '-o', 'json']);
  assert.deepEqual(
    JSON.parse(out).map(({ code }: { code: string }) => code),
    ['SP0001', 'IST0170'],
  );
  const wrong = analyze([here, '--remote-cluster', west]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /it is NAME=PATH/);
});
