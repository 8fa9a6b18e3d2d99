/**
 * Reads SNI and ALPN out of a TLS ClientHello without terminating TLS (RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301). Pure and incremental: the caller asks again
 * when it holds at least as many bytes as the answer wanted.
 */
type ClientHelloResult =
  | { readonly kind: 'need-more'; readonly bytes: number }
  | { readonly kind: 'not-tls' }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'hello'; readonly serverName: string; readonly applicationProtocols: readonly string[] };

/** Envoy's bound for a ClientHello (`max_client_hello_size`), in bytes. */
export const MAX_CLIENT_HELLO = 16 * 1024;

const NOT_TLS: ClientHelloResult = { kind: 'not-tls' };
const RECORD_HEADER = 5;

/** `data` is everything that the connection has given so far. */
export function readClientHello(data: Uint8Array, limit = MAX_CLIENT_HELLO): ClientHelloResult {
  const message = handshakeMessage(data, limit);
  if ('kind' in message) return message;
  return parseHello(message);
}

/** The ClientHello without its headers, joined from the records that it is spread over. */
function handshakeMessage(data: Uint8Array, limit: number): Uint8Array | ClientHelloResult {
  const parts: Uint8Array[] = [];
  let have = 0;
  let wanted = 4;
  for (let offset = 0; ; ) {
    if (data.length > offset && data[offset] !== 22) return NOT_TLS;
    if (data.length > offset + 1 && data[offset + 1] !== 3) return NOT_TLS;
    if (data.length < offset + RECORD_HEADER) return { kind: 'need-more', bytes: data.length + 1 };
    const length = (data[offset + 3]! << 8) | data[offset + 4]!;
    if (length === 0 || length > 16384 + 256) return NOT_TLS;
    const part = data.subarray(offset + RECORD_HEADER, offset + RECORD_HEADER + length);
    if (have === 0 && part.length > 0 && part[0] !== 1) return NOT_TLS;
    parts.push(part);
    have += part.length;
    if (have >= 4 && wanted === 4) {
      const head = parts.length === 1 ? part : concat(parts);
      wanted = 4 + ((head[1]! << 16) | (head[2]! << 8) | head[3]!);
      if (wanted === 4) return NOT_TLS;
      if (wanted > limit) return { kind: 'too-large' };
    }
    if (have >= wanted && wanted > 4) return (parts.length === 1 ? part : concat(parts)).subarray(4, wanted);
    const end = offset + RECORD_HEADER + length;
    if (data.length < end) {
      // Wait for the rest of this record, or only for what the message still lacks of it.
      return { kind: 'need-more', bytes: Math.min(end, data.length + Math.max(1, wanted - have)) };
    }
    // Records of one byte each would otherwise let a hello grow sixfold.
    if (end > limit * 2) return { kind: 'too-large' };
    offset = end;
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A cursor that fails by returning undefined, never by reading past the end. */
class Reader {
  readonly #data: Uint8Array;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  get left(): number {
    return this.#data.length - this.#at;
  }

  uint(bytes: 1 | 2): number | undefined {
    if (this.left < bytes) return undefined;
    const first = this.#data[this.#at++]!;
    return bytes === 1 ? first : (first << 8) | this.#data[this.#at++]!;
  }

  take(length: number | undefined): Reader | undefined {
    if (length === undefined || this.left < length) return undefined;
    const out = new Reader(this.#data.subarray(this.#at, this.#at + length));
    this.#at += length;
    return out;
  }

  text(): string {
    return Buffer.from(this.#data.buffer, this.#data.byteOffset + this.#at, this.left).toString('latin1');
  }
}

function parseHello(message: Uint8Array): ClientHelloResult {
  const reader = new Reader(message);
  const fixed = reader.take(2 + 32);
  const session = fixed && reader.take(reader.uint(1));
  const ciphers = session && reader.take(reader.uint(2));
  const compression = ciphers && reader.take(reader.uint(1));
  if (!compression) return NOT_TLS;
  if (reader.left === 0) return { kind: 'hello', serverName: '', applicationProtocols: [] };
  const extensions = reader.take(reader.uint(2));
  if (!extensions || reader.left > 0) return NOT_TLS;
  let serverName: string | undefined = '';
  let applicationProtocols: string[] | undefined = [];
  const types = new Set<number>();
  while (extensions.left > 0) {
    const type = extensions.uint(2);
    const body = extensions.take(extensions.uint(2));
    // Of two of one type a server may read the other (RFC 8446 §4.2 forbids them).
    if (!body || type === undefined || types.has(type)) return NOT_TLS;
    types.add(type);
    if (type === 0) serverName = readServerName(body);
    else if (type === 16) applicationProtocols = readProtocols(body);
    if (serverName === undefined || applicationProtocols === undefined) return NOT_TLS;
  }
  return { kind: 'hello', serverName, applicationProtocols };
}

function readServerName(body: Reader): string | undefined {
  const list = body.take(body.uint(2));
  if (!list || body.left > 0) return undefined;
  const type = list.uint(1);
  const name = list.take(list.uint(2));
  // Of several a server may take another; OpenSSL and BoringSSL take no hello with anything but one name.
  if (type !== 0 || !name || list.left > 0) return undefined;
  const text = name.text();
  // Letters, digits, hyphens, underscores and dots: whatever else is no host name and must not reach logs or routes.
  return text.length > 0 && text.length <= 255 && /^[\w.-]+$/.test(text) ? text.toLowerCase() : undefined;
}

function readProtocols(body: Reader): string[] | undefined {
  const list = body.take(body.uint(2));
  if (!list || body.left > 0) return undefined;
  const protocols: string[] = [];
  while (list.left > 0) {
    const name = list.take(list.uint(1));
    if (!name || name.left === 0) return undefined;
    protocols.push(name.text());
  }
  return protocols;
}
