/** Netlink messages (RFC 3549, linux/netlink.h): built, sent, and their acknowledgements read. Numbers of attributes are in host order unless said. */
import { endianness } from 'node:os';
import { calls, failed, must } from './system.ts';

const LITTLE = endianness() === 'LE';
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NLMSG_ERROR = 2;
const HEADER = 16;

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
export const FLAG = { request: 1, ack: 4, exclusive: 0x200, create: 0x400, append: 0x800 } as const;
const NESTED = 0x8000;

export function u8(...values: number[]): Buffer {
  return Buffer.from(values);
}

export function u16(value: number): Buffer {
  const out = Buffer.alloc(2);
  if (LITTLE) out.writeUInt16LE(value);
  else out.writeUInt16BE(value);
  return out;
}

export function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  if (LITTLE) out.writeUInt32LE(value >>> 0);
  else out.writeUInt32BE(value >>> 0);
  return out;
}

/** In network order. */
export function be32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
}

export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

export function attribute(type: number, payload: Buffer): Buffer {
  const length = 4 + payload.length;
  return Buffer.concat([u16(length), u16(type), payload, Buffer.alloc(-length & 3)]);
}

export function nested(type: number, ...inner: readonly Buffer[]): Buffer {
  return attribute(type | NESTED, Buffer.concat(inner));
}

export interface Message {
  /** What it is to bring about, for the error. */
  readonly what: string;
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

function encoded({ type, flags, body }: Message, sequence: number): Buffer {
  return Buffer.concat([u32(HEADER + body.length), u16(type), u16(flags), u32(sequence), u32(0), body, Buffer.alloc(-body.length & 3)]);
}

/** Sends the messages in one piece and reads an answer to each that asks for one. Throws `sandbox-unavailable` with the first refusal. */
export function request(protocol: number, messages: readonly Message[]): void {
  const { socket, send, recv, close } = calls();
  const fd = must(socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol), 'no netlink socket can be had');
  try {
    const bytes = Buffer.concat(messages.map((message, i) => encoded(message, i + 1)));
    must(send(fd, bytes, bytes.length, 0), 'netlink takes no message');
    const answer = Buffer.alloc(32 * 1024);
    let waiting = messages.filter(({ flags }) => flags & FLAG.ack).length;
    while (waiting > 0) {
      const length = must(recv(fd, answer, answer.length, 0), 'netlink does not answer');
      for (let at = 0; at + HEADER <= length; ) {
        const size = read32(answer, at);
        if (read16(answer, at + 4) === NLMSG_ERROR) {
          const errno = -(read32(answer, at + HEADER) | 0);
          if (errno !== 0) throw failed(messages[read32(answer, at + 8) - 1]?.what ?? 'netlink', errno);
          waiting--;
        }
        at += (size + 3) & ~3;
      }
    }
  } finally {
    close(fd);
  }
}

function read16(bytes: Buffer, at: number): number {
  return LITTLE ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
}

function read32(bytes: Buffer, at: number): number {
  return LITTLE ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}
