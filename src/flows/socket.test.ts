import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FlowHub } from './hub.ts';
import { runningShowers, showFlows } from './socket.ts';
import { TestSource } from './testing.ts';

const SIDECAR = { type: 'sidecar', namespace: 'default', name: 'local', addresses: [] } as const;

async function showing(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-flows-'));
  const hub = new FlowHub();
  const source = new TestSource();
  hub.register(SIDECAR, source);
  const close = await showFlows(hub, 'up', folder);
  t.after(async () => {
    await close();
    rmSync(folder, { recursive: true });
  });
  const [running] = await runningShowers(folder);
  assert.ok(running);
  return { folder, hub, source, close, running };
}

async function ask(socketPath: string, path: string, more: { method?: string; headers?: Record<string, string> } = {}) {
  const asked = request({ socketPath, path, agent: false, headers: { host: 'localhost' }, ...more });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  return { asked, answer };
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of answer.setEncoding('utf8')) text += piece;
  return text;
}

test('a running process is found by its socket, and what is left of one that was killed is removed', async (t) => {
  const { folder, running, close } = await showing(t);
  const left = join(folder, 'run-1-0123abcd.sock');
  // Nobody listens there, as with the socket that a killed process leaves behind.
  writeFileSync(left, '');
  writeFileSync(join(folder, 'notes.txt'), '');
  assert.deepEqual(await runningShowers(folder), [{ command: 'up', pid: process.pid, socketPath: running.socketPath }]);
  assert.ok(!existsSync(left));
  assert.ok(existsSync(join(folder, 'notes.txt')), 'what is not ours stays');
  await close();
  assert.deepEqual(await runningShowers(folder), []);
  assert.deepEqual(await runningShowers(join(folder, 'none')), []);
});

test('lines come as calls do, filtered, and end when the process does', async (t) => {
  const { source, running, close } = await showing(t);
  const { answer } = await ask(running.socketPath, '/flows?verdict=refused');
  assert.equal(answer.headers['content-type'], 'application/x-ndjson');
  assert.deepEqual(source.asked, [true], 'by the time of the answer all is told');
  source.tell({ id: '1' });
  source.tell({ id: '2', verdict: 'refused' });
  await close();
  const lines = (await textOf(answer)).trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { id: string }).id),
    ['1-2'],
  );
  assert.equal(source.asked.at(-1), false);
});

test('a reader that takes nothing delays nobody, holds little memory and is told what it lost', async (t) => {
  const { source, running, close, hub } = await showing(t);
  const { answer } = await ask(running.socketPath, '/flows');
  const quick = await ask(running.socketPath, '/flows?verdict=failed');
  answer.pause();
  const total = 30_000;
  const before = process.memoryUsage().external + process.memoryUsage().heapUsed;
  for (let i = 0; i < total; i++) {
    source.tell({ path: 'x'.repeat(500) });
    // The writer gets its turns.
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const grown = process.memoryUsage().external + process.memoryUsage().heapUsed - before;
  assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes for ${total} flows`);
  source.tell({ verdict: 'failed' });
  const [piece] = (await once(quick.answer.setEncoding('utf8'), 'data')) as [string];
  assert.match(piece, /"verdict":"failed"/, 'another reader has lost nothing');
  const read = textOf(answer);
  let last = '';
  answer.on('data', (text: string) => (last = text));
  while (!/"kind":"dropped"/.test(last)) await once(answer, 'data');
  await close();
  const lines = (await read)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; count?: number });
  const dropped = lines.filter(({ kind }) => kind === 'dropped').reduce((sum, { count = 0 }) => sum + count, 0);
  assert.ok(dropped > total / 2, String(dropped));
  assert.equal(lines.filter(({ kind }) => kind === 'end').length + dropped, total + 1);
  assert.equal(hub.watchers, 0);
});

test('what cannot be answered is refused with the reason', async (t) => {
  const { running, source } = await showing(t);
  for (const [path, more, status, text] of [
    ['/flows?verdict=denied', {}, 400, /verdict is one of allowed, refused, failed/],
    ['/flows?since=1', {}, 400, /no filter since/],
    ['/flows', { method: 'POST' }, 405, /GET/],
    ['/other', {}, 404, /GET \/flows/],
    ['/flows', { headers: { host: 'evil.example' } }, 403, /evil\.example/],
    ['/flows', { headers: { host: 'localhost', origin: 'http://evil.example' } }, 403, /web pages/],
  ] as const) {
    const { answer } = await ask(running.socketPath, path, more);
    assert.equal(answer.statusCode, status, path);
    assert.match(await textOf(answer), text);
  }
  assert.deepEqual(source.asked, []);
});

test('no more than sixteen watch, and one that leaves makes room', async (t) => {
  const { running, hub } = await showing(t);
  const all = await Promise.all(Array.from({ length: 16 }, () => ask(running.socketPath, '/flows')));
  const { answer } = await ask(running.socketPath, '/flows');
  assert.equal(answer.statusCode, 503);
  answer.resume();
  const left = new Promise<void>((resolve) => {
    const look = () => (hub.watchers < 16 ? resolve() : setImmediate(look));
    look();
  });
  all[0]!.asked.destroy();
  await left;
  assert.equal((await ask(running.socketPath, '/flows')).answer.statusCode, 200);
});
