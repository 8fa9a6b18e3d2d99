import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Decision, type Question, Questions, type QuestionsOptions } from './questions.ts';

const client = { ip: '127.0.0.1', port: 40_000 };
const turn = () => new Promise((resolve) => setImmediate(resolve));

function asking(decide: (question: Question) => Decision | Promise<Decision>, more: Partial<QuestionsOptions> = {}) {
  const put: Question[] = [];
  const allowed: Question[] = [];
  const said: string[] = [];
  const questions = new Questions({
    timeoutMs: 60_000,
    put: async (question) => {
      put.push(question);
      return decide(question);
    },
    allow: async (question) => void allowed.push(question),
    say: (line) => said.push(line),
    callerOf: () => undefined,
    ...more,
  });
  return { questions, put, allowed, said };
}

test('calls of one host are one question, with all ports that came by then', async () => {
  const { questions, put, allowed } = asking(() => 'run');
  const asked = [443, 80, 443].map((port) => questions.ask({ host: port === 80 ? 'API.example.com.' : 'api.example.com', port }, client)!);
  await Promise.all(asked.map(({ answered }) => answered));
  for (const one of asked) one.leave();
  assert.deepEqual(put, [{ host: 'api.example.com', ports: [80, 443], by: undefined }]);
  assert.deepEqual(allowed, put);
});

test('what is denied is not asked about again, and nothing is that would allow more than it names', async () => {
  const { questions, put, allowed } = asking(() => 'deny');
  const asked = questions.ask({ host: 'api.example.com', port: 443 }, client)!;
  await asked.answered;
  asked.leave();
  assert.equal(questions.ask({ host: 'api.example.com', port: 80 }, client), undefined);
  for (const host of ['*.example.com', '*', 'short', 'a b.example', 'x\u001b[2J.example'])
    assert.equal(questions.ask({ host, port: 443 }, client), undefined, host);
  assert.equal(put.length, 1);
  assert.deepEqual(allowed, []);
});

test('questions and calls that wait are bounded', async () => {
  const { questions, said } = asking(() => new Promise(() => undefined));
  const hosts = Array.from({ length: 30 }, (_, i) => questions.ask({ host: `h${i}.example.com`, port: 443 }, client));
  assert.equal(hosts.filter((asked) => asked !== undefined).length, 20);
  assert.equal(said.length, 1);
  const calls = Array.from({ length: 300 }, () => questions.ask({ host: 'h0.example.com', port: 443 }, client));
  assert.equal(calls.filter((asked) => asked !== undefined).length, 256 - 20);
  questions.close();
  for (const one of [...hosts, ...calls]) one?.leave();
});

test('a question for which nobody waits any more is withdrawn', async () => {
  let signal: AbortSignal | undefined;
  const { questions } = asking(() => 'run', {
    put: (_question, given) => {
      signal = given;
      return new Promise((resolve) => given.addEventListener('abort', () => resolve(undefined)));
    },
  });
  const asked = questions.ask({ host: 'api.example.com', port: 443 }, client)!;
  await turn();
  await turn();
  asked.leave();
  assert.equal(signal?.aborted, true);
  await asked.answered;
});

test('a call is held no longer than it may be', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { questions } = asking(() => new Promise(() => undefined), { timeoutMs: 5000 });
  const asked = questions.ask({ host: 'api.example.com', port: 443 }, client)!;
  t.mock.timers.tick(5000);
  await asked.answered;
  asked.leave();
});
