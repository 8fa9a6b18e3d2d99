/**
 * The first bytes of a client that uses the proxy explicitly: SOCKS5 (RFC 1928, no authentication, CONNECT only), `CONNECT host:port` (RFC 9110 §9.3.6) or a
 * request in absolute form (RFC 9112 §3.2.2). Pure and incremental.
 */
import { type Authority, hostName, parseAuthority } from '../../http/authority.ts';

/** A host name in lower case without a trailing dot, or an IP address without brackets, and a port. */
export type ProxyTarget = Authority;

export type ExplicitRequest =
  | { readonly kind: 'need-more' }
  /** Write `reply`, drop `consumed` bytes, and go on reading. */
  | { readonly kind: 'greeting'; readonly consumed: number; readonly reply: Buffer }
  /** A tunnel: drop `consumed` bytes, connect, answer with `tunnelReply`. */
  | { readonly kind: 'tunnel'; readonly protocol: 'socks5' | 'http'; readonly consumed: number; readonly target: ProxyTarget }
  /** An HTTP request whose bytes stay unread. */
  | { readonly kind: 'forward'; readonly target: ProxyTarget }
  /** Write `reply` and close. `asked`: what was to be called, as far as it was said, as it was written (port 0 where it says none). */
  | { readonly kind: 'refuse'; readonly reply: Buffer; readonly reason: string; readonly asked?: Authority };

const MAX_HEAD = 64 * 1024;
const SOCKS_VERSION = 5;
/** Of what is no name, so much is told. */
const LONGEST_NAME = 255;

export const SOCKS_REPLY = {
  succeeded: 0,
  failure: 1,
  notAllowed: 2,
  hostUnreachable: 4,
  commandNotSupported: 7,
  addressTypeNotSupported: 8,
} as const;

/** A SOCKS5 reply with an empty bound address. */
export function socksReply(code: number): Buffer {
  return Buffer.from([SOCKS_VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]);
}

/** A reply of the proxy itself, after which it closes. */
export function httpReply(status: number, reason: string, body: string, fields = ''): Buffer {
  const text = `${body}\n`;
  return Buffer.from(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n${fields}\r\n${text}`,
  );
}

export const CONNECT_ESTABLISHED = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n', 'latin1');

/** `data`: what has not been consumed yet; `greeted`: the SOCKS greeting is done. */
export function readExplicitRequest(data: Buffer, greeted: boolean): ExplicitRequest {
  if (data.length === 0) return { kind: 'need-more' };
  if (greeted) return socksRequest(data);
  if (data[0] === SOCKS_VERSION) return socksGreeting(data);
  if (data[0] === 4) {
    // 0x5b: request rejected (SOCKS4).
    return { kind: 'refuse', reply: Buffer.from([0, 0x5b, 0, 0, 0, 0, 0, 0]), reason: 'SOCKS4 is not supported; use SOCKS5' };
  }
  return httpRequest(data);
}

function socksGreeting(data: Buffer): ExplicitRequest {
  if (data.length < 2 || data.length < 2 + data[1]!) return { kind: 'need-more' };
  const consumed = 2 + data[1]!;
  if (!data.subarray(2, consumed).includes(0)) {
    return {
      kind: 'refuse',
      reply: Buffer.from([SOCKS_VERSION, 0xff]),
      reason: 'the SOCKS5 client offers no method without authentication',
    };
  }
  return { kind: 'greeting', consumed, reply: Buffer.from([SOCKS_VERSION, 0]) };
}

function socksRequest(data: Buffer): ExplicitRequest {
  if (data[0] !== SOCKS_VERSION) return { kind: 'refuse', reply: socksReply(SOCKS_REPLY.failure), reason: 'malformed SOCKS5 request' };
  if (data.length < 5) return { kind: 'need-more' };
  const command = data[1]!;
  if (command !== 1) {
    return {
      kind: 'refuse',
      reply: socksReply(SOCKS_REPLY.commandNotSupported),
      reason: `SOCKS5 command ${command} is not supported, only CONNECT is`,
    };
  }
  const type = data[3]!;
  const size = type === 1 ? 4 : type === 4 ? 16 : type === 3 ? 1 + data[4]! : 0;
  if (size === 0) {
    return { kind: 'refuse', reply: socksReply(SOCKS_REPLY.addressTypeNotSupported), reason: `SOCKS5 address type ${type} is unknown` };
  }
  const consumed = 4 + size + 2;
  if (data.length < consumed) return { kind: 'need-more' };
  const bytes = data.subarray(4, 4 + size);
  const host =
    type === 1
      ? bytes.join('.')
      : type === 4
        ? Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':')
        : hostName(bytes.subarray(1).toString('latin1'));
  const port = data.readUInt16BE(4 + size);
  if (host === undefined || port === 0) {
    const asked = { host: host ?? bytes.subarray(1).toString('latin1'), port };
    return { kind: 'refuse', reply: socksReply(SOCKS_REPLY.failure), reason: 'the SOCKS5 request names no valid host and port', asked };
  }
  return { kind: 'tunnel', protocol: 'socks5', consumed, target: { host, port } };
}

function refuseHttp(status: number, phrase: string, reason: string, asked?: string): ExplicitRequest {
  const reply = httpReply(status, phrase, `sallyport: ${reason}`);
  return { kind: 'refuse', reply, reason, ...(asked && { asked: { host: asked.slice(0, LONGEST_NAME), port: 0 } }) };
}

function httpRequest(data: Buffer): ExplicitRequest {
  const end = data.indexOf('\r\n');
  if (end < 0) {
    if (data.length >= MAX_HEAD) return refuseHttp(414, 'URI Too Long', 'the request line is longer than 64 KiB');
    return looksLikeText(data) ? { kind: 'need-more' } : refuseBytes();
  }
  if (!looksLikeText(data.subarray(0, end))) return refuseBytes();
  const parts = data.toString('latin1', 0, end).split(' ');
  const [method, target] = parts as [string, string | undefined];
  if (parts.length !== 3 || !target || !/^HTTP\/1\.[01]$/.test(parts[2]!)) return refuseHttp(400, 'Bad Request', 'malformed request line');
  if (method === 'CONNECT') return connectRequest(data, target);
  if (target.startsWith('/') || target === '*') {
    return refuseHttp(400, 'Bad Request', 'this is a proxy: send requests in absolute form (GET http://host/path), or CONNECT host:port');
  }
  const url = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)/.exec(target);
  if (!url) return refuseHttp(400, 'Bad Request', 'the request target is neither absolute nor host:port', target);
  const scheme = url[1]!.toLowerCase();
  if (scheme !== 'http') return refuseHttp(400, 'Bad Request', `the scheme ${scheme} needs a tunnel: send CONNECT host:port`, url[2]);
  const authority = parseAuthority(url[2]!.slice(url[2]!.lastIndexOf('@') + 1), 80);
  return authority
    ? { kind: 'forward', target: authority }
    : refuseHttp(400, 'Bad Request', 'the request target names no valid host and port', url[2]);
}

function refuseBytes(): ExplicitRequest {
  return refuseHttp(400, 'Bad Request', 'this port takes SOCKS5, CONNECT and HTTP requests in absolute form only');
}

function looksLikeText(data: Buffer): boolean {
  return data.every((c) => c >= 0x20 && c !== 0x7f);
}

function connectRequest(data: Buffer, text: string): ExplicitRequest {
  const target = parseAuthority(text, undefined);
  if (!target) return refuseHttp(400, 'Bad Request', 'CONNECT needs host:port', text);
  const end = data.indexOf('\r\n\r\n');
  if (end < 0) {
    return data.length < MAX_HEAD
      ? { kind: 'need-more' }
      : refuseHttp(431, 'Request Header Fields Too Large', 'the head of CONNECT is longer than 64 KiB');
  }
  return { kind: 'tunnel', protocol: 'http', consumed: end + 4, target };
}
