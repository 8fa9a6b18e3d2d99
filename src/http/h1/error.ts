/** A message that breaks HTTP/1: the reply that Envoy's codec gives and its response code details. */
export class CodecError {
  /** The status of the reply, where one can be sent. */
  readonly status: number;
  /** `%RESPONSE_CODE_DETAILS%`, e.g. `http1.codec_error`. */
  readonly details: string;
  /** What was wrong, for logs. */
  readonly reason: string;

  constructor(reason: string, details = 'http1.codec_error', status = 400) {
    this.status = status;
    this.details = details;
    this.reason = reason;
  }
}

export const INVALID_CHARACTERS = new CodecError('control character in the head', 'http1.invalid_characters');
export const HEADERS_TOO_LARGE = new CodecError('the head is larger than max_request_headers_kb', 'http1.headers_too_large', 431);
export const TOO_MANY_HEADERS = new CodecError('more header fields than max_headers_count', 'http1.too_many_headers', 431);
export const TRAILERS_TOO_LARGE = new CodecError('the trailers are too large', 'http1.trailers_too_large', 431);
