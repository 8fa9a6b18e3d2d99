/** A forward proxy of the tests' own, for what no real proxy does: how it answers is said by the host that is asked for. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

export interface ForwardProxy {
  readonly port: number;
  /** The heads that came, in their order; of a connection that was never one, what came. */
  readonly heads: string[];
  /** What came behind a head before it was answered, or behind an answer of `ANSWERS`. */
  readonly early: string[];
  /** Connections that are open. */
  readonly open: () => number;
  close(): void;
}

const OK = 'HTTP/1.1 200 Connection established\r\n\r\n';

/** What is written in answer to a head, by the first label of the host; then the connection ends: of a tunnel after what the client sends through it. */
export const ANSWERS: Readonly<Record<string, string>> = {
  auth: 'HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm="x"\r\ncontent-length: 4\r\n\r\nauth',
  forbidden: 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno',
  gateway: 'HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n',
  moved: 'HTTP/1.1 302 Found\r\nlocation: http://elsewhere.example/\r\ncontent-length: 0\r\n\r\n',
  nonsense: 'SSH-2.0-OpenSSH_9.2\r\n',
  huge: `HTTP/1.1 200 OK\r\n${'x-filler: 0123456789012345678901234567890123456789\r\n'.repeat(2000)}\r\n`,
  many: `HTTP/1.1 200 OK\r\n${'x: 1\r\n'.repeat(101)}\r\n`,
  nothing: '',
  half: 'HTTP/1.1 200 Connection est',
  informed: `HTTP/1.1 100 Continue\r\n\r\n${OK}hello`,
  created: 'HTTP/1.1 201 Created\r\n\r\nhello',
  old: 'HTTP/1.0 200 Connection established\r\n\r\nhello',
  framed: 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhello',
  chunked: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  early: `${OK}hello`,
  switching: 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhello',
};

/** Listens on a loopback port. What is asked of a host that `ANSWERS` does not name is connected to `upstreamPort`; of the host `silent`, never answered. `tls`: what it is asked in. */
export async function forwardProxy(upstreamPort: number, tls?: TlsOptions): Promise<ForwardProxy> {
  const heads: string[] = [];
  const early: string[] = [];
  const sockets = new Set<Socket>();
  const accept = (socket: Socket): void => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    const read = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      socket.off('data', read);
      heads.push(text.slice(0, end));
      if (text.length > end + 4) early.push(text.slice(end + 4));
      answer(socket, /^\S+ (?:http:\/\/)?([^.:/ ]*)/.exec(text)?.[1] ?? '');
    };
    socket.on('data', read);
  };
  const server = tls ? createTlsServer({ ...tls, allowHalfOpen: true }, accept) : createServer({ allowHalfOpen: true }, accept);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  function answer(socket: Socket, label: string): void {
    if (label === 'silent') {
      socket.on('end', () => socket.end()).resume();
      return;
    }
    const text = ANSWERS[label];
    if (text !== undefined) {
      const opens = text.endsWith('hello') || label === 'chunked';
      socket.on('data', (chunk) => {
        early.push(chunk.toString('latin1'));
        if (opens) socket.end();
      });
      if (opens) socket.write(text, 'latin1');
      else socket.end(text, 'latin1');
      return;
    }
    const upstream = connect({ host: '127.0.0.1', port: upstreamPort, allowHalfOpen: true });
    sockets.add(upstream);
    upstream.on('error', () => socket.destroy()).on('close', () => sockets.delete(upstream));
    upstream.once('connect', () => {
      socket.write(OK);
      socket.pipe(upstream).pipe(socket);
    });
  }

  return {
    port: (server.address() as AddressInfo).port,
    heads,
    early,
    open: () => sockets.size,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
