/**
 * All of the outside, in a network of its own where every address is this machine's: servers that write down what reaches them, and names. What reaches nobody is in
 * the kernel's counters: each connection that is begun has to have come to one of the servers.
 */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttp, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { decode, encode, type Packet } from 'dns-packet';
import { ADDRESSES, type Arrival, INSIDE, OTHER_PORTS, PORTS, unwanted, WILD, WILD_ADDRESS } from './policy.ts';

export interface Leak {
  readonly arrival: Arrival;
  readonly why: string;
  /** The first bytes. */
  readonly bytes: string;
}

export interface Account {
  /** What was allowed and came, by its kind and place. */
  readonly allowed: Record<string, number>;
  readonly leaks: Leak[];
  leaked: number;
  connections: number;
  questions: number;
}

const MOST_LEAKS = 50;
const LATEST_MS = 10_000;
/** Of a connection, bytes that are read before it is judged. */
const MOST_READ = 16_384;

export class Outside {
  readonly account: Account = { allowed: {}, leaks: [], leaked: 0, connections: 0, questions: 0 };
  readonly #credential: string;
  readonly #plain: HttpServer;
  readonly #secure: ReturnType<typeof createSecureServer>;
  #turn = 0;
  #open = 0;

  constructor(credential: string, certificate: { readonly cert: string; readonly key: string }) {
    this.#credential = credential;
    this.#plain = createHttp((request, response) => this.#requested(request, response));
    for (const event of ['upgrade', 'connect'] as const)
      this.#plain.on(event, (request: IncomingMessage, socket: Socket) => {
        this.#came(this.#requestOf(request), '');
        socket.destroy();
      });
    this.#plain.on('clientError', ({ code }: NodeJS.ErrnoException, socket: Socket) => this.#broken(socket, code));
    this.#secure = createSecureServer({ ...certificate, allowHTTP1: true });
    this.#secure.on('request', (request, response) =>
      this.#requested(request as unknown as IncomingMessage, response as unknown as ServerResponse),
    );
    this.#secure.on('error', () => undefined);
  }

  async open(): Promise<void> {
    for (const port of [...Object.values(PORTS), ...OTHER_PORTS]) {
      const server = createServer({ allowHalfOpen: false }, (socket) => this.#connected(socket));
      await once(server.listen(port, '::'), 'listening');
    }
    const names = createSocket('udp4');
    names.on('message', (message, { address, port }) => {
      const answer = this.#answer(message);
      names.send(answer, port, address);
    });
    names.bind(53, '127.0.0.1');
    await once(names, 'listening');
  }

  /**
   * Resolves when all connections that were begun have come and ended; what has not by then never does. Nothing tells of one that comes to nobody.
   * @param begun how many, by the kernel's count
   */
  async settled(begun: () => number): Promise<void> {
    const end = performance.now() + LATEST_MS;
    while ((this.#open > 0 || begun() !== this.account.connections) && performance.now() < end) await delay(20);
  }

  #connected(socket: Socket): void {
    this.account.connections++;
    this.#open++;
    socket.on('close', () => this.#open--);
    socket.on('error', () => undefined);
    const place = placeOf(socket);
    const nowhere = unwanted({ kind: 'connection', ...place });
    let bytes: Buffer = Buffer.alloc(0);
    const judge = () => {
      if (bytes.includes(this.#credential))
        this.#came({ kind: 'broken', ...place, what: 'the credential in plain' }, bytes.toString('latin1'));
      if (nowhere !== undefined || place.port === PORTS.tcp || place.port === PORTS.literal)
        this.#came({ kind: 'connection', ...place }, bytes.toString('latin1'));
      else if (place.port === 443) this.#came({ kind: 'hello', ...place, sni: serverName(bytes) }, bytes.toString('latin1'));
    };
    if (nowhere === undefined && place.port === 80) {
      this.#plain.emit('connection', socket);
      return;
    }
    if (place.ip === ADDRESSES['seen.allowed.example'] && place.port === 443) {
      socket.once('data', (first: Buffer) => {
        bytes = first;
        judge();
        socket.pause();
        socket.unshift(first);
        this.#secure.emit('connection', socket);
      });
      return;
    }
    socket.on('data', (piece: Buffer) => {
      if (bytes.length < MOST_READ) bytes = Buffer.concat([bytes, piece]);
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    });
    socket.on('close', judge);
  }

  #requested(request: IncomingMessage, response: ServerResponse): void {
    this.#came(this.#requestOf(request), '');
    request.on('error', () => undefined).resume();
    response.on('error', () => undefined);
    response.end('outside\n');
  }

  #requestOf(request: IncomingMessage): Arrival {
    const { headers, method = '', url = '' } = request;
    const place = placeOf(request.socket as Socket);
    const host =
      (headers[':authority'] as string | undefined) ??
      request.rawHeaders.filter((_, i, all) => i % 2 === 1 && all[i - 1]!.toLowerCase() === 'host').join(', ');
    const credential = JSON.stringify([url, request.rawHeaders]).includes(this.#credential);
    return { kind: 'request', ...place, host, method, path: url, credential };
  }

  #broken(socket: Socket, code: string | undefined): void {
    // A client that is gone, or sent nothing more, has sent nothing wrong.
    if (code !== 'ECONNRESET' && code !== 'EPIPE' && code !== 'ERR_HTTP_REQUEST_TIMEOUT' && code !== 'HPE_INVALID_EOF_STATE')
      this.#came({ kind: 'broken', ...placeOf(socket), what: String(code) }, '');
    socket.destroy();
  }

  #answer(message: Buffer): Buffer {
    this.account.questions++;
    let query: Packet;
    try {
      query = decode(message);
    } catch {
      this.#came({ kind: 'question', name: message.toString('latin1') }, message.toString('latin1'));
      return encode({ type: 'response', flags: 2 });
    }
    const [question] = query.questions ?? [];
    const name = question?.name ?? '';
    this.#came({ kind: 'question', name }, name);
    const answers = question?.type === 'A' || question?.type === 'AAAA' ? this.#addresses(name, question.type) : [];
    return encode({ type: 'response', id: query.id ?? 0, flags: 0x0180, questions: query.questions ?? [], answers });
  }

  #addresses(name: string, type: 'A' | 'AAAA') {
    const lower = name.toLowerCase();
    const known = ADDRESSES[lower] ?? (lower.endsWith(WILD) ? WILD_ADDRESS : undefined);
    // From the first answer on: how often a name is asked for depends on how fast the machine is.
    const turned = lower.startsWith('turning.') && this.#turn++ % 3 !== 2 ? INSIDE[this.#turn % INSIDE.length] : undefined;
    const all = [turned ?? known].filter((address) => address !== undefined && address.includes(':') === (type === 'AAAA'));
    return all.map((data) => ({ type, name, ttl: 1, data: data! }) as const);
  }

  #came(arrival: Arrival, bytes: string): void {
    const { account } = this;
    const why = unwanted(arrival);
    if (why === undefined) {
      const what = 'port' in arrival ? `${arrival.kind} at ${arrival.ip}:${arrival.port}` : arrival.kind;
      account.allowed[what] = (account.allowed[what] ?? 0) + 1;
      return;
    }
    account.leaked++;
    if (account.leaks.length < MOST_LEAKS) account.leaks.push({ arrival, why, bytes: bytes.slice(0, 500) });
  }
}

function placeOf({ localAddress = '', localPort = 0 }: Socket): { readonly ip: string; readonly port: number } {
  return { ip: localAddress.replace(/^::ffff:(?=\d+\.)/, ''), port: localPort };
}

/** Of a ClientHello (RFC 8446 §4.1.2, RFC 6066 §3), in however many records, and all that stands in the place of one; undefined where there is none, or it is none. */
function serverName(bytes: Buffer): string | undefined {
  try {
    const hello = handshake(bytes);
    if (hello[0] !== 1) return undefined;
    let at = 4 + 2 + 32;
    at += 1 + hello[at]!;
    at += 2 + hello.readUInt16BE(at);
    at += 1 + hello[at]!;
    const end = at + 2 + hello.readUInt16BE(at);
    const names: string[] = [];
    for (at += 2; at < end; at += 4 + hello.readUInt16BE(at + 2))
      if (hello.readUInt16BE(at) === 0) names.push(hello.subarray(at + 9, at + 4 + hello.readUInt16BE(at + 2)).toString('latin1'));
    return names.length === 0 ? undefined : names.join(' and ');
  } catch {
    // It ends too early.
  }
  return undefined;
}

function handshake(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length && bytes[at] === 22; at += 5 + bytes.readUInt16BE(at + 3))
    parts.push(bytes.subarray(at + 5, at + 5 + bytes.readUInt16BE(at + 3)));
  return Buffer.concat(parts);
}

/** How many connections were begun, and datagrams sent, in this network, by the kernel's count. */
export function counted(): { readonly connections: number; readonly datagrams: number } {
  const fields = new Map<string, number>();
  const lines = readFileSync('/proc/net/snmp', 'utf8').trim().split('\n');
  for (let i = 0; i < lines.length; i += 2) {
    const [names, values] = [lines[i]!.split(' '), lines[i + 1]!.split(' ')];
    for (const [j, name] of names.entries()) fields.set(`${names[0]}${name}`, Number(values[j]));
  }
  const six = /^Udp6OutDatagrams\s+(\d+)/m.exec(readFileSync('/proc/net/snmp6', 'utf8'));
  return { connections: fields.get('Tcp:ActiveOpens')!, datagrams: fields.get('Udp:OutDatagrams')! + Number(six?.[1] ?? 0) };
}
