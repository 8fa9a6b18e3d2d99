/**
 * A server of gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md) whose messages pass as bytes. What a thousand calls are sent alike is one buffer here, down
 * to the socket: a library that copies each message for each call takes most of its time for that (`docs/decisions/grpc-server.md`).
 */
import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { codeOf, messageOf } from '../errors.ts';
import { type ListenWords, listening } from '../listen.ts';
import { hostPort, type SocketAddress } from '../socket-address.ts';
import { guard } from './guard.ts';
import { HeldBytes } from './held-bytes.ts';
import { MessageReader, prefixOf } from './messages.ts';
import { encodedDetails, STATUS, type Status } from './status.ts';

/** Whoever makes a call. */
export interface Peer {
  /** `address:port` */
  readonly address: string;
  /** Of a client that proved that it has its key, and for which the server's authorities vouch. */
  readonly certificate: PeerCertificate | undefined;
  /** What stands in `authorization` in the call's metadata; undefined where it stands there several times: which of them counts is not ours to choose. */
  readonly authorization: string | undefined;
}

/** One call, as its handler sees it. */
export interface Call {
  readonly peer: Peer;
  /** Tells the client that it is heard, where nothing may be written for long. */
  begin(): void;
  /** The message must not change any more. @param written there is room for another */
  write(message: Uint8Array, written?: () => void): void;
  /** Nothing comes and nothing is written any more. */
  end(status: Status, details?: string): void;
}

/** What a handler hears of its call. */
export interface CallListener {
  message(bytes: Buffer): void;
  /** The client sends nothing any more. */
  halfClosed(): void;
  /** The call is over, for whatever reason; comes once. */
  closed(): void;
}

/** Nothing of a call is read before it is known who hears it. */
export type Handler = (call: Call) => CallListener | Promise<CallListener>;

/** As `node:tls` has them. */
export interface ServerTls {
  readonly key: string;
  readonly cert: string;
  /** Who vouches for clients. */
  readonly ca: string;
}

export interface GrpcServerOptions {
  /** Where it listens: an address, or the path of a unix socket. */
  readonly listen: SocketAddress | { readonly path: string };
  /** For errors, as the beginning of a sentence: what cannot be done without the port. */
  readonly what: string;
  /** The option of the command line that chooses the port. */
  readonly option?: string;
  /** By what name clients are told that it ends. */
  readonly name: string;
  /** Undefined for plaintext. */
  readonly tls?: ServerTls | undefined;
  /** Connections end after so long, ms: whoever comes back proves anew who it is. Undefined: they stay. */
  readonly mostAgeMs?: number | undefined;
  /** By path, `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, Handler>;
}

export interface GrpcServer {
  /** Of a unix socket 0. */
  readonly port: number;
  /** For connections that come from now on. */
  setTls(tls: ServerTls): void;
  /** Takes no new calls and ends those that there are, so that clients go elsewhere; resolves when they are gone, or after so many ms. */
  close(graceMs: number): Promise<void>;
}

/** Bounds, so that no client holds more than its part: calls of one connection. */
const MOST_CALLS = 100;
/** Of one message that comes, bytes: 10,000 names with their versions are about 1 MB. */
const MOST_MESSAGE = 8 * 1024 * 1024;
/** Messages that may wait for a client to take them before it is heard further, however small: each takes some memory of its own. */
const MOST_UNWRITTEN = 16;
/** From the beginning of a message, or of a call, until the message has come. */
const MESSAGE_MS = 30_000;
/** From a TCP connection to the end of its TLS handshake. */
const HANDSHAKE_MS = 20_000;
/** For a client to read the end of its call, and to end it too. */
const LINGER_MS = 10_000;
/** What Node counts of one connection's queues and tables, MB. Responses wait outside, in buffers that are shared. */
const MOST_SESSION_MEMORY = 64;

/** Rejects as `listening`. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { listen, what, option, name, tls, mostAgeMs, methods } = options;
  const settings = { maxConcurrentStreams: MOST_CALLS };
  const bounds = { settings, maxSessionMemory: MOST_SESSION_MEMORY };
  const server: Http2Server | Http2SecureServer = tls
    ? createSecureServer({
        ...bounds,
        ...tls,
        requestCert: true,
        // Whom nobody vouches for is nobody here: what they may do is for the handlers to say.
        rejectUnauthorized: false,
        handshakeTimeout: HANDSHAKE_MS,
        minVersion: 'TLSv1.2',
        ALPNProtocols: ['h2'],
      })
    : createServer(bounds);
  const sessions = new Set<ServerHttp2Session>();
  const calls = new Set<ServedCall>();
  const held = new HeldBytes();
  // Also those whose handshake is not over.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  let arriving: Socket | undefined;
  server.prependListener(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    arriving = socket;
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    guard(session, arriving!, mostAgeMs);
  });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: readonly string[]) => {
    const call = new ServedCall(stream, { headers, raw, held });
    calls.add(call);
    stream.once('close', () => calls.delete(call));
    call.serve(methods);
  });
  // Handshakes that fail concern their clients alone.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('sessionError', () => {});
  await listenAt(server, listen, { what, ...(option === undefined ? {} : { option }) });
  return {
    port: 'path' in listen ? 0 : (server.address() as AddressInfo).port,
    setTls: (next) => (server as Http2SecureServer).setSecureContext(next),
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const call of calls) call.end(STATUS.unavailable, `${name} is ending`);
      for (const session of sessions) session.close();
      const late = setTimeout(() => {
        for (const session of sessions) session.destroy();
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      await closed;
      clearTimeout(late);
    },
  };
}

function listenAt(server: Http2Server | Http2SecureServer, listen: GrpcServerOptions['listen'], words: ListenWords): Promise<void> {
  if ('path' in listen) return listening(server, listen, { ip: listen.path, port: 0 }, words);
  const { address, port } = listen;
  return listening(server, { host: address, port }, { ip: address, port }, words);
}

/** For a handler that does not take a call: ends it. */
export function refused(call: Call, status: Status, details: string): CallListener {
  call.end(status, details);
  return { message: () => {}, halfClosed: () => {}, closed: () => {} };
}

/** Ends a stream to which all has been said: what the client goes on to send is of no use, and it may not read what there is for it. */
function dismiss(stream: ServerHttp2Stream): void {
  stream.resume();
  const late = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), LINGER_MS).unref();
  stream.once('close', () => clearTimeout(late));
}

interface Received {
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turns, as they came. */
  readonly raw: readonly string[];
  readonly held: HeldBytes;
}

class ServedCall implements Call {
  readonly #headers: IncomingHttpHeaders;
  readonly #authorization: string | undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #held: HeldBytes;
  readonly #reader = new MessageReader(MOST_MESSAGE);
  #listener: CallListener | undefined;
  #late: NodeJS.Timeout | undefined;
  /** Messages that wait for the client to take them. */
  #unwritten = 0;
  #over = false;

  constructor(stream: ServerHttp2Stream, { headers, raw, held }: Received) {
    this.#stream = stream;
    this.#headers = headers;
    this.#held = held;
    const given = raw.filter((_, index) => index % 2 === 1 && raw[index - 1] === 'authorization');
    this.#authorization = given.length === 1 ? given[0] : undefined;
  }

  get peer(): Peer {
    const socket = this.#stream.session?.socket as Partial<TLSSocket> | undefined;
    const certificate = socket?.authorized ? socket.getPeerCertificate?.() : undefined;
    return {
      address: hostPort(socket?.remoteAddress ?? '', socket?.remotePort ?? 0),
      certificate: certificate && 'raw' in certificate ? certificate : undefined,
      authorization: this.#authorization,
    };
  }

  serve(methods: ReadonlyMap<string, Handler>): void {
    const stream = this.#stream;
    stream.on('error', () => {});
    stream.once('close', () => this.#close());
    // A client that resets the call with NO_ERROR: the stream stays until what has come of it is read.
    stream.once('aborted', () => {
      this.#close();
      stream.resume();
    });
    if (!this.#mayRespond) {
      this.#close();
      return;
    }
    if (!this.#headers['content-type']?.startsWith('application/grpc')) {
      stream.respond({ ':status': 415 }, { endStream: true });
      dismiss(stream);
      return;
    }
    const path = this.#headers[':path'] ?? '';
    const encoding = String(this.#headers['grpc-encoding'] ?? 'identity');
    const handler = methods.get(path);
    if (!handler) this.end(STATUS.unimplemented, `there is no method ${path} here`);
    else if (encoding !== 'identity') this.end(STATUS.unimplemented, `messages in the encoding ${encoding} are not read here`);
    else this.#hear(handler).catch((error: unknown) => this.end(STATUS.internal, messageOf(error)));
  }

  /** Whether the stream can be answered: Node throws at what is said to one that the client has reset. */
  get #mayRespond(): boolean {
    return !this.#stream.destroyed && !this.#stream.closed;
  }

  async #hear(handler: Handler): Promise<void> {
    const stream = this.#stream;
    const listener = await handler(this);
    if (this.#over) {
      listener.closed();
      return;
    }
    this.#listener = listener;
    this.#expectMessage();
    stream.on('data', (piece: Buffer) => {
      if (this.#over) return;
      this.#reader.add(piece);
      this.#read();
    });
    stream.on('drain', () => this.#read());
    stream.once('end', () => {
      if (this.#over) return;
      if (this.#reader.isWithin) this.end(STATUS.invalidArgument, 'the last message is cut off');
      else this.#listener?.halfClosed();
    });
  }

  #expectMessage(): void {
    this.#late ??= setTimeout(() => this.end(STATUS.deadlineExceeded, 'no request came'), MESSAGE_MS).unref();
  }

  begin(): void {
    if (this.#stream.headersSent || !this.#mayRespond) return;
    this.#stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  }

  write(message: Uint8Array, written?: () => void): void {
    if (this.#over || !this.#mayRespond) return;
    this.begin();
    this.#stream.cork();
    this.#stream.write(prefixOf(message));
    this.#unwritten += 1;
    this.#stream.write(message, (error) => {
      this.#unwritten -= 1;
      if (error) return;
      written?.();
      if (this.#stream.isPaused()) this.#read();
    });
    this.#stream.uncork();
  }

  end(status: Status, details = ''): void {
    if (this.#over) return;
    const stream = this.#stream;
    const trailers = { 'grpc-status': String(status), ...(details === '' ? {} : { 'grpc-message': encodedDetails(details) }) };
    if (this.#mayRespond) {
      if (stream.headersSent) {
        stream.once('wantTrailers', () => {
          if (this.#mayRespond) stream.sendTrailers(trailers);
        });
        stream.end();
      } else {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...trailers }, { endStream: true });
      }
      dismiss(stream);
    }
    this.#close();
  }

  /** Whether the client takes less than it asks for: what it asks further is not read. */
  get #isFull(): boolean {
    return this.#stream.writableNeedDrain || this.#unwritten >= MOST_UNWRITTEN;
  }

  /** Reads on for as long as the client takes what it is answered. */
  #read(): void {
    const stream = this.#stream;
    try {
      while (!this.#over && !this.#isFull) {
        const message = this.#reader.next();
        if (!message) break;
        clearTimeout(this.#late);
        this.#late = undefined;
        this.#listener?.message(message);
      }
    } catch (error) {
      const status = { 'grpc-compressed': STATUS.unimplemented, 'grpc-too-large': STATUS.resourceExhausted }[codeOf(error) ?? ''];
      this.end(status ?? STATUS.internal, messageOf(error));
    }
    if (this.#over) return;
    this.#held.set(stream, this.#reader.held);
    if (this.#isFull) stream.pause();
    else {
      if (this.#reader.isWithin) this.#expectMessage();
      stream.resume();
    }
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#late);
    this.#reader.clear();
    this.#held.set(this.#stream, 0);
    this.#listener?.closed();
  }
}
