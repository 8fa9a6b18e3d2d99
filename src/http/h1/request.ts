/** What a connection manager's HTTP/1 codec makes of a request's head: which requests it takes, and what they ask for. */
import { SEEN } from '../fields.ts';
import { Head } from '../head.ts';
import type { ManagerOptions } from '../options.ts';
import type { RouteRequest } from '../routes/model.ts';
import { CodecError } from './error.ts';
import { parseRequestHead, type RequestHead } from './head.ts';
import { readTarget } from './target.ts';

export type Http1Options = Pick<
  ManagerOptions,
  'maxHeaders' | 'customMethods' | 'acceptHttp10' | 'allowAbsoluteUrl' | 'allowChunkedLength' | 'defaultHostForHttp10' | 'underscores'
>;

const LOW_VERSION = new CodecError('HTTP/1.0', 'low_version', 426);
const UNKNOWN_CODING = new CodecError('transfer coding other than chunked', 'http1.invalid_transfer_encoding', 501);
const CHUNKED_LENGTH = new CodecError('content-length and transfer-encoding', 'http1.content_length_and_chunked_not_allowed');
const UNDERSCORE = new CodecError('underscore in a field name', 'http1.unexpected_underscore');

/** `text` is the whole head with the line end of its last line, without the empty line. */
export function readRequest(text: string, options: Http1Options): RequestHead | CodecError {
  const head = parseRequestHead(text, options);
  if (head instanceof CodecError) return head;
  if (head.minor === 0 && !options.acceptHttp10) return LOW_VERSION;
  const error = readTarget(head, options.allowAbsoluteUrl) ?? checkFraming(head, options);
  if (error) return error;
  if (head.authority === undefined && head.minor === 0 && options.defaultHostForHttp10 !== '')
    head.authority = options.defaultHostForHttp10;
  const { headers } = head;
  if (head.teTrailers) headers.append('te', 'trailers');
  if (options.underscores !== 'allow' && (head.seen & SEEN.underscore) !== 0) {
    if (options.underscores === 'reject') return UNDERSCORE;
    for (const [name] of headers.clone()) if (name.includes('_')) headers.remove(name);
  }
  return head;
}

function checkFraming(head: RequestHead, { allowChunkedLength }: Http1Options): CodecError | undefined {
  if (head.unknownCoding) return UNKNOWN_CODING;
  if (head.chunked) {
    if (head.contentLength >= 0) {
      if (!allowChunkedLength) return CHUNKED_LENGTH;
      head.headers.remove('content-length');
    }
    // RFC 9112 §6.1: a coding in a message that says HTTP/1.0 is a framing error.
    if (head.minor === 0) return new CodecError('transfer-encoding in HTTP/1.0');
    if (head.method === 'CONNECT') return new CodecError('transfer-encoding with CONNECT', 'http1.transfer_encoding_not_allowed');
  }
  if (head.method === 'CONNECT' && head.contentLength > 0)
    return new CodecError('content-length with CONNECT', 'http1.content_length_not_allowed');
  return undefined;
}

/** The head as it goes through the proxy. `random`: the request's random integer. */
export function toHead(request: RequestHead, tls: RouteRequest['tls'], random: number): Head {
  const { minor, method, authority, path, headers, seen } = request;
  const upgrade = upgradeOf(request);
  const hasBody = request.chunked || request.contentLength > 0 || upgrade !== '';
  const scheme = tls ? 'https' : 'http';
  return new Head(
    minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0',
    method,
    authority ?? '',
    path,
    scheme,
    headers,
    seen,
    upgrade,
    hasBody,
    random,
    tls,
  );
}

/**
 * The upgrade that is asked for, in lower case. One to h2c is passed over, as HTTP/2 wants it by now (RFC 9113 §3.1) and Envoy does. So is one that
 * comes with a body, as any server may pass one over (RFC 9110 §7.8): the body keeps its frame, in which no server can take it for another request.
 */
function upgradeOf({ method, upgrade, chunked, contentLength }: RequestHead): string {
  if (method === 'CONNECT') return 'connect';
  if (chunked || contentLength > 0) return '';
  const asked = upgrade.toLowerCase();
  return asked === 'h2c' ? '' : asked;
}
