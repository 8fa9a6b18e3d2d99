/** Stand-ins for the outside world, on loopback: web servers, one with TLS and a CA of its own, and one that speaks Redis. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { listening } from '../lib/listen.ts';
import { own } from '../lib/table.ts';
import { type Authority, createAuthority } from './certificates.ts';

/** The ports that the examples' ServiceEntries name. */
export const OUTSIDE_PORTS = { http: 18080, https: 18443, redis: 16379 } as const;

/** A request or connection that reached the outside. */
export interface Arrival {
  readonly server: keyof typeof OUTSIDE_PORTS;
  readonly host: string;
  readonly detail: string;
}

export interface Outside {
  readonly authority: Authority;
  /** All arrivals, in order. */
  readonly arrivals: readonly Arrival[];
  close(): void;
}

/** @throws SallyportError `port-in-use` */
export async function startOutside(address: string, now: number): Promise<Outside> {
  const authority = await createAuthority('Sallyport demonstration CA', now);
  const arrivals: Arrival[] = [];
  const fallback = await authority.issue(['outside.invalid']);
  const contexts = new Map<string, ReturnType<typeof createSecureContext>>();
  const answer = (server: 'http' | 'https') => (request: IncomingMessage, response: ServerResponse) => {
    const host = request.headers.host ?? '';
    arrivals.push({ server, host, detail: `${request.method} ${request.url}` });
    request.resume();
    response.setHeader('content-type', 'text/plain');
    response.end(`${host} answers ${request.method} ${request.url}\n`);
  };
  const https = createHttpsServer(
    {
      cert: fallback.certificate,
      key: fallback.key,
      SNICallback: (name, done) => {
        const known = contexts.get(name);
        if (known) return done(null, known);
        authority.issue([name]).then(
          ({ certificate, key }) => {
            const context = createSecureContext({ cert: certificate, key });
            contexts.set(name, context);
            done(null, context);
          },
          (error: Error) => done(error),
        );
      },
    },
    answer('https'),
  );
  const redis = createTcpServer((socket) => {
    arrivals.push({ server: 'redis', host: '', detail: 'connection' });
    serveRedis(socket);
  });
  const servers = { http: createHttpServer(answer('http')), https, redis };
  const open = new Set<Socket>();
  for (const server of Object.values(servers)) {
    server.on('connection', (socket: Socket) => {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
    });
  }
  const close = () => {
    for (const server of Object.values(servers)) server.close();
    for (const socket of open) socket.destroy();
  };
  try {
    for (const [name, server] of Object.entries(servers)) await listen(server, own(OUTSIDE_PORTS, name)!, address);
  } catch (error) {
    close();
    throw error;
  }
  return { authority, arrivals, close };
}

/** The few commands that a look at Redis needs, in its own framing and in the inline one that people type. */
function serveRedis(socket: Socket): void {
  const values = new Map<string, string>();
  let text = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
    for (let command = take(); command; command = take()) socket.write(reply(command), 'latin1');
  });
  const take = (): string[] | undefined => {
    if (!text.startsWith('*')) {
      const end = text.indexOf('\n');
      if (end < 0) return undefined;
      const words = text.slice(0, end).trim().split(/\s+/);
      text = text.slice(end + 1);
      return words;
    }
    const lines = text.split('\r\n');
    const count = Number(lines[0]!.slice(1));
    if (lines.length < 2 * count + 2) return undefined;
    text = lines.slice(2 * count + 1).join('\r\n');
    return lines.slice(1, 2 * count + 1).filter((_line, index) => index % 2 === 1);
  };
  const reply = ([name = '', key = '', value = '']: string[]): string => {
    switch (name.toUpperCase()) {
      case 'PING':
        return '+PONG\r\n';
      case 'SET':
        values.set(key, value);
        return '+OK\r\n';
      case 'GET': {
        const found = values.get(key);
        return found === undefined ? '$-1\r\n' : `$${found.length}\r\n${found}\r\n`;
      }
      default:
        return `-ERR unknown command '${name}'\r\n`;
    }
  };
}

function listen(server: Server, port: number, address: string): Promise<void> {
  return listening(server, { host: address, port }, { ip: address, port }, { what: 'the demonstration needs its ports' });
}
