import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readLine } from './chain/line.ts';
import { segmentPath, segmentsIn } from './chain-files.ts';
import { callOf, keyIn, tempFolder, writerIn } from './testing.ts';
import { verifyFolder } from './verify-folder.ts';

test('a line that was cut off is left, said, and followed by the next', async (t) => {
  const folder = join(tempFolder(t), 'audit');
  const key = keyIn(tempFolder(t));
  const first = writerIn(folder, key);
  first.append([callOf('a.example.com'), callOf('b.example.com')]);
  await first.sign();
  first.close();
  appendFileSync(segmentPath(folder, 1), '{"entry":{"host":"c');
  const check = () => verifyFolder(folder, { keys: [key.publicKey], from: 1, expect: undefined });
  assert.deepEqual(check().problems, []);
  assert.match(check().notes.join(), /19 bytes are of a line that was not written to its end/);

  const second = writerIn(folder, key);
  second.append([callOf('d.example.com')]);
  await second.sign(true);
  second.close();
  const verdict = check();
  assert.deepEqual(verdict.problems, []);
  assert.equal(verdict.ended, true);
  assert.equal(verdict.calls, 3);
  assert.match(verdict.notes.join('\n'), /19 bytes before segment 2 .* not acknowledged\n.*did not end the chain/);
  const opened = readLine(readFileSync(segmentPath(folder, 2), 'utf8').split('\n')[0]!)!.entry;
  assert.equal(opened.after, 'restart');

  // The bytes that were cut off are known: others in their place are found.
  truncateSync(segmentPath(folder, 1), statSync(segmentPath(folder, 1)).size - 1);
  assert.match(check().problems[0]!.message, /other bytes than the 19/);
});

test('a segment without a whole line is passed over', async (t) => {
  const folder = join(tempFolder(t), 'audit');
  const key = keyIn(tempFolder(t));
  const first = writerIn(folder, key);
  first.append([callOf('a.example.com')]);
  await first.sign(true);
  first.close();
  writeFileSync(segmentPath(folder, 2), '{"en');
  const second = writerIn(folder, key);
  second.append([callOf('b.example.com')]);
  await second.sign(true);
  second.close();
  assert.deepEqual(
    segmentsIn(folder).map(({ number }) => number),
    [1, 2, 3],
  );
  const verdict = verifyFolder(folder, { keys: [key.publicKey], from: 1, expect: undefined });
  assert.deepEqual(verdict.problems, []);
  assert.equal(verdict.ended, true);
});

test('what was changed before a restart is said, and stays to be found', async (t) => {
  const folder = join(tempFolder(t), 'audit');
  const key = keyIn(tempFolder(t));
  const first = writerIn(folder, key);
  first.append([callOf('a.example.com')]);
  await first.sign(true);
  first.close();
  const path = segmentPath(folder, 1);
  writeFileSync(path, readFileSync(path, 'utf8').replace('{"entry":{"host":"a', '{"entry": {"host":"a'));
  const second = writerIn(folder, key);
  assert.match(second.damage ?? '', /was changed/);
  await second.sign(true);
  second.close();
  assert.match(verifyFolder(folder, { keys: [key.publicKey], from: 1, expect: undefined }).problems[0]!.message, /it was changed/);
});

test('one process writes a folder', (t) => {
  const folder = join(tempFolder(t), 'audit');
  const key = keyIn(tempFolder(t));
  const first = writerIn(folder, key);
  assert.throws(() => writerIn(folder, key), { code: 'audit-in-use' });
  first.close();
  writerIn(folder, key).close();
});

test('segments end by their size and by their age', async (t) => {
  const folder = join(tempFolder(t), 'audit');
  const key = keyIn(tempFolder(t));
  let now = 0;
  const writer = writerIn(folder, key, { rotateBytes: 2000, rotateMs: 60_000, now: () => now });
  writer.append([callOf('a.example.com')]);
  await writer.rotate();
  assert.equal(writer.segment, 1);
  now = 60_000;
  await writer.rotate();
  writer.append([callOf('b.example.com')]);
  assert.equal(writer.segment, 2);
  writer.append(Array.from({ length: 20 }, () => callOf('c.example.com')));
  await writer.rotate();
  writer.append([callOf('d.example.com')]);
  assert.equal(writer.segment, 3);
  writer.close();
});

test('a segment that is removed or cut while it is written takes no line as acknowledged', async (t) => {
  for (const [how, why] of [
    [rmSync, /segment 1 was removed/],
    [truncateSync, /segment 1 was cut/],
  ] as const) {
    const folder = join(tempFolder(t), 'audit');
    const key = keyIn(tempFolder(t));
    const writer = writerIn(folder, key);
    writer.append([callOf('a.example.com')]);
    const { head } = writer;
    how(segmentPath(folder, 1));
    assert.throws(() => writer.append([callOf('b.example.com')]), why);
    assert.deepEqual(writer.head, head);
    writer.append([callOf('b.example.com')]);
    await writer.sign(true);
    writer.close();
    assert.match(readFileSync(segmentPath(folder, 2), 'utf8'), /b\.example\.com/);
    const verdict = verifyFolder(folder, { keys: [key.publicKey], from: 1, expect: undefined });
    assert.match(verdict.problems.map(({ message }) => message).join(), /missing/);
  }
});

test('another folder in the place of the first takes no segment', async (t) => {
  const around = tempFolder(t);
  const folder = join(around, 'audit');
  const key = keyIn(tempFolder(t));
  const writer = writerIn(folder, key, { rotateBytes: 1 });
  writer.append([callOf('a.example.com')]);
  await writer.rotate();
  renameSync(folder, join(around, 'moved'));
  assert.throws(() => writer.append([callOf('b.example.com')]), /ENOENT/);
  mkdirSync(folder);
  assert.throws(() => writer.append([callOf('b.example.com')]), /another folder has taken the place/);
  assert.deepEqual(readdirSync(folder), []);
  rmSync(folder, { recursive: true });
  renameSync(join(around, 'moved'), folder);
  writer.append([callOf('b.example.com')]);
  await writer.sign(true);
  writer.close();
  const verdict = verifyFolder(folder, { keys: [key.publicKey], from: 1, expect: undefined });
  assert.deepEqual([verdict.problems, verdict.calls, verdict.ended], [[], 2, true]);
});

test('segments are found whatever their number, and a line that is nested without end is none', async (t) => {
  const folder = join(tempFolder(t), 'audit');
  const key = keyIn(tempFolder(t));
  mkdirSync(folder);
  writeFileSync(
    segmentPath(folder, 99_999_999),
    `{"entry":{"a":${'['.repeat(30_000)}${']'.repeat(30_000)},"kind":"x"},"prev":"","seq":1}\n`,
  );
  for (const number of [100_000_000, 100_000_001]) {
    const writer = writerIn(folder, key);
    await writer.sign(true);
    writer.close();
    assert.equal(segmentsIn(folder).at(-1)!.number, number);
  }
  const { problems, lines } = verifyFolder(folder, { keys: [key.publicKey], from: 99_999_999, expect: undefined });
  assert.equal(lines, 5);
  assert.match(problems[0]!.message, /is not a line of an audit/);
});

test('notes of a chain are bounded', (t) => {
  const folder = join(tempFolder(t), 'audit');
  const writer = writerIn(folder, keyIn(tempFolder(t)));
  writer.append(Array.from({ length: 1000 }, () => JSON.stringify({ kind: 'failure', lost: 1 })));
  writer.close();
  const { notes } = verifyFolder(folder, { keys: undefined, from: 1, expect: undefined });
  assert.deepEqual([notes.length, notes.at(-1)], [101, 'and 900 more']);
});
