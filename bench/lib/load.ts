/** Loads on a proxy, each bounded in time and connections, and what it did with them. */
import { execFile } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { promisify } from 'node:util';
import { cpuMicros, LOAD_CORE, type Running } from './processes.ts';

const run = promisify(execFile);

export interface Throughput {
  readonly requestsPerSecond: number;
  readonly cpuMicrosPerRequest: number;
}

export interface HttpLoad {
  readonly connections: number;
  readonly seconds: number;
  /** HTTP over TLS; the certificate is not verified. */
  readonly tls?: boolean;
  readonly headers?: readonly string[];
}

/** wrk over keep-alive connections. Throws if an answer was not a 2xx or a connection failed: a number would mean nothing. */
export async function wrk(port: number, proxy: Running, { connections, seconds, tls, headers = [] }: HttpLoad): Promise<Throughput> {
  const args = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, ...headers.flatMap((each) => ['-H', each])];
  const before = cpuMicros(proxy.pid);
  const { stdout } = await run('taskset', ['-c', String(LOAD_CORE), ...args, `${tls ? 'https' : 'http'}://127.0.0.1:${port}/`]);
  const used = cpuMicros(proxy.pid) - before;
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${proxy.name}: ${stdout}`);
  const requests = Number(/(\d+) requests in/.exec(stdout)![1]);
  return { requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)![1]), cpuMicrosPerRequest: used / requests };
}

/** One request over a TLS connection of its own. Resolves with the session for the next one; rejects if the one that was offered was not resumed, or the answer is none. */
function onResumed(port: number, session: Buffer | undefined): Promise<Buffer> {
  const socket = tlsConnect({ port, host: '127.0.0.1', servername: 'upstream.test', rejectUnauthorized: false, session });
  let given = session;
  let answer = '';
  let isAsOffered = false;
  socket.on('session', (next) => (given = next));
  socket.on('secureConnect', () => {
    isAsOffered = socket.isSessionReused() === (session !== undefined);
    socket.write(REQUEST.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  });
  socket.on('data', (data: Buffer) => (answer ||= data.toString('latin1', 0, 12)));
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => {
      if (answer !== 'HTTP/1.1 200') reject(new Error(`${port}: the answer is "${answer}"`));
      else if (!given || !isAsOffered) reject(new Error(`${port}: no session is resumed`));
      else resolve(given);
    });
  });
}

/** A TLS session resumed for each request; wrk resumes every second one. Throws if one was not, or not answered: a number would mean nothing. */
export async function resumed(port: number, proxy: Running, { connections, seconds }: HttpLoad): Promise<Throughput> {
  const sessions = await Promise.all(Array.from({ length: connections }, () => onResumed(port, undefined)));
  const before = cpuMicros(proxy.pid);
  const end = performance.now() + seconds * 1000;
  let requests = 0;
  const client = async (first: Buffer): Promise<void> => {
    for (let session = first; performance.now() < end; requests += 1) session = await onResumed(port, session);
  };
  await Promise.all(sessions.map(client));
  return { requestsPerSecond: requests / seconds, cpuMicrosPerRequest: (cpuMicros(proxy.pid) - before) / requests };
}

export interface Http2Load {
  readonly connections: number;
  /** Streams of each at a time. */
  readonly streams: number;
  readonly path: string;
  /** A file with the body that each request has; GET without one. */
  readonly body?: string;
}

/** h2load over cleartext connections. Throws if an answer was not a 2xx: a number would mean nothing. */
export async function h2load(port: number, proxy: Running, load: Http2Load, seconds: number): Promise<Throughput> {
  const { connections, streams, path, body } = load;
  const grpc = body === undefined ? [] : ['-d', body, '-H', 'content-type: application/grpc', '-H', 'te: trailers'];
  const args = ['h2load', '-t1', `-c${connections}`, `-m${streams}`, `-D${seconds}`, ...grpc, `http://127.0.0.1:${port}${path}`];
  const before = cpuMicros(proxy.pid);
  const { stdout } = await run('taskset', ['-c', String(LOAD_CORE), ...args]);
  const used = cpuMicros(proxy.pid) - before;
  const [, done = '0', good = '0'] = /requests: .* (\d+) done, (\d+) succeeded/.exec(stdout) ?? [];
  const answered = Number(/status codes: (\d+) 2xx/.exec(stdout)?.[1] ?? 0);
  if (answered === 0 || done !== good) throw new Error(`${proxy.name}: ${stdout}`);
  return { requestsPerSecond: answered / seconds, cpuMicrosPerRequest: used / answered };
}

export interface Transfer {
  readonly gigabitsPerSecond: number;
  readonly cpuSecondsPerGigabyte: number;
}

/** One download of a big file through a TCP proxy. */
export async function download(port: number, proxy: Running): Promise<Transfer> {
  const before = cpuMicros(proxy.pid);
  const format = '%{http_code} %{size_download} %{time_total}';
  const curl = ['curl', '-s', '-o', '/dev/null', '-m', '60', '-w', format, `http://127.0.0.1:${port}/big`];
  const { stdout } = await run('taskset', ['-c', String(LOAD_CORE), ...curl]);
  const used = cpuMicros(proxy.pid) - before;
  const [code, bytes = 0, seconds = 1] = stdout.split(' ').map(Number);
  if (code !== 200) throw new Error(`${proxy.name}: download answered ${stdout}`);
  return { gigabitsPerSecond: (bytes * 8) / seconds / 1e9, cpuSecondsPerGigabyte: used / 1e6 / (bytes / 1e9) };
}

/** One HTTP download of 10 GB by a client that takes no more than 400 MB a second. */
export async function slowDownload(port: number): Promise<void> {
  const curl = ['curl', '-sS', '-o', '/dev/null', '-m', '120', '--limit-rate', '400M', '-w', '%{http_code} %{size_download}'];
  const { stdout } = await run('taskset', ['-c', String(LOAD_CORE), ...curl, `http://127.0.0.1:${port}/huge`]);
  if (stdout !== `200 ${10 * 1024 ** 3}`) throw new Error(`download answered ${stdout}`);
}

/** A download that goes on until it is stopped. */
export function bulk(port: number): { stop(): void } {
  const child = execFile('taskset', [
    '-c',
    String(LOAD_CORE),
    'curl',
    '-s',
    '-o',
    '/dev/null',
    '-m',
    '60',
    `http://127.0.0.1:${port}/huge`,
  ]);
  return { stop: () => child.kill() };
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: upstream.test\r\nUser-Agent: bench\r\n\r\n';

/** True if a request on a new connection is answered with 200. */
export async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.on('connect', () => socket.write(REQUEST));
    socket.on('data', (data: Buffer) => {
      resolve(data.toString('latin1', 0, 12) === 'HTTP/1.1 200');
      socket.destroy();
    });
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
  });
}

/** Opens connections, has each answer one request, and leaves them open. Returns what closes them. */
export async function idleConnections(port: number, count: number): Promise<() => void> {
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i += 1) {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => socket.write(REQUEST));
      socket.once('data', () => resolve());
      socket.once('error', reject);
      socket.once('close', () => reject(new Error(`connection ${i} of ${count} was closed`)));
    });
  }
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

export interface Latency {
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly requests: number;
}

/**
 * Requests at a constant rate over keep-alive connections, whether or not earlier ones are answered: one that finds no free connection
 * waits, and its waiting counts (no coordinated omission).
 */
export async function constantRate(port: number, perSecond: number, connections: number, seconds: number): Promise<Latency> {
  const latencies: number[] = [];
  const waiting: number[] = [];
  const free: Socket[] = [];
  const since = new Map<Socket, number>();
  let failure: Error | undefined;
  const send = (socket: Socket, due: number) => {
    since.set(socket, due);
    socket.write(REQUEST);
  };
  const sockets = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      });
      // Answers are small and come in one piece each.
      socket.on('data', (data: Buffer) => {
        if (data.toString('latin1', 0, 12) !== 'HTTP/1.1 200') failure ??= new Error(`answered ${data.toString('latin1', 0, 40)}`);
        latencies.push(performance.now() - since.get(socket)!);
        const next = waiting.shift();
        if (next === undefined) free.push(socket);
        else send(socket, next);
      });
      socket.on('close', () => {
        failure ??= new Error('a connection was closed');
      });
      free.push(socket);
      return socket;
    }),
  );
  const started = performance.now();
  const total = perSecond * seconds;
  let sent = 0;
  await new Promise<void>((resolve) => {
    const tick = setInterval(() => {
      const now = performance.now();
      for (const due = Math.min(total, ((now - started) / 1000) * perSecond); sent < due; sent += 1) {
        const socket = free.shift();
        if (socket === undefined) waiting.push(now);
        else send(socket, now);
      }
      const over = now - started > seconds * 1000 + 5000;
      if (latencies.length >= total || over || failure !== undefined) {
        clearInterval(tick);
        resolve();
      }
    }, 1);
  });
  for (const socket of sockets) socket.removeAllListeners('close').destroy();
  if (failure !== undefined) throw failure;
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), requests: sorted.length };
}
