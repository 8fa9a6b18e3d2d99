/** What the peer of an HTTP/2 connection has said that it takes (RFC 9113 §6.5.2). */
import { ConnectionError, DEFAULT_WINDOW, ERROR, MAX_FRAME, MAX_WINDOW, SETTING } from '../../../http/h2/protocol.ts';

/** Of a server that has not said anything yet. */
const STREAMS_AT_FIRST = 100;
const LARGEST_FRAME = 0xffffff;

export class PeerSettings {
  readonly #isClient: boolean;
  /** Bytes of body of a new stream. */
  initialWindow = DEFAULT_WINDOW;
  #newWindow = DEFAULT_WINDOW;
  /** RFC 8441: the server takes CONNECT with a protocol. */
  extendedConnect = false;
  #maxStreams: number | undefined = undefined;
  #came = false;

  /** `isClient`: the peer is one. */
  constructor(isClient: boolean) {
    this.#isClient = isClient;
  }

  /** Throws a ConnectionError for a value that may not be. What we make no use of is checked alone. */
  set(id: number, value: number): void {
    switch (id) {
      case SETTING.initialWindowSize:
        if (value > MAX_WINDOW) throw new ConnectionError(ERROR.flowControl, 'a window that is too large');
        this.#newWindow = value;
        return;
      case SETTING.maxFrameSize:
        // Ours are never larger than the smallest that may be said.
        if (value < MAX_FRAME || value > LARGEST_FRAME) throw bad('SETTINGS_MAX_FRAME_SIZE', value);
        return;
      case SETTING.enablePush:
        if (value > 1 || (value === 1 && !this.#isClient)) throw bad('SETTINGS_ENABLE_PUSH', value);
        return;
      case SETTING.enableConnectProtocol:
        if (value > 1) throw bad('SETTINGS_ENABLE_CONNECT_PROTOCOL', value);
        this.extendedConnect = value === 1;
        return;
      case SETTING.maxConcurrentStreams:
        this.#maxStreams = value;
        return;
      default:
    }
  }

  /** Streams that we may have at a time. Who says nothing of it sets no limit. */
  get maxStreams(): number {
    return this.#maxStreams ?? (this.#came ? MAX_WINDOW : STREAMS_AT_FIRST);
  }

  /** A frame of settings is whole. Returns by how much the windows of the streams that run change. */
  frameEnds(): number {
    this.#came = true;
    const change = this.#newWindow - this.initialWindow;
    this.initialWindow = this.#newWindow;
    return change;
  }
}

function bad(name: string, value: number): ConnectionError {
  return new ConnectionError(ERROR.protocol, `${name} is ${value}`);
}
