/** For the mismatch matrix: servers, meshes of one proxy in this process, clients that say one thing and another, and a DNS server that answers anything. */
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { isIP, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import { decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { snapshotFromText } from '../../../src/config/memory.ts';
import type { ProxyIdentity } from '../../../src/lib/proxy-identity.ts';
import { simulateFiles } from '../../../src/prove/simulated.ts';
import { wayOf } from '../../../src/prove/way.ts';
import { createDataPlane, type DataPlane } from '../../../src/proxy/dataplane.ts';
import { parseTarget } from '../../../src/simulate/call.ts';
import { EMPTY_SET, encodeSet, updateBetween } from '../../../src/xds/update.ts';
import { meshConfigOf } from '../../support/mesh.ts';
import { ROUTER, SIDECAR, translated } from '../../support/translated.ts';
import { certificates, client, echoServer, folder, readUntil, server } from './support.ts';

export type Outcome = 'carried' | 'refused';

export interface Said {
  readonly protocol: 'HTTP/1.1' | 'HTTP/2' | 'TLS' | 'TCP';
  /** Name or address that the explicit proxy is asked for. */
  readonly asked: string;
  /** Of the first request, and of one after it on the same connection. */
  readonly host?: string | undefined;
  readonly later?: string | undefined;
  readonly sni?: string | undefined;
}

export interface Backends {
  readonly HTTP: number;
  readonly TLS: number;
  readonly TCP: number;
  /** Folder of `server.key` and `server.crt`. */
  readonly certs: string;
}

/** A mesh with one proxy. */
export interface Mesh {
  /** Of the explicit proxy. */
  readonly port: number;
  /** With the names, addresses and ports of this mesh. */
  named(row: Said): Said & { readonly port: number };
  readonly files: ReturnType<typeof simulateFiles>;
  readonly plane: DataPlane;
}

export const ADDRESSES = { 'a.example': '240.9.0.1', 'b.example': '240.9.0.2' } as const;
type Host = keyof typeof ADDRESSES;

/** Servers that answer whatever comes: HTTP, TLS and an echo. */
export async function backends(t: TestContext): Promise<Backends> {
  const certs = folder(t);
  certificates(certs, { server: 'DNS:a.example,DNS:b.example' });
  const http = await server(t, (socket) => {
    let seen = '';
    socket.on('data', (data) => {
      seen += data.toString('latin1');
      for (let end = seen.indexOf('\r\n\r\n'); end >= 0; end = seen.indexOf('\r\n\r\n')) {
        seen = seen.slice(end + 4);
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      }
    });
  });
  const tls = createTlsServer(pair(certs), (socket) => socket.on('error', () => undefined));
  tls.on('tlsClientError', () => undefined);
  tls.listen(0, '127.0.0.1');
  await once(tls, 'listening');
  t.after(() => tls.close());
  return { HTTP: http, TLS: (tls.address() as { port: number }).port, TCP: await echoServer(t), certs };
}

function pair(certs: string) {
  return { key: readFileSync(join(certs, 'server.key')), cert: readFileSync(join(certs, 'server.crt')) };
}

/** Two ServiceEntries with addresses of their own and fixed endpoints. */
export function entries(mode: string, ports: Backends): string {
  return (['a.example', 'b.example'] as const)
    .map(
      (host: Host) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${host[0]}, namespace: default, annotations: {sallyport.dev/bind: "${mode}"}}
spec:
  hosts: [${host}]
  addresses: [${ADDRESSES[host]}]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}, {number: 5432, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {http: ${ports.HTTP}, tls: ${ports.TLS}, tcp: ${ports.TCP}}}]`,
    )
    .join('\n---');
}

interface MeshOptions {
  readonly settings?: Record<string, unknown>;
  /** Of the services; 80, 443 and 5432 without. */
  readonly ports?: Pick<Backends, 'HTTP' | 'TLS' | 'TCP'>;
  /** Name server. */
  readonly dns?: string;
}

/** A sidecar's data plane with an explicit proxy. */
export async function running(t: TestContext, text: string, options: MeshOptions = {}): Promise<Mesh> {
  const { settings = {}, ports = { HTTP: 80, TLS: 443, TCP: 5432 }, dns = '127.0.0.1:1' } = options;
  const { resources } = translated(text, { ...SIDECAR, explicitProxy: { address: '127.0.0.1', port: 0 } }, settings);
  // Its calls come from the explicit proxy alone.
  const listeners = resources.listeners.flatMap((one) =>
    one.name === 'virtualInbound' ? [] : one.name === 'virtualOutbound' ? [{ ...one, bindToPort: false }] : [one],
  );
  const plane = await createDataPlane({ log: () => undefined, environment: {}, nameServers: [dns] });
  t.after(() => plane.close());
  const { rejected } = await plane.apply(updateBetween(EMPTY_SET, encodeSet({ ...resources, listeners }))!);
  assert.deepEqual(rejected, []);
  const { port } = plane.status().listeners.flatMap(({ addresses }) => addresses)[0]!;
  const addressOf = (letter: string) => resources.nameTable!.table[`${letter}.example`]!.ips[0]!;
  const full = (word: string): string =>
    word
      .replace(/^@([ab])/, (_, letter: string) => addressOf(letter))
      .replace(/^[abA](?=$|:)/, (letter) => (letter === 'A' ? 'A.Example' : `${letter}.example`));
  return {
    port,
    plane,
    files: simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, ...settings })),
    named(row) {
      const own = row.protocol === 'TLS' || row.protocol === 'TCP' ? ports[row.protocol] : ports.HTTP;
      const named = (word: string | undefined) => word && full(word).replace(':own', `:${own}`).replace(':other', `:${ports.TLS}`);
      return { ...row, port: own, asked: named(row.asked)!, host: named(row.host), later: named(row.later), sni: named(row.sni) };
    },
  };
}

/** A tunnel through the explicit proxy. */
export async function tunnel(t: TestContext, at: number, way: 'CONNECT' | 'SOCKS5', host: string, port: number): Promise<Socket> {
  const socket = await client(t, at);
  if (way === 'CONNECT') {
    socket.write(`CONNECT ${host}:${port} HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    await readUntil(socket, '\r\n\r\n');
    return socket;
  }
  socket.write(Buffer.from([5, 1, 0]));
  await once(socket, 'data');
  const target = isIP(host) === 4 ? [1, ...host.split('.').map(Number)] : [3, host.length, ...Buffer.from(host)];
  socket.write(Buffer.from([5, 1, 0, ...target, port >> 8, port & 255]));
  await once(socket, 'data');
  return socket;
}

/** What becomes of a call on a connection that is open; of several requests, of the last. Rejects with the status for any other answer. */
export async function outcomeOf(socket: Duplex, { protocol, host, later, sni }: Said): Promise<Outcome> {
  const hosts = [host, later].filter((one) => one !== undefined);
  switch (protocol) {
    case 'HTTP/1.1':
      return overHttp1(socket, hosts);
    case 'HTTP/2':
      return overHttp2(socket, hosts);
    case 'TLS':
      return overTls(socket, sni ?? '');
    case 'TCP':
      socket.write('hello');
      return (await readUntil(socket as Socket, 'hello').catch(() => '')) === 'hello' ? 'carried' : 'refused';
  }
}

async function overHttp1(socket: Duplex, hosts: readonly string[]): Promise<Outcome> {
  let head = '';
  for (const host of hosts) {
    socket.write(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    head = await response(socket);
  }
  return judged(Number(head.slice(9, 12)), /x-sallyport-refused: (\w+)/.exec(head)?.[1]);
}

/** The head of a response, once its body is there, too. */
async function response(socket: Duplex): Promise<string> {
  let text = '';
  for (;;) {
    const [data] = (await once(socket, 'data')) as [Buffer];
    text += data.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end >= 0 && text.length >= end + 4 + Number(/content-length: (\d+)/.exec(text)?.[1] ?? 0)) return text.slice(0, end);
  }
}

async function overHttp2(socket: Duplex, hosts: readonly string[]): Promise<Outcome> {
  const session = http2.connect('http://unused', { createConnection: () => socket });
  session.on('error', () => undefined);
  try {
    let last: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    for (const host of hosts) {
      const stream = session.request({ ':authority': host, ':path': '/' });
      [last] = await once(stream, 'response');
      stream.resume();
    }
    return judged(last[':status'], String(last['x-sallyport-refused']));
  } finally {
    session.destroy();
  }
}

async function overTls(socket: Duplex, servername: string): Promise<Outcome> {
  const secure = tlsConnect({ socket, rejectUnauthorized: false, ...(servername !== '' && { servername }) });
  const outcome = await new Promise<Outcome>((resolve) => {
    secure.once('secureConnect', () => resolve('carried'));
    secure.on('error', () => resolve('refused'));
    secure.once('close', () => resolve('refused'));
  });
  secure.destroy();
  return outcome;
}

function judged(status: number | undefined, why: string | undefined): Outcome {
  if (status === 200) return 'carried';
  assert.deepEqual([status, why], [403, 'binding']);
  return 'refused';
}

/** What explain says of the call, of several requests of the last. */
export function explained({ files }: Mesh, { protocol, asked, host, later, sni, port }: Said & { readonly port: number }): Outcome {
  const scheme = { 'HTTP/1.1': 'http', 'HTTP/2': 'http', TLS: 'tls', TCP: 'tcp' }[protocol];
  const last = later ?? host;
  const target = parseTarget(`${scheme}://${asked}:${port}`, {
    ...(last !== undefined && { headers: [`host: ${last}`] }),
    ...(sni !== undefined && { serverName: sni }),
    httpVersion: protocol === 'HTTP/2' ? '2' : '1.1',
  });
  const { trace } = wayOf(files, target, { from: 'default/local' });
  return trace.outcome.kind === 'upstream' ? 'carried' : 'refused';
}

/** A DNS server of which each answer is what `answers` says now, valid for a second. */
export async function hostileDns(t: TestContext, answers: (name: string) => readonly string[]): Promise<string> {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (message, from) => {
    const { id = 0, questions = [] } = decode(message);
    const [question] = questions;
    const found =
      question?.type === 'A' ? answers(question.name).map((data) => ({ type: 'A' as const, name: question.name, ttl: 1, data })) : [];
    socket.send(encode({ type: 'response', id, flags: RECURSION_DESIRED, questions, answers: found }), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

/** A gateway that ends TLS for both hosts. */
export function gatewayText({ certs }: Backends): string {
  const tls = `{mode: SIMPLE, serverCertificate: ${join(certs, 'server.crt')}, privateKey: ${join(certs, 'server.key')}}`;
  const route = (host: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${host[0]}, namespace: default}
spec: {hosts: [${host}], gateways: [istio-system/egress], http: [{route: [{destination: {host: ${host}, port: {number: 80}}}]}]}
---`;
  return `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: istio-system}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.example, b.example], tls: ${tls}}]
---${route('a.example')}${route('b.example')}`;
}

/** A gateway's data plane; calls it over TLS, and tells what becomes of the last request. */
export async function viaGateway(
  t: TestContext,
  text: string,
): Promise<(protocol: 'HTTP/1.1' | 'HTTP/2', sni: string, hosts: readonly string[]) => Promise<Outcome>> {
  const proxy: ProxyIdentity = { ...ROUTER, bindAddress: '127.0.0.1' };
  const { resources } = translated(text, proxy);
  for (const { address } of resources.listeners) {
    if (address?.address.case === 'socketAddress') address.address.value.portSpecifier = { case: 'portValue', value: 0 };
  }
  const plane = await createDataPlane({ log: () => undefined, environment: {}, nameServers: ['127.0.0.1:1'] });
  t.after(() => plane.close());
  const { rejected } = await plane.apply(updateBetween(EMPTY_SET, encodeSet(resources))!);
  assert.deepEqual(rejected, []);
  const { port } = plane.status().listeners.flatMap(({ addresses }) => addresses)[0]!;
  return async (protocol, servername, [host, later]) => {
    const socket = tlsConnect({
      port,
      host: '127.0.0.1',
      servername,
      rejectUnauthorized: false,
      ALPNProtocols: [protocol === 'HTTP/2' ? 'h2' : 'http/1.1'],
    });
    t.after(() => socket.destroy());
    await once(socket, 'secureConnect');
    return outcomeOf(socket, { protocol, asked: '', host, later });
  };
}
