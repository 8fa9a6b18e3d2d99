/**
 * A steady load, and who answers it: `outside ADDRESS…` serves HTTP at port 80, of which it writes a line of JSON for
 * each request, and something else at TCP_PORT; `client` calls from a pod, again and
 * again, and keeps a record of what it did, which it tells at port 9000 of its own loopback address.
 */
import http from 'node:http';
import net from 'node:net';

/** Of one request that came outside. */
export interface Hit {
  readonly host: string;
  readonly from: string;
}

/** Of all calls that a client has made. */
export interface CallRecord {
  /** To the allowed host: answered from outside, and not. */
  readonly answered: number;
  readonly failed: number;
  /** What became of the first that were not. */
  readonly failures: readonly string[];
  /** To the other host: made, and answered from outside. */
  readonly denied: number;
  readonly through: number;
}

export const ALLOWED = 'allowed.example';
export const DENIED = 'denied.example';
export const SERVES = 'serves';
/** Where each connection is told the same. */
export const TCP_PORT = 6379;
const RECORD_PORT = 9000;
export const RECORD_URL = `http://127.0.0.1:${RECORD_PORT}`;
/** What the servers outside answer. */
const BODY = 'from outside';
/** Between two calls of a client, ms: some eighty a second where the machine keeps up. */
const EACH_MS = 12;
/** Of so many calls one goes to the other host. */
const DENIED_EACH = 10;
const TIMEOUT_MS = 20_000;
/** That wait for an answer at a time: the next one waits its turn. */
const MOST_WAITING = 100;
/** Failures that are told. */
const MOST_TOLD = 50;

/** What becomes of a call: whether it was answered from outside, in words. */
function call(address: string, host: string, agent?: http.Agent): Promise<string> {
  return new Promise((resolve) => {
    const request = http.get({ host: address, headers: { host }, agent, timeout: TIMEOUT_MS }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (part: string) => {
        body += part;
      });
      answer.on('error', (error) => resolve(error.message));
      answer.on('end', () => resolve(body === BODY ? BODY : `${answer.statusCode} ${body.slice(0, 200)}`));
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    request.on('error', (error) => resolve(error.message));
  });
}

/** What comes over a connection until it ends. */
function connected(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const socket = net.connect({ host: address, port, timeout: TIMEOUT_MS }, () => undefined);
    socket.on('data', (part) => {
      said += part.toString();
    });
    socket.on('timeout', () => socket.destroy(new Error(`nothing within ${TIMEOUT_MS} ms`)));
    socket.on('error', (error) => resolve(error.message));
    socket.on('close', () => resolve(said));
  });
}

function serveOutside(addresses: readonly string[]): void {
  let left = addresses.length;
  for (const address of addresses) {
    net.createServer((socket) => socket.on('error', () => socket.destroy()).end(BODY)).listen(TCP_PORT, address);
    const server = http.createServer((request, answer) => {
      const hit: Hit = { host: request.headers.host ?? '', from: request.socket.remoteAddress ?? '' };
      console.log(JSON.stringify(hit));
      answer.end(BODY);
    });
    // A connection that it closed while a request is on its way would be its own failure.
    server.keepAliveTimeout = 0;
    server.listen(80, address, () => {
      left -= 1;
      if (left === 0) console.log(SERVES);
    });
  }
}

/** Half of the calls go over connections of their own, the others over kept ones. */
function load(address: string): () => CallRecord {
  const kept = new http.Agent({ keepAlive: true });
  const failures: string[] = [];
  const counts = { answered: 0, failed: 0, denied: 0, through: 0 };
  let waiting = 0;
  const fail = (what: string, agent: http.Agent | undefined) => {
    counts.failed += 1;
    if (failures.length < MOST_TOLD) failures.push(`${new Date().toISOString()} ${agent ? 'kept' : 'new'}: ${what}`);
  };
  const one = async (agent: http.Agent | undefined) => {
    waiting += 1;
    const said = await call(address, ALLOWED, agent);
    waiting -= 1;
    if (said === BODY) counts.answered += 1;
    else fail(said, agent);
  };
  const denied = async () => {
    counts.denied += 1;
    if ((await call(address, DENIED)) === BODY) counts.through += 1;
  };
  let made = 0;
  setInterval(() => {
    if (waiting === MOST_WAITING) return;
    if (made % DENIED_EACH === 0) void denied();
    else void one(made % 2 === 0 ? kept : undefined);
    made += 1;
  }, EACH_MS);
  return () => ({ ...counts, failures });
}

/** `/record`; `/call/HOST` and `/connect/PORT`: what becomes of one. */
function serveClient(address: string): void {
  const record = load(address);
  const server = http.createServer(async ({ url = '' }, answer) => {
    const [, what, to = ''] = url.split('/');
    if (what === 'record') answer.end(JSON.stringify(record()));
    else answer.end(await (what === 'connect' ? connected(address, Number(to)) : call(address, to)));
  });
  server.listen(RECORD_PORT, '127.0.0.1', () => console.log(SERVES));
}

if (import.meta.main) {
  const [role, ...addresses] = process.argv.slice(2);
  if (role === 'outside') serveOutside(addresses);
  else serveClient(addresses[0]!);
}
