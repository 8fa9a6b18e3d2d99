import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { hashOf, lineText, readLine } from './chain/line.ts';
import { segmentPath } from './chain-files.ts';
import { callOf, keyIn, type TestKey, tempFolder, writerIn } from './testing.ts';
import { verifyFolder } from './verify-folder.ts';

/** A closed chain of three segments, with a restart in it. */
async function chain(t: TestContext): Promise<{ readonly folder: string; readonly key: TestKey }> {
  const base = tempFolder(t);
  const key = keyIn(base);
  const folder = join(base, 'audit');
  for (const run of [1, 2]) {
    const writer = writerIn(folder, key, { rotateBytes: 900 });
    for (let i = 0; i < 4; i++) {
      writer.append([callOf(`a${run}${i}.example.com`), callOf(`b${run}${i}.example.com`)]);
      await writer.rotate();
    }
    await writer.sign(true);
    writer.close();
  }
  return { folder, key };
}

type Segments = readonly (readonly string[])[];

function readSegments(folder: string): Segments {
  const all: string[][] = [];
  for (let number = 1; ; number++) {
    try {
      all.push(readFileSync(segmentPath(folder, number), 'utf8').split('\n').slice(0, -1));
    } catch {
      return all;
    }
  }
}

function writeSegments(folder: string, segments: Segments): void {
  for (const [i, lines] of segments.entries()) {
    const path = segmentPath(folder, i + 1);
    rmSync(path, { force: true });
    writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  }
}

function check(folder: string, key: TestKey, more = {}) {
  return verifyFolder(folder, { keys: [key.publicKey], from: 1, expect: undefined, ...more });
}

function found(folder: string, key: TestKey): boolean {
  const { problems, ended } = check(folder, key);
  return problems.length > 0 || !ended;
}

test('a chain as it was written is whole: over segments, and over restarts', async (t) => {
  const { folder, key } = await chain(t);
  const verdict = check(folder, key);
  assert.deepEqual(verdict.problems, []);
  assert.deepEqual(verdict.notes, []);
  assert.equal(verdict.ended, true);
  assert.equal(verdict.calls, 16);
  assert.ok(verdict.segments > 3, `${verdict.segments} segments`);
  assert.equal(verdict.signed?.seq, verdict.head?.seq);
});

test('each single change of a line, a byte, an order or a file is found', async (t) => {
  const { folder, key } = await chain(t);
  const whole = readSegments(folder);
  const places = whole.flatMap((lines, segment) => lines.map((_, line) => ({ segment, line })));
  const place = fc.constantFrom(...places);
  const edit = (segment: number, change: (lines: string[]) => void): Segments =>
    whole.map((lines, i) => {
      const copy = [...lines];
      if (i === segment) change(copy);
      return copy;
    });
  const mutation = fc.oneof(
    fc.tuple(fc.constant('byte'), place, fc.nat(), fc.integer({ min: 32, max: 126 })).map(([, { segment, line }, at, byte]) => {
      const text = whole[segment]![line]!;
      const index = at % text.length;
      const changed = text.slice(0, index) + String.fromCharCode(byte) + text.slice(index + 1);
      return { same: changed === text, segments: edit(segment, (lines) => lines.splice(line, 1, changed)) };
    }),
    place.map(({ segment, line }) => ({ same: false, segments: edit(segment, (lines) => lines.splice(line, 1)) })),
    fc.tuple(place, place).map(([from, to]) => ({
      same: false,
      segments: edit(to.segment, (lines) => lines.splice(to.line, 0, whole[from.segment]![from.line]!)),
    })),
    // A line of its own making, that names the line before it as it should.
    place.map(({ segment, line }) => {
      const before = readLine(whole[segment]![line]!)!;
      const made = lineText(callOf('made.example.com'), hashOf(whole[segment]![line]!), before.seq + 1);
      return { same: false, segments: edit(segment, (lines) => lines.splice(line + 1, 0, made)) };
    }),
    fc.tuple(place, place).map(([a, b]) => {
      const segments = whole.map((lines) => [...lines]);
      [segments[a.segment]![a.line], segments[b.segment]![b.line]] = [whole[b.segment]![b.line]!, whole[a.segment]![a.line]!];
      return { same: a.segment === b.segment && a.line === b.line, segments };
    }),
    // The end of a segment, from any line on.
    place.map(({ segment, line }) => ({ same: false, segments: edit(segment, (lines) => lines.splice(line)) })),
    // The end of the chain, from any line on but after the signature of an orderly end, which only who knows a later line can tell.
    place
      .filter(({ segment, line }) => !isEnd(whole[segment]![line - 1] ?? whole[segment - 1]?.at(-1)))
      .map(({ segment, line }) => ({
        same: false,
        segments: whole.map((lines, i) => (i < segment ? lines : i === segment ? lines.slice(0, line) : [])),
      })),
  );
  fc.assert(
    fc.property(mutation, ({ same, segments }) => {
      writeSegments(folder, segments);
      return same || found(folder, key);
    }),
    { numRuns: 500, seed: 1 },
  );
  writeSegments(folder, whole);
  assert.equal(found(folder, key), false);
  for (const segment of whole.keys()) {
    const path = segmentPath(folder, segment + 1);
    const bytes = readFileSync(path);
    rmSync(path);
    assert.ok(found(folder, key), `segment ${segment + 1}`);
    writeFileSync(path, bytes);
  }
});

function isEnd(line: string | undefined): boolean {
  return line !== undefined && readLine(line)?.entry.end === true;
}

test('a chain that is hashed anew after a change is found by its signatures', async (t) => {
  const { folder, key } = await chain(t);
  let prev = '0'.repeat(64);
  const anew = readSegments(folder).map((lines) =>
    lines.map((text) => {
      const { entry, seq } = readLine(text)!;
      const line = lineText(JSON.stringify(entry).replace('a11.', 'xxx.'), prev, seq);
      prev = hashOf(line);
      return line;
    }),
  );
  writeSegments(folder, anew);
  const { problems } = check(folder, key);
  assert.match(problems[0]!.message, /signature by .* is not valid/);
  assert.ok(problems.every(({ message }) => /signature|no line is signed/.test(message)));
});

test('a chain that is hashed anew without its signatures is not vouched for by a key, open or not', async (t) => {
  const { folder, key } = await chain(t);
  const [first] = readSegments(folder);
  let prev = '0'.repeat(64);
  const unsigned = first!
    .filter((text) => readLine(text)!.entry.kind !== 'signature')
    .map((text, i) => {
      const line = lineText(JSON.stringify(readLine(text)!.entry).replace('a10.', 'xxx.'), prev, i + 1);
      prev = hashOf(line);
      return line;
    });
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
  writeSegments(folder, [unsigned]);
  assert.deepEqual(
    check(folder, key).problems.map(({ message }) => message),
    ['no line is signed by a key that was given: anybody may have written it'],
  );
});

test('a signature that is written in another way is a change', async (t) => {
  const { folder, key } = await chain(t);
  const segments = readSegments(folder).map((lines) => [...lines]);
  const end = segments.at(-1)!;
  // The last bits of base64 say nothing.
  const other = end.at(-1)!.replace(/(.)==/, (_, last: string) => `${String.fromCharCode(last.charCodeAt(0) + 1)}==`);
  assert.notEqual(other, end.at(-1));
  writeSegments(folder, [...segments.slice(0, -1), [...end.slice(0, -1), other]]);
  assert.match(check(folder, key).problems[0]?.message ?? '', /not valid/);
});

test('a key of somebody else is told, and so is a line that is known to have been there', async (t) => {
  const { folder, key } = await chain(t);
  const other = keyIn(tempFolder(t));
  assert.match(check(folder, other).problems[0]!.message, /not one of those given/);
  const { head } = check(folder, key);
  assert.deepEqual(check(folder, key, { expect: head }).problems, []);
  const whole = readSegments(folder);
  const firstEnd = whole.findIndex((lines) => isEnd(lines.at(-1)));
  writeSegments(
    folder,
    whole.map((lines, i) => (i <= firstEnd ? lines : [])),
  );
  for (let number = firstEnd + 2; number <= whole.length; number++) rmSync(segmentPath(folder, number));
  assert.equal(found(folder, key), false, 'nothing in the files tells that something followed an orderly end');
  assert.match(check(folder, key, { expect: head }).problems[0]!.message, /its end is cut off/);
});

test('segments that are kept elsewhere are left out by name alone', async (t) => {
  const { folder, key } = await chain(t);
  rmSync(segmentPath(folder, 1));
  assert.match(check(folder, key).problems[0]!.message, /segment 1 is missing/);
  assert.deepEqual(check(folder, key, { from: 2 }).problems, []);
});
