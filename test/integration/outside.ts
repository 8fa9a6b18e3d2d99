/** Servers of the outside world, on free ports of 127.0.0.1: HTTP with WebSocket, and HTTPS with a certificate made for the test. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate of its own authority, made with openssl. */
export function makeCertificate(...names: readonly string[]): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-certificate-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const san = `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`;
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const about = ['-days', '2', '-subj', `/CN=${names[0]}`, '-addext', san, '-keyout', key, '-out', cert];
    execFileSync('openssl', ['req', '-x509', ...curve, ...about], { stdio: 'ignore' });
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface Outside {
  readonly port: number;
  /** Every request that arrived, in order. */
  readonly requests: IncomingMessage[];
}

/** Answers `METHOD URL`, or what `listener` answers; echoes what comes on a WebSocket. Ends with the test. */
export async function startServer(
  t: TestContext,
  options: { readonly certificate?: Certificate; readonly listener?: RequestListener } = {},
): Promise<Outside> {
  const requests: IncomingMessage[] = [];
  const answer: RequestListener = (request, response) => {
    requests.push(request);
    if (options.listener) options.listener(request, response);
    else response.end(`${request.method} ${request.url}`);
  };
  const server: Server = options.certificate ? createSecureServer({ ...options.certificate }, answer) : createServer(answer);
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    requests.push(request);
    const key = request.headers['sec-websocket-key'] ?? '';
    // RFC 6455, section 1.3.
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    const echo = (frame: Buffer) => socket.write(unmasked(frame));
    if (head.length > 0) echo(head);
    socket.on('data', echo);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, requests };
}

/** One short client frame as a server's frame of the same content (RFC 6455, section 5.2). */
function unmasked(frame: Buffer): Buffer {
  const length = frame[1]! & 0x7f;
  const mask = frame.subarray(2, 6);
  const payload = Buffer.from(frame.subarray(6, 6 + length).map((byte, index) => byte ^ mask[index % 4]!));
  return Buffer.concat([Buffer.from([frame[0]!, length]), payload]);
}
