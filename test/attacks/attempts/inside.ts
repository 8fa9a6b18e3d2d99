/** The agent: makes the attempts of a seed, some at a time, and says what came of each way. Runs in `sallyport run`. Arguments: seed, first, count, how many at a time. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectH2 } from 'node:http2';
import { connect, isIPv6, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Attempt, attemptOf, type Datagram, type Secure, type Stream } from './generate.ts';

const [seed = 0, first = 0, count = 0, together = 1] = process.argv.slice(2).map(Number);
const proxy = new URL(process.env.http_proxy ?? process.env.HTTP_PROXY!);
const resolver = /^nameserver\s+(\S+)/m.exec(readFileSync('/etc/resolv.conf', 'utf8'))?.[1] ?? '127.0.0.1';
/** What is neither answered nor closed is left after so many times as long as others took of late, ms. */
const PATIENCE = 6;
const LEAST_MS = 150;
let usualMs = 100;

function tookMs(began: number): void {
  usualMs += (performance.now() - began - usualMs) / 16;
}

function patienceMs(): number {
  return Math.max(LEAST_MS, PATIENCE * usualMs);
}

const sockets: Readonly<Record<'udp4' | 'udp6', UdpSocket>> = { udp4: createSocket('udp4'), udp6: createSocket('udp6') };
for (const socket of Object.values(sockets))
  socket
    .on('error', () => undefined)
    .on('message', () => undefined)
    .unref();

/** Resolves with a word of what came of it. */
function attempt(made: Attempt): Promise<string> {
  switch (made.kind) {
    case 'stream':
      return stream(made);
    case 'datagram':
      return datagram(made);
    case 'secure':
      return secure(made);
  }
}

function stream({ to, steps, atOnce }: Stream): Promise<string> {
  const socket = to === 'proxy' ? connect(Number(proxy.port), proxy.hostname) : connect(to.port, to.ip);
  let next = 0;
  const step = () => {
    if (next < steps.length) socket.write(steps[next++]!);
  };
  socket.on('connect', () => {
    if (atOnce) while (next < steps.length) step();
    else step();
  });
  return outcome(socket, (data) => {
    if (next < steps.length) step();
    else if (!/^HTTP\/1\.1 100/.test(data)) return true;
    return false;
  });
}

/** @param answered whether that was the last answer that is waited for */
function outcome(socket: Socket, answered: (data: string) => boolean): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let last = 'closed';
  const began = performance.now();
  const timer = setTimeout(() => {
    if (last === 'closed') last = 'left';
    socket.destroy();
  }, patienceMs());
  socket
    .once('data', () => tookMs(began))
    .on('data', (data: Buffer) => {
      const text = data.toString('latin1');
      last = /^HTTP\/[\d.]+ (\d{3})/.exec(text)?.[1] ?? 'answered';
      if (answered(text)) setImmediate(() => socket.destroy());
    });
  socket.on('error', ({ code }: NodeJS.ErrnoException) => {
    last = code ?? 'error';
  });
  socket.on('close', () => {
    clearTimeout(timer);
    resolve(last);
  });
  return promise;
}

function datagram({ to, bytes }: Datagram): Promise<string> {
  const { ip, port } = to === 'resolver' ? { ip: resolver, port: 53 } : to;
  return new Promise((resolve) =>
    sockets[isIPv6(ip) ? 'udp6' : 'udp4'].send(bytes, port, ip, (error) => resolve(error ? 'unsent' : 'sent')),
  );
}

function secure({ serverName, protocol, requests, bytes }: Secure): Promise<string> {
  const socket = connect(Number(proxy.port), proxy.hostname);
  const { promise, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => socket.destroy(), 4 * patienceMs());
  const target = `${serverName}:443`;
  socket
    .on('error', () => undefined)
    .on('close', () => {
      clearTimeout(timer);
      resolve('closed');
    });
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  socket.once('data', () => {
    const options = { socket, servername: serverName, ALPNProtocols: [protocol] };
    if (protocol === 'http/1.1') {
      const tls = connectTls(options, () => tls.write(bytes));
      tls.on('error', () => socket.destroy());
      void outcome(tls, () => false).then(() => socket.destroy());
      return;
    }
    const tls = connectTls(options);
    tls.on('error', () => socket.destroy());
    const session = connectH2(`https://${serverName}`, { createConnection: () => tls });
    session.on('error', () => socket.destroy());
    let open = requests.length;
    const over = () => {
      open--;
      if (open === 0) socket.destroy();
    };
    for (const headers of requests) {
      try {
        const request = session.request(headers, { endStream: true });
        request
          .on('error', () => undefined)
          .on('close', over)
          .resume();
      } catch {
        over();
      }
    }
  });
  return promise;
}

/** The mesh starts with the first call. */
async function ready(): Promise<void> {
  const socket = connect(Number(proxy.port), proxy.hostname);
  socket.write('GET http://plain.allowed.example/v1/ready HTTP/1.1\r\nHost: plain.allowed.example\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (!answer.toString().includes('outside')) throw new Error(`not ready: ${answer}`);
  socket.destroy();
}

await ready();
const said: Record<string, number> = {};
let at = first;
const worker = async () => {
  while (at < first + count) {
    const made = attemptOf(seed, at++);
    const what = `${made.way}: ${await attempt(made)}`;
    said[what] = (said[what] ?? 0) + 1;
  }
};
await Promise.all(Array.from({ length: together }, worker));
process.stdout.write(`${JSON.stringify(said)}\n`);
process.exit(0);
