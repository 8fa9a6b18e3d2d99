/** An accepted connection while listener filters look at it. */
import type { StreamSocket } from '../net/stream-socket.ts';
import type { Address } from '../types.ts';
import type { Bounds } from './bounds.ts';

const EMPTY = Buffer.alloc(0);

/** Bytes that were read ahead, in a buffer that doubles: one-byte pieces cost no more than others. */
export class ReadAhead {
  #buffer: Buffer = EMPTY;
  #start = 0;
  #end = 0;

  get data(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  get length(): number {
    return this.#end - this.#start;
  }

  append(piece: Buffer): void {
    if (this.#end === 0) {
      this.#buffer = piece;
      this.#end = piece.length;
      return;
    }
    if (this.#end + piece.length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(1024, (this.length + piece.length) * 2));
      const end = this.data.copy(grown);
      this.#buffer = grown;
      this.#start = 0;
      this.#end = end;
    }
    piece.copy(this.#buffer, this.#end);
    this.#end += piece.length;
  }

  drop(bytes: number): void {
    this.#start += bytes;
  }

  /** Everything that is left, or undefined for nothing. */
  take(): Buffer | undefined {
    const left = this.length > 0 ? this.data : undefined;
    this.#buffer = EMPTY;
    this.#start = 0;
    this.#end = 0;
    return left;
  }
}

export class Inspection {
  readonly id: number;
  /** A Node socket where somebody needs one. */
  socket: StreamSocket;
  readonly startTime: number;
  readonly directRemoteAddress: Address;
  readonly directLocalAddress: Address;
  remoteAddress: Address;
  /** The original destination once a filter has restored it. */
  localAddress: Address;
  localAddressRestored = false;
  /** `tls`, or empty while nothing was detected. */
  transportProtocol = '';
  applicationProtocols: readonly string[] = [];
  serverName = '';
  /** The name or address that a client of the explicit proxy asked for. */
  asked: string | undefined = undefined;
  readonly ahead = new ReadAhead();
  /** Set by a filter that wants more: bytes that make another look worthwhile. */
  wanted = 1;
  /** Set while the connection can choose its destination anew between two requests (explicit proxy, absolute form). */
  reenters = false;

  constructor(id: number, socket: StreamSocket, now: number) {
    this.id = id;
    this.socket = socket;
    this.startTime = now;
    this.remoteAddress = { ip: plainIp(socket.remoteAddress), port: socket.remotePort ?? 0 };
    this.localAddress = { ip: plainIp(socket.localAddress), port: socket.localPort ?? 0 };
    this.directRemoteAddress = this.remoteAddress;
    this.directLocalAddress = this.localAddress;
  }

  restore(address: Address): void {
    this.localAddress = address;
    this.localAddressRestored = true;
  }
}

/** A dual-stack socket writes IPv4 addresses as `::ffff:1.2.3.4`. */
function plainIp(ip: string | undefined): string {
  return ip?.startsWith('::ffff:') && ip.includes('.') ? ip.slice(7) : (ip ?? '');
}

/** `more`: call again with more bytes; `later`: the filter calls `resume` itself, and nothing is read meanwhile. */
export type Verdict = 'next' | 'close' | 'more' | 'later';

export interface ListenerFilter {
  readonly name: string;
  /** When the time for listener filters is over, the connection ends here even if the listener continues on timeout. */
  readonly mandatory: boolean;
  /** How long it waits, where that is not the listener's to say: the time for the others begins after it. */
  readonly bounds?: Bounds;
  /** `filter_disabled`, asked when it is the filter's turn. */
  disabled(connection: Inspection): boolean;
  inspect(connection: Inspection, resume: (verdict: 'next' | 'close') => void): Verdict;
}
