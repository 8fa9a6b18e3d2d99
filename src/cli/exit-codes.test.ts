/** With which code commands end, and in which form they answer. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { EXIT } from './exit.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-codes-'));
after(() => rmSync(folder, { recursive: true }));

/** Runs one command after the other in a process of their own, as loading takes longer than they do. */
const DRIVER = `
const { main } = await import(process.argv[1]);
const answers = [];
const write = process.stdout.write.bind(process.stdout);
for (const words of JSON.parse(process.argv[2])) {
  const answer = { out: '', err: '' };
  process.stdout.write = (text) => ((answer.out += text), true);
  process.stderr.write = (text) => ((answer.err += text), true);
  process.exitCode = 0;
  await main(words);
  answers.push({ ...answer, code: process.exitCode });
}
process.exitCode = 0;
write(JSON.stringify(answers));
`;

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(...commands: readonly string[][]): readonly Answer[] {
  const args = ['--input-type=module', '-e', DRIVER, import.meta.resolve('./main.ts'), JSON.stringify(commands)];
  return JSON.parse(execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8', timeout: 60_000 })) as Answer[];
}

const pod = `apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default, labels: {app: web}}
status: {podIP: 10.244.1.10}
---
`;
const mesh = (mode: string) => `apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "outboundTrafficPolicy: {mode: ${mode}}"}
---
`;
const entry = (name: string, more = '') => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: default}
spec: {hosts: [${name}.example.com], addresses: [198.51.100.10], location: MESH_EXTERNAL, resolution: STATIC, endpoints: [{address: 198.51.100.10}], ports: [{number: 80, name: http, protocol: HTTP}]${more}}
---
`;
const route = (http: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: default}
spec: {hosts: [www.example.com], http: [${http}]}
---
`;
const CLOSED = pod + mesh('REGISTRY_ONLY');
const FILES: Readonly<Record<string, string>> = {
  'closed.yaml': CLOSED,
  'one.yaml': CLOSED + entry('www'),
  'broken.yaml': CLOSED + entry('www') + entry('api', ', protocl: x'),
  'refused.yaml': CLOSED + entry('www') + route('{directResponse: {status: 403}}'),
  'warned.yaml':
    CLOSED +
    entry('www')
      .replace('www.example.com', '"*.example.com"')
      .replace(/addresses.*?, |endpoints.*?, /g, '')
      .replace('STATIC', 'DYNAMIC_DNS'),
  'unsure.yaml':
    CLOSED +
    entry('www') +
    route(
      '{match: [{uri: {regex: "/(?:a{3}|b)[^/]{2}"}}], directResponse: {status: 403}}, {route: [{destination: {host: www.example.com}}]}',
    ),
};
for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text);

const codes = (answers: readonly Answer[]) => answers.map(({ code }) => code);

test('diff ends with 1 where access widens, where it can’t be decided, and with --fail-on any at every change', () => {
  const answers = run(
    ['diff', 'one.yaml', 'one.yaml'],
    ['diff', 'closed.yaml', 'one.yaml'],
    ['diff', 'one.yaml', 'closed.yaml'],
    ['diff', '--fail-on', 'any', 'one.yaml', 'closed.yaml'],
    ['diff', '--fail-on', 'any', 'one.yaml', 'one.yaml'],
    ['diff', 'one.yaml', 'broken.yaml'],
    ['diff', 'one.yaml'],
    ['diff', 'one.yaml', 'gone.yaml'],
    ['diff', 'unsure.yaml', 'refused.yaml'],
    ['diff', '--kube', 'one.yaml', 'closed.yaml'],
  );
  const { fine, findings, usage, couldNotRun } = EXIT;
  assert.deepEqual(
    codes(answers),
    [fine, findings, fine, findings, fine, findings, usage, couldNotRun, findings, usage],
    JSON.stringify(answers),
  );
  assert.equal(answers[0]!.out, 'No call changes its outcome.\n');
  assert.match(answers[1]!.out, /widens {2}default\/web: a call to /);
  assert.match(answers[2]!.out, /narrows {2}default\/web: a call to /);
  assert.doesNotMatch(answers[8]!.out, /No call changes/);
  assert.match(answers[8]!.out, /undecided: /);
  for (const answer of [answers[6]!, answers[9]!])
    assert.match(answer.err, /say two configurations, OLD and NEW; or one, and --kube for the cluster/);
});

test('the reviewed forms of diff grade a change by whether it fails', () => {
  const sarif = ['diff', '-o', 'sarif'];
  const answers = run(
    [...sarif, 'closed.yaml', 'one.yaml'],
    [...sarif, 'one.yaml', 'closed.yaml'],
    [...sarif, '--fail-on', 'any', 'one.yaml', 'closed.yaml'],
    [...sarif, 'unsure.yaml', 'refused.yaml'],
  );
  const levels = answers.map(({ out }) => {
    const { runs } = JSON.parse(out) as { runs: { results: { ruleId: string; level: string }[] }[] };
    return [...new Set(runs[0]!.results.map(({ ruleId, level }) => `${ruleId} ${level}`))].sort();
  });
  assert.deepEqual(levels.slice(0, 3), [
    ['differs warning', 'widens error'],
    ['differs warning', 'narrows note'],
    ['differs error', 'narrows error'],
  ]);
  assert.ok(levels[3]!.includes('undecided error'), levels[3]!.join());
});

test('explain ends with 0 where the call arrives and all that was read is valid', () => {
  const answers = run(
    ['explain', '-f', 'one.yaml', 'http://www.example.com/'],
    ['explain', '-f', 'closed.yaml', 'http://www.example.com/'],
    ['explain', '-f', 'refused.yaml', 'POST', 'http://www.example.com/'],
    ['explain', '-f', 'broken.yaml', 'http://www.example.com/'],
    ['explain', '-f', 'one.yaml', 'gopher://www.example.com/'],
    ['explain', 'http://www.example.com/'],
    ['explain', '-f', 'one.yaml', '--config-dump', 'dump.json', 'http://www.example.com/'],
    ['explain', '-f', 'one.yaml', '--context', 'a', 'http://www.example.com/'],
    ['explain', '-o', 'json', '-f', 'one.yaml', 'POST', 'http://www.example.com/a'],
    ['explain', '--config-dump', 'gone.json', 'http://www.example.com/'],
  );
  assert.deepEqual(codes(answers), [0, 1, 1, 1, 2, 2, 2, 2, 0, 3], JSON.stringify(answers));
  assert.match(answers[3]!.err, /leaves out .* \(1 error\), so it does not end with exit code 0/);
  assert.match(answers[7]!.err, /--context says which cluster is meant: it needs --kube/);
  assert.match(answers[8]!.out, /^{\n {2}"/);
});

test('verify ends with 0 where all is proved', () => {
  const answers = run(
    ['verify', '--adversary', 'captured', 'closed.yaml'],
    ['verify', '--adversary', 'captured', 'one.yaml'],
    ['verify', 'closed.yaml'],
    ['verify', '--adversary', 'captured', '--max-cells', '1', 'closed.yaml'],
    ['verify', '--max-cells', '0', 'closed.yaml'],
    ['verify', '-s', 'gone.yaml', 'closed.yaml'],
    ['verify'],
  );
  assert.deepEqual(codes(answers), [0, 1, 1, 1, 2, 3, 2], JSON.stringify(answers));
  assert.match(answers[0]!.out, /^PROVED \(captured, \d+ calls tried\)/);
  assert.match(answers[1]!.out, /^REFUTED /);
  assert.match(answers[3]!.out, /^UNDECIDED /);
});

test('analyze ends with 1 from the level on that is said', () => {
  const threshold = (level: string, file: string) => ['analyze', '--failure-threshold', level, file];
  const answers = run(
    ['analyze', 'one.yaml'],
    ['analyze', 'broken.yaml'],
    ['analyze', 'warned.yaml'],
    threshold('Warning', 'warned.yaml'),
    threshold('Info', 'warned.yaml'),
    threshold('Info', 'one.yaml'),
    ['analyze', '-S', 'SP1020=*', '--failure-threshold', 'Info', 'warned.yaml'],
    ['analyze', '-S', 'SP1020', 'warned.yaml'],
    ['analyze', '--remote-cluster', 'west', 'warned.yaml'],
    ['analyze', '--remote-cluster', 'west=gone.yaml', 'warned.yaml'],
    ['analyze', '--remote-cluster', 'west=gone.yaml', '--remote-cluster', 'west=one.yaml', 'warned.yaml'],
  );
  assert.deepEqual(codes(answers), [0, 1, 0, 1, 1, 0, 0, 2, 2, 3, 3], JSON.stringify(answers));
  assert.equal(answers[0]!.out, 'No findings: 3 objects read.\n');
  assert.match(answers[2]!.out, /0 errors, 1 warnings, 0 notes: 3 objects read\n$/);
  assert.match(answers[2]!.out, /refuses addresses that are not public/);
});

test('analyze paints where there are colours, unless it is not to', () => {
  const painted = (...words: string[]) => {
    const args = [import.meta.resolve('./main.ts'), JSON.stringify([['analyze', ...words, 'warned.yaml']])];
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', DRIVER, ...args], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, FORCE_COLOR: '1' },
    });
    return (JSON.parse(out) as Answer[])[0]!.out.includes('\u001b[');
  };
  assert.deepEqual([painted(), painted('--no-color')], [true, false]);
});
