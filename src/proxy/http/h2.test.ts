import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { HttpConnectionManager_CodecType } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { type FakeCluster, fakeCluster, type Proxy, type ProxyOptions, routesTo, startProxy } from './testing.ts';
import { answering, assertInOrder, dial, echo, Flood, rawUpstream, response } from './testing-sockets.ts';

interface H2Upstream {
  readonly port: number;
  readonly sessions: http2.ServerHttp2Session[];
  close(): void;
}

async function h2Upstream(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, flags: number, raw: string[]) => void,
  options: http2.ServerOptions = {},
): Promise<H2Upstream> {
  const sessions: http2.ServerHttp2Session[] = [];
  const server = http2.createServer(options);
  server.on('session', (session) => {
    sessions.push(session);
    session.on('error', () => undefined);
  });
  server.on('stream', (stream, headers, flags, raw) => {
    stream.on('error', () => undefined);
    onStream(stream, headers, flags, raw as unknown as string[]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    close() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

interface Setup {
  readonly proxy: Proxy;
  readonly cluster: FakeCluster;
  readonly client: http2.ClientHttp2Session;
  [Symbol.asyncDispose](): Promise<void>;
}

async function setup(
  upstream: { readonly port: number; close(): unknown },
  options: Partial<ProxyOptions> & { protocol?: FakeCluster['protocol'] } = {},
): Promise<Setup> {
  const cluster = fakeCluster('upstream', [upstream.port]);
  cluster.protocol = options.protocol ?? 'http1';
  const proxy = await startProxy({ clusters: [cluster], routes: routesTo('upstream'), ...options });
  const client = http2.connect(`http://127.0.0.1:${proxy.port}`);
  client.on('error', () => undefined);
  return {
    proxy,
    cluster,
    client,
    async [Symbol.asyncDispose]() {
      client.destroy();
      await proxy.close();
      await upstream.close();
    },
  };
}

interface Answer {
  readonly headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
  readonly body: string;
  readonly trailers: http2.IncomingHttpHeaders | undefined;
}

async function ask(client: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders, body?: string): Promise<Answer> {
  const stream = client.request(headers, { endStream: body === undefined });
  let trailers: http2.IncomingHttpHeaders | undefined;
  let text = '';
  stream.on('trailers', (received) => {
    trailers = received;
  });
  stream.on('data', (data: Buffer) => {
    text += data.toString();
  });
  if (body !== undefined) stream.end(body);
  const [[answer]] = await Promise.all([once(stream, 'response'), once(stream, 'end')]);
  return { headers: answer, body: text, trailers };
}

function closed(stream: http2.ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => stream.on('close', () => resolve()));
}

test('a prior-knowledge HTTP/2 client in front of an HTTP/1.1 upstream', async () => {
  await using t = await setup(await echo());
  const { headers, body } = await ask(t.client, {
    ':path': '/a?b',
    ':authority': 'www.example.com',
    'x-mine': '1',
    cookie: ['a=1', 'b=2'],
  });
  assert.equal(headers[':status'], 200);
  assert.equal(headers.server, 'envoy');
  assert.match(body, /^GET \/a\?b HTTP\/1\.1\r\nhost: www\.example\.com\r\n/);
  assert.match(body, /x-mine: 1\r\n/);
  assert.match(body, /cookie: a=1; b=2\r\n/);
  const record = await t.proxy.nextRecord();
  assert.deepEqual([record.protocol, record.method, record.path, record.authority], ['HTTP/2', 'GET', '/a?b', 'www.example.com']);
});

test('a preface in one-byte pieces is still HTTP/2, and other bytes are HTTP/1', async () => {
  const upstream = await answering(() => response('ok'));
  await using t = await setup(upstream);
  const slow = await dial(t.proxy.port);
  for (const byte of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') {
    slow.send(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  // The server's SETTINGS frame.
  await slow.wait(() => slow.text.length >= 9 || slow.ended);
  assert.equal(slow.text.charCodeAt(3), 4);
  slow.socket.destroy();
  const post = await dial(t.proxy.port);
  post.send('P');
  await new Promise((resolve) => setImmediate(resolve));
  post.send('OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
  assert.match(await post.until('ok'), /^HTTP\/1\.1 200 OK/);
  post.socket.destroy();
});

test('HTTP/2 on both sides: bodies and gRPC trailers pass, one connection for all', async () => {
  const upstream = await h2Upstream((stream, headers) => {
    let body = '';
    stream.on('data', (data: Buffer) => {
      body += data.toString();
    });
    stream.on('end', () => {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'x-seen': `${headers[':scheme']} ${headers.te}` },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-body': body }));
      stream.end('reply');
    });
  });
  await using t = await setup(upstream, { protocol: 'http2' });
  const one = () =>
    ask(
      t.client,
      { ':method': 'POST', ':path': '/pkg.Service/Call', ':authority': 'a', te: 'trailers', 'content-type': 'application/grpc' },
      'call',
    );
  const answers = await Promise.all([one(), one(), one()]);
  for (const { headers, body, trailers } of answers) {
    assert.equal(headers['x-seen'], 'http trailers');
    assert.equal(body, 'reply');
    assert.equal(trailers?.['grpc-status'], '0');
    assert.equal(trailers?.['x-body'], 'call');
  }
  assert.equal(upstream.sessions.length, 1);
  const record = await t.proxy.nextRecord();
  assert.deepEqual(record.responseTrailers?.get('grpc-status'), '0');
  assert.deepEqual([record.bytesReceived, record.bytesSent], [4, 5]);
});

test('a trailers-only response stays one', async () => {
  const upstream = await h2Upstream((stream) => stream.respond({ ':status': 200, 'grpc-status': '5' }, { endStream: true }));
  await using t = await setup(upstream, { protocol: 'http2' });
  const { headers, trailers } = await ask(t.client, { ':path': '/', ':authority': 'a' });
  assert.equal(headers['grpc-status'], '5');
  assert.equal(trailers, undefined);
});

test('an HTTP/1.1 client in front of an HTTP/2 upstream', async () => {
  const upstream = await h2Upstream((stream, headers) => {
    stream.respond({ ':status': 200, 'x-path': headers[':path'], 'x-host': headers[':authority'] });
    stream.end('body');
  });
  await using t = await setup(upstream, { protocol: 'http2' });
  const client = await dial(t.proxy.port);
  client.send('POST /p HTTP/1.1\r\nHost: h:80\r\nContent-Length: 3\r\n\r\nabc');
  const text = await client.until('0\r\n\r\n');
  assert.match(text, /x-path: \/p\r\nx-host: h:80\r\n/);
  assert.match(text, /4\r\nbody\r\n0\r\n\r\n$/);
  client.socket.destroy();
});

test('an HTTP/1.1 client that has the whole response and leaves before the upstream said that it is whole has left nothing', async () => {
  for (const [method, length, body, flags] of [
    ['GET', 3, 'abc', []],
    ['HEAD', 3, '', []],
    ['GET', 4, 'abc', ['DC']],
  ] as const) {
    const upstream = await h2Upstream((stream) => {
      stream.respond({ ':status': 200, 'content-length': length });
      // The end of the stream does not come.
      if (method !== 'HEAD') stream.write('abc');
    });
    await using t = await setup(upstream, { protocol: 'http2' });
    const client = await dial(t.proxy.port);
    client.send(`${method} /p HTTP/1.1\r\nHost: h:80\r\n\r\n`);
    await client.until(`\r\n\r\n${body}`);
    client.socket.destroy();
    const record = await t.proxy.nextRecord();
    assert.deepEqual([record.responseCode, record.flags, record.bytesSent], [200, flags, body.length], `${method} ${length}`);
    assert.equal(record.responseCodeDetails, flags.length > 0 ? 'downstream_remote_disconnect' : 'via_upstream');
  }
});

test('an upstream stream that is reset: 503 UR; a response that is cut resets the client', async () => {
  const upstream = await h2Upstream((stream, headers) => {
    if (headers[':path'] === '/cut') {
      // Without trailers that are waited for, Node would end the body before it resets the stream.
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.write('abc', () => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
    } else stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  });
  await using t = await setup(upstream, { protocol: 'http2' });
  const { headers, body } = await ask(t.client, { ':path': '/', ':authority': 'a' });
  assert.equal(headers[':status'], 503);
  assert.match(body, /reset reason: remote reset$/);
  assert.deepEqual((await t.proxy.nextRecord()).flags, ['UR']);
  const stream = t.client.request({ ':path': '/cut', ':authority': 'a' });
  stream.on('error', () => undefined);
  stream.resume();
  await closed(stream);
  assert.equal(stream.rstCode, http2.constants.NGHTTP2_INTERNAL_ERROR);
  const record = await t.proxy.nextRecord();
  assert.deepEqual(
    [record.responseCode, record.flags, record.responseCodeDetails],
    [200, ['UR'], 'upstream_reset_after_response_started{remote_reset}'],
  );
});

test('an upstream that is no HTTP/2 server: 502 UPE', async () => {
  const upstream = await rawUpstream((wire) => wire.socket.once('data', () => wire.socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
  await using t = await setup(upstream, { protocol: 'http2' });
  const { headers } = await ask(t.client, { ':path': '/', ':authority': 'a' });
  assert.equal(headers[':status'], 502);
  assert.equal((await t.proxy.nextRecord()).flags[0], 'UPE');
});

test('a client that resets its stream is DR, and the upstream stream is cancelled', async () => {
  let arrived: (stream: http2.ServerHttp2Stream) => void = () => undefined;
  const arrival = new Promise<http2.ServerHttp2Stream>((resolve) => {
    arrived = resolve;
  });
  const upstream = await h2Upstream((stream) => arrived(stream));
  await using t = await setup(upstream, { protocol: 'http2' });
  const stream = t.client.request({ ':path': '/', ':authority': 'a' });
  stream.on('error', () => undefined);
  const inside = await arrival;
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await once(inside, 'close');
  assert.equal(inside.rstCode, http2.constants.NGHTTP2_CANCEL);
  const record = await t.proxy.nextRecord();
  assert.deepEqual([record.flags, record.responseCodeDetails], [['DR'], 'http2.remote_reset']);
  assert.equal(t.cluster.limits.requests.used, 0);
});

test('a head beyond max_request_headers_kb is reset, whatever the client makes of the setting', async () => {
  await using t = await setup(await h2Upstream((stream) => stream.respond({ ':status': 200 }, { endStream: true })), {
    protocol: 'http2',
    manager: { maxRequestHeadersKb: 1 },
  });
  // An own client: it begins before it has the proxy's settings.
  const client = http2.connect(`http://127.0.0.1:${t.proxy.port}`);
  client.on('error', () => undefined);
  const stream = client.request({ ':path': '/', ':authority': 'a', x: 'y'.repeat(1500) });
  stream.on('error', () => undefined);
  await new Promise((resolve) => stream.once('close', resolve));
  assert.equal(stream.rstCode, http2.constants.NGHTTP2_INTERNAL_ERROR);
  assert.equal((await t.proxy.nextRecord()).responseCodeDetails, 'http2.header_list_size_too_large');
  client.destroy();
});

test('codec_type HTTP2 needs no inspector before it; who expects 100 gets it', async () => {
  await using t = await setup(
    await h2Upstream((stream, headers) => stream.respond({ ':status': 200, 'x-expect': headers.expect ?? 'none' }, { endStream: true })),
    {
      protocol: 'http2',
      manager: { codecType: HttpConnectionManager_CodecType.HTTP2 },
    },
  );
  const stream = t.client.request({ ':path': '/', ':authority': 'a', expect: '100-continue' }, { endStream: true });
  const interim: number[] = [];
  stream.on('headers', (headers) => interim.push(headers[':status']!));
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  assert.deepEqual([interim, headers['x-expect']], [[100], 'none']);
});

test('a WebSocket to an HTTP/2 upstream: extended CONNECT where it is offered, else 503 UC', async () => {
  const serve = (settings: http2.Settings) =>
    h2Upstream(
      (stream, headers) => {
        stream.respond({ ':status': 200, 'x-protocol': headers[':protocol'] as string });
        stream.pipe(stream);
      },
      { settings },
    );
  const request = 'GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
  const manager = { upgradeConfigs: [{ upgradeType: 'websocket' }] };
  {
    await using t = await setup(await serve({}), { protocol: 'http2', manager });
    const client = await dial(t.proxy.port);
    client.send(request);
    assert.match(await client.until('termination'), /^HTTP\/1\.1 503 [\s\S]*reset reason: connection termination$/);
    client.socket.destroy();
  }
  await using t = await setup(await serve({ enableConnectProtocol: true }), { protocol: 'http2', manager });
  // The first request brings the connection up, and with it the server's settings.
  await ask(t.client, { ':path': '/', ':authority': 'a' });
  const client = await dial(t.proxy.port);
  client.send(request);
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  client.take();
  client.send('frame');
  assert.equal(await client.until('frame'), 'frame');
  client.socket.destroy();
});

test('draining sends GOAWAY, and running streams end', async () => {
  let answer: () => void = () => undefined;
  let arrived: () => void = () => undefined;
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const upstream = await h2Upstream((stream) => {
    answer = () => {
      stream.respond({ ':status': 200 });
      stream.end('late');
    };
    arrived();
  });
  await using t = await setup(upstream, { protocol: 'http2' });
  const pending = ask(t.client, { ':path': '/', ':authority': 'a' });
  await arrival;
  const goaway = once(t.client, 'goaway');
  t.proxy.handler.drain();
  await goaway;
  answer();
  assert.equal((await pending).body, 'late');
  while (t.proxy.handler.active > 0) await new Promise((resolve) => setImmediate(resolve));
});

test('the protocol follows the client where the cluster says so', async () => {
  const seen: string[] = [];
  const upstream = await rawUpstream((wire) => {
    wire.socket.once('data', (data: Buffer) => {
      seen.push(data.toString('latin1', 0, 3));
      wire.socket.end(data[0] === 71 ? response('old') : '');
    });
  });
  await using t = await setup(upstream, { protocol: 'downstream' });
  assert.equal((await ask(t.client, { ':path': '/', ':authority': 'a' })).headers[':status'], 503);
  const client = await dial(t.proxy.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until('old');
  assert.deepEqual(seen, ['PRI', 'GET']);
  client.socket.destroy();
});

test('where ALPN decides, one connection serves all if it is HTTP/2', async () => {
  const upstream = await h2Upstream((stream) => {
    stream.respond({ ':status': 200 });
    stream.end('h2');
  });
  await using t = await setup(upstream, { protocol: 'alpn' });
  t.cluster.alpn = 'h2';
  const one = () => ask(t.client, { ':path': '/', ':authority': 'a' });
  assert.equal((await one()).body, 'h2');
  assert.deepEqual(
    (await Promise.all([one(), one(), one()])).map(({ body }) => body),
    ['h2', 'h2', 'h2'],
  );
  assert.equal(upstream.sessions.length, 1);
});

test('where ALPN decides and the server does not know HTTP/2, it is HTTP/1.1', async () => {
  await using t = await setup(await answering(() => response('old')), { protocol: 'alpn' });
  assert.equal((await ask(t.client, { ':path': '/', ':authority': 'a' })).body, 'old');
});

test('a request that breaks off does not reach an HTTP/2 upstream as a whole one', async () => {
  const came = Promise.withResolvers<void>();
  const outcome = Promise.withResolvers<string>();
  const upstream = await h2Upstream((stream) => {
    stream.on('data', () => came.resolve());
    stream.on('end', () => {
      if (!stream.aborted) outcome.resolve('end');
    });
    stream.on('aborted', () => outcome.resolve('aborted'));
  });
  await using t = await setup(upstream, { protocol: 'http2' });
  const client = await dial(t.proxy.port);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
  await came.promise;
  client.socket.destroy();
  assert.equal(await outcome.promise, 'aborted');
});

test('a slow HTTP/2 reader holds an HTTP/1.1 upstream back', async () => {
  const flood = new Flood(32 * 1024 * 1024);
  const upstream = await rawUpstream((wire) => {
    wire.socket.once('data', () => {
      wire.send(`HTTP/1.1 200 OK\r\ncontent-length: ${flood.total}\r\n\r\n`);
      flood.start(wire.socket);
    });
  });
  await using t = await setup(upstream);
  const stream = t.client.request({ ':path': '/', ':authority': 'a' });
  await once(stream, 'response');
  await flood.atRest();
  assert.ok(flood.written < flood.total / 2, `the upstream wrote ${flood.written} bytes`);
  const pieces: Buffer[] = [];
  stream.on('data', (data: Buffer) => pieces.push(data));
  await once(stream, 'end');
  const read = Buffer.concat(pieces);
  assert.equal(read.length, flood.total);
  assertInOrder(read);
});

test('too many fields, and a field that HTTP/2 does not have, end the stream and not the process', async () => {
  await using t = await setup(await echo(), { manager: { commonHttpProtocolOptions: { maxHeadersCount: 10 } } });
  const many: http2.OutgoingHttpHeaders = { ':path': '/', ':authority': 'a' };
  for (let i = 0; i < 50; i++) many[`x-${i}`] = '1';
  const stream = t.client.request(many);
  stream.on('error', () => undefined);
  await closed(stream);
  assert.notEqual(stream.rstCode, http2.constants.NGHTTP2_NO_ERROR);
  assert.equal((await ask(t.client, { ':path': '/', ':authority': 'a' })).headers[':status'], 200);
});
