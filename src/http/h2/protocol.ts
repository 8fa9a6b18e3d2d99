/** The numbers of HTTP/2 (RFC 9113 §6, §7) and what ends a stream or a connection. */

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = {
  /** Of SETTINGS and PING. */
  ack: 1,
  endStream: 1,
  endHeaders: 4,
  padded: 8,
  priority: 32,
} as const;

export const ERROR = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

/** What a client sends first (RFC 9113 §3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const FRAME_HEAD = 9;
/** Bytes of a window before anybody says something else. */
export const DEFAULT_WINDOW = 65_535;
/** In a GOAWAY that refuses no stream yet. */
export const LAST_STREAM = 0x7fff_ffff;
export const MAX_WINDOW = 0x7fffffff;
/** Bytes of payload that everybody takes; we never allow more. */
export const MAX_FRAME = 16_384;
/** Bytes of the decoder's table (RFC 7541 §4.2); we never allow more. */
export const TABLE_SIZE = 4096;

/** What the peer sent ends the connection, with GOAWAY and `code`. */
export class ConnectionError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'ConnectionError';
    this.code = code;
  }
}
