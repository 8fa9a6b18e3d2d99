/** The applications that make the calls: raw sockets, so that request line, Host, SNI and ALPN are exactly what the case says. */
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { codeOf } from '../../src/lib/errors.ts';
import type { Call, HttpCall } from './cases.ts';
import type { Certificates } from './loopback/certificates.ts';

const TIMEOUT_MS = 8000;
/** A raw TCP call waits so long for the first bytes, and so long for more after some. */
const FIRST_BYTES_MS = 3000;
const QUIET_MS = 60;

export interface CallResult {
  readonly outcome: string;
  readonly ms: number;
  readonly status?: number;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
  readonly tls?: { readonly alpn?: string | undefined; readonly server_san: readonly string[] };
}

/** An outcome other than an answer: the message is its name. */
export class Failed extends Error {}

/**
 * How a call's client comes to its server.
 * @throws Failed
 */
export type Connect = (from: string, host: string, port: number) => Promise<net.Socket>;

/** What clients trust, and by what they prove who they are. */
export type ClientCertificates = Pick<Certificates, 'ca' | 'privateCa' | 'named'>;

export class Client {
  readonly #connect: Connect;
  readonly #certificates: ClientCertificates;

  constructor(connect: Connect, certificates: ClientCertificates) {
    this.#connect = connect;
    this.#certificates = certificates;
  }

  async call(call: Call): Promise<CallResult> {
    const started = performance.now();
    let socket: net.Socket | undefined;
    let seen: CallResult['tls'];
    const done = (result: Omit<CallResult, 'ms' | 'tls'>): CallResult => {
      return { ...result, ms: performance.now() - started, ...(seen === undefined ? {} : { tls: seen }) };
    };
    try {
      if (call.http !== undefined) {
        const { http } = call;
        const version = String(http.version ?? '1.1');
        const url = splitUrl(http.url);
        socket = await this.#connect(call.from, http.resolve ?? url.host, url.port);
        if (url.scheme === 'https') {
          const alpn = http.alpn ?? (version === '2' ? ['h2'] : ['http/1.1']);
          [socket, seen] = await this.#secure(socket, http.sni ?? url.host, alpn, http.cert);
        }
        const reply = version === '2' ? await http2Exchange(socket, http, url) : await http1Exchange(socket, http, url, version);
        return done({ outcome: 'answered', ...reply });
      }
      const raw = (call.tls ?? call.tcp)!;
      socket = await this.#connect(call.from, raw.resolve ?? raw.host, raw.port);
      if (call.tls !== undefined) {
        [socket, seen] = await this.#secure(socket, call.tls.sni ?? call.tls.host, call.tls.alpn, call.tls.cert);
        if (raw.send === undefined) {
          await farewell(socket);
          return done({ outcome: 'answered' });
        }
      }
      if (raw.send) socket.write(unescape(raw.send), 'latin1');
      const body = await readUntilQuiet(socket, (raw.timeout ?? FIRST_BYTES_MS / 1000) * 1000);
      return done({ outcome: body === '' ? 'closed' : 'answered', body });
    } catch (error) {
      if (error instanceof Failed) return done({ outcome: error.message });
      throw error;
    } finally {
      // The outermost alone: it takes what it is made of with it.
      socket?.on('error', () => {}).destroy();
    }
  }

  async #secure(
    socket: net.Socket,
    sni: string,
    alpn: readonly string[] | undefined,
    cert: string | undefined,
  ): Promise<[net.Socket, CallResult['tls']]> {
    const pair = cert === undefined ? undefined : this.#certificates.named.get(cert);
    const secured = tls.connect({
      socket,
      ...(sni === '' ? {} : { servername: sni }),
      ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
      ...(pair === undefined ? {} : pair),
      ca: [this.#certificates.ca, this.#certificates.privateCa],
      checkServerIdentity: () => undefined,
    });
    await within(
      secured,
      new Promise<void>((resolve, reject) => {
        secured.once('secureConnect', resolve);
        secured.once('error', (error) => reject(new Failed(tlsFailure(error))));
        secured.once('close', () => reject(new Failed('closed')));
        socket.once('close', () => reject(new Failed('closed')));
      }),
    );
    const names = secured.getPeerCertificate().subjectaltname?.split(', ') ?? [];
    return [secured, { alpn: secured.alpnProtocol || undefined, server_san: names.map((name) => name.slice(name.indexOf(':') + 1)) }];
  }
}

function tlsFailure(error: Error): string {
  const code = codeOf(error) ?? '';
  if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code)) return 'untrusted_certificate';
  return code.startsWith('ERR_SSL') ? 'tls_alert' : 'closed';
}

/** @throws Failed */
export function dial(host: string, port: number, localAddress?: string): Promise<net.Socket> {
  const socket = net.connect({ host, port, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) });
  return new Promise((resolve, reject) => {
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (error) => reject(new Failed(codeOf(error) === 'ECONNREFUSED' ? 'refused' : 'unreachable')));
  });
}

/** Fails with `timeout` if `what` has not settled in time. */
async function within<T>(socket: net.Socket, what: Promise<T>, ms = TIMEOUT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Failed('timeout'));
      socket.destroy();
    }, ms);
  });
  try {
    return await Promise.race([what, late]);
  } finally {
    clearTimeout(timer);
  }
}

interface Url {
  readonly scheme: string;
  readonly netloc: string;
  readonly host: string;
  readonly port: number;
  readonly target: string;
}

/** Nothing is normalised: the path goes out as it stands in the case. */
function splitUrl(url: string): Url {
  const [, scheme = '', netloc = '', rest = ''] = /^(\w+):\/\/([^/?#]*)([^#]*)/.exec(url)!;
  const [, host = '', port] = /^(.*?)(?::(\d+))?$/.exec(netloc)!;
  const target = rest.startsWith('/') ? rest : `/${rest}`;
  return { scheme, netloc, host: host.toLowerCase(), port: Number(port ?? (scheme === 'https' ? 443 : 80)), target };
}

function pairsOf(headers: HttpCall['headers']): [string, string][] {
  if (Array.isArray(headers)) return headers.map(([name, value]) => [name, String(value)]);
  return Object.entries(headers ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((each): [string, string] => [name, String(each)]),
  );
}

type Reply = Pick<CallResult, 'status' | 'headers' | 'body'>;

async function http1Exchange(socket: net.Socket, http: HttpCall, url: Url, version: string): Promise<Reply> {
  const pairs = pairsOf(http.headers);
  const names = new Set(pairs.map(([name]) => name.toLowerCase()));
  const body = Buffer.from(http.body ?? '');
  const lines = [`${http.method ?? 'GET'} ${http.target ?? url.target} HTTP/${version}`];
  if (!names.has('host') && version !== '1.0') lines.push(`Host: ${url.netloc}`);
  for (const [name, value] of pairs) lines.push(`${name}: ${value}`);
  if (body.length > 0 && !names.has('content-length')) lines.push(`Content-Length: ${body.length}`);
  if (!names.has('user-agent')) lines.push('User-Agent: lab');
  if (http.websocket !== undefined) {
    lines.push('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: bGFiIGxhYiBsYWIgbGFiIQ==');
  } else if (version !== '1.0' && !names.has('connection')) {
    lines.push('Connection: close');
  }
  socket.write(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]));
  return within(socket, readReply(socket, http), http.timeout === undefined ? TIMEOUT_MS : http.timeout * 1000);
}

async function readReply(socket: net.Socket, http: HttpCall): Promise<Reply> {
  let buffered = Buffer.alloc(0);
  const pieces = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const more = async () => {
    const next = await pieces.next().catch(() => ({ done: true }) as const);
    if (next.done) return false;
    buffered = Buffer.concat([buffered, next.value]);
    return true;
  };
  const until = async (holds: () => boolean) => {
    while (!holds()) if (!(await more())) throw new Failed('closed');
  };
  const takeTo = async (mark: string) => {
    await until(() => buffered.includes(mark));
    const at = buffered.indexOf(mark);
    const text = buffered.toString('latin1', 0, at);
    buffered = buffered.subarray(at + mark.length);
    return text;
  };
  const take = async (length: number) => {
    await until(() => buffered.length >= length);
    const text = buffered.toString('latin1', 0, length);
    buffered = buffered.subarray(length);
    return text;
  };
  let head = await takeTo('\r\n\r\n');
  if (head.startsWith('HTTP/1.1 100')) head = await takeTo('\r\n\r\n');
  const [line = '', ...rest] = head.split('\r\n');
  const status = Number(line.split(' ')[1]);
  const headers = rest.map((text): [string, string] => {
    const colon = text.indexOf(':');
    return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()];
  });
  const get = (name: string) => headers.find(([key]) => key === name)?.[1];
  if (http.websocket !== undefined && status === 101) {
    socket.write(http.websocket);
    return { status, headers, body: await take(http.websocket.length) };
  }
  if (http.method === 'HEAD' || status === 204 || status === 304) return { status, headers, body: '' };
  const length = get('content-length');
  if (length !== undefined) return { status, headers, body: await take(Number(length)) };
  let body = '';
  if (get('transfer-encoding')?.includes('chunked')) {
    for (;;) {
      const size = Number.parseInt(await takeTo('\r\n'), 16);
      body += (await take(size + 2)).slice(0, size);
      if (size === 0) return { status, headers, body };
    }
  }
  while (await more());
  return { status, headers, body: buffered.toString('latin1') };
}

async function http2Exchange(socket: net.Socket, http: HttpCall, url: Url): Promise<Reply> {
  const pairs = pairsOf(http.headers);
  const session = http2.connect(`${url.scheme}://${url.netloc}`, { createConnection: () => socket });
  session.on('error', () => {});
  try {
    const headers: http2.OutgoingHttpHeaders = {
      ':method': http.method ?? 'GET',
      ':scheme': url.scheme,
      ':authority': pairs.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? url.netloc,
      ':path': http.target ?? url.target,
      'user-agent': 'lab',
    };
    for (const [name, value] of pairs) {
      const key = name.toLowerCase();
      if (key !== 'host') headers[key] = headers[key] === undefined ? value : [headers[key] as string, value].flat();
    }
    return await within(
      socket,
      new Promise<Reply>((resolve, reject) => {
        const stream = session.request(headers, { endStream: !http.body });
        const received: [string, string][] = [];
        let status = 0;
        let body = '';
        const add = (raw: string[]) => {
          for (let i = 0; i < raw.length; i += 2) if (!raw[i]!.startsWith(':')) received.push([raw[i]!, raw[i + 1]!]);
        };
        stream.setEncoding('latin1');
        stream.on('response', (reply, _flags, raw: string[]) => {
          status = reply[':status'] ?? 0;
          add(raw);
        });
        stream.on('trailers', (_reply, _flags, raw: string[]) => add(raw));
        stream.on('data', (part: string) => {
          body += part;
        });
        stream.on('error', () => reject(new Failed('closed')));
        stream.on('close', () =>
          status === 0 || stream.rstCode !== 0 ? reject(new Failed('closed')) : resolve({ status, headers: received, body }),
        );
        session.on('close', () => reject(new Failed('closed')));
        if (http.body) stream.end(http.body);
      }),
    );
  } finally {
    session.destroy();
  }
}

/** Says goodbye and waits for the peer's: with TLS 1.3 the server's side of the handshake ends after the client's. */
async function farewell(socket: net.Socket): Promise<void> {
  socket.on('error', () => {});
  socket.resume();
  socket.end();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await within(socket, closed, FIRST_BYTES_MS).catch(() => {});
}

/** Bytes until the peer closes, or falls silent after having said something. */
async function readUntilQuiet(socket: net.Socket, firstMs: number): Promise<string> {
  let body = '';
  return new Promise<string>((resolve, reject) => {
    const onTimeout = () => (body === '' ? reject(new Failed('timeout')) : resolve(body));
    let timer = setTimeout(onTimeout, firstMs);
    const finish = () => {
      clearTimeout(timer);
      resolve(body);
    };
    socket.on('data', (data: Buffer) => {
      body += data.toString('latin1');
      clearTimeout(timer);
      timer = setTimeout(onTimeout, QUIET_MS);
    });
    socket.on('end', finish);
    socket.on('close', finish);
    socket.on('error', () => {
      clearTimeout(timer);
      if (body === '') reject(new Failed('closed'));
      else resolve(body);
    });
  });
}

/** `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN` as in a Python string. */
function unescape(text: string): string {
  const simple: Record<string, string> = { r: '\r', n: '\n', t: '\t', '0': '\0', '\\': '\\' };
  return text.replace(/\\(x([0-9a-fA-F]{2})|[rnt0\\])/g, (_, escape: string, hex?: string) =>
    hex ? String.fromCharCode(Number.parseInt(hex, 16)) : simple[escape]!,
  );
}
