/** The listening sockets inside, handed to the process outside: a socket stays in the network namespace in which it was made, whoever has it. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { SocketHandle } from '../lib/contained.ts';
import { codeOf } from '../lib/errors.ts';
import { type FromInside, INSIDE_LOOPBACK, INSIDE_PORTS, type Role } from './protocol.ts';

interface Opened {
  /** Passed on as it is: nobody of this process accepts on it. */
  readonly handle: SocketHandle;
  close(): void;
}

type Send = (message: FromInside, handle: unknown, sent: (error: Error | null) => void) => void;

export interface HandOver {
  /** Whether the kernel has it. */
  readonly ipv6: boolean;
  readonly localPorts: readonly number[];
  readonly send: Send;
}

/** Resolves when the other side has them all. */
export async function handOver({ ipv6, localPorts, send }: HandOver): Promise<void> {
  const { capture, proxy, dns } = INSIDE_PORTS;
  const tcp = async (role: Role, address: string, port: number) => hand({ role, address, port }, await stream(address, port), send);
  await tcp('proxy', INSIDE_LOOPBACK, proxy);
  for (const address of ipv6 ? [INSIDE_LOOPBACK, '::1'] : [INSIDE_LOOPBACK]) {
    await tcp('capture', address, capture);
    await hand({ role: 'dns-udp', address, port: dns }, await datagram(address, dns), send);
    await tcp('dns-tcp', address, dns);
    for (const port of localPorts) await tcp('local', address, port);
  }
}

function hand(what: { readonly role: Role; readonly address: string; readonly port: number }, opened: Opened, send: Send): Promise<void> {
  return new Promise((resolve, reject) =>
    send({ kind: 'listener', ...what }, opened.handle, (error) => {
      opened.close();
      if (error) reject(error);
      else resolve();
    }),
  );
}

function stream(host: string, port: number): Promise<Opened> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () =>
      resolve({ handle: (server as unknown as { _handle: SocketHandle })._handle, close: () => server.close() }),
    );
  });
}

function datagram(address: string, port: number): Promise<Opened> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port }, () => {
      // Node keeps the handle behind a symbol.
      const state = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol')!;
      resolve({ handle: (socket as unknown as Record<symbol, { handle: SocketHandle }>)[state]!.handle, close: () => socket.close() });
    });
  });
}

/** Whether sockets of IPv6 can be had at all. */
export async function hasIpv6(): Promise<boolean> {
  try {
    (await stream('::1', 0)).close();
    return true;
  } catch (error) {
    if (codeOf(error) === 'EAFNOSUPPORT' || codeOf(error) === 'EADDRNOTAVAIL') return false;
    throw error;
  }
}
