/** The application of the demonstration: calls through the explicit proxy, or straight to an address. */

import { connect, isIPv4, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { messageOf } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import type { Call } from './calls.ts';

export interface Result {
  /** The reply's status, 0 without one. */
  readonly status: number;
  /** The first line of what came, or why nothing did. */
  readonly text: string;
}

export interface ClientOptions {
  readonly proxy: SocketAddress;
  /** PEM of the CA that the application trusts. */
  readonly ca: string;
  /** Addresses of the local routers by name. */
  readonly routers: ReadonlyMap<string, string>;
}

/** How long a call may take, in ms. */
const PATIENCE_MS = 5000;

/** Never rejects: a call that fails is a result. */
export async function make(call: Call, { proxy, ca, routers }: ClientOptions): Promise<Result> {
  try {
    if (call.redis !== undefined) return await redis(call.redis, call.send ?? 'PING', proxy);
    const url = new URL(call.get!);
    if (url.protocol === 'https:') return await https(url, call.serverName ?? url.hostname, proxy, ca);
    const direct = call.at === undefined ? undefined : addressOf(call.at);
    if (direct && routers.has(direct.address)) direct.address = routers.get(direct.address)!;
    const target = direct ? `${url.pathname}${url.search}` : url.href;
    return await ask(await dial(direct ?? proxy), target, url.host);
  } catch (error) {
    return { status: 0, text: messageOf(error) };
  }
}

async function https(url: URL, serverName: string, proxy: SocketAddress, ca: string): Promise<Result> {
  const authority = `${url.hostname}:${url.port || 443}`;
  const socket = await dial(proxy);
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  const opened = await until(socket, '\r\n\r\n');
  if (!opened.startsWith('HTTP/1.1 200')) return { status: statusOf(opened), text: opened.split('\r\n')[0] ?? '' };
  // An address is no server name: TLS goes without one.
  const secure = connectTls({ socket, ca, ...(isIPv4(serverName) ? {} : { servername: serverName }) });
  await new Promise<void>((resolve, reject) => {
    secure.once('secureConnect', resolve);
    secure.once('error', reject);
    secure.once('close', () => reject(new Error('the connection was closed')));
  });
  return ask(secure, `${url.pathname}${url.search}`, serverName);
}

async function ask(socket: Socket, target: string, host: string): Promise<Result> {
  socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  const reply = await until(socket, undefined);
  socket.destroy();
  const [head = '', body = ''] = reply.split('\r\n\r\n');
  if (!head.startsWith('HTTP/1.1 ')) return { status: 0, text: 'the connection was closed' };
  return { status: statusOf(head), text: body.split('\n')[0] ?? '' };
}

/** By SOCKS5 (RFC 1928), as Redis clients do. */
async function redis(authority: string, command: string, proxy: SocketAddress): Promise<Result> {
  const { address, port } = addressOf(authority);
  const socket = await dial(proxy);
  socket.write(Buffer.from([5, 1, 0]));
  await bytes(socket, 2);
  const host = isIPv4(address) ? [1, ...address.split('.').map(Number)] : [3, address.length, ...Buffer.from(address)];
  socket.write(Buffer.from([5, 1, 0, ...host, port >> 8, port & 255]));
  const reply = await bytes(socket, 10);
  if (reply[1] !== 0) throw new Error(`SOCKS reply ${reply[1]}`);
  socket.write(`${command}\r\n`);
  const line = await until(socket, '\r\n');
  socket.destroy();
  if (line === '') throw new Error('the connection was closed');
  return { status: 0, text: line.trim().replace(/^\+/, '') };
}

function addressOf(text: string): { address: string; port: number } {
  const [address = '', port = ''] = text.split(':');
  return { address, port: Number(port) };
}

function statusOf(head: string): number {
  return Number(head.split(' ')[1]);
}

function dial({ address, port }: SocketAddress): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port }, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer in 5 s')));
    socket.once('error', reject);
  });
}

/** What comes up to the mark and with it; without a mark, or if it never comes, all until the end. */
function until(socket: Socket, mark: string | undefined): Promise<string> {
  let text = '';
  return read(socket, (chunk) => {
    text += chunk.toString('latin1');
    return mark !== undefined && text.includes(mark);
  }).then(() => text);
}

async function bytes(socket: Socket, count: number): Promise<Buffer> {
  let all = Buffer.alloc(0);
  await read(socket, (chunk) => {
    all = Buffer.concat([all, chunk]);
    return all.length >= count;
  });
  if (all.length < count) throw new Error('the connection was closed');
  return all;
}

function read(socket: Socket, take: (chunk: Buffer) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      if (take(chunk)) done();
    };
    const done = () => {
      socket.off('data', onData).off('end', done).off('close', done).off('error', onError);
      socket.pause();
      resolve();
    };
    const onError = (error: NodeJS.ErrnoException) => {
      // A reset is how a refusal may look too.
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') done();
      else reject(error);
    };
    socket.on('data', onData).on('end', done).on('close', done).on('error', onError);
    socket.resume();
  });
}
