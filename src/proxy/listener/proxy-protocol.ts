/** The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt). Pure and incremental. */
import type { Address } from '../types.ts';

type ProxyHeader =
  | { readonly kind: 'need-more' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | {
      readonly kind: 'header';
      /** Bytes that the header takes. */
      readonly length: number;
      /** Undefined for `UNKNOWN` and `LOCAL`: the connection's own addresses stand. */
      readonly addresses: { readonly source: Address; readonly destination: Address } | undefined;
    };

const SIGNATURE_V1 = Buffer.from('PROXY ', 'latin1');
const SIGNATURE_V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

export function readProxyHeader(data: Buffer): ProxyHeader {
  if (startsLike(data, SIGNATURE_V2)) return data.length < 16 ? { kind: 'need-more' } : readV2(data);
  if (startsLike(data, SIGNATURE_V1)) return readV1(data);
  return { kind: 'absent' };
}

/** True while the bytes so far agree with the signature. */
function startsLike(data: Buffer, signature: Buffer): boolean {
  const common = Math.min(data.length, signature.length);
  return data.compare(signature, 0, common, 0, common) === 0;
}

function invalid(reason: string): ProxyHeader {
  return { kind: 'invalid', reason };
}

function readV1(data: Buffer): ProxyHeader {
  const end = data.indexOf('\r\n');
  if (end < 0) return data.length < 107 ? { kind: 'need-more' } : invalid('PROXY v1 header longer than 107 bytes');
  const fields = data.toString('latin1', 6, end).split(' ');
  const length = end + 2;
  if (fields[0] === 'UNKNOWN') return { kind: 'header', length, addresses: undefined };
  const [family, sourceIp, destinationIp, sourcePort, destinationPort] = fields;
  const pattern = family === 'TCP4' ? /^[\d.]+$/ : family === 'TCP6' ? /^[0-9a-fA-F:.]+$/ : undefined;
  const ports = [sourcePort, destinationPort].map((text) => (text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : -1));
  if (fields.length !== 5 || !pattern?.test(sourceIp!) || !pattern.test(destinationIp!) || ports.some((port) => port < 0 || port > 65535)) {
    return invalid('malformed PROXY v1 header');
  }
  return {
    kind: 'header',
    length,
    addresses: { source: { ip: sourceIp!, port: ports[0]! }, destination: { ip: destinationIp!, port: ports[1]! } },
  };
}

function readV2(data: Buffer): ProxyHeader {
  const version = data[12]! >> 4;
  const command = data[12]! & 15;
  if (version !== 2 || command > 1) return invalid('unknown version or command in a PROXY v2 header');
  const length = 16 + data.readUInt16BE(14);
  if (data.length < length) return { kind: 'need-more' };
  if (command === 0) return { kind: 'header', length, addresses: undefined };
  const family = data[13]!;
  const size = family === 0x11 ? 4 : family === 0x21 ? 16 : 0;
  if (size === 0) return { kind: 'header', length, addresses: undefined };
  if (length < 16 + size * 2 + 4) return invalid('truncated PROXY v2 header');
  const ip = (at: number) => (size === 4 ? data.subarray(at, at + 4).join('.') : ipv6(data.subarray(at, at + 16)));
  return {
    kind: 'header',
    length,
    addresses: {
      source: { ip: ip(16), port: data.readUInt16BE(16 + size * 2) },
      destination: { ip: ip(16 + size), port: data.readUInt16BE(18 + size * 2) },
    },
  };
}

function ipv6(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':');
}
