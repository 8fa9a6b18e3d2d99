/** Applications: they make one call each, over a connection of its own, and tell what came of it. */
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import type { Call, HttpRequest } from '../../src/simulate/call.ts';
import { type AddressMap, CAPTURE_PORT, podNumber } from '../calls/loopback/addresses.ts';
import type { KeyPair } from '../calls/loopback/certificates.ts';
import type { Pod } from '../calls/loopback/topology.ts';
import { PLAYED_RESPONSE, SEEN_HEADER, type Seen } from './outside.ts';

/** What an application sees of its call. */
export interface Reply {
  /** `closed`: without an answer, in the TLS handshake or after it; `silent`: nothing happened for a long time. */
  readonly kind: 'answered' | 'closed' | 'silent';
  /** 0 where it was not HTTP that answered. */
  readonly status: number;
  readonly location: string | undefined;
  /** Those of the response that configurations play with, repeats joined; empty where none is HTTP. */
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined where a proxy answered. */
  readonly seen: Seen | undefined;
}

export interface Made {
  readonly reply: Reply;
  /** Port from which the application called, as its proxy sees it. */
  readonly port: number;
}

const SILENT_MS = 8000;
/** What is repeated goes on repeated; an option that Node's types lack. */
const REPEATED_FIELDS: object = { strictSingleValueFields: false };
const CLOSED: Reply = { kind: 'closed', status: 0, location: undefined, headers: {}, seen: undefined };
/** No HTTP method begins like this. */
const BYTES = '\u0001\u0002bytes\n';

/** Makes a call from a pod; `id` goes along in a header. Where the pod has a sidecar, its redirect takes the connection. */
export async function makeCall(map: AddressMap, pod: Pod, call: Call, id: number, identity: KeyPair): Promise<Made> {
  const self = podNumber(pod.ip);
  const captured = pod.kind === 'sidecar';
  const to = map.real(captured ? { ip: pod.ip, port: CAPTURE_PORT } : call.destination, self)!;
  const from = map.real({ ip: pod.ip, port: 0 }, self)!;
  const socket = net.connect({ host: to.ip, port: to.port, localAddress: from.ip, noDelay: true });
  let port = 0;
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<Reply>((resolve) => {
    timer = setTimeout(() => resolve({ ...CLOSED, kind: 'silent' }), SILENT_MS);
  });
  const gone = new Promise<Reply>((resolve) => {
    socket.once('error', () => resolve(CLOSED));
  });
  const made = async (): Promise<Reply> => {
    if (!(await happens(socket, 'connect'))) return CLOSED;
    port = map.lab({ ip: from.ip, port: socket.localPort! })!.port;
    if (captured) {
      socket.write(JSON.stringify(call.destination));
      if (!(await happens(socket, 'readable')) || socket.read(1) === null) return CLOSED;
    }
    return exchange(socket, call, id, identity);
  };
  try {
    return { reply: await Promise.race([made(), silence, gone]), port };
  } finally {
    clearTimeout(timer);
    socket.on('error', () => {});
    socket.destroy();
  }
}

/** False if the socket closes before. */
function happens(socket: net.Socket, event: string): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once(event, () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}

async function exchange(plain: net.Socket, { payload }: Call, id: number, identity: KeyPair): Promise<Reply> {
  let socket = plain;
  if (payload.tls) {
    const { serverName, alpn, certificate } = payload.tls;
    const own = certificate ? identity : {};
    const secured = tls.connect({ socket: plain, servername: serverName, ALPNProtocols: [...alpn], rejectUnauthorized: false, ...own });
    secured.on('error', () => {});
    const done = happens(secured, 'secureConnect');
    const closed = new Promise<false>((resolve) => plain.once('close', () => resolve(false)));
    if (!(await Promise.race([done, closed]))) return CLOSED;
    socket = secured;
  }
  if (payload.http?.version === '2') return http2Exchange(socket, payload.http, id);
  socket.write(payload.http ? requestText(payload.http, id) : BYTES, 'latin1');
  return readReply(socket);
}

export function requestText({ method, path, version, authority, emptyHost, headers }: HttpRequest, id: number): string {
  const lines = [`${method} ${path} HTTP/${version}`];
  if (authority !== '' || emptyHost) lines.push(`Host: ${authority}`);
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  lines.push(`x-call: ${id}`, 'connection: close', '', '');
  return lines.join('\r\n');
}

/** A response, or a line of JSON, to the end of the connection. */
function readReply(socket: net.Socket): Promise<Reply> {
  return new Promise((resolve) => {
    let text = '';
    const end = () => resolve(replyOf(text));
    // Every request asks for the connection to be closed: who went before that would be logged as gone.
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1');
    });
    socket.on('end', end);
    socket.on('close', end);
  });
}

function replyOf(text: string): Reply {
  if (text.startsWith('{')) return { ...CLOSED, kind: 'answered', seen: JSON.parse(text) as Seen };
  const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
  if (status === undefined) return CLOSED;
  const field = (name: string) => new RegExp(`\r\n${name}: (.*)\r\n`, 'i').exec(text)?.[1];
  const headers: Record<string, string> = {};
  for (const line of text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (PLAYED_RESPONSE.test(name)) headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return { kind: 'answered', status: Number(status), location: field('location'), headers, seen: decode(field(SEEN_HEADER)) };
}

function decode(field: string | undefined): Seen | undefined {
  return field === undefined ? undefined : (JSON.parse(Buffer.from(field, 'base64').toString()) as Seen);
}

function http2Exchange(socket: net.Socket, { method, path, authority, headers }: HttpRequest, id: number): Promise<Reply> {
  const session = http2.connect('http://x', { createConnection: () => socket, ...REPEATED_FIELDS });
  return new Promise<Reply>((resolve) => {
    session.on('error', () => resolve(CLOSED));
    session.on('close', () => resolve(CLOSED));
    socket.on('close', () => resolve(CLOSED));
    const fields: http2.OutgoingHttpHeaders = { ':method': method, ':path': path, ':authority': authority, 'x-call': String(id) };
    for (const [name, value] of headers) fields[name] = [fields[name] ?? [], value].flat() as string[];
    const stream = session.request(fields, { endStream: true });
    stream.on('error', () => resolve(CLOSED));
    // Who went before the end of the body would be logged as gone.
    stream.on('response', (answer) => {
      const reply: Reply = {
        kind: 'answered',
        status: answer[':status'] ?? 0,
        location: answer.location,
        headers: Object.fromEntries(
          Object.entries(answer).flatMap(([name, value]) => (PLAYED_RESPONSE.test(name) ? [[name, [value ?? ''].flat().join(', ')]] : [])),
        ),
        seen: decode(answer[SEEN_HEADER] as string | undefined),
      };
      stream.on('end', () => resolve(reply));
      stream.resume();
    });
  }).finally(() => session.destroy());
}
