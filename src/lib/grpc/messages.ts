/** Messages as a gRPC call carries them: each after a flag and its length (grpc/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message"). */
import { SallyportError } from '../errors.ts';

/** Bytes before a message. */
const PREFIX = 5;

/** What stands before a message that is not compressed. */
export function prefixOf(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(PREFIX);
  prefix.writeUInt32BE(message.length, 1);
  return prefix;
}

/** What keeping a piece takes beside its bytes. */
const A_PIECE = 200;

/** Puts together messages from the pieces in which they come. */
export class MessageReader {
  readonly #most: number;
  #chunks: Buffer[] = [];
  #size = 0;

  /** @param most bytes of one message */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether a message has begun that has not been taken. */
  get isWithin(): boolean {
    return this.#size > 0;
  }

  /** Memory that what has come and was not taken holds, bytes. */
  get held(): number {
    return this.#size + this.#chunks.length * A_PIECE;
  }

  add(piece: Buffer): void {
    if (piece.length === 0) return;
    // A piece is a part of what came at once: few bytes would keep all of that.
    this.#chunks.push(piece.length * 2 < piece.buffer.byteLength ? Buffer.from(piece) : piece);
    this.#size += piece.length;
  }

  /** The next message, if all of it has come. Throws `grpc-compressed` or `grpc-too-large`; nothing is to be read then any more. */
  next(): Buffer | undefined {
    if (this.#size < PREFIX) return undefined;
    const length = this.#lengthAhead();
    if (this.#size < PREFIX + length) return undefined;
    this.#take(PREFIX);
    return this.#take(length);
  }

  /** Lets go of what has come. */
  clear(): void {
    this.#chunks = [];
    this.#size = 0;
  }

  #lengthAhead(): number {
    if (this.#chunks[0]!.length < PREFIX) this.#chunks = [Buffer.concat(this.#chunks)];
    const [first] = this.#chunks;
    if (first![0] !== 0) throw new SallyportError('grpc-compressed', 'a message is compressed, though no encoding was agreed on');
    const length = first!.readUInt32BE(1);
    if (length > this.#most)
      throw new SallyportError('grpc-too-large', `a message of ${length} bytes is larger than the ${this.#most} that one may have`);
    return length;
  }

  #take(count: number): Buffer {
    const whole = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#size -= count;
    this.#chunks = this.#size > 0 ? [whole.subarray(count)] : [];
    return whole.subarray(0, count);
  }
}
