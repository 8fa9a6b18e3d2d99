/** A text whose author is not trusted, by whole lines: where it breaks off, is too long or has a line without end, what came before can still be read. */
import { Transform } from 'node:stream';

/** Bytes of a line and of the whole text: far more than pages of metrics have. */
const MOST_LINE = 64 * 1024;
const MOST_TEXT = 32 * 1024 * 1024;

/** Fails at what is too long. */
export function wholeLines(): Transform {
  let rest: Buffer = Buffer.alloc(0);
  let length = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      length += chunk.length;
      const end = chunk.lastIndexOf(10) + 1;
      if (end > 0) this.push(Buffer.concat([rest, chunk.subarray(0, end)]));
      rest = end > 0 ? Buffer.from(chunk.subarray(end)) : Buffer.concat([rest, chunk]);
      done(rest.length > MOST_LINE || length > MOST_TEXT ? new Error('the page is too long') : null);
    },
    flush(done) {
      done(null, rest);
    },
  });
}
