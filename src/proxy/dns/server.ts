/**
 * The DNS server of a proxy (Istio's agent has it on 15053): registered hosts are answered from the name table, all else goes to the name servers of the system.
 * UDP and TCP (RFC 1035, RFC 7766).
 */
import { type BindOptions, createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, isIP, type ListenOptions, type Server, type Socket } from 'node:net';
import { decode, encode, type Packet, type Question, RECURSION_AVAILABLE, RECURSION_DESIRED } from 'dns-packet';
import type { HandedSockets } from '../../lib/contained.ts';
import type { NameIndex } from '../../xds/name-index.ts';
import { bindError } from '../listener/bind.ts';
import type { Observer } from '../observed.ts';
import type { Address } from '../types.ts';
import { resolvConf } from './system.ts';

export interface DnsServerOptions {
  readonly address: Address;
  readonly names: () => NameIndex;
  /** Where other names go, `ip` or `ip:port`; without it, the name servers of /etc/resolv.conf. */
  readonly upstreams?: readonly string[] | undefined;
  /** Milliseconds; monotonic. */
  readonly now: () => number;
  readonly log: (message: string) => void;
  /** How long an upstream may take, in ms. */
  readonly timeoutMs?: number;
  /** Answers on these sockets instead of the address; while it is closed, names that it does not know do not exist, and nobody is asked for them. */
  readonly contained?: { readonly sockets: HandedSockets; readonly isClosed: () => boolean; readonly observer: Observer } | undefined;
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
const SERVFAIL = 2;
const NXDOMAIN = 3;
const FORMERR = 1;
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
  let own = options.address;

  function upstreams(): Address[] {
    return (options.upstreams ?? conf().servers).map(parseServer).filter(({ ip, port }) => ip !== own.ip || port !== own.port);
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
    if (query.type !== 'query' || !question) return;
    const local = localAnswer(query, question, options.names());
    const observer = options.contained?.observer;
    const name = question.name.replace(/\.$/, '').toLowerCase();
    if (local) {
      observer?.answered(name, options.names().lookup(name) ?? []);
      answer(tcp || local.length <= udpSize(query) ? local : truncated(query));
      return;
    }
    if (options.contained?.isClosed()) {
      observer?.unresolved(name, client);
      answer(reply(query, AUTHORITATIVE | NXDOMAIN, []));
      return;
    }
    forward(message, tcp, (response) => {
      if (observer) observer.answered(name, addressesIn(response));
      answer(response);
    });
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

  const udps: UdpSocket[] = [];
  const tcps: Server[] = [];
  const clients = new Set<Socket>();
  const onUdp = (udp: UdpSocket) => {
    udps.push(udp);
    udp.on('message', (message: Buffer, { address: ip, port }: RemoteInfo) =>
      handle(message, false, { ip, port }, (response) => udp.send(response, port, ip)),
    );
  };
  const newTcp = () => {
    const tcp = createServer((socket) => {
      clients.add(socket);
      socket.on('close', () => clients.delete(socket));
      const client = { ip: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
      serveTcp(socket, (message, answer) => handle(message, true, client, answer));
    });
    tcps.push(tcp);
    return tcp;
  };
  const close = () => {
    for (const udp of udps) udp.close();
    for (const tcp of tcps) tcp.close();
    for (const client of clients) client.destroy();
  };
  const { contained } = options;
  if (contained) {
    for (const { fd, family } of contained.sockets.dnsUdp) {
      const udp = createSocket(family);
      onUdp(udp);
      await bound(udp, { fd }, options.address);
    }
    for (const fd of contained.sockets.dnsTcp) await listening(newTcp(), { fd }, options.address);
  } else {
    const { ip, port } = options.address;
    const udp = createSocket(isIP(ip) === 6 ? 'udp6' : 'udp4');
    onUdp(udp);
    await bound(udp, { address: ip, port }, options.address);
    own = { ip, port: udp.address().port };
    try {
      await listening(newTcp(), { host: ip, port: own.port }, own);
    } catch (error) {
      udp.close();
      throw error;
    }
  }
  for (const socket of [...udps, ...tcps]) socket.on('error', (error: Error) => options.log(`DNS: ${error.message}`));
  return { address: own, close };
}

function bound(udp: UdpSocket, where: BindOptions, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    udp.once('error', (error) => reject(bindError(error, address)));
    udp.bind(where, () => {
      udp.removeAllListeners('error');
      resolve();
    });
  });
}

function listening(tcp: Server, where: ListenOptions | { readonly fd: number }, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    tcp.once('error', (error) => reject(bindError(error, address)));
    tcp.listen(where, () => {
      tcp.removeAllListeners('error');
      resolve();
    });
  });
}

/** The answer for a host of the name table; undefined for other names. */
function localAnswer(query: Packet, question: Question, names: NameIndex): Buffer | undefined {
  const name = question.name.replace(/\.$/, '');
  const ips = names.lookup(name);
  if (!ips || (question.class !== undefined && question.class !== 'IN')) return undefined;
  const { type } = question;
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
  let rest = Buffer.alloc(0);
  socket.on('data', (piece: Buffer) => {
    rest = Buffer.concat([rest, piece]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      const message = rest.subarray(2, end);
      rest = rest.subarray(end);
      onMessage(message);
    }
  });
}

const IDLE_TCP_MS = 10_000;

function serveTcp(socket: Socket, handle: (message: Buffer, answer: Answer) => void): void {
  socket.on('error', () => socket.destroy());
  socket.setTimeout(IDLE_TCP_MS, () => socket.destroy());
  readMessages(socket, (message) => handle(message, (response) => !socket.destroyed && socket.write(framed(response))));
}
