/**
 * What one side of an HTTP/2 connection writes. Frames are put one behind the other into memory that connections borrow, and go out together once a turn of
 * the event loop: what a turn brings for many streams is one write.
 */
import { FRAME, FRAME_HEAD } from '../../../http/h2/protocol.ts';
import type { Transport } from '../../net/transport.ts';

const CHUNK = 64 * 1024;
/** Chunks that a thread keeps. */
const KEPT = 16;
const spare: Buffer[] = [];

function giveBack(chunk: Buffer): void {
  if (spare.length < KEPT) spare.push(chunk);
}

/** Those that have something to write in this turn. */
let waiting: Output[] = [];

function flushAll(): void {
  const now = waiting;
  waiting = [];
  for (const output of now) output.turnEnds();
}

/** Bytes that the system has not taken, from which on nothing more should be asked of the peer either. */
const CONGESTED = 256 * 1024;

export class Output {
  readonly #transport: Transport;
  #chunk: Buffer | undefined = undefined;
  #at = 0;
  /** Bytes that the system is writing. */
  #inFlight: Buffer | undefined = undefined;
  #scheduled = false;
  /** Where the head of a DATA frame stands that is the last of the chunk, and whose it is. */
  #lastData = -1;
  #lastStream = 0;
  /** From a write that left too much pending until `drained`. */
  blocked = false;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The peer does not read: what answers its frames would pile up. */
  get congested(): boolean {
    return this.#transport.pending > CONGESTED;
  }

  /** Makes room for `bytes` (a chunk at most) in a row; they are written from `at` on, and then `advance` is called. */
  room(bytes: number): Buffer {
    if (this.#chunk && this.#at + bytes > CHUNK) this.flush();
    this.#chunk ??= spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK);
    this.#schedule();
    return this.#chunk;
  }

  get at(): number {
    return this.#at;
  }

  /** Everything up to `at` is written; the frames there carry no body. */
  advance(at: number): void {
    this.#at = at;
    this.#lastData = -1;
  }

  /** Room for the head and payload of a frame, with the head; returns where the payload belongs. */
  frame(type: number, flags: number, stream: number, length: number): number {
    const chunk = this.room(FRAME_HEAD + length);
    const at = this.#at;
    writeFrameHead(chunk, at, type, flags, stream, length);
    this.advance(at + FRAME_HEAD + length);
    return at + FRAME_HEAD;
  }

  /** A frame whose payload is whole numbers of 32 bits. */
  numbers(type: number, stream: number, first: number, second = -1): void {
    const at = this.frame(type, 0, stream, second < 0 ? 4 : 8);
    this.#chunk!.writeUInt32BE(first, at);
    if (second >= 0) this.#chunk!.writeUInt32BE(second, at + 4);
  }

  /** A frame with these bytes. */
  bytes(type: number, flags: number, stream: number, payload: Buffer): void {
    const at = this.frame(type, flags, stream, payload.length);
    payload.copy(this.#chunk!, at);
  }

  /** DATA, which `endData` may end afterwards. */
  data(stream: number, payload: Buffer, from: number, to: number): void {
    const at = this.frame(FRAME.data, 0, stream, to - from);
    payload.copy(this.#chunk!, at, from, to);
    this.#lastData = at - FRAME_HEAD;
    this.#lastStream = stream;
  }

  /** Ends the stream by its last frame, if that is a body's and has not gone, else by an empty one. */
  endData(stream: number): void {
    if (this.#lastData >= 0 && this.#lastStream === stream) this.#chunk![this.#lastData + 4] = 1;
    else this.frame(FRAME.data, 1, stream, 0);
    this.#lastData = -1;
  }

  /** Writes what there is. */
  flush(): void {
    const chunk = this.#chunk;
    if (!chunk) return;
    const length = this.#at;
    this.#chunk = undefined;
    this.#at = 0;
    this.#lastData = -1;
    const bytes = chunk.subarray(0, length);
    // What waits behind another write would keep a whole chunk, however little it is.
    const waits = this.#transport.pending > 0;
    if (!this.#transport.write(waits ? Buffer.from(bytes) : bytes)) this.blocked = true;
    if (waits || this.#transport.pending === 0) giveBack(chunk);
    else this.#inFlight = chunk;
  }

  /** The transport's `drained` came. */
  drained(): void {
    this.blocked = false;
    if (this.#inFlight) giveBack(this.#inFlight);
    this.#inFlight = undefined;
  }

  turnEnds(): void {
    this.#scheduled = false;
    this.flush();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (waiting.push(this) === 1) setImmediate(flushAll);
  }
}

export function writeFrameHead(out: Buffer, at: number, type: number, flags: number, stream: number, length: number): void {
  out[at] = length >> 16;
  out[at + 1] = length >> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  out[at + 5] = stream >>> 24;
  out[at + 6] = stream >> 16;
  out[at + 7] = stream >> 8;
  out[at + 8] = stream;
}
