/**
 * The echo servers of the call table: HTTP/1.x, HTTP/2 without TLS, HTTPS, raw TCP and a tiny Redis. Each answers with what it saw and reports it.
 * Anywhere in a path: /status/N, /delay/SECONDS, /fail/KEY/N (the first N requests with KEY get 503), /reset (closed without an answer).
 */
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import type { Address } from './loopback/addresses.ts';
import type { Certificates } from './loopback/certificates.ts';
import { BANNER_PORT, MUTUAL_TLS_SERVER, OUTSIDE, OUTSIDE_PORTS } from './loopback/topology.ts';

/** One request or connection that a server saw. */
export interface Hit {
  readonly server: string;
  readonly ip: string;
  readonly port: number;
  readonly source: string;
  readonly kind: 'http' | 'websocket' | 'tls' | 'tcp' | 'redis' | 'not-http';
  readonly protocol?: string;
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string | undefined;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
  readonly first?: string;
  readonly tls?: {
    readonly sni?: string | undefined;
    readonly alpn?: string | undefined;
    readonly client_san?: readonly string[] | undefined;
  };
}

type Where = Pick<Hit, 'server' | 'ip' | 'port' | 'source' | 'tls'>;
type Serve = (socket: net.Socket, where: Where) => Promise<void>;

/** One port of a server. */
export interface EchoListener {
  readonly server: string;
  /** As the record has it. */
  readonly at: Address;
  /** Where it really listens, if that is elsewhere. */
  readonly real?: Address;
  readonly serves: 'http' | 'https' | 'redis' | 'tcp';
}

/** All of the servers outside. */
export function outsideListeners(): EchoListener[] {
  const kinds = Object.entries(OUTSIDE_PORTS) as [EchoListener['serves'], readonly number[]][];
  return OUTSIDE.flatMap(({ ip, name: server }) =>
    kinds.flatMap(([serves, ports]) => ports.map((port) => ({ server, at: { ip, port }, serves }))),
  );
}

/** The application of a pod. */
export function podListeners(server: string, ip: string, [http, tcp]: readonly number[]): EchoListener[] {
  if (http === undefined || tcp === undefined) return [];
  return [
    { server, at: { ip, port: http }, serves: 'http' },
    { server, at: { ip, port: tcp }, serves: 'tcp' },
  ];
}

/** Reads a socket piece by piece; an end or an error is an empty piece. */
class Reader {
  buffered: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  readonly #iterator: AsyncIterator<Buffer>;

  constructor(socket: net.Socket) {
    this.#iterator = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** False at the end. */
  async more(): Promise<boolean> {
    const next = await this.#iterator.next().catch(() => ({ done: true }) as const);
    if (next.done) return false;
    this.buffered = this.buffered.length === 0 ? next.value : Buffer.concat([this.buffered, next.value]);
    return true;
  }

  /** Everything up to `mark`, which is consumed; undefined if the stream ends before it. */
  async until(mark: string): Promise<string | undefined> {
    for (;;) {
      const at = this.buffered.indexOf(mark);
      if (at >= 0) {
        const text = this.buffered.toString('latin1', 0, at);
        this.buffered = this.buffered.subarray(at + mark.length);
        return text;
      }
      if (!(await this.more())) return undefined;
    }
  }

  async exactly(length: number): Promise<string | undefined> {
    while (this.buffered.length < length) if (!(await this.more())) return undefined;
    const text = this.buffered.toString('latin1', 0, length);
    this.buffered = this.buffered.subarray(length);
    return text;
  }

  take(): Buffer {
    const all = this.buffered;
    this.buffered = Buffer.alloc(0);
    return all;
  }
}

export class EchoServers {
  readonly #servers: net.Server[] = [];
  readonly #sockets = new Set<net.Socket>();
  readonly #fails = new Map<string, number>();
  readonly #store = new Map<string, string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #source: (address: string) => string;
  readonly #onHit: (hit: Hit) => void;

  /** @param source the recorded address of a client, by the one from which it comes */
  constructor(onHit: (hit: Hit) => void, source: (address: string) => string = (address) => address) {
    this.#onHit = onHit;
    this.#source = source;
  }

  /** @param certificates of servers by TLS: without them there are none */
  async start(listeners: readonly EchoListener[], certificates?: Pick<Certificates, 'hosts' | 'ca'>): Promise<void> {
    const context = certificates && tlsContexts(certificates);
    const serves: Readonly<Record<EchoListener['serves'], Serve>> = {
      http: (socket, where) => this.#http(socket, where),
      https: (socket, where) => this.#https(socket, where, context!),
      redis: (socket, where) => this.#redis(socket, where),
      tcp: (socket, where) => this.#tcp(socket, where),
    };
    await Promise.all(
      listeners.map(({ server: name, at, real = at, serves: what }) => {
        const server = net.createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket, { server: name, ...at }, serves[what]));
        this.#servers.push(server);
        return new Promise<void>((resolve, reject) => {
          server.once('error', reject).listen({ host: real.ip, port: real.port }, resolve);
        });
      }),
    );
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: net.Socket, at: Pick<Where, 'server' | 'ip' | 'port'>, serve: Serve): void {
    const source = this.#source(socket.remoteAddress ?? '');
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
    void serve(socket, { ...at, source }).finally(() => socket.end());
  }

  async #https(socket: net.Socket, where: Where, context: PickContext): Promise<void> {
    const secured = await handshake(socket, context, where.server === MUTUAL_TLS_SERVER);
    if (secured === undefined) return;
    this.#sockets.add(secured.socket);
    secured.socket.on('close', () => this.#sockets.delete(secured.socket));
    await this.#http(secured.socket, { ...where, tls: secured.seen });
  }

  async #http(socket: net.Socket, where: Where): Promise<void> {
    const reader = new Reader(socket);
    if (!(await reader.more())) {
      if (where.tls !== undefined) this.#onHit({ ...where, kind: 'tls' });
      return;
    }
    const first = reader.buffered;
    if ('PRI * HTTP/2.0'.startsWith(first.toString('latin1', 0, 14))) return this.#http2(socket, reader.take(), where);
    if (!/^[A-Za-z]/.test(first.toString('latin1', 0, 1))) {
      this.#onHit({ ...where, kind: 'not-http', first: first.toString('hex', 0, 5) });
      return;
    }
    while (await this.#http1(socket, reader, where));
  }

  /** One request; true if another may follow on the connection. */
  async #http1(socket: net.Socket, reader: Reader, where: Where): Promise<boolean> {
    const head = await reader.until('\r\n\r\n');
    if (head === undefined) return false;
    const [line = '', ...rest] = head.split('\r\n');
    const [method = '', path = '', protocol = '', ...extra] = line.split(' ');
    if (extra.length > 0 || !protocol.startsWith('HTTP/')) {
      socket.write('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
      this.#onHit({
        ...where,
        kind: 'http',
        protocol: 'malformed',
        method: line.slice(0, 40),
        path: '',
        authority: '',
        headers: [],
        body: '',
      });
      return false;
    }
    const headers = rest.map((text): [string, string] => {
      const colon = text.indexOf(':');
      return colon < 0 ? [text.trim(), ''] : [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
    });
    const get = (name: string) => headers.find(([key]) => key.toLowerCase() === name)?.[1];
    const body = await readBody(reader, get('content-length'), get('transfer-encoding'));
    if (body === undefined) return false;
    const hit = { ...where, protocol, method, path, authority: get('host'), headers, body };
    if (get('upgrade')?.toLowerCase() === 'websocket') {
      this.#onHit({ ...hit, kind: 'websocket' });
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n');
      do socket.write(reader.take());
      while (await reader.more());
      return false;
    }
    const answer = await this.#answer({ ...hit, kind: 'http' });
    if (answer === undefined) {
      socket.resetAndDestroy();
      return false;
    }
    const close = protocol === 'HTTP/1.0' || get('connection')?.toLowerCase() === 'close';
    const location = answer.status === 301 || answer.status === 302 ? 'location: /elsewhere\r\n' : '';
    const reply = `HTTP/1.1 ${answer.status} Lab\r\ncontent-type: application/json\r\nx-lab-server: ${where.server}\r\n${location}content-length: ${answer.body.length}\r\n${close ? 'connection: close\r\n' : ''}\r\n`;
    socket.write(method === 'HEAD' ? reply : reply + answer.body, 'latin1');
    return !close;
  }

  async #http2(socket: net.Socket, head: Buffer, where: Where): Promise<void> {
    socket.unshift(head);
    const session = http2.performServerHandshake(socket);
    session.on('error', () => {});
    // A client that leaves without a goodbye leaves half a connection otherwise.
    socket.once('end', () => socket.destroy());
    session.on('stream', (stream, received, _flags, raw: string[]) => {
      stream.on('error', () => {});
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', async () => {
        const headers: [string, string][] = [];
        for (let i = 0; i < raw.length; i += 2) if (!raw[i]!.startsWith(':')) headers.push([raw[i]!, raw[i + 1]!]);
        headers.push([':scheme', received[':scheme'] ?? '']);
        const authority = received[':authority'] ?? received.host;
        const body = Buffer.concat(parts).toString('latin1');
        const answer = await this.#answer({
          ...where,
          kind: 'http',
          protocol: 'HTTP/2',
          method: received[':method'] ?? '',
          path: received[':path'] ?? '',
          authority,
          headers,
          body,
        });
        if (stream.destroyed) return;
        if (answer === undefined) return stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
        if (received['content-type']?.startsWith('application/grpc')) {
          stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'x-lab-server': where.server }, { waitForTrailers: true });
          stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': answer.status === 200 ? '0' : '14' }));
          return void stream.end(Buffer.alloc(5));
        }
        stream.respond({
          ':status': answer.status,
          'content-type': 'application/json',
          'x-lab-server': where.server,
          'content-length': answer.body.length,
        });
        stream.end(answer.body, 'latin1');
      });
    });
    await new Promise<void>((resolve) => session.on('close', () => resolve()));
  }

  /** Status and body, or undefined where the connection is to be reset. */
  async #answer(hit: Hit & { readonly path: string }): Promise<{ status: number; body: string } | undefined> {
    this.#onHit(hit);
    const delay = /\/delay\/([\d.]+)/.exec(hit.path)?.[1];
    if (delay !== undefined) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Number(delay) * 1000);
        this.#timers.add(timer);
      });
    }
    if (hit.path.includes('/reset')) return undefined;
    let status = Number(/\/status\/(\d+)/.exec(hit.path)?.[1] ?? 200);
    const fail = /\/fail\/([\w-]+)\/(\d+)/.exec(hit.path);
    if (fail !== null) {
      const count = (this.#fails.get(fail[1]!) ?? 0) + 1;
      this.#fails.set(fail[1]!, count);
      status = count <= Number(fail[2]) ? 503 : 200;
    }
    return { status, body: `${JSON.stringify(hit)}\n` };
  }

  async #tcp(socket: net.Socket, where: Where): Promise<void> {
    const reader = new Reader(socket);
    const speaksFirst = where.port === BANNER_PORT;
    if (speaksFirst) {
      this.#onHit({ ...where, kind: 'tcp' });
      socket.write(`HELLO from ${where.server}:${where.port}\n`);
    }
    for (let seen = speaksFirst; await reader.more(); seen = true) {
      const data = reader.take();
      if (!seen) this.#onHit({ ...where, kind: 'tcp', first: data.toString('latin1', 0, 60) });
      socket.write(Buffer.concat([Buffer.from(`${where.server}:${where.port} `), data]));
    }
  }

  async #redis(socket: net.Socket, where: Where): Promise<void> {
    const reader = new Reader(socket);
    let seen = false;
    for (;;) {
      const args = await redisCommand(reader);
      if (args === undefined) return;
      if (args.length === 0) continue;
      if (!seen) this.#onHit({ ...where, kind: 'redis', first: args[0]! });
      seen = true;
      const [command, key, value] = [args[0]!.toUpperCase(), args[1], args[2]];
      const stored = `${where.server} ${key}`;
      let reply = '-ERR unknown command\r\n';
      if (command === 'PING') reply = '+PONG\r\n';
      else if (command === 'INFO') reply = `+${where.server}\r\n`;
      else if (command === 'SET' && value !== undefined) {
        this.#store.set(stored, value);
        reply = '+OK\r\n';
      } else if (command === 'GET' && key !== undefined) {
        const found = this.#store.get(stored);
        reply = found === undefined ? '$-1\r\n' : `$${found.length}\r\n${found}\r\n`;
      }
      socket.write(reply, 'latin1');
    }
  }
}

async function readBody(reader: Reader, length: string | undefined, encoding: string | undefined): Promise<string | undefined> {
  if (length !== undefined) return reader.exactly(Number(length));
  if (!encoding?.toLowerCase().includes('chunked')) return '';
  let body = '';
  for (;;) {
    const size = Number.parseInt((await reader.until('\r\n'))?.split(';')[0] ?? '', 16);
    if (Number.isNaN(size)) return undefined;
    const chunk = await reader.exactly(size + 2);
    if (chunk === undefined) return undefined;
    body += chunk.slice(0, size);
    if (size === 0) return body;
  }
}

async function redisCommand(reader: Reader): Promise<string[] | undefined> {
  const line = (await reader.until('\n'))?.trim();
  if (line === undefined) return undefined;
  if (!line.startsWith('*')) return line.split(/\s+/).filter((word) => word !== '');
  const args: string[] = [];
  for (let left = Number(line.slice(1)); left > 0; left -= 1) {
    const length = Number((await reader.until('\n'))?.trim().slice(1));
    const value = await reader.exactly(length + 2);
    if (value === undefined) return undefined;
    args.push(value.slice(0, length));
  }
  return args;
}

type PickContext = (sni: string) => tls.SecureContext;

function tlsContexts(certificates: Pick<Certificates, 'hosts' | 'ca'>): PickContext {
  const contexts = new Map(
    [...certificates.hosts].map(([host, { cert, key }]) => [host, tls.createSecureContext({ cert, key, ca: certificates.ca })]),
  );
  return (sni) => contexts.get(sni) ?? contexts.get(`*.${sni.slice(sni.indexOf('.') + 1)}`) ?? contexts.get('default.invalid')!;
}

async function handshake(socket: net.Socket, pick: PickContext, mutual: boolean) {
  let sni: string | undefined;
  const secured = new tls.TLSSocket(socket, {
    isServer: true,
    secureContext: pick('default.invalid'),
    ALPNProtocols: ['h2', 'http/1.1'],
    requestCert: mutual,
    rejectUnauthorized: mutual,
    SNICallback: (name, done) => {
      sni = name;
      done(null, pick(name));
    },
  });
  secured.on('error', () => {});
  const done = await new Promise<boolean>((resolve) => {
    secured.once('secure', () => resolve(true));
    secured.once('close', () => resolve(false));
  });
  if (!done) return undefined;
  // As tls.Server does for its sockets: an HTTP/2 session waits for it.
  Object.assign(secured, { secureConnecting: false });
  // Only a tls.Server tells `authorized`; the verdict itself has no public name.
  const { ssl } = secured as unknown as { ssl: { verifyError(): Error | null } };
  if (mutual && (!secured.getPeerCertificate()?.fingerprint256 || ssl.verifyError())) {
    secured.destroy();
    return undefined;
  }
  const names = secured.getPeerCertificate().subjectaltname;
  const client_san = names?.split(', ').map((name) => name.slice(name.indexOf(':') + 1));
  // A session that is resumed asks for no certificate.
  const resumed = (secured as { readonly servername?: string | false }).servername || undefined;
  return { socket: secured, seen: { sni: sni ?? resumed, alpn: secured.alpnProtocol || undefined, client_san } };
}
