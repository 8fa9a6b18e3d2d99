/** The outside world: servers that take TLS, HTTP/1, HTTP/2 and bytes on every port, and answer with what they saw. */
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import type { AddressMap } from '../calls/loopback/addresses.ts';
import type { Certificates } from '../calls/loopback/certificates.ts';
import { OUTSIDE } from '../calls/loopback/topology.ts';

/** What a server saw of a call. */
export interface Seen {
  /** Address and port of the server, as the mesh names it. */
  readonly server: string;
  /** Undefined without TLS. `sni` is empty without one. */
  readonly tls: { readonly sni: string } | undefined;
  /** Undefined: bytes that are not HTTP. */
  readonly http: SeenRequest | undefined;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** Names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
}

/** The header of an answer that holds what the server saw, as base64 of JSON. */
export const SEEN_HEADER = 'x-seen';
/** Headers of responses that configurations play with. */
export const PLAYED_RESPONSE = /^(?:x-r-|access-control-)/;
/** Those that every server sends. */
export const SERVER_HEADERS = { 'x-r-a': 'server', 'x-r-s': 'server' } as const;
/** Ports of every server. */
export const SERVER_PORTS = [80, 443, 8000, 8080, 8443, 6379, 9000] as const;
/** What an application of a pod listens on, on the pod's own loopback. */
export interface Application {
  readonly pod: string;
  readonly number: number;
  readonly ports: readonly number[];
}

export class OutsideWorld {
  readonly #servers: net.Server[] = [];
  readonly #sockets = new Set<net.Socket>();
  readonly #contexts: Map<string, tls.SecureContext>;

  private constructor(certificates: Certificates) {
    this.#contexts = new Map([...certificates.hosts].map(([host, { cert, key }]) => [host, tls.createSecureContext({ cert, key })]));
  }

  static async start(map: AddressMap, certificates: Certificates, applications: readonly Application[]): Promise<OutsideWorld> {
    const world = new OutsideWorld(certificates);
    const starts = [
      ...OUTSIDE.flatMap(({ ip }) => SERVER_PORTS.map((port) => world.#listen(map.real({ ip, port }, 0)!, `${ip}:${port}`))),
      ...applications.flatMap(({ pod, number, ports }) =>
        ports.map((port) => world.#listen(map.real({ ip: '127.0.0.1', port }, number)!, `${pod}:${port}`)),
      ),
    ];
    const failed = (await Promise.allSettled(starts)).find((result) => result.status === 'rejected');
    if (!failed) return world;
    world.close();
    throw failed.reason;
  }

  #listen({ ip, port }: { ip: string; port: number }, name: string): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      this.#serve(socket, name, undefined);
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => server.once('error', reject).listen({ host: ip, port }, resolve));
  }

  #context(name: string): tls.SecureContext {
    return certificateFor(name, (host) => this.#contexts.get(host)) ?? this.#contexts.get('default.invalid')!;
  }

  #serve(socket: net.Socket, server: string, secured: Seen['tls']): void {
    socket.once('end', () => socket.end());
    socket.once('data', (first: Buffer) => {
      socket.pause();
      if (!secured && first[0] === 0x16) this.#secure(socket, first, server);
      else if (first.subarray(0, 3).toString('latin1') === 'PRI') this.#http2(socket, first, server, secured);
      else if (/^[A-Za-z]+ \S+ HTTP\/1/.test(first.toString('latin1'))) http1(socket, first, server, secured);
      else {
        socket.end(`${JSON.stringify({ server, tls: secured, http: undefined } satisfies Seen)}\n`);
        socket.resume();
      }
    });
  }

  #secure(socket: net.Socket, first: Buffer, server: string): void {
    socket.unshift(first);
    const secured = new tls.TLSSocket(socket, {
      isServer: true,
      secureContext: this.#context(''),
      // Whatever the client likes best: what it then speaks is seen anyway.
      ALPNCallback: ({ protocols }) => protocols[0],
      SNICallback: (name, done) => done(null, this.#context(name)),
    });
    this.#sockets.add(secured);
    secured.on('close', () => this.#sockets.delete(secured));
    secured.on('error', () => secured.destroy());
    secured.once('secure', () => {
      // As tls.Server does for its sockets: an HTTP/2 session waits for it.
      Object.assign(secured, { secureConnecting: false });
      // Resumed sessions have a name too, which nobody is called back for.
      this.#serve(secured, server, { sni: typeof secured.servername === 'string' ? secured.servername : '' });
    });
  }

  #http2(socket: net.Socket, first: Buffer, server: string, secured: Seen['tls']): void {
    socket.unshift(first);
    const session = http2.performServerHandshake(socket);
    session.on('error', () => socket.destroy());
    session.on('stream', (stream, fields, _flags, raw: string[]) => {
      stream.on('error', () => {});
      stream.resume();
      const headers: [string, string][] = [];
      for (let i = 0; i < raw.length; i += 2) if (!raw[i]!.startsWith(':')) headers.push([raw[i]!, raw[i + 1]!]);
      const authority = fields[':authority'] ?? fields.host ?? '';
      const http = { method: fields[':method'] ?? '', path: fields[':path'] ?? '', authority, headers };
      stream.respond({ ':status': 200, [SEEN_HEADER]: encode({ server, tls: secured, http }), ...SERVER_HEADERS }, { endStream: true });
    });
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** The certificate for a name: its own, or its domain's wildcard; undefined for a name that none has. */
export function certificateFor<T>(name: string, get: (host: string) => T | undefined): T | undefined {
  return get(name) ?? get(`*.${name.slice(name.indexOf('.') + 1)}`);
}

function encode(seen: Seen): string {
  return Buffer.from(JSON.stringify(seen)).toString('base64');
}

const OWN_FIELDS = Object.entries(SERVER_HEADERS)
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join('');

/** Requests without bodies, one after the other. */
function http1(socket: net.Socket, first: Buffer, server: string, secured: Seen['tls']): void {
  let text = '';
  const onData = (data: Buffer) => {
    text += data.toString('latin1');
    for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
      const [line = '', ...fields] = text.slice(0, end).split('\r\n');
      text = text.slice(end + 4);
      const [method = '', path = ''] = line.split(' ');
      const headers = fields.map((field): [string, string] => {
        const colon = field.indexOf(':');
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
      });
      const authority = headers.find(([name]) => name === 'host')?.[1] ?? '';
      const seen = encode({ server, tls: secured, http: { method, path, authority, headers } });
      // A field that should stand once: proxies pass it on as it is.
      socket.write(
        `HTTP/1.1 200 OK\r\n${SEEN_HEADER}: ${seen}\r\n${OWN_FIELDS}etag: "1"\r\netag: "2"\r\ncontent-length: 0\r\n\r\n`,
        'latin1',
      );
      if (headers.some(([name, value]) => name === 'connection' && value === 'close')) socket.end();
    }
  };
  socket.on('data', onData);
  onData(first);
  socket.resume();
}
