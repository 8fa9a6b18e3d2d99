import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readShown } from '../read.ts';
import { type Asked, Asker } from './asker.ts';
import { portable } from './portable.ts';

const EXAMPLE = join(import.meta.dirname, '../../../examples/egress-http');

async function example(): Promise<Asked & { taken: number }> {
  const { snapshot, config } = (await readShown([EXAMPLE], {}, async () => undefined)).now();
  const asked: Asked & { taken: number } = {
    version: '1',
    taken: 0,
    subject() {
      asked.taken++;
      return { kind: 'mesh', mesh: portable(snapshot, config), running: [], paths: [EXAMPLE], meshConfig: undefined, namespace: undefined };
    },
  };
  return asked;
}

function opened(t: TestContext, asked: Asked, options = {}): Asker {
  const asker = new Asker(() => asked, options);
  t.after(() => asker.close());
  return asker;
}

test('questions are answered one after another, about the same subject', async (t) => {
  const asked = await example();
  const asker = opened(t, asked);
  const [workloads, verified] = await Promise.all([asker.ask({ kind: 'workloads' }), asker.ask({ kind: 'verify' })]);
  assert.deepEqual(workloads, ['default/local']);
  assert.equal(verified.verdicts.length, 2);
  assert.equal(asked.taken, 1);
});

test('a question that nobody waits for any more is left, and those behind it are answered', async (t) => {
  const asker = opened(t, await example());
  const [running, waiting] = [new AbortController(), new AbortController()];
  const first = asker.ask({ kind: 'verify' }, { signal: running.signal });
  const second = asker.ask({ kind: 'verify' }, { signal: waiting.signal });
  const third = asker.ask({ kind: 'workloads' });
  waiting.abort();
  running.abort();
  await assert.rejects(first, { code: 'cancelled' });
  await assert.rejects(second, { code: 'cancelled' });
  assert.deepEqual(await third, ['default/local']);
});

test('an answer that takes too long ends, and so many questions wait at most', async (t) => {
  const asker = opened(t, await example(), { longestMs: 1 });
  await assert.rejects(asker.ask({ kind: 'verify' }), { code: 'took-too-long' });
  const many = Array.from({ length: 18 }, () => asker.ask({ kind: 'workloads' }));
  const ends = await Promise.allSettled(many);
  const codes = ends.map((end) => (end.status === 'rejected' ? end.reason.code : 'answered'));
  assert.equal(codes.at(-1), 'busy');
});

test('what a question is wrong about is said, and the next is answered', async (t) => {
  const asker = opened(t, await example());
  const question = { kind: 'explain', url: 'http://a.example/', from: 'a/b', method: 'GET', headers: [], to: undefined, now: 0 } as const;
  await assert.rejects(asker.ask(question), { code: 'no-such-workload' });
  assert.equal((await asker.ask({ ...question, from: 'default/local' })).outcome, 'reply');
});

test('nothing is answered once it is closed', async () => {
  const asker = new Asker(() => ({ version: '', subject: () => assert.fail() }));
  const asked = asker.ask({ kind: 'verify' });
  asker.close();
  await assert.rejects(asked);
  await assert.rejects(asker.ask({ kind: 'verify' }), { code: 'closed' });
});
