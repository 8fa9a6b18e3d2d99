/** A grammar of requests of HTTP/1.1 that deviate: each part of a message with the ways in which it may be wrong, one or two of them in a case. */

/** A message in its parts; a deviation changes one of them. */
export interface Message {
  readonly before: string;
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly lineEnd: string;
  readonly host: string;
  /** Lines with their ends. */
  readonly fields: string;
  readonly headEnd: string;
  readonly body: string;
}

export interface Deviation {
  readonly name: string;
  readonly part: keyof Message;
  readonly change: (message: Message) => Message;
}

export interface Case {
  readonly name: string;
  readonly deviations: readonly string[];
  readonly bytes: Buffer;
}

const PLAIN: Message = {
  before: '',
  method: 'GET',
  target: '/public',
  version: 'HTTP/1.1',
  lineEnd: '\r\n',
  host: 'Host: www.allowed.example\r\n',
  fields: 'x-mine: 1\r\n',
  headEnd: '\r\n',
  body: '',
};

const shown = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 40)}… (${text.length})` : text).slice(1, -1);

const part = (name: keyof Message, values: readonly string[]): Deviation[] =>
  values.map((value) => ({ name: `${name} ${shown(value)}`, part: name, change: (message) => ({ ...message, [name]: value }) }));

/** A body and what says how it is framed, as one deviation. */
const framed = (pieces: readonly (readonly [fields: string, body: string])[]): Deviation[] =>
  pieces.map(([fields, body]) => ({
    name: `framing ${shown(fields)} ${shown(body)}`,
    part: 'body',
    change: (message) => ({
      ...message,
      method: message.method === 'GET' ? 'POST' : message.method,
      fields: message.fields + fields,
      body,
    }),
  }));

const CONTROLS = ['\0', '\x01', '\x07', '\x08', '\x0b', '\x0c', '\r', '\n', '\x1b', '\x7f', '\x80', '\xff', '\t', ' '];
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const SIZES = [
  '1',
  '01',
  '0x1',
  '+1',
  '-1',
  ' 1',
  '1 ',
  '1\t',
  '1;',
  '1;a',
  '1;a=b',
  '1;a="b"',
  '1; a',
  '1 ;a',
  '1\n',
  '1\r',
  '',
  'g',
  '1,1',
  '1.0',
  '00000000000000001',
  'ffffffffffffffff1',
  '1;\x01',
  '1;a="\r\n"',
];
const LENGTHS = [
  '1',
  '01',
  '+1',
  '-1',
  ' 1',
  '1 ',
  '1,1',
  '1, 1',
  '1,2',
  '0x1',
  '1e0',
  '1.0',
  '',
  'a',
  '1a',
  '18446744073709551617',
  '9007199254740993',
  '٣',
];
const CODINGS = [
  'chunked',
  'Chunked',
  'CHUNKED',
  ' chunked',
  'chunked ',
  '\tchunked',
  '\x0bchunked',
  'chunked,',
  ',chunked',
  'chunked, chunked',
  'chunked,identity',
  'identity',
  'identity, chunked',
  'gzip',
  'gzip, chunked',
  'chunked, gzip',
  'xchunked',
  'chunke',
  '"chunked"',
  "'chunked'",
  'chunked;q=1',
  'chunked\0',
  '',
];

const ALL: readonly Deviation[] = [
  ...part('before', [
    '\r\n',
    '\r\n\r\n',
    '\n',
    '\r',
    ' ',
    '\t',
    '\0',
    '\r\n'.repeat(9),
    'GET',
    'GET / HTTP/1.1\r\n',
    '\ufeff',
    'PRI * HTTP/2.0\r\n',
  ]),
  ...part('method', [
    'get',
    'G',
    'GETT',
    'GET ',
    ' GET',
    'GE T',
    'G\tET',
    'G\0T',
    'GÉT',
    'G/T',
    'G:T',
    '"GET"',
    'OPTIONS',
    'TRACE',
    'CONNECT',
    'PRI',
    'HEAD',
    'DELETE',
    '',
    'M-SEARCH',
    'MSEARCH',
    'QUERY',
    'PURGE',
    'SEARCH',
    'BREW',
  ]),
  ...part('target', [
    '',
    '*',
    'public',
    '//public',
    '/public#f',
    '/public?#',
    '/public?a#b',
    '/public\\..',
    '/pub lic',
    '/public\t',
    '/public\x0b',
    '/public\0',
    '/public\x7f',
    '/public\x80',
    '/public"',
    '/public<',
    '/public%',
    '/public%0',
    '/public%zz',
    '/public%00',
    '/public%0d%0a',
    '/public/../x',
    '/x/../public',
    '/./public',
    '/x/%2e%2e/public',
    '/public/%2e%2e/x',
    '/public/..;/x',
    '/%70ublic',
    '/public?',
    '/public??',
    '?public',
    '#public',
    'http://www.allowed.example/public',
    'HTTP://www.allowed.example/public',
    'http:/www.allowed.example/public',
    'http:///public',
    'http://www.allowed.example',
    'http://www.allowed.example:80/public',
    'http://other.example/public',
    'http://a@www.allowed.example/public',
    'http://www.allowed.example@other.example/public',
    'http://www.allowed.example\\@other.example/public',
    'https://www.allowed.example/public',
    'ftp://www.allowed.example/public',
    'http://www.allowed.example:/public',
    'http://www.allowed.example:99999/public',
    'http://[::1/public',
    'http://%77ww.allowed.example/public',
    'http://www.allowed.example,other.example/public',
    'http://www.allowed.example?/public',
    'http://www.allowed.example#/public',
    'www.allowed.example:80',
    `/public/${'a'.repeat(9000)}`,
  ]),
  ...part('version', [
    '',
    'HTTP/1.0',
    'HTTP/0.9',
    'HTTP/1.2',
    'HTTP/2.0',
    'HTTP/1',
    'HTTP/1.',
    'HTTP/1.10',
    'HTTP/01.1',
    'http/1.1',
    'HTTP/1,1',
    'HTTP /1.1',
    'HTTP/1.1 ',
    ' HTTP/1.1',
    '\tHTTP/1.1',
    'HTTP/1.1\t',
    'HTTP/1.1\x0b',
    'HTTP/1.1 x',
    'HTTPS/1.1',
    'XTTP/1.1',
    'HTTP/1.1\0',
    'HTTP/-1.1',
    'HTTP/1.1.1',
    'ICY/1.1',
    'RTSP/1.0',
  ]),
  ...part('lineEnd', ['\n', '\r', '\r\r\n', '\n\r', ' \r\n', '\r\n ', '\r\n\t', '\0\r\n', '\x85']),
  ...part('host', [
    '',
    'Host: www.allowed.example\r\nHost: www.allowed.example\r\n',
    'Host: www.allowed.example\r\nHost: other.example\r\n',
    'Host: other.example\r\nHost: www.allowed.example\r\n',
    'Host:\r\n',
    'Host: \r\n',
    'host: www.allowed.example\r\n',
    'HOST: WWW.ALLOWED.EXAMPLE\r\n',
    'Host: www.allowed.example.\r\n',
    'Host: www.allowed.example:80\r\n',
    'Host: www.allowed.example:\r\n',
    'Host: www.allowed.example:-1\r\n',
    'Host: www.allowed.example:99999\r\n',
    'Host: www.allowed.example:80:80\r\n',
    'Host: www.allowed.example,other.example\r\n',
    'Host: www.allowed.example other.example\r\n',
    'Host: www.allowed.example\tx\r\n',
    'Host: a@www.allowed.example\r\n',
    'Host: www.allowed.example/x\r\n',
    'Host: www.allowed.example\\x\r\n',
    'Host: www.allowed.example?x\r\n',
    'Host: www.allowed.example#x\r\n',
    'Host: %77ww.allowed.example\r\n',
    'Host: [::1\r\n',
    'Host: ::1]\r\n',
    'Host: [::1]x\r\n',
    'Host: [www.allowed.example]\r\n',
    'Host: "www.allowed.example"\r\n',
    'Host: www.allowed.example\0\r\n',
    'Host: www.allowed.example\x0b\r\n',
    'Host: www.allowed.exampl\xe9\r\n',
    'Host : www.allowed.example\r\n',
    'Host\t: www.allowed.example\r\n',
    ' Host: www.allowed.example\r\n',
    'Host:www.allowed.example\r\n',
    'Host:\t www.allowed.example \t\r\n',
    'Host: www.allowed\r\n .example\r\n',
    'X-Host: www.allowed.example\r\n',
    'Host: http://www.allowed.example\r\n',
    `Host: ${'a'.repeat(300)}.www.allowed.example\r\n`,
  ]),
  ...part('fields', [
    ...CONTROLS.map((control) => `x-mine: a${control}b\r\n`),
    ...CONTROLS.map((control) => `x-mi${control}ne: a\r\n`),
    ...CONTROLS.map((control) => `x-mine${control}: a\r\n`),
    ...CONTROLS.map((control) => `x-mine:${control}a${control}\r\n`),
    ': a\r\n',
    'x-mine\r\n',
    'x-mine: a\n',
    'x-mine: a\r',
    'x-mine: a\r\n b\r\n',
    'x-mine: a\r\n\tb\r\n',
    'x-mine: a\r\n \r\n',
    ' x-mine: a\r\n',
    '\tx-mine: a\r\n',
    'x(mine): a\r\n',
    'x@mine: a\r\n',
    'x{mine: a\r\n',
    'x"mine: a\r\n',
    'x_mine: a\r\n',
    'x-mine:\r\n',
    'x-mine:a:b\r\n',
    'x-mine:: a\r\n',
    `x-mine: ${'a'.repeat(50_000)}\r\n`,
    `x-mine: ${'a'.repeat(70_000)}\r\n`,
    'x-m: a\r\n'.repeat(95),
    'x-m: a\r\n'.repeat(120),
    `${'x'.repeat(300)}: a\r\n`,
    ':method: POST\r\n',
    ':path: /x\r\n',
    ':authority: other.example\r\n',
    'Connection: close\r\n',
    'Connection: keep-alive\r\n',
    'Connection: host\r\n',
    'Connection: x-mine\r\nx-mine: 1\r\n',
    'Connection: content-length\r\n',
    'Connection: transfer-encoding\r\n',
    'Connection: x-forwarded-for\r\n',
    'Connection: authorization\r\nauthorization: a\r\n',
    'Connection: close, x-mine\r\nx-mine: 1\r\n',
    'Connection: :path\r\n',
    'Connection: ,,\r\n',
    'Keep-Alive: timeout=5\r\n',
    'Proxy-Connection: close\r\n',
    'Proxy-Authorization: a\r\n',
    'TE: trailers\r\n',
    'TE: gzip\r\n',
    'Connection: TE\r\nTE: trailers, gzip\r\n',
    'Trailer: x\r\n',
    'Upgrade: websocket\r\n',
    'Connection: upgrade\r\nUpgrade: websocket\r\n',
    'Connection: upgrade\r\nUpgrade: h2c\r\n',
    'Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
    'Connection: upgrade\r\nUpgrade: foo\r\n',
    'Connection: upgrade\r\n',
    'Expect: 100-continue\r\n',
    'Expect: 200-ok\r\n',
    'Expect: 100-continue, x\r\n',
    'x-forwarded-for: 1.2.3.4\r\n',
    'x-forwarded-proto: https\r\n',
    'x-forwarded-proto: gopher\r\n',
    'x-forwarded-host: a\r\n',
    'x-envoy-original-path: /x\r\n',
    'x-envoy-internal: true\r\n',
    'x-envoy-retry-on: 5xx\r\n',
    'x-envoy-upstream-rq-timeout-ms: 1\r\n',
    'x-request-id: a\r\n',
    'x-envoy-original-dst-host: 127.0.0.1:1\r\n',
    'x-envoy-attempt-count: 9\r\n',
    'cookie: a=b\r\ncookie: c=d\r\n',
    'Max-Forwards: 0\r\n',
    'Via: 1.1 a\r\n',
    'Forwarded: for=1.2.3.4\r\n',
    'Range: bytes=0-\r\n',
    'Content-Length: 0\r\n',
    'Content-Length: 5\r\n',
    'Content-Length: -0\r\n',
    'Content-Length: 00\r\n',
    'Content-Length : 0\r\n',
    'Content-Length\x0b: 0\r\n',
    'Content_Length: 5\r\n',
    'Content-Length: 0\r\nContent-Length: 0\r\n',
    'Content-Length: 0\r\nContent-Length: 5\r\n',
    'Content-Length: 5\r\nContent-Length: 0\r\n',
    'Content-Length: 0, 0\r\n',
  ]),
  ...part('headEnd', ['\n', '\r', '\r\r\n', '\n\r\n', ' \r\n', '\t\r\n', '\0\r\n', 'x\r\n\r\n', ':\r\n\r\n']),
  ...framed([
    ...LENGTHS.map((length) => [`Content-Length: ${length}\r\n`, 'a'] as const),
    ...CODINGS.map((coding) => [`Transfer-Encoding: ${coding}\r\n`, '1\r\na\r\n0\r\n\r\n'] as const),
    ...SIZES.map((size) => [CHUNKED, `${size}\r\na\r\n0\r\n\r\n`] as const),
    ...['', '\n', '\r', '\r\n\r\n', ' ', '\0'].map((end) => [CHUNKED, `1\r\na${end}0\r\n\r\n`] as const),
    ...[
      '0\r\n',
      '0\r\n\n',
      '0\n\n',
      '0\r\n\r',
      '00\r\n\r\n',
      '0;a\r\n\r\n',
      '0 \r\n\r\n',
      '-0\r\n\r\n',
      '0x0\r\n\r\n',
      '\r\n0\r\n\r\n',
    ].map((end) => [CHUNKED, `1\r\na\r\n${end}`] as const),
    ...[
      'x: 1',
      'x : 1',
      ' x: 1',
      'x',
      ': 1',
      'x: 1\r\n y',
      'x: \0',
      'x: 1\ny: 2',
      'content-length: 5',
      'transfer-encoding: chunked',
      'host: other.example',
      'connection: close',
      'te: trailers',
      'upgrade: h2c',
      'authorization: a',
      'x-forwarded-for: 1.2.3.4',
      ':path: /x',
      `x: ${'a'.repeat(59_000)}`,
      `x: ${'a'.repeat(70_000)}`,
    ].map((trailer) => [CHUNKED, `1\r\na\r\n0\r\n${trailer}\r\n\r\n`] as const),
    [`Content-Length: 1\r\n${CHUNKED}`, '1\r\na\r\n0\r\n\r\n'],
    [`${CHUNKED}Content-Length: 1\r\n`, '1\r\na\r\n0\r\n\r\n'],
    [`${CHUNKED}${CHUNKED}`, '1\r\na\r\n0\r\n\r\n'],
    [`Transfer-Encoding: identity\r\n${CHUNKED}`, '1\r\na\r\n0\r\n\r\n'],
    [`${CHUNKED}Transfer-Encoding: identity\r\n`, '1\r\na\r\n0\r\n\r\n'],
    [`Transfer-Encoding : chunked\r\n`, '1\r\na\r\n0\r\n\r\n'],
    [`Transfer_Encoding: chunked\r\n`, '1\r\na\r\n0\r\n\r\n'],
    [`Transfer-Encoding:\r\n chunked\r\n`, '1\r\na\r\n0\r\n\r\n'],
    ['Transfer-Encoding: chunked\n', '1\r\na\r\n0\r\n\r\n'],
    ['X: y\rTransfer-Encoding: chunked\r\n', '1\r\na\r\n0\r\n\r\n'],
    ['X: y\nTransfer-Encoding: chunked\r\n', '1\r\na\r\n0\r\n\r\n'],
    [`Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n`, 'a'],
    [`Connection: upgrade\r\nUpgrade: websocket\r\n${CHUNKED}`, '1\r\na\r\n0\r\n\r\n'],
    [`Connection: transfer-encoding\r\n${CHUNKED}`, '1\r\na\r\n0\r\n\r\n'],
    [`Connection: content-length\r\nContent-Length: 1\r\n`, 'a'],
    [`Expect: 100-continue\r\nContent-Length: 1\r\n`, 'a'],
    ['', 'GET /public/smuggled HTTP/1.1\r\nHost: www.allowed.example\r\n\r\n'],
    ['Content-Length: 0\r\n', 'GET /public/smuggled HTTP/1.1\r\nHost: www.allowed.example\r\n\r\n'],
    ['Content-Length: 3\r\n', 'abcGET /public/smuggled HTTP/1.1\r\nHost: www.allowed.example\r\n\r\n'],
    ['', 'x\r\n\r\n'],
  ]),
];

/** Each once. */
export const DEVIATIONS: readonly Deviation[] = [...new Map(ALL.map((deviation) => [deviation.name, deviation])).values()];

/** A request that ends the connection; a message that swallows it is told by that. */
const LAST = 'GET /public/last HTTP/1.1\r\nHost: www.allowed.example\r\nConnection: close\r\n\r\n';

function assemble({ before, method, target, version, lineEnd, host, fields, headEnd, body }: Message): Buffer {
  const line = version === '' ? `${method} ${target}` : `${method} ${target} ${version}`;
  return Buffer.from(`${before}${line}${lineEnd}${host}${fields}${headEnd}${body}${LAST}`, 'latin1');
}

/** Numbers in [0, 1) that are the same in each run. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

/** Each deviation alone, and `pairs` of two that concern different parts. */
export function requests(pairs: number, seed: number): Case[] {
  const of = (deviations: readonly Deviation[]): Case => ({
    name: deviations.map(({ name }) => name).join(' + ') || 'as it should be',
    deviations: deviations.map(({ name }) => name),
    bytes: assemble(deviations.reduce((message, { change }) => change(message), PLAIN)),
  });
  const cases = [of([]), ...DEVIATIONS.map((deviation) => of([deviation]))];
  const random = numbers(seed);
  const any = () => DEVIATIONS[Math.floor(random() * DEVIATIONS.length)]!;
  while (cases.length < 1 + DEVIATIONS.length + pairs) {
    const [a, b] = [any(), any()];
    if (a.part !== b.part) cases.push(of(a.part === 'body' ? [b, a] : [a, b]));
  }
  return cases;
}
