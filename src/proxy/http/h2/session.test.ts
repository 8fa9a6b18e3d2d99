/** What an HTTP/2 peer may do, frame by frame, and what it gets for what it may not. */
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import {
  block,
  END_STREAM,
  type Frame,
  frame,
  frames,
  headers,
  PREFACE,
  request,
  SETTINGS,
  TYPE,
} from '../../../../test/attacks/frames.ts';
import { HttpConnectionManager_CodecType } from '../../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { fakeCluster, type ProxyOptions, routesTo, startProxy } from '../testing.ts';
import { dial, type RawUpstream, rawUpstream, type Wire } from '../testing-sockets.ts';

const { PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, REFUSED_STREAM, INTERNAL_ERROR, NO_ERROR } = {
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  STREAM_CLOSED: 5,
  REFUSED_STREAM: 7,
  NO_ERROR: 0,
};

const GET = request('GET', '/', 'a');
const POST = request('POST', '/', 'a');

function seen(wire: Wire): Frame[] {
  return frames(Buffer.from(wire.text, 'latin1'));
}

/** The first frame of a type, and of a stream where one is named. */
async function awaited(wire: Wire, type: number, stream?: number): Promise<Frame> {
  const find = () => seen(wire).find((each) => each.type === type && (stream === undefined || each.stream === stream));
  await wire.wait(() => find() !== undefined || wire.ended);
  const found = find();
  assert.ok(found, `no frame of type ${type}, but ${seen(wire).map((each) => `${each.type}@${each.stream}`)}`);
  return found;
}

const code = ({ type, payload }: Frame) => payload.readUInt32BE(type === TYPE.goaway ? 4 : 0);

async function proxied(t: TestContext, upstream: RawUpstream, options: Partial<ProxyOptions> & { protocol?: 'http1' | 'http2' } = {}) {
  const cluster = fakeCluster('upstream', [upstream.port]);
  cluster.protocol = options.protocol ?? 'http1';
  const proxy = await startProxy({
    clusters: [cluster],
    routes: routesTo('upstream'),
    ...options,
    manager: { codecType: HttpConnectionManager_CodecType.HTTP2, ...options.manager },
  });
  t.after(async () => {
    await proxy.close();
    await upstream.close();
  });
  return proxy;
}

async function opened(t: TestContext, port: number, ...pieces: Buffer[]): Promise<Wire> {
  const wire = await dial(port);
  t.after(() => wire.socket.destroy());
  wire.socket.write(Buffer.concat([PREFACE, SETTINGS, ...pieces]));
  return wire;
}

/** Answers once the head and, where there is one, the chunked body have come. */
const patient = () =>
  rawUpstream((wire) => {
    wire.socket.on('data', () => {
      const whole = /^GET[\s\S]*\r\n\r\n$/.test(wire.text) || wire.text.endsWith('0\r\n\r\n');
      if (!whole) return;
      wire.take();
      wire.send('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nanswered');
    });
  });

const silent = () => rawUpstream();

test('streams beyond the limit are refused, and the others go on', async (t) => {
  const proxy = await proxied(t, await patient(), { manager: { http2ProtocolOptions: { maxConcurrentStreams: 1 } } });
  const wire = await opened(t, proxy.port, headers(1, 0, POST), headers(3, END_STREAM, GET));
  assert.equal(code(await awaited(wire, TYPE.rst, 3)), REFUSED_STREAM);
  wire.socket.write(frame(TYPE.data, END_STREAM, 1, Buffer.from('x')));
  await wire.until('answered');
});

test('more than the windows hold ends the stream, or the connection', async (t) => {
  // What an upgrade carries is not read before the server has agreed, which this one never does.
  const upgrade = block([
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'a'],
  ]);
  const piece = frame(TYPE.data, 0, 1, Buffer.alloc(16_384));
  for (const initialConnectionWindowSize of [65_535, 131_070]) {
    const http2ProtocolOptions = { initialStreamWindowSize: 65_535, initialConnectionWindowSize, allowConnect: true };
    const proxy = await proxied(t, await silent(), { manager: { http2ProtocolOptions, upgradeConfigs: [{ upgradeType: 'websocket' }] } });
    const wire = await opened(t, proxy.port, headers(1, 0, upgrade), piece, piece, piece);
    await awaited(wire, TYPE.settings);
    wire.socket.write(piece);
    const whole = initialConnectionWindowSize === 65_535;
    assert.equal(code(await awaited(wire, whole ? TYPE.goaway : TYPE.rst)), FLOW_CONTROL_ERROR);
  }
});

test('a body of another length than was said is an error of its stream', async (t) => {
  const proxy = await proxied(t, await silent());
  const sized = block([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'a'],
    ['content-length', '2'],
  ]);
  for (const body of ['a', 'abc']) {
    const wire = await opened(t, proxy.port, headers(1, 0, sized), frame(TYPE.data, END_STREAM, 1, Buffer.from(body)));
    assert.equal(code(await awaited(wire, TYPE.rst, 1)), PROTOCOL_ERROR);
    const { flags, responseCodeDetails } = await proxy.nextRecord();
    assert.deepEqual([flags, responseCodeDetails], [['DPE'], 'http2.violation.of.messaging.rule']);
  }
});

const MALFORMED: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'a name in upper case': [['X-Mine', 'a']],
  'an empty name': [['', 'a']],
  'CR in a value': [['x-mine', 'a\rb']],
  'LF in a value': [['x-mine', 'a\nb']],
  'NUL in a value': [['x-mine', 'a\0b']],
  'white space around a value': [['x-mine', ' a']],
  'a pseudo-header behind a field': [
    ['x-mine', 'a'],
    [':path', '/x'],
  ],
  'an unknown pseudo-header': [[':mine', 'a']],
  connection: [['connection', 'close']],
  'transfer-encoding': [['transfer-encoding', 'chunked']],
  'te that is not trailers': [['te', 'gzip']],
  'two lengths': [
    ['content-length', '0'],
    ['content-length', '0'],
  ],
  'two hosts': [
    ['host', 'a'],
    ['host', 'a'],
  ],
};

test('a field that is malformed resets its stream, and is in the log', async (t) => {
  const proxy = await proxied(t, await patient());
  for (const [name, fields] of Object.entries(MALFORMED)) {
    const wire = await opened(t, proxy.port, headers(1, END_STREAM, request('GET', '/', 'a', fields)), headers(3, END_STREAM, GET));
    assert.equal(code(await awaited(wire, TYPE.rst, 1)), PROTOCOL_ERROR, name);
    await wire.until('answered');
    const records = [await proxy.nextRecord(), await proxy.nextRecord()];
    assert.deepEqual(records.map(({ flags }) => flags).sort(), [[], ['DPE']], name);
  }
});

test('more fields, or larger ones, than a head may have reset the stream', async (t) => {
  const proxy = await proxied(t, await patient(), { manager: { maxRequestHeadersKb: 1 } });
  const many = Array.from({ length: 101 }, (_, i) => [`x${i}`, 'a'] as const);
  const wire = await opened(
    t,
    proxy.port,
    headers(1, END_STREAM, request('GET', '/', 'a', many)),
    headers(3, END_STREAM, request('GET', '/', 'a', [['x', 'y'.repeat(1100)]])),
    headers(5, END_STREAM, GET),
  );
  assert.equal(code(await awaited(wire, TYPE.rst, 1)), INTERNAL_ERROR);
  assert.equal(code(await awaited(wire, TYPE.rst, 3)), INTERNAL_ERROR);
  await wire.until('answered');
});

test('a head that a table makes large costs no more than its bytes', async (t) => {
  const proxy = await proxied(t, await patient());
  // One entry of nearly 4 KiB, named 10,000 times: 40 MB of fields.
  const entry = Buffer.concat([Buffer.from([0x40, 1, 120]), Buffer.from([127, 0x81, 0x1e]), Buffer.alloc(3968, 97)]);
  const wire = await opened(
    t,
    proxy.port,
    headers(1, END_STREAM, Buffer.concat([GET, entry, Buffer.alloc(10_000, 0xbe)])),
    headers(3, END_STREAM, GET),
  );
  assert.equal(code(await awaited(wire, TYPE.rst, 1)), INTERNAL_ERROR);
  await wire.until('answered');
});

test('a response that is whole before its request: the rest is dropped, and after a moment the stream ends without an error', async (t) => {
  const delayedCloseTimeout = { seconds: 0n, nanos: 200_000_000 };
  const proxy = await proxied(t, await silent(), { routes: { virtualHosts: [] }, manager: { delayedCloseTimeout } });
  const wire = await opened(t, proxy.port, headers(1, 0, POST), headers(3, 0, POST), frame(TYPE.data, 0, 3, Buffer.from('x')));
  for (const stream of [1, 3]) assert.ok((await awaited(wire, TYPE.headers, stream)).flags & END_STREAM);
  assert.deepEqual(
    seen(wire).filter(({ type }) => type === TYPE.rst),
    [],
  );
  wire.socket.write(Buffer.concat([frame(TYPE.data, 0, 3, Buffer.from('y')), headers(3, END_STREAM, block([['x-t', '1']]))]));
  assert.equal(code(await awaited(wire, TYPE.rst, 1)), NO_ERROR);
  // What was on its way is dropped, trailers as well.
  wire.socket.write(Buffer.concat([frame(TYPE.data, 0, 1, Buffer.from('x')), headers(1, END_STREAM, block([['x-t', '1']]))]));
  wire.socket.write(headers(5, END_STREAM, GET));
  await awaited(wire, TYPE.headers, 5);
  const last = seen(wire).filter(({ type }) => type === TYPE.goaway || type === TYPE.rst);
  assert.deepEqual(
    last.map(({ stream }) => stream),
    [1],
  );
});

test('an upload that is refused at once has its answer, however large it is', async (t) => {
  const upstream = await rawUpstream((wire) =>
    wire.socket.once('data', () => wire.send('HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno')),
  );
  const proxy = await proxied(t, upstream);
  const client = http2.connect(`http://127.0.0.1:${proxy.port}`);
  t.after(() => client.destroy());
  const stream = client.request({ ':path': '/', ':method': 'POST' });
  stream.on('error', () => undefined);
  stream.write(Buffer.alloc(8 * 1024 * 1024));
  const [answer] = await new Promise<[http2.IncomingHttpHeaders]>((resolve) => stream.on('response', (...all) => resolve([all[0]])));
  assert.equal(answer[':status'], 413);
  const body = await new Promise<string>((resolve) => stream.once('data', (data: Buffer) => resolve(data.toString())));
  assert.equal(body, 'no');
  stream.close();
});

test('DATA and HEADERS on a stream that is over', async (t) => {
  const proxy = await proxied(t, await patient());
  const wire = await opened(t, proxy.port, headers(1, END_STREAM, GET));
  await wire.until('answered');
  wire.socket.write(frame(TYPE.data, 0, 1, Buffer.from('x')));
  assert.equal(code(await awaited(wire, TYPE.rst, 1)), STREAM_CLOSED);
  const other = await opened(t, proxy.port, headers(1, END_STREAM, GET));
  await other.until('answered');
  other.socket.write(headers(1, END_STREAM, GET));
  assert.equal(code(await awaited(other, TYPE.goaway)), STREAM_CLOSED);
  await other.end();
});

test('a client that is told of the end still has what it opened before it knew; after that streams that run end, and new ones are not looked at', async (t) => {
  const upstream = await patient();
  const proxy = await proxied(t, upstream);
  const wire = await opened(t, proxy.port, headers(1, 0, POST));
  await upstream.wire(0);
  proxy.handler.drain();
  const lastOf = ({ payload }: Frame) => payload.readUInt32BE(0);
  const goaways = () => seen(wire).filter(({ type }) => type === TYPE.goaway);
  assert.equal(lastOf(await awaited(wire, TYPE.goaway)), 0x7fff_ffff);
  // On its way when the client was told.
  wire.socket.write(headers(3, 0, POST));
  await upstream.wire(1);
  const { payload } = await awaited(wire, TYPE.ping);
  wire.socket.write(frame(TYPE.ping, 1, 0, [...payload]));
  while (goaways().length < 2) await turn();
  assert.equal(lastOf(goaways()[1]!), 3);
  const ends = [1, 3].map((stream) => frame(TYPE.data, END_STREAM, stream, Buffer.from('x')));
  wire.socket.write(Buffer.concat([headers(5, END_STREAM, GET), ...ends]));
  await wire.end();
  assert.deepEqual([...new Set(seen(wire).map(({ stream }) => stream))].sort(), [0, 1, 3]);
  while (proxy.handler.active > 0) await turn();
});

test('a client that asks and does not read is not read any more', async (t) => {
  const large = 'b'.repeat(32 * 1024);
  const upstream = await rawUpstream((wire) =>
    wire.socket.on('data', () => wire.send(`HTTP/1.1 200 OK\r\nx: ${large}\r\ncontent-length: 0\r\n\r\n`)),
  );
  let written = 0;
  const proxy = await proxied(t, upstream);
  const wire = await opened(t, proxy.port, frame(TYPE.settings, 0, 0, [0, 4, 127, 255, 255, 255]));
  wire.socket.pause();
  for (let stream = 1, still = 0; still < 200; ) {
    if (wire.socket.writableLength > 0) {
      still++;
      await new Promise((resolve) => setTimeout(resolve, 2));
      continue;
    }
    still = 0;
    const head = request('GET', '/', 'a', [['x-fill', 'c'.repeat(8000)]]);
    wire.socket.write(headers(stream, END_STREAM, head));
    stream += 2;
    written += head.length;
    assert.ok(written < 100e6, 'requests were taken without end');
    await turn();
  }
  assert.ok(written > 0);
});

test('a head of more than one frame goes out whole', async (t) => {
  const value = 'v'.repeat(50_000);
  const upstream = await rawUpstream((wire) =>
    wire.socket.on('data', () => wire.send(`HTTP/1.1 200 OK\r\nx-long: ${value}\r\ncontent-length: 2\r\n\r\nok`)),
  );
  const proxy = await proxied(t, upstream);
  const client = http2.connect(`http://127.0.0.1:${proxy.port}`, { settings: { maxHeaderListSize: 100_000 } });
  t.after(() => client.destroy());
  const stream = client.request({ ':path': '/' });
  const [answer] = await new Promise<[http2.IncomingHttpHeaders]>((resolve) => stream.on('response', (...all) => resolve([all[0]])));
  assert.equal(answer['x-long'], value);
});

const SERVER_FAULTS: Readonly<Record<string, { readonly bytes: Buffer; readonly status: string }>> = {
  'a push': { bytes: frame(5, 4, 1, [0, 0, 0, 2, 0x82]), status: '502' },
  'a malformed head': {
    bytes: headers(
      1,
      END_STREAM,
      block([
        [':status', '200'],
        ['X', 'a'],
      ]),
    ),
    status: '502',
  },
  'a status that is none': { bytes: headers(1, END_STREAM, block([[':status', '20']])), status: '502' },
  'a head without a status': { bytes: headers(1, END_STREAM, block([['x', 'a']])), status: '502' },
  'a status of HTTP/1': { bytes: headers(1, 0, block([[':status', '101']])), status: '502' },
  'a length and no body': {
    bytes: headers(
      1,
      END_STREAM,
      block([
        [':status', '200'],
        ['content-length', '5'],
      ]),
    ),
    status: '502',
  },
  'a head that is too large': { bytes: headers(1, END_STREAM, block([[':status', '200'], ...tooMuch()])), status: '502' },
  'a stream of its own': { bytes: headers(2, END_STREAM, block([[':status', '200']])), status: '502' },
  'heads without end': {
    bytes: Buffer.concat(Array.from({ length: 5000 }, () => headers(1, 0, block([[':status', '103']])))),
    status: '502',
  },
  'a refusal': { bytes: frame(TYPE.rst, 0, 1, [0, 0, 0, 7]), status: '503' },
  'GOAWAY before the stream': { bytes: frame(TYPE.goaway, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]), status: '503' },
};

function tooMuch(): [string, string][] {
  return Array.from({ length: 101 }, (_, i) => [`x${i}`, 'a']);
}

test('what servers may not do fails the request', async (t) => {
  for (const [name, { bytes, status }] of Object.entries(SERVER_FAULTS)) {
    const upstream = await rawUpstream((wire) => {
      wire.send(SETTINGS.toString('latin1'));
      wire.socket.once('data', () => wire.socket.write(bytes));
    });
    const proxy = await proxied(t, upstream, { protocol: 'http2', manager: { codecType: HttpConnectionManager_CodecType.AUTO } });
    const client = await dial(proxy.port);
    t.after(() => client.socket.destroy());
    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.equal((await client.end()).slice(9, 12), status, name);
  }
});

test('a frame that has begun has the time of a head; frames that follow one another have theirs each', async (t) => {
  const proxy = await proxied(t, await patient(), { manager: { streamIdleTimeout: { seconds: 0n, nanos: 100_000_000 } } });
  const ping = frame(TYPE.ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]);
  const slow = await opened(t, proxy.port);
  const gone = slow.end();
  const steady = await opened(t, proxy.port, ping.subarray(0, 5));
  const end = performance.now() + 500;
  for (let at = 0; performance.now() < end || !slow.ended; at++) {
    if (at < ping.length - 1) slow.socket.write(ping.subarray(at, at + 1));
    // Each piece ends in the middle of a frame.
    steady.socket.write(Buffer.concat([ping.subarray(5), ping.subarray(0, 5)]));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await gone;
  assert.equal(steady.ended, false);
});

const KEEP_ALIVE = { seconds: 0n, nanos: 30_000_000 };

test('a client that answers no PING is gone; one that does may stay', async (t) => {
  const connectionKeepalive = { interval: KEEP_ALIVE, timeout: KEEP_ALIVE };
  const proxy = await proxied(t, await patient(), { manager: { http2ProtocolOptions: { connectionKeepalive } } });
  const living = http2.connect(`http://127.0.0.1:${proxy.port}`);
  t.after(() => living.destroy());
  let pings = 0;
  living.on('ping', () => pings++);
  const wire = await opened(t, proxy.port);
  await awaited(wire, TYPE.ping);
  await wire.end();
  const before = pings;
  while (pings < before + 2) await turn();
  assert.equal(living.closed, false);
});

test('a server that answers no PING fails its requests', async (t) => {
  const upstream = await rawUpstream((wire) => wire.send(SETTINGS.toString('latin1')));
  const proxy = await proxied(t, upstream, { protocol: 'http2' });
  proxy.clusters.get('upstream')!.http2KeepAlive = { intervalMs: 30, timeoutMs: 30 };
  await opened(t, proxy.port, headers(1, END_STREAM, GET));
  const { responseCode, flags } = await proxy.nextRecord();
  assert.deepEqual([responseCode, flags], [503, ['UC']]);
});

test('an upstream connection carries as many requests as its cluster says', async (t) => {
  const upstream = await rawUpstream((wire) => wire.send(SETTINGS.toString('latin1')));
  const proxy = await proxied(t, upstream, { protocol: 'http2' });
  proxy.clusters.get('upstream')!.http2MaxStreams = 1;
  await opened(t, proxy.port, headers(1, END_STREAM, GET), headers(3, END_STREAM, GET));
  const heads = (wire: Wire) => frames(Buffer.from(wire.text.slice(PREFACE.length), 'latin1')).filter(({ type }) => type === TYPE.headers);
  for (const index of [0, 1]) {
    const wire = await upstream.wire(index);
    await wire.wait(() => heads(wire).length > 0);
    assert.equal(heads(wire).length, 1);
  }
});

test('a client whose frames are changed anywhere harms nobody, and leaves nothing behind', { timeout: 120_000 }, async (t) => {
  const proxy = await proxied(t, await patient(), { sink: { record: () => undefined } });
  const good = [
    headers(1, 0, POST),
    frame(TYPE.data, 0, 1, Buffer.from('some body')),
    frame(TYPE.windowUpdate, 0, 0, [0, 0, 1, 0]),
    headers(3, END_STREAM, GET),
    frame(TYPE.data, 8, 1, [1, 98, 0]),
    frame(TYPE.ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]),
    headers(1, END_STREAM, block([['x-t', '1']])),
    frame(TYPE.rst, 0, 3, [0, 0, 0, 8]),
    frame(TYPE.settings, 0, 0, [0, 4, 0, 0, 16, 0]),
    headers(5, END_STREAM, GET),
  ];
  const length = Buffer.concat(good).length;
  const changes = fc.array(fc.tuple(fc.nat(length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(changes, async (changed) => {
      const bytes = Buffer.concat(good);
      for (const [at, byte] of changed) bytes[at] = byte;
      const wire = await dial(proxy.port);
      wire.socket.write(Buffer.concat([PREFACE, SETTINGS, bytes]));
      wire.socket.end();
      await wire.end();
    }),
    { seed: 3, numRuns: 300 },
  );
  const wire = await opened(t, proxy.port, headers(1, END_STREAM, GET));
  await wire.until('answered');
  wire.socket.destroy();
  while (proxy.handler.active > 0) await turn();
});
