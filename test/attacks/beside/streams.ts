/** A grammar of HTTP/2 that deviates: what is sent on stream 1, or beside it, before a request that is as it should be. */
import { block, END_HEADERS, END_STREAM, frame, headers, PREFACE, SETTINGS, TYPE } from '../frames.ts';

export interface StreamCase {
  readonly name: string;
  /** Names under which it may be listed. */
  readonly deviations: readonly string[];
  readonly bytes: Buffer;
}

type Fields = readonly (readonly [name: string, value: string])[];

const shown = (value: unknown) => JSON.stringify(value).slice(0, 100);
const METHOD = [':method', 'GET'] as const;
const SCHEME = [':scheme', 'http'] as const;
const PATH = [':path', '/public'] as const;
const AUTHORITY = [':authority', 'www.allowed.example'] as const;
const GOOD: Fields = [METHOD, SCHEME, PATH, AUTHORITY];
const POST: Fields = [[':method', 'POST'], SCHEME, PATH, AUTHORITY];

/** On stream 101, and the client's last word. */
const LAST = Buffer.concat([
  headers(101, END_STREAM, block([METHOD, SCHEME, [':path', '/public/last'], AUTHORITY])),
  frame(TYPE.goaway, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]),
]);

const CONTROLS = ['\0', '\x01', '\x08', '\t', '\n', '\x0b', '\r', '\r\n', '\x1b', ' ', '\x7f', '\x80', '\xff'];

const heads: readonly Fields[] = [
  GOOD,
  ...CONTROLS.flatMap((c): Fields[] => [
    [...GOOD, ['x-mine', `a${c}b`]],
    [...GOOD, ['x-mine', `${c}a`]],
    [...GOOD, ['x-mine', `a${c}`]],
    [...GOOD, [`x-mi${c}ne`, 'a']],
    [...GOOD, [`x-mine${c}`, 'a']],
    [METHOD, SCHEME, [':path', `/public${c}x`], AUTHORITY],
    [METHOD, SCHEME, PATH, [':authority', `www.allowed.example${c}`]],
    [[':method', `GET${c}`], SCHEME, PATH, AUTHORITY],
    [METHOD, [':scheme', `http${c}`], PATH, AUTHORITY],
  ]),
  ...['X-Mine', '', 'x:mine', ':', ':x', 'x(mine', 'x"mine', 'x_mine', 'x@mine', 'x{mine'].map((name): Fields => [...GOOD, [name, 'a']]),
  [SCHEME, PATH, AUTHORITY],
  [METHOD, PATH, AUTHORITY],
  [METHOD, SCHEME, AUTHORITY],
  [METHOD, SCHEME, PATH],
  [],
  [...GOOD, METHOD],
  [...GOOD, PATH],
  [...GOOD, AUTHORITY],
  [...GOOD, SCHEME],
  [...GOOD, [':status', '200']],
  [...GOOD, [':protocol', 'websocket']],
  [METHOD, SCHEME, PATH, ['x-mine', '1'], AUTHORITY],
  ...['get', 'G', '', 'GE T', 'GET/', '"GET"', 'TRACE', 'OPTIONS', 'HEAD', 'BREW'].map(
    (method): Fields => [[':method', method], SCHEME, PATH, AUTHORITY],
  ),
  [[':method', 'CONNECT'], AUTHORITY],
  [[':method', 'CONNECT'], SCHEME, PATH, AUTHORITY],
  [[':method', 'CONNECT'], [':protocol', 'websocket'], SCHEME, PATH, AUTHORITY],
  ...['https', 'ftp', '', 'HTTP', 'http:', '1http'].map((scheme): Fields => [METHOD, [':scheme', scheme], PATH, AUTHORITY]),
  ...[
    '',
    '*',
    'public',
    '/public#f',
    '/public?#',
    '/public?a',
    '//public',
    '/public/../x',
    '/x/../public',
    '/%70ublic',
    '/public%00',
    '/public\\x',
    '/public"',
    'http://www.allowed.example/public',
    '?public',
    '#',
    `/public/${'a'.repeat(9000)}`,
  ].map((path): Fields => [METHOD, SCHEME, [':path', path], AUTHORITY]),
  ...[
    '',
    'www.allowed.example:',
    'www.allowed.example:80',
    'www.allowed.example:-1',
    'www.allowed.example:99999',
    'www.allowed.example,other.example',
    'a@www.allowed.example',
    '%77ww.allowed.example',
    '[::1',
    '::1]',
    '[::1]x',
    'www.allowed.example/x',
    'www.allowed.example#x',
    'www.allowed.example?x',
    'www.allowed.example\\x',
    'WWW.ALLOWED.EXAMPLE',
    'www.allowed.example.',
    '"www.allowed.example"',
    'http://www.allowed.example',
  ].map((authority): Fields => [METHOD, SCHEME, PATH, [':authority', authority]]),
  [...GOOD, ['host', 'other.example']],
  [...GOOD, ['host', 'www.allowed.example']],
  [METHOD, SCHEME, PATH, ['host', 'www.allowed.example']],
  [METHOD, SCHEME, PATH, ['host', 'www.allowed.example'], ['host', 'other.example']],
  [METHOD, SCHEME, PATH, ['host', 'a,b']],
  ...(
    [
      ['connection', 'close'],
      ['connection', 'x'],
      ['keep-alive', '5'],
      ['proxy-connection', 'close'],
      ['transfer-encoding', 'chunked'],
      ['transfer-encoding', 'identity'],
      ['upgrade', 'websocket'],
      ['te', 'gzip'],
      ['te', 'trailers'],
      ['te', 'trailers, gzip'],
      ['http2-settings', 'a'],
      ['proxy-authorization', 'a'],
      ['expect', '100-continue'],
      ['expect', 'x'],
      ['content-length', '0'],
      ['content-length', '5'],
      ['content-length', '-0'],
      ['content-length', 'a'],
      ['content-length', ''],
      ['content-length', '0, 0'],
      ['trailer', 'x'],
      ['x-forwarded-for', '1.2.3.4'],
      ['x-forwarded-proto', 'gopher'],
      ['x-envoy-original-path', '/x'],
      ['cookie', 'a=b'],
    ] as const
  ).map((field): Fields => [...GOOD, field]),
  [...GOOD, ['content-length', '0'], ['content-length', '0']],
  [...GOOD, ['content-length', '0'], ['content-length', '5']],
  [...GOOD, ['cookie', 'a'], ['cookie', 'b']],
  [...GOOD, ['x-mine', 'a'.repeat(50_000)]],
  [...GOOD, ...Array.from({ length: 120 }, () => ['x-m', 'a'] as const)],
];

const post = headers(1, 0, block(POST));
const sized = (length: string) => headers(1, 0, block([...POST, ['content-length', length]]));
const data = (text: string, flags = 0, stream = 1) => frame(TYPE.data, flags, stream, Buffer.from(text));
const trailers = (fields: Fields, flags = END_STREAM) => headers(1, flags, block(fields));
const raw = (...bytes: number[]) => frame(TYPE.headers, END_HEADERS | END_STREAM, 1, [...block(GOOD), ...bytes]);

const sequences: Readonly<Record<string, readonly Buffer[]>> = {
  'a body': [post, data('a', END_STREAM)],
  'a body of the length that is said': [sized('1'), data('a', END_STREAM)],
  'a body shorter than is said': [sized('2'), data('a', END_STREAM)],
  'a body longer than is said': [sized('1'), data('ab', END_STREAM)],
  'a length and no body': [headers(1, END_STREAM, block([...POST, ['content-length', '2']]))],
  'a length of nothing and a body': [sized('0'), data('a', END_STREAM)],
  trailers: [post, data('a'), trailers([['x-t', '1']])],
  'trailers that do not end the stream': [post, data('a'), trailers([['x-t', '1']], 0), data('b', END_STREAM)],
  'trailers with a pseudo-header': [post, data('a'), trailers([[':path', '/x']])],
  'trailers with an upper-case name': [post, data('a'), trailers([['X-T', '1']])],
  'trailers with a control character': [post, data('a'), trailers([['x-t', 'a\0']])],
  'trailers that frame': [post, data('a'), trailers([['content-length', '5']])],
  'trailers with transfer-encoding': [post, data('a'), trailers([['transfer-encoding', 'chunked']])],
  'trailers with host': [post, data('a'), trailers([['host', 'other.example']])],
  'DATA behind the end': [headers(1, END_STREAM, block(GOOD)), data('a', END_STREAM)],
  'DATA before HEADERS': [data('a', END_STREAM)],
  'DATA of stream 0': [data('a', 0, 0)],
  'DATA of padding that is too long': [post, frame(TYPE.data, 8 | END_STREAM, 1, [5, 97])],
  'padded DATA': [post, frame(TYPE.data, 8 | END_STREAM, 1, [2, 97, 0, 0])],
  'padding that is not zero': [post, frame(TYPE.data, 8 | END_STREAM, 1, [2, 97, 1, 1])],
  'HEADERS of stream 0': [headers(0, END_STREAM, block(GOOD))],
  'HEADERS of an even stream': [headers(2, END_STREAM, block(GOOD))],
  'streams in the wrong order': [headers(5, END_STREAM, block(GOOD)), headers(3, END_STREAM, block(GOOD))],
  'a stream twice': [headers(1, END_STREAM, block(GOOD)), headers(1, END_STREAM, block(GOOD))],
  'HEADERS within a body': [post, headers(1, 0, block(GOOD)), data('a', END_STREAM)],
  'a stream that depends on itself': [frame(TYPE.headers, END_HEADERS | END_STREAM | 32, 1, [0, 0, 0, 1, 0, ...block(GOOD)])],
  'CONTINUATION of nothing': [frame(TYPE.continuation, END_HEADERS, 1, block(GOOD))],
  'CONTINUATION of another stream': [frame(TYPE.headers, END_STREAM, 1, block(GOOD)), frame(TYPE.continuation, END_HEADERS, 3, [])],
  'a frame within a head': [
    frame(TYPE.headers, END_STREAM, 1, block(GOOD)),
    frame(TYPE.ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]),
    frame(TYPE.continuation, END_HEADERS, 1, []),
  ],
  'a head in two pieces': [
    frame(TYPE.headers, END_STREAM, 1, block(GOOD).subarray(0, 7)),
    frame(TYPE.continuation, END_HEADERS, 1, block(GOOD).subarray(7)),
  ],
  'SETTINGS of a stream': [frame(TYPE.settings, 0, 1), headers(1, END_STREAM, block(GOOD))],
  'SETTINGS of a wrong length': [frame(TYPE.settings, 0, 0, [1, 2, 3])],
  'an answer to SETTINGS with content': [frame(TYPE.settings, 1, 0, [0, 4, 0, 0, 0, 1])],
  'a window that is too large': [frame(TYPE.settings, 0, 0, [0, 4, 255, 255, 255, 255])],
  'frames that are too small': [frame(TYPE.settings, 0, 0, [0, 5, 0, 0, 0, 1])],
  'push that is neither': [frame(TYPE.settings, 0, 0, [0, 2, 0, 0, 0, 2])],
  'a window update of nothing': [post, frame(TYPE.windowUpdate, 0, 1, [0, 0, 0, 0]), data('a', END_STREAM)],
  'a window update of nothing for all': [frame(TYPE.windowUpdate, 0, 0, [0, 0, 0, 0])],
  'a window that overflows': [frame(TYPE.windowUpdate, 0, 0, [127, 255, 255, 255])],
  'a window update of a wrong length': [frame(TYPE.windowUpdate, 0, 0, [0])],
  'PING of a wrong length': [frame(TYPE.ping, 0, 0, [1])],
  'PING of a stream': [frame(TYPE.ping, 0, 1, [1, 2, 3, 4, 5, 6, 7, 8])],
  'RST of a stream that is not': [frame(TYPE.rst, 0, 3, [0, 0, 0, 8])],
  'RST of stream 0': [frame(TYPE.rst, 0, 0, [0, 0, 0, 8])],
  'RST of a wrong length': [post, frame(TYPE.rst, 0, 1, [0])],
  'PUSH_PROMISE of a client': [frame(5, END_HEADERS, 1, [0, 0, 0, 2, ...block(GOOD)])],
  'an unknown frame': [frame(0xbb, 0, 0, [1]), headers(1, END_STREAM, block(GOOD))],
  'a frame that is too large': [frame(TYPE.data, 0, 1, Buffer.alloc(20_000))],
  'an index that is not': [raw(0xff, 0xff, 0x7f)],
  'an index of nothing': [raw(0x80)],
  'a table that is too large': [frame(TYPE.headers, END_HEADERS | END_STREAM, 1, [0x3f, 0xff, 0xff, 0x7f, ...block(GOOD)])],
  'a change of the table behind fields': [raw(0x20)],
  'a text that is cut': [raw(0, 5, 97)],
  'bad Huffman': [raw(0, 1, 97, 0x81, 0)],
  'no preface': [],
};

export const STREAMS: readonly StreamCase[] = [
  ...heads.map((fields, index) => ({
    deviations: fields.map(([name]) => `field ${name}`),
    name: `head ${index} ${shown(fields.filter((field) => !GOOD.some(([name, value]) => name === field[0] && value === field[1])))}`,
    bytes: Buffer.concat([PREFACE, SETTINGS, headers(1, END_STREAM, block(fields)), LAST]),
  })),
  ...Object.entries(sequences).map(([name, pieces]) => ({
    name,
    deviations: [name],
    bytes: Buffer.concat([...(name === 'no preface' ? [] : [PREFACE]), SETTINGS, ...pieces, LAST]),
  })),
];
