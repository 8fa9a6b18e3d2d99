/**
 * The DNS server of a proxy (Istio's agent has it on 15053): registered hosts are answered from the name table. Names that the table has without
 * addresses, and other records than addresses of registered hosts, go to the name servers of the system; other names do not exist, as a question that is
 * passed on could carry data out. UDP and TCP (RFC 1035, RFC 7766).
 */
import { type BindOptions, createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, isIP, type Server, type Socket } from 'node:net';
import { decode, encode, type Packet, type Question, RECURSION_AVAILABLE, RECURSION_DESIRED } from 'dns-packet';
import type { HandedSockets, SocketHandle } from '../../lib/contained.ts';
import { codeOf } from '../../lib/errors.ts';
import { listenError, listening } from '../../lib/listen.ts';
import type { NameIndex } from '../../xds/name-index.ts';
import { ReadAhead } from '../listener/inspection.ts';
import type { Observer } from '../observed.ts';
import type { Address } from '../types.ts';
import { answeredBy } from './asking.ts';
import { readQuestion } from './question.ts';
import { resolvConf } from './system.ts';

export interface DnsServerOptions {
  /** The ip `localhost` stands for 127.0.0.1 and, where there is IPv6, ::1. */
  readonly address: Address;
  /** Undefined while nobody has said yet which names there are: questions fail, and no name is said not to exist. */
  readonly names: () => NameIndex | undefined;
  /** Where names go that the table has without addresses, `ip` or `ip:port`; without it, the name servers of /etc/resolv.conf. */
  readonly upstreams?: readonly string[] | undefined;
  /** Milliseconds; monotonic. */
  readonly now: () => number;
  readonly log: (message: string) => void;
  /** How long an upstream may take, in ms. */
  readonly timeoutMs?: number;
  /** Answers on these sockets instead of the address, and tells of it. */
  readonly contained?:
    | {
        readonly sockets: HandedSockets;
        readonly observer: Observer;
        /** The address by which a name that nothing declares can be called all the same. */
        readonly addressOf: (name: string) => string | undefined;
      }
    | undefined;
}

export interface DnsServer {
  readonly address: Address;
  close(): void;
}

/** Seconds; as Istio's agent answers. */
const TTL = 30;
/** Bits of a DNS header's flags. */
const AUTHORITATIVE = 0x400;
const TRUNCATED = 0x200;
const FORMERR = 1;
const SERVFAIL = 2;
const NXDOMAIN = 3;
const MAX_UDP = 512;
/** Questions that wait for upstreams at a time; more are answered SERVFAIL. */
const MAX_PENDING = 1000;

type Answer = (response: Buffer) => void;

/** Rejects with `port-in-use` and its kin. Both sockets have the same port, also where the port asked for is 0. */
export async function createDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const conf = resolvConf(options.now);
  const timeoutMs = options.timeoutMs ?? 3000;
  let pending = 0;
  /** Where it answers. */
  let own: readonly Address[] = [options.address];

  function upstreams(): Address[] {
    return (options.upstreams ?? conf().servers)
      .map(parseServer)
      .filter((server) => !own.some(({ ip, port }) => ip === server.ip && port === server.port));
  }

  function handle(message: Buffer, tcp: boolean, client: Address, answer: Answer): void {
    let query: Packet;
    try {
      query = decode(message);
    } catch {
      if (message.length >= 12) answer(failure(message, FORMERR));
      return;
    }
    const question = query.questions?.[0];
    if (query.type !== 'query') return;
    const asked = readQuestion(message, extensionOf(query));
    if (!asked || !question) {
      answer(failure(message, FORMERR));
      return;
    }
    const { name } = asked;
    const names = options.names();
    if (!names) {
      answer(failure(message, SERVFAIL));
      return;
    }
    const by = isLocalhost(name) ? ({ kind: 'mesh', ips: LOOPBACK } as const) : answeredBy(asked, names);
    const known = by.kind === 'mesh' ? by.ips : by.kind === 'nobody' ? askable(name) : undefined;
    const observer = options.contained?.observer;
    if (by.kind === 'others') {
      forward(asked.anew, tcp, (response) => {
        observer?.answered(name, addressesIn(response));
        answer(response);
      });
    } else if (known) {
      observer?.answered(name, known);
      const response = addressAnswer(query, question, known);
      answer(tcp || response.length <= udpSize(query) ? response : truncated(query));
    } else {
      observer?.unresolved(name, client);
      answer(failure(message, NXDOMAIN));
    }
  }

  function askable(name: string): readonly string[] | undefined {
    const address = options.contained?.addressOf(name);
    return address === undefined ? undefined : [address];
  }

  function forward(message: Buffer, tcp: boolean, answer: Answer): void {
    const servers = upstreams();
    if (servers.length === 0 || pending >= MAX_PENDING) {
      answer(failure(message, SERVFAIL));
      return;
    }
    pending++;
    const next = (index: number): void => {
      const server = servers[index];
      const ask = tcp ? askTcp : askUdp;
      if (!server) {
        pending--;
        answer(failure(message, SERVFAIL));
        return;
      }
      ask(message, server, timeoutMs, (response) => {
        if (!response) {
          next(index + 1);
          return;
        }
        pending--;
        answer(response);
      });
    };
    next(0);
  }

  const clients = new Set<Socket>();
  const { udps, tcps } = await (options.contained ? handed(options.contained.sockets, options.address) : listen(options.address));
  for (const udp of udps) {
    udp.on('message', (message: Buffer, { address: ip, port }: RemoteInfo) =>
      handle(message, false, { ip, port }, (response) => udp.send(response, port, ip)),
    );
    udp.on('error', (error) => options.log(`DNS: ${error.message}`));
  }
  for (const tcp of tcps) {
    tcp.maxConnections = MOST_TCP_CLIENTS;
    tcp.on('connection', (socket: Socket) => {
      clients.add(socket);
      socket.on('close', () => clients.delete(socket));
      const client = { ip: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
      serveTcp(socket, (message, answer) => handle(message, true, client, answer));
    });
    tcp.on('error', (error) => options.log(`DNS: ${error.message}`));
  }
  if (!options.contained) own = udps.map((udp) => udp.address()).map(({ address: ip, port }) => ({ ip, port }));
  return {
    address: { ip: options.address.ip, port: own[0]!.port },
    close() {
      for (const udp of udps) udp.close();
      for (const tcp of tcps) tcp.close();
      for (const client of clients) client.destroy();
    },
  };
}

interface Sockets {
  readonly udps: readonly UdpSocket[];
  readonly tcps: readonly Server[];
}

/** Sockets of a contained command's network namespace. */
async function handed({ dnsUdp, dnsTcp }: HandedSockets, address: Address): Promise<Sockets> {
  const udps = dnsUdp.map(({ family }) => createSocket(family));
  const tcps = dnsTcp.map(() => createServer());
  for (const [i, { handle }] of dnsUdp.entries()) await bound(udps[i]!, handle, address);
  for (const [i, handle] of dnsTcp.entries()) await listening(tcps[i]!, handle, address);
  return { udps, tcps };
}

async function listen(address: Address): Promise<Sockets> {
  if (address.ip !== LOCALHOST) return listenAt(address);
  const [ipv4, ipv6] = LOOPBACK;
  const first = await listenAt({ ip: ipv4, port: address.port });
  try {
    const second = await listenAt({ ip: ipv6, port: first.udps[0]!.address().port });
    return { udps: [...first.udps, ...second.udps], tcps: [...first.tcps, ...second.tcps] };
  } catch (error) {
    if (codeOf(error) === 'address-unavailable') return first;
    for (const socket of [...first.udps, ...first.tcps]) socket.close();
    throw error;
  }
}

/** Ports that are free for UDP, and perhaps not for TCP: so many are tried where any will do. */
const ATTEMPTS = 20;

async function listenAt({ ip, port }: Address): Promise<Sockets> {
  for (let attempt = 1; ; attempt++) {
    const udp = createSocket(isIP(ip) === 6 ? 'udp6' : 'udp4');
    await bound(udp, { address: ip, port }, { ip, port });
    const own = { ip, port: udp.address().port };
    const tcp = createServer();
    try {
      await listening(tcp, { host: ip, port: own.port }, own);
      return { udps: [udp], tcps: [tcp] };
    } catch (error) {
      udp.close();
      if (port !== 0 || attempt === ATTEMPTS) throw error;
    }
  }
}

function bound(udp: UdpSocket, where: BindOptions | SocketHandle, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    udp.once('error', (error) => reject(listenError(error, address)));
    udp.bind(where, () => {
      udp.removeAllListeners('error');
      resolve();
    });
  });
}

const LOCALHOST = 'localhost';
const LOOPBACK = ['127.0.0.1', '::1'] as const;

/** RFC 6761, section 6.3. */
function isLocalhost(name: string): boolean {
  return /(?:^|\.)localhost$/i.test(name);
}

function addressAnswer(query: Packet, question: Question, ips: readonly string[]): Buffer {
  const type = question.class === undefined || question.class === 'IN' ? question.type : undefined;
  // A registered host has no other records here; asked for them, it exists without.
  const wanted = type === 'A' ? 4 : type === 'AAAA' ? 6 : 0;
  const answers = ips
    .filter((ip) => isIP(ip) === wanted)
    .map((data) => ({ type: wanted === 4 ? ('A' as const) : ('AAAA' as const), name: question.name, ttl: TTL, data }));
  return reply(query, AUTHORITATIVE, answers);
}

function addressesIn(response: Buffer): string[] {
  try {
    return (decode(response).answers ?? []).flatMap((answer) => (answer.type === 'A' || answer.type === 'AAAA' ? [answer.data] : []));
  } catch {
    // Of another server: the client makes of it what it will.
    return [];
  }
}

function reply(query: Packet, flags: number, answers: Packet['answers']): Buffer {
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: flags | RECURSION_AVAILABLE | ((query.flags ?? 0) & RECURSION_DESIRED),
    questions: query.questions ?? [],
    answers: answers ?? [],
  });
}

function truncated(query: Packet): Buffer {
  return reply(query, TRUNCATED, []);
}

/** Whether the client speaks EDNS, and whether it asks for signatures. */
function extensionOf({ additionals = [] }: Packet): { readonly dnssec: boolean } | undefined {
  const record = additionals.find(({ type }) => type === 'OPT') as { readonly flags?: number } | undefined;
  return record && { dnssec: ((record.flags ?? 0) & 0x8000) !== 0 };
}

/** What the client takes over UDP: 512 bytes, or more with EDNS (RFC 6891). */
function udpSize(query: Packet): number {
  for (const record of query.additionals ?? []) {
    if (record.type === 'OPT') return Math.max(MAX_UDP, (record as { udpPayloadSize?: number }).udpPayloadSize ?? MAX_UDP);
  }
  return MAX_UDP;
}

/** The question sent back with an error code; made of the bytes, as they may not decode. */
function failure(message: Buffer, code: number): Buffer {
  const out = Buffer.from(code === FORMERR ? message.subarray(0, 12) : message);
  out.writeUInt16BE(0x8000 | (out.readUInt16BE(2) & 0x7900) | RECURSION_AVAILABLE | code, 2);
  if (code === FORMERR) out.fill(0, 4, 12);
  return out;
}

function parseServer(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  return match ? { ip: (match[1] ?? match[2])!, port: Number(match[3]) } : { ip: text, port: 53 };
}

/** Asks over a socket of its own, so that each question has a source port that cannot be guessed; `done` gets undefined for no answer. */
function askUdp(message: Buffer, server: Address, timeoutMs: number, done: (response: Buffer | undefined) => void): void {
  const socket = createSocket(isIP(server.ip) === 6 ? 'udp6' : 'udp4');
  let finished = false;
  const finish = (response: Buffer | undefined): void => {
    if (finished) return;
    finished = true;
    clearTimeout(timer);
    socket.close();
    done(response);
  };
  const timer = setTimeout(() => finish(undefined), timeoutMs);
  socket.on('error', () => finish(undefined));
  socket.on('message', (response) => {
    if (response.length >= 12 && response.readUInt16BE(0) === message.readUInt16BE(0)) finish(response);
  });
  // Connected: only this server is heard, and a port where nobody listens is told at once.
  socket.connect(server.port, server.ip, (error?: Error) => {
    if (error) finish(undefined);
    else if (!finished) socket.send(message);
  });
}

function askTcp(message: Buffer, server: Address, timeoutMs: number, done: (response: Buffer | undefined) => void): void {
  const socket = connect({ host: server.ip, port: server.port });
  let finished = false;
  const finish = (response: Buffer | undefined): void => {
    if (finished) return;
    finished = true;
    clearTimeout(timer);
    socket.destroy();
    done(response);
  };
  const timer = setTimeout(() => finish(undefined), timeoutMs);
  socket.on('error', () => finish(undefined));
  socket.on('close', () => finish(undefined));
  readMessages(socket, finish);
  socket.write(framed(message));
}

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** DNS over TCP: each message after its length (RFC 1035 §4.2.2). */
function readMessages(socket: Socket, onMessage: (message: Buffer) => void): void {
  const rest = new ReadAhead();
  socket.on('data', (piece: Buffer) => {
    rest.append(piece);
    while (rest.length >= 2 && rest.length >= 2 + rest.data.readUInt16BE(0)) {
      const message = rest.data.subarray(2, 2 + rest.data.readUInt16BE(0));
      rest.drop(2 + message.length);
      // Kept for as long as an upstream takes, while its place is written over.
      onMessage(Buffer.from(message));
    }
  });
}

/** Until the next message of a client is whole, and until a client has taken an answer (RFC 7766 §6.2.3 speaks of a few seconds). */
const TCP_MS = 10_000;
const MOST_TCP_CLIENTS = 512;

function serveTcp(socket: Socket, handle: (message: Buffer, answer: Answer) => void): void {
  socket.on('error', () => socket.destroy());
  const late = setTimeout(() => socket.destroy(), TCP_MS);
  socket.on('close', () => clearTimeout(late));
  const answer = (response: Buffer): void => {
    if (socket.destroyed) return;
    late.refresh();
    // A client that asks and does not read is not asked for more, and has its time.
    if (!socket.write(framed(response))) socket.pause();
  };
  socket.on('drain', () => socket.resume());
  readMessages(socket, (message) => {
    if (socket.destroyed) return;
    late.refresh();
    handle(message, answer);
  });
}
