/** Ways out, generated: what an agent sends that looks for one. Each is of one seed and number, and the same whenever it is made. */
import { encode } from 'dns-packet';
import { ADDRESSES, EVIL_ADDRESS, INSIDE, LITERAL, OTHER_PORTS, PORTS, SHARED, WILD, WILD_ADDRESS } from './policy.ts';
import { Chance } from './random.ts';

export type Attempt = Stream | Datagram | Secure;

/** Bytes on a connection to the explicit proxy, or straight to an address. */
export interface Stream {
  readonly kind: 'stream';
  readonly way: string;
  readonly to: 'proxy' | { readonly ip: string; readonly port: number };
  /** Before each but the first something is waited for, unless all are sent at once. */
  readonly steps: readonly Buffer[];
  readonly atOnce: boolean;
}

export interface Datagram {
  readonly kind: 'datagram';
  readonly way: string;
  readonly to: 'resolver' | { readonly ip: string; readonly port: number };
  readonly bytes: Buffer;
}

/** TLS with the intercepted host, within which requests go over one connection. */
export interface Secure {
  readonly kind: 'secure';
  readonly way: string;
  readonly serverName: string;
  readonly protocol: 'h2' | 'http/1.1';
  /** Of HTTP/2. */
  readonly requests: readonly Readonly<Record<string, string>>[];
  /** Of HTTP/1.1. */
  readonly bytes: Buffer;
}

interface Destination {
  readonly host: string;
  readonly ip: string;
  readonly port: number;
  readonly speaks: 'HTTP' | 'TLS' | 'TCP';
}

const ALLOWED: readonly Destination[] = [
  { host: 'plain.allowed.example', ip: SHARED, port: 80, speaks: 'HTTP' },
  { host: 'tls.allowed.example', ip: SHARED, port: 443, speaks: 'TLS' },
  { host: 'seen.allowed.example', ip: ADDRESSES['seen.allowed.example']!, port: 443, speaks: 'TLS' },
  { host: 'turning.allowed.example', ip: ADDRESSES['turning.allowed.example']!, port: 80, speaks: 'HTTP' },
  { host: `a${WILD}`, ip: WILD_ADDRESS, port: 443, speaks: 'TLS' },
  { host: 'tcp.allowed.example', ip: ADDRESSES['tcp.allowed.example']!, port: PORTS.tcp, speaks: 'TCP' },
  { host: LITERAL, ip: LITERAL, port: PORTS.literal, speaks: 'TCP' },
];
const PORT_NUMBERS = ALLOWED.map(({ port }) => port);
const EVIL = [
  'evil.example',
  'allowed.example',
  'example',
  `evil${WILD}.evil.example`,
  'wild.example',
  'xplain.allowed.example',
  'sub.plain.allowed.example',
  'plain.allowed.example.evil.example',
  'metadata.google.internal',
  'localhost',
  EVIL_ADDRESS,
  SHARED,
  ...INSIDE,
];

export function attemptOf(seed: number, n: number): Attempt {
  const chance = new Chance(seed, n);
  const made = new Maker(chance, `m${n.toString(36)}`);
  const roll = chance.next();
  if (roll < 0.02) return made.valid();
  if (roll < 0.3) return made.connect();
  if (roll < 0.45) return made.absolute();
  if (roll < 0.6) return made.socks();
  if (roll < 0.86) return made.direct();
  if (roll < 0.96) return made.datagram();
  return made.secure();
}

class Maker {
  readonly #chance: Chance;
  /** In whatever is sent, so that what arrives tells which attempt it was. */
  readonly #mark: string;
  /** How often something is otherwise than in a call that is allowed: some attempts differ in one thing, some in all. */
  readonly #oddness: number;
  /** Which call it would be if nothing in it were odd. */
  readonly #own: Destination;

  constructor(chance: Chance, mark: string) {
    this.#chance = chance;
    this.#mark = mark;
    this.#oddness = chance.pick([0.04, 0.12, 0.12, 0.3, 0.7]);
    this.#own = chance.pick(ALLOWED);
  }

  #odd<T>(usual: T, others: readonly T[]): T {
    return this.#chance.chance(this.#oddness) ? this.#chance.pick(others) : usual;
  }

  /** One that is allowed: what shows that the servers outside are there. */
  valid(): Stream {
    const request = `GET http://plain.allowed.example/v1/${this.#mark} HTTP/1.1\r\nHost: plain.allowed.example\r\nConnection: close\r\n\r\n`;
    return { kind: 'stream', way: 'valid', to: 'proxy', steps: [Buffer.from(request)], atOnce: true };
  }

  connect(): Stream {
    const target = `${this.#host()}:${this.#port()}`;
    const version = this.#odd('1.1', ['1.0', '2.0', '1.2']);
    const host = this.#odd(target, [this.#host()]);
    const fields = [`Host: ${host}`, ...this.#fields()];
    const ask = `CONNECT ${this.#odd(target, [`http://${target}/`, `//${target}`, `${target}/`])} HTTP/${version}${this.#end()}${fields.join('\r\n')}\r\n\r\n`;
    return this.#stream('connect', 'proxy', [latin(ask), ...this.#contents()]);
  }

  absolute(): Stream {
    const requests = this.#chance.many(1, 4, () => {
      const scheme = this.#odd('http', ['https', 'ws', 'HTTP', 'ftp', 'h2c']);
      const host = this.#host();
      const target = `${scheme}://${host}${this.#odd('', [':80', `:${this.#port()}`])}${this.#path()}`;
      return this.#request(target, this.#odd(host, [this.#host()]));
    });
    return this.#stream('absolute', 'proxy', requests);
  }

  socks(): Stream {
    const { pick, chance } = bound(this.#chance);
    const port = this.#port();
    const portBytes = Buffer.from([port >> 8, port & 255]);
    if (chance(0.3)) {
      const ip = chance(0.5)
        ? Buffer.from([0, 0, 0, 1 + this.#chance.below(255)])
        : bytesOf(pick([SHARED, EVIL_ADDRESS, LITERAL, '127.0.0.1']));
      const name = latin(`${this.#host()}\0`);
      return this.#stream('socks4', 'proxy', [
        Buffer.concat([Buffer.from([4, this.#odd(1, [2])]), portBytes, ip, latin('id\0'), name]),
        ...this.#contents(),
      ]);
    }
    const name = latin(this.#host()).subarray(0, 255);
    const address = pick([
      Buffer.concat([Buffer.from([3, name.length]), name]),
      Buffer.concat([Buffer.from([1]), bytesOf(this.#odd(this.#own.ip, [SHARED, EVIL_ADDRESS, LITERAL, '127.0.0.1', '10.0.0.1']))]),
      Buffer.concat([Buffer.from([4]), mapped(this.#odd(this.#own.ip, [SHARED, EVIL_ADDRESS, '127.0.0.1']), pick([0, 0xffff]))]),
      Buffer.from([pick([0, 2, 5, 255]), 1, 2, 3, 4]),
    ]);
    const greeting = Buffer.from(
      pick([
        [5, 1, 0],
        [5, 2, 0, 2],
        [5, 0],
        [5, 1, 2],
        [5, 255, 0],
      ]),
    );
    const ask = Buffer.concat([Buffer.from([5, this.#odd(1, [2, 3]), 0]), address, portBytes]);
    return this.#stream('socks5', 'proxy', [greeting, ask, ...this.#contents()]);
  }

  /** To an address, as a program that knows of no proxy. */
  direct(): Stream {
    const ip = this.#odd(this.#own.ip, [
      ...ALLOWED.map((each) => each.ip),
      EVIL_ADDRESS,
      '8.8.8.8',
      '10.0.0.1',
      '169.254.169.254',
      '240.241.0.1',
      '240.241.0.4',
      '2001:db8::66',
      `64:ff9b::${EVIL_ADDRESS}`,
      `::ffff:${EVIL_ADDRESS}`,
    ]);
    return this.#stream('direct', { ip, port: this.#port() }, this.#contents());
  }

  datagram(): Datagram {
    const { pick, chance } = bound(this.#chance);
    const question = { type: pick(['A', 'AAAA', 'TXT', 'CNAME', 'MX', 'SRV', 'NULL', 'PTR'] as const), name: this.#name() };
    let bytes: Buffer;
    try {
      bytes = encode({
        type: 'query',
        id: this.#chance.below(65536),
        flags: pick([0, 0x100]),
        questions: chance(0.9) ? [question] : [question, { type: 'A', name: `${this.#mark}.evil.example` }],
      });
    } catch {
      bytes = latin(question.name);
    }
    if (chance(0.1)) bytes = bytes.subarray(0, this.#chance.below(bytes.length));
    const to = chance(0.7)
      ? 'resolver'
      : ({ ip: pick(['8.8.8.8', EVIL_ADDRESS, SHARED, '127.0.0.53', '169.254.169.254']), port: pick([53, 53, 443, 123, 5353]) } as const);
    return { kind: 'datagram', way: to === 'resolver' ? 'dns' : 'udp', to, bytes };
  }

  secure(): Secure {
    const { pick } = bound(this.#chance);
    const own = 'seen.allowed.example';
    const protocol = pick(['h2', 'h2', 'http/1.1'] as const);
    const requests = this.#chance.many(2, 8, () => ({
      ':method': pick(['GET', 'GET', 'POST', 'CONNECT', 'TRACE', 'GET ']),
      ':scheme': pick(['https', 'https', 'http']),
      ':authority': this.#chance.chance(0.5) ? own : this.#host(),
      ':path': this.#path(),
      ...Object.fromEntries(this.#fields().map((field) => field.toLowerCase().split(': ') as [string, string])),
    }));
    const bytes = Buffer.concat(this.#chance.many(1, 6, () => this.#request(this.#path(), this.#chance.chance(0.5) ? own : undefined)));
    return { kind: 'secure', way: `secure ${protocol}`, serverName: own, protocol, requests, bytes };
  }

  #stream(way: string, to: Stream['to'], steps: readonly Buffer[]): Stream {
    return { kind: 'stream', way, to, steps, atOnce: this.#chance.chance(0.3) };
  }

  /** What is said on a connection: TLS for some name, requests, HTTP/2, or neither. */
  #contents(): Buffer[] {
    const { speaks } = this.#own;
    switch (this.#odd(speaks, ['HTTP', 'TLS', 'TCP', 'HTTP/2'])) {
      case 'TLS':
        return [clientHello(this.#serverName(), this.#chance)];
      case 'HTTP':
        return [Buffer.concat(this.#chance.many(1, 4, () => this.#request(this.#path())))];
      case 'HTTP/2':
        return [
          preface(
            this.#chance,
            () => this.#host(),
            () => this.#path(),
          ),
        ];
      default:
        return [
          latin(
            this.#chance.pick([
              `${this.#mark} EHLO evil\r\n`,
              '\0\0\0\0',
              `SSH-2.0-${this.#mark}\r\n`,
              `*1\r\n$4\r\nPING ${this.#mark}\r\n`,
              `PROXY TCP4 127.0.0.1 ${EVIL_ADDRESS} 1 443\r\n`,
            ]),
          ),
        ];
    }
  }

  #serverName(): string | undefined {
    if (this.#chance.chance(this.#oddness / 4)) return undefined;
    return this.#odd(this.#host(), [`${this.#mark}${WILD}`]);
  }

  #request(target: string, host = this.#host()): Buffer {
    const { chance } = bound(this.#chance);
    const method = this.#odd('GET', ['HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'OPTIONS', 'CONNECT', 'get', 'PRI', 'GET\t', 'G\0ET']);
    const name = this.#odd('Host', ['host', 'HOST', 'Host ', ' Host', 'Ho\0st', 'X']);
    const fields = [
      `${name}:${this.#odd(' ', ['', '\t', '  '])}${host}`,
      ...this.#odd<string[]>([], [[`Host: ${this.#host()}`]]),
      ...this.#fields(),
    ];
    const body = chance(this.#oddness) ? `GET /v1/${this.#mark} HTTP/1.1\r\nHost: evil.example\r\n\r\n` : '';
    const [framing, framed] = this.#framing(body);
    const order = chance(0.3) ? [...framing, ...fields] : [...fields, ...framing];
    const version = this.#odd('1.1', ['1.0', '0.9', '2.0', '1.1 x']);
    const end = this.#end();
    return latin(`${method} ${target} HTTP/${version}${end}${order.join(end)}${end}${end}${framed}`);
  }

  /** Of a body that looks like another request: by a length, in chunks, by both, or by what only some take for either. */
  #framing(body: string): [fields: string[], framed: string] {
    const { pick } = bound(this.#chance);
    const chunked = `${body.length.toString(16)}${pick(['', '', ';a=b', ';a="\r\n"', ' ', '\t'])}\r\n${body}\r\n0\r\n${pick(['', '', 'Host: evil.example\r\n'])}\r\n`;
    switch (this.#chance.chance(this.#oddness) ? this.#chance.below(6) : 6) {
      case 0:
        return [[`Content-Length: ${body.length}`], body];
      case 1:
        return [['Transfer-Encoding: chunked'], chunked];
      case 2:
        return [
          [
            `Content-Length: ${pick(['0', String(body.length), '+5', '0x10', '5, 5', '-1', '5 '])}`,
            `Transfer-Encoding: ${pick(['chunked', 'Chunked', 'xchunked', 'chunked, identity', '\x0bchunked'])}`,
          ],
          chunked,
        ];
      case 3:
        return [[`Transfer-Encoding: ${pick(['gzip, chunked', 'identity', ' chunked', 'chunked\t', 'chunk', '"chunked"'])}`], chunked];
      case 4:
        return [[`Content-Length: ${body.length}`, `Content-Length: ${pick(['0', String(body.length)])}`], body];
      case 5:
        return [[`Transfer-Encoding${pick([' ', '\t', '\0', ''])}: chunked`], chunked];
      default:
        return [[], body];
    }
  }

  /** Fields by which somebody may be led elsewhere. */
  #fields(): string[] {
    const { pick, chance } = bound(this.#chance);
    if (!chance(this.#oddness)) return [];
    const host = this.#host();
    return this.#chance.many(1, 2, () =>
      pick([
        `X-Forwarded-Host: ${host}`,
        `Forwarded: host=${host}`,
        `X-Original-URL: /${this.#mark}`,
        `X-HTTP-Method-Override: DELETE`,
        'Connection: Host',
        'Connection: keep-alive, Authorization',
        'Upgrade: h2c',
        'Upgrade: websocket',
        'Expect: 100-continue',
        `Referer: http://${host}/`,
        `X-Envoy-Original-Dst-Host: ${EVIL_ADDRESS}:80`,
        `X-Envoy-Original-Path: /`,
        `Proxy-Authorization: Basic ZTplZXZpbA==`,
        `Authorization: Bearer ${this.#mark}`,
        `:authority: ${host}`,
        'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
      ]),
    );
  }

  #path(): string {
    return (
      this.#odd('/v1/', [
        '/',
        '/v1',
        '/v1/../',
        '/v1/..%2f',
        '/v1/%2e%2e/',
        '/v1/..;/',
        '//evil.example/',
        '/v1/%252e%252e%252f',
        '/v1\\..\\',
        '/v1/%00',
        '/v1/?a=',
        '/v1/#',
        '*',
        '/%76%31/',
        '/v1/./../',
        '/v1/ x ',
      ]) + this.#mark
    );
  }

  #port(): number {
    return this.#odd(this.#own.port, [...PORT_NUMBERS, ...PORT_NUMBERS, ...OTHER_PORTS, 0, 1, 65535, 81, 444]);
  }

  /** Some name, or one that is written as none should be. */
  #host(): string {
    const { pick, chance } = bound(this.#chance);
    const name = this.#odd(this.#own.host, [pick(ALLOWED).host, pick(EVIL), this.#name()]);
    if (!chance(this.#oddness)) return name;
    const address = ADDRESSES[name] ?? EVIL_ADDRESS;
    return pick([
      name.toUpperCase(),
      `${name}.`,
      `${name}..`,
      `.${name}`,
      `evil.example@${name}`,
      `${name}@evil.example`,
      `${name}:${pick([80, 443, 8080])}`,
      `${name}:80:443`,
      `${name}%00.evil.example`,
      `${name}\0.evil.example`,
      `${name} evil.example`,
      `${name}, evil.example`,
      `${name}\tevil.example`,
      `${name}/evil`,
      `${name}#evil.example`,
      `${name}?evil.example`,
      `[${name}]`,
      name.replaceAll('.', '。'),
      name.replace('a', 'ａ'),
      name.replace('e', '%65'),
      name.replace('.', '%2e'),
      `${name}\\@evil.example`,
      `xn--${name}`,
      `_${name}`,
      `*.${name}`,
      `*${WILD}`,
      '*',
      '',
      ...notations(pick([address, EVIL_ADDRESS, '127.0.0.1', '169.254.169.254'])),
    ]);
  }

  /** One that nobody has asked for: what a name could carry out. */
  #name(): string {
    const label = this.#chance.many(1, 3, () => `${this.#mark}${this.#chance.below(1e6).toString(36)}`).join('.');
    return `${label}.${this.#chance.pick(['evil.example', 'allowed.example', 'plain.allowed.example', `wild.example`, `a${WILD}.evil.example`, 'example', 'local', 'arpa', 'cluster.local'])}`;
  }

  #end(): string {
    return this.#odd('\r\n', ['\n', '\r', '\r\n ', '\r\r\n']);
  }
}

function bound(chance: Chance) {
  return { pick: chance.pick.bind(chance) as Chance['pick'], chance: chance.chance.bind(chance) };
}

function latin(text: string): Buffer {
  return Buffer.from(text, /[^\0-\xff]/.test(text) ? 'utf8' : 'latin1');
}

function bytesOf(ip: string): Buffer {
  return Buffer.from(ip.split('.').map(Number));
}

/** In IPv6: mapped (0xffff), or compatible (0). */
function mapped(ip: string, before: number): Buffer {
  return Buffer.concat([Buffer.alloc(10), Buffer.from([before >> 8, before & 255]), bytesOf(ip)]);
}

/** An IPv4 address as somebody, somewhere, reads it. */
function notations(ip: string): string[] {
  const parts = ip.split('.').map(Number);
  if (parts.length !== 4) return [`[${ip}]`, ip];
  const whole = parts.reduce((sum, part) => sum * 256 + part, 0);
  const [a, b, c, d] = parts as [number, number, number, number];
  const hex = parts.map((part) => part.toString(16).padStart(2, '0'));
  return [
    String(whole),
    `0x${hex.join('')}`,
    parts.map((part) => `0${part.toString(8)}`).join('.'),
    parts.map((part) => `0x${part.toString(16)}`).join('.'),
    `${a}.${b * 65536 + c * 256 + d}`,
    `${a}.${b}.${c * 256 + d}`,
    `[::ffff:${ip}]`,
    `[::ffff:${hex[0]}${hex[1]}:${hex[2]}${hex[3]}]`,
    `[64:ff9b::${ip}]`,
    `[::${ip}]`,
    `[fe80::1%25lo]`,
    `${ip}.`,
    `${ip}.nip.io`,
    `[${ip}]`,
    `0${ip}`,
    ` ${ip}`,
  ];
}

/** A ClientHello (RFC 8446 §4.1.2) as far as a server name is read from it; in one record, or cut into two. */
function clientHello(name: string | undefined, chance: Chance): Buffer {
  const named = (...names: readonly string[]) =>
    extension(0, sized(Buffer.concat(names.map((each) => Buffer.concat([Buffer.from([0]), sized(latin(each), 2)]))), 2));
  const roll = chance.below(20);
  const ordinary = name === undefined ? [] : [named(name)];
  const doubled = [
    [named(name ?? '', 'evil.example')],
    [named('evil.example', name ?? '')],
    [named('evil.example'), ...ordinary],
    [...ordinary, named('evil.example')],
  ];
  const extensions = [
    ...(doubled[roll] ?? ordinary),
    extension(16, sized(Buffer.concat(chance.pick([['h2', 'http/1.1'], ['http/1.1'], ['evil']]).map((each) => sized(latin(each), 1))), 2)),
    extension(43, sized(Buffer.from([3, 4, 3, 3]), 1)),
    extension(10, sized(Buffer.from([0, 29]), 2)),
    extension(13, sized(Buffer.from([4, 3, 8, 4]), 2)),
    extension(51, sized(Buffer.concat([Buffer.from([0, 29]), sized(Buffer.alloc(32, 7), 2)]), 2)),
  ];
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 1),
    sized(Buffer.alloc(0), 1),
    sized(Buffer.from([0x13, 1, 0xc0, 0x2b]), 2),
    Buffer.from([1, 0]),
    sized(Buffer.concat(extensions), 2),
  ]);
  const message = Buffer.concat([Buffer.from([1, 0]), sized(body, 2)]);
  const cut = chance.chance(0.1) ? 1 + chance.below(message.length - 1) : message.length;
  return Buffer.concat(
    [message.subarray(0, cut), message.subarray(cut)]
      .filter((part) => part.length > 0)
      .map((part) => Buffer.concat([Buffer.from([22, 3, 1]), sized(part, 2)])),
  );
}

function sized(bytes: Buffer, width: 1 | 2): Buffer {
  const size = Buffer.alloc(width);
  size.writeUIntBE(bytes.length & (width === 1 ? 0xff : 0xffff), 0, width);
  return Buffer.concat([size, bytes]);
}

function extension(type: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 255]), sized(bytes, 2)]);
}

/** HTTP/2 without TLS, with prior knowledge: several requests on one connection, for one host and another (RFC 9113 §3.3; field lines without Huffman coding, RFC 7541 §6.2.2). */
function preface(chance: Chance, host: () => string, path: () => string): Buffer {
  const frame = (type: number, flags: number, stream: number, payload: Buffer) =>
    Buffer.concat([
      Buffer.from([payload.length >> 16, (payload.length >> 8) & 255, payload.length & 255, type, flags, 0, 0, 0, stream]),
      payload,
    ]);
  const text = (value: string) => {
    const bytes = latin(value).subarray(0, 126);
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  };
  const field = (name: string, value: string) => Buffer.concat([Buffer.from([0]), text(name), text(value)]);
  const requests = chance.many(1, 5, (i) => {
    const fields = [
      field(':method', chance.pick(['GET', 'POST', 'CONNECT'])),
      field(':scheme', chance.pick(['http', 'https'])),
      field(':authority', host()),
      field(':path', path()),
    ];
    const more = chance.chance(0.3) ? [field('host', host())] : [];
    return frame(1, 5, 2 * i + 1, Buffer.concat([...fields, ...more]));
  });
  return Buffer.concat([latin('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, Buffer.alloc(0)), ...requests]);
}
