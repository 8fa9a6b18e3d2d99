import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LearnAnswer } from '../inputs/learned.ts';
import { Observer } from '../learn/observed.ts';
import { parseLine } from '../learn/records.ts';
import { learn } from '../prove/learned.ts';
import { answerLines, isLearned, learnedJson, learnedText, readingLines } from './learned.ts';

const LINE =
  '[2026-11-21T10:00:00.000Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 10 5 4 "-" "curl/8" "id" "www.example.com:80" "198.51.100.7:80" PassthroughCluster 10.0.0.1:1 198.51.100.7:80 10.0.0.1:5000 - default';

function observed() {
  const observer = new Observer();
  const parsed = parseLine(LINE);
  assert.equal(parsed.kind, 'record');
  if (parsed.kind === 'record') observer.add(parsed.record);
  return observer.observation();
}

test('a proposal is the resources, and beside them what became of the calls', () => {
  const observation = observed();
  const answer: LearnAnswer = { kind: 'proposal', proposal: learn(observation, { namespace: 'default', wildcardAfter: 10 }) };
  assert.ok(isLearned(answer));
  assert.match(learnedText(answer), /^# Learned by Sallyport\./);
  assert.match(answerLines(answer, observation).join('\n'), /1 recorded call made again: it does not break\./);
  assert.deepEqual(Object.keys(learnedJson(answer)), ['resources', 'broken', 'verdicts']);
});

test('calls that would be refused are counted as often as they were made', () => {
  const observation = observed();
  const call = { ...observation.calls[0]!, count: 3 };
  const denied: LearnAnswer = { kind: 'denied', broken: [{ call, why: 'it is answered 502' }] };
  assert.ok(!isLearned(denied));
  assert.match(learnedText(denied), /^GET http:\/\/www\.example\.com:80\/, 3 calls: it is answered 502\n$/);
  assert.deepEqual(answerLines(denied, observation), ['3 recorded calls would be refused.']);
  assert.deepEqual(answerLines({ kind: 'denied', broken: [] }, observation), ['No recorded call would be refused.']);
});

test('lines that cannot be read are shown first and then counted, for a call may be missing', () => {
  const problem = { file: 'a.log', line: 7, why: 'no status', text: '"GET' };
  const reading = {
    lines: 9,
    damaged: { count: 3, first: [problem] },
    foreign: { count: 2, first: [problem] },
    unread: ['b.gz: ends early'],
  };
  assert.deepEqual(readingLines(reading, observed()), [
    'b.gz: ends early',
    'a.log:7: no status: "\\"GET": a call may be missing',
    '… and 2 more lines that cannot be read',
    'a.log:7: no status: "\\"GET"',
    '… and 1 more lines that are no record',
    '1 records: 1 destinations outside the mesh, 0 records of calls inside it, 0 of refused ones.',
  ]);
});
