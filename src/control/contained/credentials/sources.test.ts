import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Source, Value } from '../../../lib/credential-value.ts';
import { HeldCredentials } from './held.ts';
import { sourceOf } from './sources.ts';

const NOW = Date.parse('2026-06-15T12:00:00Z');

function asked(source: Source): Promise<string> {
  return new Promise((resolve) => source((value: Value) => resolve('problem' in value ? `no: ${value.problem}` : value.revealText())));
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sources-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A clock that stands still until it is set, and the options with it. */
function clocked(environment: Record<string, string> = {}) {
  const clock = { ms: 0 };
  const options = {
    environment: { ...process.env, ...environment },
    now: () => clock.ms,
    date: () => NOW + clock.ms,
    signal: new AbortController().signal,
  };
  return { clock, options };
}

test('a file that is replaced a thousand times is right each time, and never missing', async (t) => {
  const file = join(folderOf(t), 'token');
  writeFileSync(file, 'value-0\n');
  const source = sourceOf({ from: { file, command: [] } }, clocked().options);
  for (let i = 1; i <= 1000; i++) {
    writeFileSync(`${file}.new`, `value-${i}\n`);
    renameSync(`${file}.new`, file);
    assert.equal(await asked(source), `value-${i}`);
  }
});

test('what is no value closes, and what is said holds nothing of it', async (t) => {
  const file = join(folderOf(t), 'token');
  const source = sourceOf({ from: { file, command: [] } }, clocked().options);
  assert.match(await asked(source), /^no: the file .* cannot be read: ENOENT$/);
  for (const [text, expected] of [
    ['', 'is empty'],
    ['\n', 'is empty'],
    ['two\nlines', 'holds other characters'],
    ['split\r\nx-other: 1', 'holds other characters'],
    ['Zoë', 'holds other characters'],
    ['x'.repeat(70_000), 'more than 65536 bytes'],
  ] as const) {
    writeFileSync(file, text);
    const said = await asked(source);
    assert.ok(said.startsWith('no: ') && said.includes(expected), said);
    assert.ok(text === '' || text === '\n' || !said.includes(text));
  }
  const { options } = clocked({ CANARY: 'v' });
  assert.equal(await asked(sourceOf({ from: { environment: 'CANARY', command: [] } }, options)), 'v');
  assert.equal(
    await asked(sourceOf({ from: { environment: 'MISSING_CANARY', command: [] } }, options)),
    'no: the variable MISSING_CANARY is not set',
  );
});

test('a command’s output holds until its time is over, and is asked for once by many calls', async (t) => {
  const count = join(folderOf(t), 'count');
  const { clock, options } = clocked({ COUNT: count });
  const source = sourceOf(
    { from: { command: ['sh', '-c', 'echo x >>"$COUNT"; echo "run-$(wc -l <"$COUNT" | tr -d " ")"'], ttl: 60_000 } },
    options,
  );
  assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => asked(source))), Array(20).fill('run-1'));
  clock.ms = 59_999;
  assert.equal(await asked(source), 'run-1');
  clock.ms = 60_001;
  assert.equal(await asked(source), 'run-2');
});

test('an ExecCredential says itself when it ends; one that has ended is none', async () => {
  const credential = (token: unknown, expirationTimestamp?: string) =>
    JSON.stringify({ kind: 'ExecCredential', apiVersion: 'client.authentication.k8s.io/v1', status: { token, expirationTimestamp } });
  const { clock, options } = clocked();
  const of = (text: string) => sourceOf({ from: { command: ['printf', '%s', text] } }, options);
  assert.equal(await asked(of(credential('t', '2026-06-15T13:00:00Z'))), 't');
  assert.equal(await asked(of(credential('t'))), 't');
  assert.match(await asked(of(credential('t', '2026-06-15T12:00:00Z'))), /^no: the output of printf has expired$/);
  assert.match(await asked(of(credential('t', 'soon'))), /has expired$/);
  assert.match(await asked(of(credential(undefined))), /without status\.token$/);
  clock.ms = 0;
});

test('a command that fails is not run for each call, and nothing of what it prints is said', async () => {
  const { options } = clocked();
  assert.equal(
    await asked(sourceOf({ from: { command: ['sh', '-c', 'echo canary; echo canary >&2; exit 7'] } }, options)),
    'no: sh ended with exit code 7',
  );
  assert.equal(await asked(sourceOf({ from: { command: ['/none/such'] } }, options)), 'no: /none/such cannot be run: ENOENT');
  // What Node throws where others are told.
  const thrown = sourceOf({ from: { command: ['/dev/null/such'] } }, options);
  for (let call = 1; call <= 2; call++) assert.equal(await asked(thrown), 'no: /dev/null/such cannot be run: ENOTDIR');
});

test('a value is given for its host alone, and what is wrong is said once', () => {
  const said: string[] = [];
  const { options } = clocked({ CANARY: 'v' });
  const rest = { ports: [80], rule: {} };
  const held = new HeldCredentials(
    [
      { name: 'a#1', host: 'a.example', from: { environment: 'CANARY', command: [] }, ...rest },
      { name: 'a#2', host: 'a.example', from: { environment: 'MISSING_CANARY', command: [] }, ...rest },
    ],
    options,
    (line) => said.push(line),
  );
  const got: (string | undefined)[] = [];
  for (const [name, host] of [
    ['a#1', 'a.example'],
    ['a#1', 'evil.example'],
    ['b', 'a.example'],
    ['a#2', 'a.example'],
    ['a#2', 'a.example'],
  ] as const)
    held.get({ name }, host, (value) => got.push(value?.revealText()));
  assert.deepEqual(got, ['v', undefined, undefined, undefined, undefined]);
  assert.deepEqual(said, [
    'credential a#1 is asked for by calls to evil.example, which it is not for: they are refused',
    'credential b is asked for by calls to a.example, which it is not for: they are refused',
    'credential a#2 cannot be had, so calls that need it are refused: the variable MISSING_CANARY is not set',
  ]);
  held.close();
});
