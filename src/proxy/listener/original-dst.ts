/** SO_ORIGINAL_DST: where a connection was going before the kernel's redirect rule sent it here. Linux; through the optional package koffi. */
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { libc } from '../../lib/libc.ts';
import type { StreamSocket } from '../net/stream-socket.ts';
import type { Address } from '../types.ts';

const SOL_IP = 0;
const SOL_IPV6 = 41;
/** The same number at both levels (linux/netfilter_ipv4.h, netfilter_ipv6/ip6_tables.h). */
const SO_ORIGINAL_DST = 80;

type GetSockOpt = (fd: number, level: number, name: number, value: Buffer, length: Buffer) => number;

let loaded: GetSockOpt | undefined;

/** Throws `original-dst-unavailable` where the system or the package is missing. */
export function loadOriginalDst(): (socket: StreamSocket) => Address | undefined {
  loaded ??= load();
  const getsockopt = loaded;
  return (socket) => read(getsockopt, socket);
}

function load(): GetSockOpt {
  if (process.platform !== 'linux') {
    throw new SallyportError(
      'original-dst-unavailable',
      'captured traffic (SO_ORIGINAL_DST) needs Linux; use the explicit proxy on this system',
    );
  }
  try {
    return libc().func('int getsockopt(int fd, int level, int name, void *value, void *length)') as GetSockOpt;
  } catch (error) {
    throw new SallyportError(
      'original-dst-unavailable',
      `captured traffic (SO_ORIGINAL_DST) needs the optional package koffi, which does not load here: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

const VALUE = Buffer.alloc(28);
const LENGTH = Buffer.alloc(4);

/** Undefined for a connection that no rule redirected. */
function read(getsockopt: GetSockOpt, socket: StreamSocket): Address | undefined {
  const fd = (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
  if (fd < 0) return undefined;
  LENGTH.writeInt32LE(16);
  if (getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, VALUE, LENGTH) === 0) {
    return { ip: VALUE.subarray(4, 8).join('.'), port: VALUE.readUInt16BE(2) };
  }
  if (!socket.remoteAddress?.includes(':')) return undefined;
  LENGTH.writeInt32LE(28);
  if (getsockopt(fd, SOL_IPV6, SO_ORIGINAL_DST, VALUE, LENGTH) !== 0) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) => VALUE.readUInt16BE(8 + i * 2).toString(16));
  return { ip: groups.join(':'), port: VALUE.readUInt16BE(2) };
}
