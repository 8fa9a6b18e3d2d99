/** Parses the heads of HTTP/1 messages (RFC 9112 §2 to §6). Nothing lenient: what two parsers could read differently is refused. */

import { joinValue, knownField, otherField, SEEN, SEEN_ONCE } from '../fields.ts';
import { HeaderMap } from '../header-map.ts';
import { HTTP1_METHODS } from '../methods.ts';
import { AUTHORITY, consistsOf, FIELD_VALUE, TARGET, TOKEN } from './chars.ts';
import { CodecError, INVALID_CHARACTERS, TOO_MANY_HEADERS } from './error.ts';

/** What every head tells of its framing. */
export interface HeadFields {
  /** Without `host` and the hop-by-hop fields: `connection` and what it names, `keep-alive`, `proxy-connection`, `proxy-authorization`, `te`, `transfer-encoding`, `upgrade`. */
  readonly headers: HeaderMap;
  /** Which fields there are: bits of SEEN. */
  readonly seen: number;
  /** Of `content-length`; -1 without one. */
  readonly contentLength: number;
  /** `transfer-encoding: chunked`. */
  readonly chunked: boolean;
  /** Another transfer coding than chunked alone. */
  readonly unknownCoding: boolean;
  /** Options of `connection`. */
  readonly close: boolean;
  readonly keepAlive: boolean;
  /** Value of `upgrade` where `connection` asks for it, else empty. */
  readonly upgrade: string;
}

export interface RequestHead extends HeadFields {
  readonly method: string;
  readonly target: string;
  /** Value of `host`, repeats joined by commas as Envoy does; undefined without one. */
  readonly host: string | undefined;
  /** `te` names `trailers`. */
  readonly teTrailers: boolean;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  readonly minor: number;
  /** What the target and Host name, once the target has been read; undefined if neither names one. */
  authority: string | undefined;
  /** With query; empty for CONNECT. */
  path: string;
}

export interface ResponseHead extends HeadFields {
  readonly status: number;
  readonly minor: number;
}

export interface HeadOptions {
  readonly maxHeaders: number;
  /** Any token is a method; else only those that Envoy's parser knows. */
  readonly customMethods: boolean;
}

const VERSION = /^HTTP\/\d\.\d$/;
const LOW_VERSION = new CodecError('another version than HTTP/1.0 and HTTP/1.1', 'low_version', 426);

/** What is wrong with a request line, with its line end; undefined for a good one. */
export function requestLineError(line: string, options: HeadOptions): CodecError | undefined {
  const head = parseRequestHead(line, options);
  return head instanceof CodecError ? head : undefined;
}

/** `text` is the whole head with the line end of its last line, without the empty line. */
export function parseRequestHead(text: string, options: HeadOptions): RequestHead | CodecError {
  const lineEnd = text.indexOf('\r\n');
  const methodEnd = text.indexOf(' ');
  if (methodEnd <= 0 || methodEnd > lineEnd) return new CodecError('the request line has no method and target');
  const method = text.slice(0, methodEnd);
  if (!HTTP1_METHODS.has(method) && !(options.customMethods && consistsOf(method, TOKEN))) return new CodecError('unknown method');
  let at = methodEnd + 1;
  while (TARGET[text.charCodeAt(at)] === 1) at++;
  if (at === methodEnd + 1) return new CodecError('bad request target');
  // Without a version it is HTTP/0.9.
  if (at === lineEnd) return LOW_VERSION;
  if (text.charCodeAt(at) !== 32) return isControl(text.charCodeAt(at)) ? INVALID_CHARACTERS : new CodecError('bad request target');
  const minor = minorVersion(text, at + 1, lineEnd);
  if (minor < 0) return minor === -2 ? LOW_VERSION : new CodecError('bad protocol version in the request line');
  const fields = parseFields(text, lineEnd + 2, options.maxHeaders);
  if (fields instanceof CodecError) return fields;
  fields.method = method;
  fields.target = text.slice(methodEnd + 1, at);
  fields.minor = minor;
  return fields;
}

/** As `parseRequestHead`, for a response. The reason phrase is read and dropped. */
export function parseResponseHead(text: string, maxHeaders: number): ResponseHead | CodecError {
  const lineEnd = text.indexOf('\r\n');
  const minor = minorVersion(text, 0, Math.min(8, lineEnd));
  if (minor < 0) return new CodecError('bad protocol version in the status line');
  const status = (text.charCodeAt(9) - 48) * 100 + (text.charCodeAt(10) - 48) * 10 + (text.charCodeAt(11) - 48);
  const digits = text.charCodeAt(10) >= 48 && text.charCodeAt(10) <= 57 && text.charCodeAt(11) >= 48 && text.charCodeAt(11) <= 57;
  if (text.charCodeAt(8) !== 32 || !digits || !(status >= 100 && status <= 999)) return new CodecError('bad status code');
  if (lineEnd > 12) {
    if (text.charCodeAt(12) !== 32) return new CodecError('bad status line');
    for (let i = 13; i < lineEnd; i++)
      if (FIELD_VALUE[text.charCodeAt(i)] !== 1) return new CodecError('control character in the reason phrase');
  }
  const fields = parseFields(text, lineEnd + 2, maxHeaders);
  if (fields instanceof CodecError) return fields;
  fields.status = status;
  fields.minor = minor;
  return fields;
}

/** Trailer fields: as header fields, and none that frames or routes the message (RFC 9110 §6.5.1). */
export function parseTrailers(text: string, maxHeaders: number): HeaderMap | CodecError {
  const fields = parseFields(text, 0, maxHeaders);
  if (fields instanceof CodecError) return fields;
  const forbidden = SEEN.host | SEEN.contentLength | SEEN.transferEncoding | SEEN.connection | SEEN.upgrade | SEEN.te;
  return (fields.seen & forbidden) === 0 ? fields.headers : new CodecError('a trailer field that frames or routes the message');
}

function isControl(code: number): boolean {
  return code < 32 || code === 127;
}

function minorVersion(text: string, start: number, end: number): number {
  if (end - start !== 8 || !text.startsWith('HTTP/1.', start)) return VERSION.test(text.slice(start, end)) ? -2 : -1;
  const minor = text.charCodeAt(end - 1) - 48;
  return minor === 0 || minor === 1 ? minor : -2;
}

/** One shape for requests and responses, so that everything that reads heads stays monomorphic. */
class Fields implements RequestHead, ResponseHead {
  method = '';
  target = '';
  status = 0;
  minor = 1;
  headers: HeaderMap;
  seen = 0;
  contentLength = -1;
  chunked = false;
  unknownCoding = false;
  close = false;
  keepAlive = false;
  upgrade = '';
  host: string | undefined = undefined;
  authority: string | undefined = undefined;
  path = '';
  teTrailers = false;
  upgradeOption = false;
  /** Other options of `connection`: fields that are for this hop alone. */
  nominated: Set<string> | undefined = undefined;

  constructor(flat: string[]) {
    this.headers = new HeaderMap(flat);
  }
}

/** Fields that are taken out of the header map and kept apart. */
const APART = SEEN.host | SEEN.transferEncoding | SEEN.connection | SEEN.hopByHop | SEEN.te | SEEN.upgrade;
/** Fields that `connection` must not name: dropping them would change what the message says of its sender or its body. */
const NOT_NOMINATED = new Set([
  'host',
  'content-length',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-client-cert',
]);

function parseFields(text: string, from: number, maxHeaders: number): Fields | CodecError {
  const flat: string[] = [];
  const fields = new Fields(flat);
  const { length } = text;
  let seen = 0;
  let count = 0;
  let at = from;
  while (at < length) {
    const nameStart = at;
    let code = text.charCodeAt(at);
    while (TOKEN[code] === 1) code = text.charCodeAt(++at);
    // A line that starts with white space (obs-fold), a space before the colon and a line without a colon all end here.
    if (code !== 58 || at === nameStart) return code === 0 ? INVALID_CHARACTERS : new CodecError('bad field name');
    const raw = text.slice(nameStart, at);
    const known = knownField(raw) ?? otherField(raw);
    code = text.charCodeAt(++at);
    while (code === 32 || code === 9) code = text.charCodeAt(++at);
    const valueStart = at;
    while (FIELD_VALUE[code] === 1) code = text.charCodeAt(++at);
    if (code !== 13) return code === 10 ? new CodecError('bare LF in a field value') : INVALID_CHARACTERS;
    if (text.charCodeAt(at + 1) !== 10) return new CodecError('bare CR in a field value');
    let valueEnd = at;
    while (valueEnd > valueStart && (text.charCodeAt(valueEnd - 1) === 32 || text.charCodeAt(valueEnd - 1) === 9)) valueEnd--;
    const value = text.slice(valueStart, valueEnd);
    at += 2;
    if (++count > maxHeaders) return TOO_MANY_HEADERS;
    const { bit } = known;
    if ((bit & APART) !== 0) {
      const error = applyApart(fields, known.name, bit, value, seen);
      if (error) return error;
    } else {
      if (bit === SEEN.contentLength) {
        if ((seen & SEEN.contentLength) !== 0) return new CodecError('more than one content-length');
        fields.contentLength = decimal(value);
        if (fields.contentLength < 0) return new CodecError('bad content-length');
      }
      if ((bit & seen & SEEN_ONCE) === 0) flat.push(known.name, value);
      else joinValue(flat, known.name, value);
    }
    seen |= bit;
  }
  fields.seen = seen;
  return (seen & (SEEN.connection | SEEN.upgrade)) !== 0 ? applyConnection(fields) : fields;
}

function applyApart(fields: Fields, name: string, bit: number, value: string, seen: number): CodecError | undefined {
  switch (bit) {
    case SEEN.host:
      if (!consistsOf(value, AUTHORITY)) return new CodecError('bad character in host', 'http.invalid_authority');
      // No virtual host has such a name.
      fields.host = fields.host === undefined ? value : `${fields.host},${value}`;
      return undefined;
    case SEEN.transferEncoding:
      if ((seen & SEEN.transferEncoding) === 0 && value.toLowerCase() === 'chunked') fields.chunked = true;
      else fields.unknownCoding = true;
      return undefined;
    case SEEN.te:
      if (/(^|,)\s*trailers\s*(,|$)/i.test(value)) fields.teTrailers = true;
      return undefined;
    case SEEN.upgrade:
      fields.upgrade = fields.upgrade === '' ? value : `${fields.upgrade},${value}`;
      return undefined;
    case SEEN.connection:
      for (const option of value.toLowerCase().split(',')) {
        const word = option.trim();
        if (word === 'close') fields.close = true;
        else if (word === 'keep-alive') fields.keepAlive = true;
        else if (word === 'upgrade') fields.upgradeOption = true;
        else if (word !== '' && word !== 'te') {
          fields.nominated ??= new Set();
          fields.nominated.add(word);
        }
      }
      return undefined;
    case SEEN.hopByHop:
      if (name === 'proxy-connection' && value.toLowerCase() === 'close') fields.close = true;
      return undefined;
    default:
      return undefined;
  }
}

function applyConnection(fields: Fields): Fields | CodecError {
  if (!fields.upgradeOption) fields.upgrade = '';
  if (fields.nominated === undefined) return fields;
  for (const name of fields.nominated) {
    if (NOT_NOMINATED.has(name) || name.startsWith(':')) {
      return new CodecError('connection names a field that is not for this hop', 'http1.connection_header_rejected');
    }
    // Not for the bit that many fields share: some of those may be left.
    const bit = knownField(name)?.bit ?? 0;
    if (bit !== SEEN.envoy) fields.seen &= ~bit;
  }
  fields.headers.removeAll(fields.nominated);
  return fields;
}

/** Digits alone, at most 2^53 − 1; -1 for anything else: signs, lists, white space, nothing at all. */
function decimal(text: string): number {
  if (text.length === 0 || text.length > 16) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1;
}
