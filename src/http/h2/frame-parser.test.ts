import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type FrameHandler, FrameParser } from './frame-parser.ts';
import { ConnectionError, ERROR, FLAG, FRAME, MAX_FRAME, PREFACE } from './protocol.ts';

const LIMITS = { block: 60_000 };

function frame(type: number, flags: number, stream: number, payload: Uint8Array | readonly number[] = []): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, Buffer.from(payload)]);
}

const SETTINGS = frame(FRAME.settings, 0, 0);

/** Writes down what is told; the pieces of one DATA frame as one. */
class Told implements FrameHandler {
  readonly events: string[] = [];
  #data = '';

  dataBegins(stream: number, length: number): void {
    this.#data = `data ${stream} ${length} `;
  }
  dataPiece(bytes: Buffer): void {
    assert.ok(bytes.length > 0);
    this.#data += bytes.toString('hex');
  }
  dataEnds(payload: number, end: boolean): void {
    this.events.push(`${this.#data} ${payload} ${end}`);
  }
  headers(stream: number, block: Buffer, end: boolean, dependency: number): void {
    this.events.push(`headers ${stream} ${block.toString('hex')} ${end} ${dependency}`);
  }
  priority(stream: number, dependency: number): void {
    this.events.push(`priority ${stream} ${dependency}`);
  }
  reset(stream: number, code: number): void {
    this.events.push(`reset ${stream} ${code}`);
  }
  setting(id: number, value: number): void {
    this.events.push(`setting ${id} ${value}`);
  }
  settingsEnd(): void {
    this.events.push('settings');
  }
  settingsAcknowledged(): void {
    this.events.push('settings ack');
  }
  ping(payload: Buffer, ack: boolean): void {
    this.events.push(`ping ${payload.toString('hex')} ${ack}`);
  }
  goaway(lastStream: number, code: number): void {
    this.events.push(`goaway ${lastStream} ${code}`);
  }
  windowUpdate(stream: number, increment: number): void {
    this.events.push(`window ${stream} ${increment}`);
  }
  unknown(): void {
    this.events.push('unknown');
  }
}

/** What is told of the bytes, and the code of the error that ends them. */
function run(pieces: readonly Buffer[], limits = LIMITS): { events: string[]; error: number | undefined } {
  const told = new Told();
  const parser = new FrameParser(told, true, limits);
  try {
    for (const piece of pieces) parser.execute(piece);
  } catch (error) {
    assert.ok(error instanceof ConnectionError, String(error));
    return { events: told.events, error: error.code };
  }
  return { events: told.events, error: undefined };
}

const FRAMES: readonly Buffer[] = [
  frame(FRAME.data, 0, 1, [1, 2, 3]),
  frame(FRAME.data, FLAG.endStream, 1),
  frame(FRAME.data, FLAG.padded | FLAG.endStream, 1, [2, 7, 0, 0]),
  frame(FRAME.data, FLAG.padded, 1, [1, 0]),
  frame(FRAME.data, FLAG.padded, 1, [0]),
  frame(FRAME.headers, FLAG.endHeaders, 3, [0x82]),
  frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream | FLAG.padded | FLAG.priority, 3, [1, 0, 0, 0, 5, 9, 0x82, 0]),
  Buffer.concat([frame(FRAME.headers, FLAG.endStream, 5, [1]), frame(FRAME.continuation, 0, 5, [2]), frame(FRAME.continuation, 4, 5)]),
  frame(FRAME.priority, 0, 1, [0, 0, 0, 3, 1]),
  frame(FRAME.reset, 0, 1, [0, 0, 0, 8]),
  frame(FRAME.settings, 0, 0, [0, 4, 0, 0, 1, 0, 0, 9, 0, 0, 0, 1]),
  frame(FRAME.settings, FLAG.ack, 0),
  frame(FRAME.ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]),
  frame(FRAME.goaway, 0, 0, [0, 0, 0, 1, 0, 0, 0, 2, 97]),
  frame(FRAME.windowUpdate, 0, 1, [0, 0, 0, 1]),
  frame(0xbb, 0, 7, [1]),
];

test('frames are told alike however their bytes are cut', () => {
  const bytes = Buffer.concat([PREFACE, SETTINGS, ...FRAMES]);
  const whole = run([bytes]);
  assert.equal(whole.error, undefined);
  assert.equal(whole.events.length, FRAMES.length + 3);
  const single = run([...bytes].map((byte) => Buffer.from([byte])));
  assert.deepEqual(single, whole);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      assert.deepEqual(run(at.slice(1).map((end, i) => bytes.subarray(at[i], end))), whole);
    }),
    { seed: 9113, numRuns: 300 },
  );
});

const REFUSED: readonly (readonly [name: string, bytes: Buffer, code: number])[] = [
  ['DATA of stream 0', frame(FRAME.data, 0, 0, [1]), ERROR.protocol],
  ['padding longer than its frame', frame(FRAME.data, FLAG.padded, 1, [2, 1]), ERROR.protocol],
  ['padded DATA of nothing', frame(FRAME.data, FLAG.padded, 1), ERROR.frameSize],
  ['padded HEADERS of nothing', frame(FRAME.headers, FLAG.padded | FLAG.endHeaders, 1), ERROR.frameSize],
  ['HEADERS whose padding is longer', frame(FRAME.headers, FLAG.padded | FLAG.endHeaders, 1, [9, 1]), ERROR.protocol],
  ['HEADERS whose priority is cut', frame(FRAME.headers, FLAG.priority | FLAG.endHeaders, 1, [0]), ERROR.frameSize],
  ['HEADERS whose padding covers the priority', frame(FRAME.headers, 44, 1, [3, 0, 0, 0, 0, 0, 1]), ERROR.protocol],
  ['HEADERS of stream 0', frame(FRAME.headers, FLAG.endHeaders, 0, [1]), ERROR.protocol],
  ['CONTINUATION of nothing', frame(FRAME.continuation, FLAG.endHeaders, 1), ERROR.protocol],
  ['a PING within a head', Buffer.concat([frame(FRAME.headers, 0, 1), frame(FRAME.ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])]), ERROR.protocol],
  ['CONTINUATION of another stream', Buffer.concat([frame(FRAME.headers, 0, 1), frame(FRAME.continuation, 4, 3)]), ERROR.protocol],
  ['a frame that is too large', frame(FRAME.data, 0, 1, Buffer.alloc(MAX_FRAME + 1)).subarray(0, 9), ERROR.frameSize],
  ['PRIORITY of a wrong length', frame(FRAME.priority, 0, 1, [1]), ERROR.frameSize],
  ['PRIORITY of stream 0', frame(FRAME.priority, 0, 0, [0, 0, 0, 1, 0]), ERROR.protocol],
  ['RST_STREAM of a wrong length', frame(FRAME.reset, 0, 1, [1]), ERROR.frameSize],
  ['RST_STREAM of stream 0', frame(FRAME.reset, 0, 0, [0, 0, 0, 0]), ERROR.protocol],
  ['SETTINGS that are cut', frame(FRAME.settings, 0, 0, [1]), ERROR.frameSize],
  ['SETTINGS of a stream', frame(FRAME.settings, 0, 1), ERROR.protocol],
  ['an answer to SETTINGS with content', frame(FRAME.settings, FLAG.ack, 0, [0, 0, 0, 0, 0, 0]), ERROR.frameSize],
  ['PING of a wrong length', frame(FRAME.ping, 0, 0, [1]), ERROR.frameSize],
  ['PING of a stream', frame(FRAME.ping, 0, 1, [1, 2, 3, 4, 5, 6, 7, 8]), ERROR.protocol],
  ['GOAWAY that is too short', frame(FRAME.goaway, 0, 0, [1]), ERROR.frameSize],
  ['GOAWAY of a stream', frame(FRAME.goaway, 0, 1, Buffer.alloc(8)), ERROR.protocol],
  ['WINDOW_UPDATE of a wrong length', frame(FRAME.windowUpdate, 0, 0, [1]), ERROR.frameSize],
  ['PUSH_PROMISE', frame(FRAME.pushPromise, FLAG.endHeaders, 1, [0, 0, 0, 2]), ERROR.protocol],
];

for (const [name, bytes, code] of REFUSED) {
  test(`refused: ${name}`, () => {
    assert.equal(run([PREFACE, SETTINGS, bytes]).error, code);
    assert.equal(run([...Buffer.concat([PREFACE, SETTINGS, bytes])].map((byte) => Buffer.from([byte]))).error, code, 'byte by byte');
  });
}

test('the preface and SETTINGS come first', () => {
  assert.equal(run([Buffer.from('PRI * HTTP/1.1\r\n')]).error, ERROR.protocol);
  assert.equal(run([PREFACE, frame(FRAME.ping, 0, 0, Buffer.alloc(8))]).error, ERROR.protocol);
  assert.equal(run([PREFACE, frame(FRAME.settings, FLAG.ack, 0)]).error, ERROR.protocol);
});

test('a head is bounded by its bytes, and by its frames where these are empty', () => {
  const begin = Buffer.concat([PREFACE, SETTINGS, frame(FRAME.headers, 0, 1, Buffer.alloc(MAX_FRAME))]);
  const more = frame(FRAME.continuation, 0, 1, Buffer.alloc(MAX_FRAME));
  assert.equal(run([begin, more, more]).error, undefined);
  assert.equal(run([begin, more, more, more]).error, ERROR.enhanceYourCalm);
  const empty = frame(FRAME.continuation, 0, 1);
  const most = 16 + Math.floor(LIMITS.block / MAX_FRAME);
  assert.equal(run([begin, ...Array.from({ length: most }, () => empty)]).error, undefined);
  assert.equal(run([begin, ...Array.from({ length: most + 1 }, () => empty)]).error, ERROR.enhanceYourCalm);
});

test('after it was stopped, nothing is told', () => {
  const told = new Told();
  const parser = new FrameParser(told, true, LIMITS);
  parser.execute(Buffer.concat([PREFACE, SETTINGS]));
  parser.stop();
  parser.execute(Buffer.concat(FRAMES));
  assert.deepEqual(told.events, ['settings']);
});

test('any bytes are frames, or are refused as none; what is told does not depend on how they are cut', () => {
  const mutated = fc.array(
    fc.record({ frame: fc.nat(FRAMES.length - 1), at: fc.nat(20), byte: fc.integer({ min: 0, max: 255 }), change: fc.boolean() }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(mutated, fc.array(fc.nat(200), { maxLength: 6 }), (changes, cuts) => {
      const frames = changes.map(({ frame: index, at, byte, change }) => {
        const bytes = Buffer.from(FRAMES[index]!);
        if (change) bytes[at % bytes.length] = byte;
        return bytes;
      });
      const bytes = Buffer.concat([PREFACE, SETTINGS, ...frames]);
      const ends = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
      assert.deepEqual(run(ends.slice(1).map((end, i) => bytes.subarray(ends[i], end))), run([bytes]));
    }),
    { seed: 2, numRuns: 5000 },
  );
});
