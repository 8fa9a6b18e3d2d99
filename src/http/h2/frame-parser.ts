/**
 * Takes the frames of one direction of a connection (RFC 9113 §4, §6) out of its bytes, however these are cut: the form of each frame is checked here, what it
 * means in the state of its stream is the handler's to judge. Bodies go through as they come; of the rest no more is kept than one head may have.
 */
import { ConnectionError, ERROR, FLAG, FRAME, FRAME_HEAD, MAX_FRAME, PREFACE } from './protocol.ts';

/** What the frames say. Bytes are lent for the call. Methods may throw a ConnectionError. */
export interface FrameHandler {
  /** A DATA frame begins; `length` is what it takes of the windows, padding included. */
  dataBegins(stream: number, length: number): void;
  /** Some of its payload, never empty. */
  dataPiece(bytes: Buffer): void;
  /** `payload`: bytes of it in all; `end`: of the stream. */
  dataEnds(payload: number, end: boolean): void;
  /** A whole header block. `dependency`: the stream that a priority names, -1 for none. */
  headers(stream: number, block: Buffer, end: boolean, dependency: number): void;
  priority(stream: number, dependency: number): void;
  reset(stream: number, code: number): void;
  setting(id: number, value: number): void;
  settingsEnd(): void;
  settingsAcknowledged(): void;
  ping(payload: Buffer, ack: boolean): void;
  goaway(lastStream: number, code: number): void;
  windowUpdate(stream: number, increment: number): void;
  unknown(): void;
}

export interface FrameLimits {
  /** Bytes of a header block as it is sent. */
  readonly block: number;
}

/** CONTINUATIONs of a head that is sent in full frames are few; this many more are for clients that cut theirs smaller. */
const SPARE_CONTINUATIONS = 16;

const NOTHING: Buffer = Buffer.alloc(0);

export class FrameParser {
  readonly #handler: FrameHandler;
  readonly #limits: FrameLimits;
  /** The beginning of a frame, or of the preface, that has not come whole. */
  #held: Buffer = NOTHING;
  #heldLength = 0;
  /** Heads and frames that did not come whole, so far. */
  #begun = 0;
  /** Bytes of a preface that are still to come. */
  #preface: number;
  #settingsSeen = false;
  #stopped = false;
  // A DATA frame that is under way.
  #inData = false;
  #payload = 0;
  #payloadLeft = 0;
  #paddingLeft = 0;
  #dataEnds = false;
  // A header block that is under way.
  #blockStream = 0;
  #block: Buffer[] = [];
  #blockBytes = 0;
  #blockEnds = false;
  #dependency = -1;
  #continuations = 0;

  /** `server`: the peer is a client, which begins with the preface. */
  constructor(handler: FrameHandler, server: boolean, limits: FrameLimits) {
    this.#handler = handler;
    this.#limits = limits;
    this.#preface = server ? PREFACE.length : 0;
  }

  /** Which head, or which frame beside DATA, has begun and not ended: another number for each; 0 for none. */
  get unfinished(): number {
    return this.#blockStream !== 0 || this.#heldLength > 0 ? this.#begun : 0;
  }

  /** Nothing more is read: what comes is dropped. */
  stop(): void {
    this.#stopped = true;
    this.#held = NOTHING;
    this.#heldLength = 0;
    this.#block = [];
  }

  /** Throws a ConnectionError where the bytes are no HTTP/2. */
  execute(data: Buffer): void {
    let at = 0;
    if (this.#preface > 0) at = this.#readPreface(data);
    const { length } = data;
    while (at < length && !this.#stopped) {
      if (this.#inData) at = this.#readData(data, at);
      else if (this.#heldLength > 0) at = this.#complete(data, at);
      else at = this.#readFrame(data, at);
    }
  }

  #readPreface(data: Buffer): number {
    const from = PREFACE.length - this.#preface;
    const length = Math.min(this.#preface, data.length);
    if (data.compare(PREFACE, from, from + length, 0, length) !== 0) throw protocol('the preface of HTTP/2 is missing');
    this.#preface -= length;
    return length;
  }

  /** A frame that begins at `at`; what of it has not come is waited for. */
  #readFrame(data: Buffer, at: number): number {
    if (data.length - at < FRAME_HEAD) return this.#hold(data, at, FRAME_HEAD);
    const length = this.#checkHead(data, at);
    const start = at + FRAME_HEAD;
    if (data[at + 3] === FRAME.data) {
      const padded = (data[at + 4]! & FLAG.padded) !== 0;
      if (padded && length > 0 && start >= data.length) return this.#hold(data, at, FRAME_HEAD + 1);
      this.#beginData(data, at, length);
      return start + (padded ? 1 : 0);
    }
    const end = start + length;
    if (end > data.length) return this.#hold(data, at, FRAME_HEAD + length);
    this.#frame(data, at, start, end);
    return end;
  }

  /** Keeps the rest of `data`; `wanted`: bytes that are needed to go on, as far as is known. */
  #hold(data: Buffer, at: number, wanted: number): number {
    const length = data.length - at;
    if (this.#blockStream === 0) this.#begun++;
    if (this.#held.length < length) this.#held = Buffer.allocUnsafe(Math.min(Math.max(64, length * 2), Math.max(wanted, length)));
    data.copy(this.#held, 0, at);
    this.#heldLength = length;
    return data.length;
  }

  /** Goes on with what is held. */
  #complete(data: Buffer, at: number): number {
    const held = this.#held;
    const wanted = this.#wanted();
    const taken = Math.min(wanted - this.#heldLength, data.length - at);
    const length = this.#heldLength + taken;
    if (held.length < length) {
      this.#held = Buffer.allocUnsafe(Math.min(wanted, Math.max(length, held.length * 2)));
      held.copy(this.#held, 0, 0, this.#heldLength);
    }
    data.copy(this.#held, this.#heldLength, at, at + taken);
    this.#heldLength = length;
    if (length < wanted || this.#wanted() > length) return at + taken;
    const frame = this.#held.subarray(0, length);
    this.#held = NOTHING;
    this.#heldLength = 0;
    this.#readFrame(frame, 0);
    return at + taken;
  }

  /** Bytes of the frame that is held, as far as its head has come. */
  #wanted(): number {
    if (this.#heldLength < FRAME_HEAD) return FRAME_HEAD;
    const held = this.#held;
    const length = this.#checkHead(held, 0);
    if (held[3] !== FRAME.data) return FRAME_HEAD + length;
    return FRAME_HEAD + ((held[4]! & FLAG.padded) !== 0 && length > 0 ? 1 : 0);
  }

  /** The length of the frame, if it may come here. */
  #checkHead(data: Buffer, at: number): number {
    const length = (data[at]! << 16) | (data[at + 1]! << 8) | data[at + 2]!;
    const type = data[at + 3]!;
    if (!this.#settingsSeen && type !== FRAME.settings) throw protocol('the first frame is not SETTINGS');
    if (length > MAX_FRAME) throw new ConnectionError(ERROR.frameSize, 'a frame is larger than was allowed');
    if (this.#blockStream !== 0 && (type !== FRAME.continuation || streamOf(data, at) !== this.#blockStream))
      throw protocol('a frame comes between the frames of a head');
    return length;
  }

  #beginData(data: Buffer, at: number, length: number): void {
    const stream = streamOf(data, at);
    const flags = data[at + 4]!;
    if (stream === 0) throw protocol('DATA of stream 0');
    let padding = 0;
    this.#payload = length;
    if ((flags & FLAG.padded) !== 0) {
      if (length === 0) throw new ConnectionError(ERROR.frameSize, 'a padded frame has no length of its padding');
      padding = data[at + FRAME_HEAD]!;
      this.#payload = length - 1 - padding;
      if (this.#payload < 0) throw protocol('the padding is longer than its frame');
    }
    this.#payloadLeft = this.#payload;
    this.#paddingLeft = padding;
    this.#dataEnds = (flags & FLAG.endStream) !== 0;
    this.#handler.dataBegins(stream, length);
    if (this.#payload + padding === 0) this.#handler.dataEnds(0, this.#dataEnds);
    else this.#inData = true;
  }

  #readData(data: Buffer, from: number): number {
    let at = from;
    const payload = Math.min(this.#payloadLeft, data.length - at);
    if (payload > 0) {
      this.#payloadLeft -= payload;
      at += payload;
      this.#handler.dataPiece(data.subarray(from, at));
    }
    const padding = Math.min(this.#paddingLeft, data.length - at);
    this.#paddingLeft -= padding;
    at += padding;
    if (this.#payloadLeft + this.#paddingLeft === 0) {
      this.#inData = false;
      this.#handler.dataEnds(this.#payload, this.#dataEnds);
    }
    return at;
  }

  /** A whole frame of any type but DATA. */
  #frame(data: Buffer, at: number, start: number, end: number): void {
    const stream = streamOf(data, at);
    const flags = data[at + 4]!;
    const length = end - start;
    const handler = this.#handler;
    switch (data[at + 3]!) {
      case FRAME.headers:
        this.#headers(data, stream, flags, start, end);
        return;
      case FRAME.continuation:
        this.#continuation(data, stream, flags, start, end);
        return;
      case FRAME.priority:
        ofStream(stream);
        // RFC 9113 §6.3: an error of the stream; such a frame is good for nothing else.
        exactly(length, 5);
        handler.priority(stream, data.readUInt32BE(start) & 0x7fffffff);
        return;
      case FRAME.reset:
        ofStream(stream);
        exactly(length, 4);
        handler.reset(stream, data.readUInt32BE(start));
        return;
      case FRAME.settings:
        this.#settings(data, stream, flags, start, end);
        return;
      case FRAME.ping:
        ofConnection(stream);
        exactly(length, 8);
        handler.ping(data.subarray(start, end), (flags & FLAG.ack) !== 0);
        return;
      case FRAME.goaway:
        ofConnection(stream);
        if (length < 8) throw new ConnectionError(ERROR.frameSize, 'a GOAWAY is too short');
        handler.goaway(data.readUInt32BE(start) & 0x7fffffff, data.readUInt32BE(start + 4));
        return;
      case FRAME.windowUpdate:
        exactly(length, 4);
        handler.windowUpdate(stream, data.readUInt32BE(start) & 0x7fffffff);
        return;
      case FRAME.pushPromise:
        throw protocol('PUSH_PROMISE, which nobody may send here');
      default:
        handler.unknown();
    }
  }

  #headers(data: Buffer, stream: number, flags: number, start: number, end: number): void {
    ofStream(stream);
    let from = start;
    let to = end;
    if ((flags & FLAG.padded) !== 0) {
      if (from >= to) throw new ConnectionError(ERROR.frameSize, 'a padded frame has no length of its padding');
      to -= data[from++]!;
    }
    let dependency = -1;
    if ((flags & FLAG.priority) !== 0) {
      if (end - from < 5) throw new ConnectionError(ERROR.frameSize, 'a priority is cut');
      dependency = data.readUInt32BE(from) & 0x7fffffff;
      from += 5;
    }
    if (to < from) throw protocol('the padding is longer than its frame');
    const ends = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.endHeaders) !== 0) {
      this.#handler.headers(stream, data.subarray(from, to), ends, dependency);
      return;
    }
    this.#blockStream = stream;
    this.#begun++;
    this.#blockEnds = ends;
    this.#dependency = dependency;
    this.#blockBytes = to - from;
    this.#block = [Buffer.from(data.subarray(from, to))];
    this.#continuations = 0;
  }

  #continuation(data: Buffer, stream: number, flags: number, start: number, end: number): void {
    if (this.#blockStream === 0) throw protocol('a CONTINUATION of nothing');
    this.#continuations++;
    this.#blockBytes += end - start;
    const { block } = this.#limits;
    if (this.#blockBytes > block || this.#continuations > SPARE_CONTINUATIONS + block / MAX_FRAME)
      throw new ConnectionError(ERROR.enhanceYourCalm, 'a head does not end');
    this.#block.push(Buffer.from(data.subarray(start, end)));
    if ((flags & FLAG.endHeaders) === 0) return;
    const whole = Buffer.concat(this.#block);
    this.#block = [];
    this.#blockStream = 0;
    this.#handler.headers(stream, whole, this.#blockEnds, this.#dependency);
  }

  #settings(data: Buffer, stream: number, flags: number, start: number, end: number): void {
    ofConnection(stream);
    const length = end - start;
    if ((flags & FLAG.ack) !== 0) {
      if (!this.#settingsSeen) throw protocol('the first frame is not SETTINGS');
      exactly(length, 0);
      this.#handler.settingsAcknowledged();
      return;
    }
    if (length % 6 !== 0) throw new ConnectionError(ERROR.frameSize, 'SETTINGS are cut');
    this.#settingsSeen = true;
    for (let at = start; at < end; at += 6) this.#handler.setting(data.readUInt16BE(at), data.readUInt32BE(at + 2));
    this.#handler.settingsEnd();
  }
}

function streamOf(data: Buffer, at: number): number {
  return ((data[at + 5]! & 127) << 24) | (data[at + 6]! << 16) | (data[at + 7]! << 8) | data[at + 8]!;
}

function protocol(what: string): ConnectionError {
  return new ConnectionError(ERROR.protocol, what);
}

function ofStream(stream: number): void {
  if (stream === 0) throw protocol('a frame of stream 0 that belongs to no stream');
}

function ofConnection(stream: number): void {
  if (stream !== 0) throw protocol('a frame of a stream that belongs to the connection');
}

function exactly(length: number, wanted: number): void {
  if (length !== wanted) throw new ConnectionError(ERROR.frameSize, `a frame has ${length} bytes of payload where its type has ${wanted}`);
}
