import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import { fakeCluster, type ProxyOptions, routesTo, startProxy } from './testing.ts';
import { answering, dial, echo, type RawUpstream, rawUpstream, response } from './testing-sockets.ts';

async function proxyTo(upstream: RawUpstream, options: Partial<ProxyOptions> = {}) {
  const cluster = fakeCluster('upstream', [upstream.port]);
  const proxy = await startProxy({ clusters: [cluster], routes: routesTo('upstream'), ...options });
  return {
    proxy,
    cluster,
    async [Symbol.asyncDispose]() {
      await proxy.close();
      await upstream.close();
    },
  };
}

const duration = (seconds: number) => create(DurationSchema, { seconds: BigInt(seconds) });

test('a request is forwarded and answered; the record tells of it', async () => {
  await using t = await proxyTo(await echo());
  const client = await dial(t.proxy.port);
  client.send('GET /a?b=c HTTP/1.1\r\nHost: www.example.com\r\nX-Mine: 1\r\n\r\n');
  const text = await client.until('\r\n\r\n', 2);
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(text, /\r\nserver: envoy\r\n/);
  assert.match(text, /\r\nx-envoy-upstream-service-time: \d+\r\n/);
  assert.match(text, /\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
  assert.match(
    text,
    /GET \/a\?b=c HTTP\/1\.1\r\nhost: www\.example\.com\r\nx-mine: 1\r\nx-forwarded-proto: http\r\nx-request-id: [0-9a-f-]{36}\r\n/,
  );
  const record = await t.proxy.nextRecord();
  assert.equal(record.responseCode, 200);
  assert.equal(record.responseCodeDetails, 'via_upstream');
  assert.equal(record.protocol, 'HTTP/1.1');
  assert.equal(record.upstreamCluster, 'upstream');
  assert.equal(record.upstreamHost?.text, `127.0.0.1:${t.cluster.hosts[0]!.address.port}`);
  assert.equal(record.attempts, 1);
  assert.deepEqual(record.flags, []);
  assert.ok(
    record.bytesSent > 0 && record.started > 0 && record.ended >= record.responseStarted && record.responseStarted >= record.started,
  );
  client.socket.destroy();
});

test('connections are kept on both sides and requests may be pipelined', async () => {
  const upstream = await answering((head) => response(head.split(' ')[1]!));
  await using t = await proxyTo(upstream);
  const client = await dial(t.proxy.port);
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
  client.send(get('/1') + get('/2') + get('/3'));
  const text = await client.until('/3');
  assert.deepEqual(text.match(/\/\d$|\/\d(?=HTTP)/g), ['/1', '/2', '/3']);
  assert.equal(upstream.wires.length, 1);
  client.socket.destroy();
});

test('bodies and trailers pass in both directions, chunked and by length', async () => {
  const upstream = await rawUpstream((wire) => {
    wire.socket.on('data', () => {
      if (!wire.text.endsWith('0\r\nx-trailer: 1\r\n\r\n')) return;
      wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: y\r\n\r\n3\r\nabc\r\n0\r\ny: 2\r\n\r\n');
    });
  });
  const clusters = [{ ...fakeCluster('upstream', [upstream.port]), trailers: true }];
  await using t = await proxyTo(upstream, { clusters, manager: { httpProtocolOptions: { enableTrailers: true } } });
  const client = await dial(t.proxy.port);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\nX-Trailer: 1\r\n\r\n');
  const text = await client.until('y: 2\r\n\r\n');
  assert.match(text, /transfer-encoding: chunked\r\n[\s\S]*\r\n3\r\nabc\r\n0\r\ny: 2\r\n\r\n$/);
  assert.match(upstream.wires[0]!.text, /transfer-encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\nx-trailer: 1\r\n\r\n$/);
  const record = await t.proxy.nextRecord();
  assert.equal(record.bytesReceived, 4);
  assert.equal(record.bytesSent, 3);
  assert.deepEqual(record.responseTrailers?.flat, ['y', '2']);
  client.socket.destroy();
});

test('trailers of HTTP/1 go no further unless `enable_trailers` is set', async () => {
  const upstream = await rawUpstream((wire) => {
    wire.socket.on('data', () => {
      if (!wire.text.endsWith('0\r\n\r\n')) return;
      wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\ny: 2\r\n\r\n');
    });
  });
  await using t = await proxyTo(upstream);
  const client = await dial(t.proxy.port);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\nX-Trailer: 1\r\n\r\n');
  assert.match(await client.until('0\r\n\r\n'), /\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/);
  assert.match(upstream.wires[0]!.text, /\r\n\r\n4\r\nwxyz\r\n0\r\n\r\n$/);
  client.socket.destroy();
});

test('a small request and its body are one write, and so is a small response', async () => {
  await using t = await proxyTo(await answering(() => response('hello')));
  const client = await dial(t.proxy.port);
  const reads: string[] = [];
  client.socket.on('data', (data: Buffer) => reads.push(data.toString()));
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc');
  await client.until('hello');
  assert.equal(reads.length, 1);
  client.socket.destroy();
});

test('HEAD, 204 and 304 have no body, whatever they claim', async () => {
  const upstream = await answering((head) => {
    if (head.startsWith('HEAD')) return 'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n';
    if (head.includes('/304')) return 'HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n';
    return 'HTTP/1.1 204 No Content\r\n\r\n';
  });
  await using t = await proxyTo(upstream);
  const client = await dial(t.proxy.port);
  client.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await client.until('\r\n\r\n'), /content-length: 99\r\n/);
  client.take();
  client.send('GET /304 HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await client.until('\r\n\r\n'), /304 Not Modified\r\ncontent-length: 99/);
  client.take();
  client.send('GET /204 HTTP/1.1\r\nHost: a\r\n\r\n');
  const text = await client.until('\r\n\r\n');
  assert.match(text, /204 No Content/);
  assert.doesNotMatch(text, /content-length|transfer-encoding/);
  assert.equal(upstream.wires.length, 1);
  client.socket.destroy();
});

test('a response that ends with its connection becomes chunked, and the connection is not used on', async () => {
  const upstream = await rawUpstream((wire) => {
    wire.socket.once('data', () => wire.socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end'));
  });
  await using t = await proxyTo(upstream);
  const client = await dial(t.proxy.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await client.until('0\r\n\r\n'), /transfer-encoding: chunked\r\n[\s\S]*\r\nd\r\nuntil the end\r\n0\r\n\r\n$/);
  client.take();
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until('0\r\n\r\n');
  assert.equal(upstream.wires.length, 2);
  client.socket.destroy();
});

test('connection: close of the client ends the connection after the response', async () => {
  await using t = await proxyTo(await answering(() => response('bye')));
  const client = await dial(t.proxy.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.match(await client.end(), /connection: close\r\n[\s\S]*bye$/);
});

test('a connection is over with the response where the client has said its last, and else once the client ends it', async () => {
  const manager = { delayedCloseTimeout: duration(3600), commonHttpProtocolOptions: { maxRequestsPerConnection: 1 } };
  await using t = await proxyTo(await answering(() => response('bye')), { manager });
  for (const [fields, open] of [
    ['Connection: close\r\n', 0],
    ['', 1],
  ] as const) {
    const socket = connect({ port: t.proxy.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.write(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
    assert.match(await text(socket), /connection: close\r\n[\s\S]*bye$/);
    while (t.proxy.handler.active > open) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(t.proxy.handler.active, open);
    socket.end();
    while (t.proxy.handler.active > 0) await new Promise((resolve) => setImmediate(resolve));
  }
});

test('connection: close of the upstream ends only its connection', async () => {
  const upstream = await answering(() => response('x', 'connection: close\r\n'));
  await using t = await proxyTo(upstream);
  const client = await dial(t.proxy.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.doesNotMatch(await client.until('\r\n\r\nx'), /connection: close/);
  client.take();
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until('\r\n\r\nx');
  assert.equal(upstream.wires.length, 2);
  client.socket.destroy();
});

test('Expect: 100-continue is answered by the proxy', async () => {
  const upstream = await answering(() => response('ok'));
  await using t = await proxyTo(upstream);
  const client = await dial(t.proxy.port);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n');
  assert.equal(await client.until('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n');
  client.send('abc');
  await client.until('ok');
  assert.doesNotMatch(upstream.wires[0]!.text, /expect:/);
  client.socket.destroy();
});

test('Expect: 100-continue passes through with proxy_100_continue', async () => {
  const upstream = await rawUpstream((wire) => {
    wire.socket.on('data', () => {
      if (wire.text.endsWith('\r\n\r\n')) wire.send('HTTP/1.1 100 Continue\r\n\r\n');
      if (wire.text.endsWith('abc')) wire.send(response('ok'));
    });
  });
  await using t = await proxyTo(upstream, { manager: { proxy100Continue: true } });
  const client = await dial(t.proxy.port);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n');
  assert.equal(await client.until('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n');
  client.send('abc');
  assert.match(await client.until('ok'), /HTTP\/1\.1 200 OK/);
  assert.match(upstream.wires[0]!.text, /expect: 100-continue/);
  client.socket.destroy();
});

test('informational responses of upstreams end at the proxy', async () => {
  await using t = await proxyTo(await answering(() => `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${response('x')}`));
  const client = await dial(t.proxy.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await client.until('\r\n\r\nx'), /^HTTP\/1\.1 200 OK\r\n/);
  client.socket.destroy();
});

test('the absolute form replaces Host', async () => {
  await using t = await proxyTo(await echo());
  const client = await dial(t.proxy.port);
  client.send('GET http://user@api.example.com/?x HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
  assert.match(await client.until('\r\n\r\n', 2), /GET \/\?x HTTP\/1\.1\r\nhost: api\.example\.com\r\n/);
  client.take();
  // Without a path there is none to route by.
  client.send('GET http://api.example.com?x HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 404 /);
  client.socket.destroy();
});

test('a WebSocket: 101, then bytes both ways; the client ends it', async () => {
  const upstream = await rawUpstream((wire) => {
    let open = false;
    wire.socket.on('data', (data: Buffer) => {
      if (open) wire.socket.write(data);
      else {
        open = true;
        wire.send('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello');
      }
    });
  });
  await using t = await proxyTo(upstream, { manager: { upgradeConfigs: [{ upgradeType: 'websocket' }] } });
  const client = await dial(t.proxy.port);
  client.send('GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly');
  const text = await client.until('helloearly');
  assert.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  assert.match(text, /connection: Upgrade\r\nupgrade: websocket\r\n/i);
  assert.match(upstream.wires[0]!.text, /connection: Upgrade\r\nupgrade: websocket\r\n/i);
  client.send('frame');
  await client.until('frame');
  client.socket.destroy();
  const record = await t.proxy.nextRecord();
  assert.equal(record.responseCode, 101);
  assert.deepEqual(record.flags, ['DC']);
  assert.equal(record.responseCodeDetails, 'downstream_remote_disconnect');
  await (await upstream.wire(0)).end();
});

for (const [status, body, details] of [
  [200, '', 'websocket_handshake_unsuccessful'],
  [403, 'no', 'via_upstream'],
] as const) {
  test(`a WebSocket that the upstream answers with ${status} is the connection's last request`, async () => {
    const upstream = await rawUpstream((wire) => {
      wire.socket.on('data', () => wire.send(`HTTP/1.1 ${status} X\r\nx-mine: 1\r\ncontent-length: 2\r\n\r\nno`));
    });
    await using t = await proxyTo(upstream, { manager: { upgradeConfigs: [{ upgradeType: 'websocket' }] } });
    const client = await dial(t.proxy.port);
    client.send('GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    await client.end();
    assert.match(client.take(), new RegExp(`^HTTP/1.1 ${status} [^]*x-mine: 1[^]*connection: close\r\n\r\n${body}$`));
    assert.equal((await t.proxy.nextRecord()).responseCodeDetails, details);
  });
}

test('a response that comes before the end of its request ends the connection, and says so', async () => {
  const upstream = await rawUpstream((wire) => {
    wire.socket.on('data', () => wire.send('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'));
  });
  await using t = await proxyTo(upstream);
  const client = await dial(t.proxy.port);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc');
  await client.end();
  const text = client.take();
  assert.match(text, /connection: close\r\n\r\nhi$/);
  assert.ok(!text.includes('x-envoy-upstream-service-time'));
});

test('an upgrade that is not enabled is refused', async () => {
  await using t = await proxyTo(await echo());
  const client = await dial(t.proxy.port);
  client.send('GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 403 Forbidden/);
  assert.equal((await t.proxy.nextRecord()).responseCodeDetails, 'upgrade_failed');
  client.socket.destroy();
});

const CONNECT_ROUTES = (terminate: boolean): ProxyOptions['routes'] => ({
  virtualHosts: [
    {
      name: 'all',
      domains: ['*'],
      routes: [
        {
          match: { pathSpecifier: { case: 'connectMatcher', value: {} } },
          action: {
            case: 'route',
            value: {
              clusterSpecifier: { case: 'cluster', value: 'upstream' },
              upgradeConfigs: [{ upgradeType: 'CONNECT', ...(terminate ? { connectConfig: {} } : {}) }],
            },
          },
        },
      ],
    },
  ],
});

test('CONNECT that ends here becomes a TCP connection', async () => {
  const upstream = await rawUpstream((wire) => wire.socket.on('data', (data: Buffer) => wire.socket.write(data)));
  await using t = await proxyTo(upstream, { routes: CONNECT_ROUTES(true) });
  const client = await dial(t.proxy.port);
  client.send('CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n\r\n');
  const head = await client.until('\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  assert.doesNotMatch(head, /content-length|transfer-encoding/);
  client.take();
  client.send('bytes');
  assert.equal(await client.until('bytes'), 'bytes');
  client.socket.destroy();
});

test('a client that leaves while its CONNECT is on its way leaves no connection behind', async () => {
  const upstream = await rawUpstream();
  await using t = await proxyTo(upstream, { routes: CONNECT_ROUTES(true) });
  const { promise: asked, resolve: ask } = Promise.withResolvers<() => void>();
  const { connect } = t.cluster;
  t.cluster.connect = (host, options, done) => {
    ask(() => connect(host, options, done));
    return () => undefined;
  };
  const client = await dial(t.proxy.port);
  client.send('CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n\r\n');
  const goOn = await asked;
  client.socket.destroy();
  assert.deepEqual((await t.proxy.nextRecord()).flags, ['DC']);
  goOn();
  const wire = await upstream.wire(0);
  await wire.end();
});

test('CONNECT that goes on is forwarded as it is', async () => {
  const upstream = await rawUpstream((wire) => {
    wire.socket.once('data', () => wire.send('HTTP/1.1 200 Connected\r\n\r\nserver first'));
  });
  await using t = await proxyTo(upstream, { routes: CONNECT_ROUTES(false) });
  const client = await dial(t.proxy.port);
  client.send('CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n\r\n');
  assert.match(await client.until('server first'), /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(upstream.wires[0]!.text, /^CONNECT www\.example\.com:443 HTTP\/1\.1\r\nhost: www\.example\.com:443\r\n/);
  client.socket.destroy();
});

test('CONNECT without a route for it is 404', async () => {
  await using t = await proxyTo(await echo());
  const client = await dial(t.proxy.port);
  client.send('CONNECT www.example.com:80 HTTP/1.1\r\nHost: www.example.com:80\r\n\r\n');
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 404 Not Found/);
  const record = await t.proxy.nextRecord();
  assert.deepEqual([record.flags, record.responseCodeDetails], [['NR'], 'route_not_found']);
  client.socket.destroy();
});

test('HTTP/1.0 is refused with 426 unless it is accepted', async () => {
  await using t = await proxyTo(await echo());
  const client = await dial(t.proxy.port);
  client.send('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
  assert.match(await client.end(), /^HTTP\/1\.1 426 Upgrade Required\r\n[\s\S]*content-type: text\/plain\r\n[\s\S]*Upgrade Required$/);
  const record = await t.proxy.nextRecord();
  assert.deepEqual([record.responseCode, record.flags, record.responseCodeDetails], [426, ['DPE'], 'low_version']);
});

test('an accepted HTTP/1.0 client gets no chunks, and keep-alive only if it asks', async () => {
  const upstream = await answering((head) =>
    head.includes('/chunked') ? 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n' : response('x'),
  );
  await using t = await proxyTo(upstream, {
    manager: { httpProtocolOptions: { acceptHttp10: true, defaultHostForHttp10: 'default.example' } },
  });
  const client = await dial(t.proxy.port);
  client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  assert.match(await client.until('\r\n\r\nx'), /connection: keep-alive\r\n/);
  assert.match(upstream.wires[0]!.text, /host: default\.example\r\n/);
  client.take();
  client.send('GET /chunked HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n');
  const text = await client.end();
  assert.match(text, /connection: close\r\n[\s\S]*\r\nabc$/);
  assert.doesNotMatch(text, /transfer-encoding/);
});

const REFUSED: readonly (readonly [name: string, request: string, status: number, details: string, body: string])[] = [
  [
    'both framings',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'http1.content_length_and_chunked_not_allowed',
    'Bad Request',
  ],
  [
    'another coding',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
    501,
    'http1.invalid_transfer_encoding',
    'Not Implemented',
  ],
  [
    'two lengths',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc',
    400,
    'http1.codec_error',
    'Bad Request',
  ],
  ['a space before a colon', 'GET / HTTP/1.1\r\nHost: a\r\nx : 1\r\n\r\n', 400, 'http1.codec_error', 'Bad Request'],
  ['a lower-case method', 'get / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'http1.codec_error', 'Bad Request'],
  ['a target without slash', 'GET nopath HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'http1.codec_error', 'Bad Request'],
  ['a target that has no path but a fragment', 'GET http://h#f HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'http1.codec_error', 'Bad Request'],
  ['a port that is none in the target', 'GET http://h:99999/ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'http1.invalid_url', 'Bad Request'],
  ['another version', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 426, 'low_version', 'Upgrade Required'],
  ['a first line of another protocol', 'SSH-2.0-x\r\n', 400, 'http1.codec_error', 'Bad Request'],
  ['another scheme', 'GET ftp://h/ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'http1.invalid_scheme', 'Bad Request'],
  ['CONNECT without port', 'CONNECT www HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'http1.invalid_url', 'Bad Request'],
  [
    'CONNECT with a body',
    'CONNECT www:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx',
    400,
    'http1.content_length_not_allowed',
    'Bad Request',
  ],
  [
    'a large head',
    `GET / HTTP/1.1\r\nHost: a\r\nx: ${'b'.repeat(70_000)}\r\n\r\n`,
    431,
    'http1.headers_too_large',
    'Request Header Fields Too Large',
  ],
  [
    'many fields',
    `GET / HTTP/1.1\r\nHost: a\r\n${'x: 1\r\n'.repeat(100)}\r\n`,
    431,
    'http1.too_many_headers',
    'Request Header Fields Too Large',
  ],
  ['bytes that are not HTTP', '\x16\x03\x01\x02\x00\x01\n\n', 400, 'http1.codec_error', 'Bad Request'],
];

for (const [name, request, status, details, body] of REFUSED) {
  test(`the client is told: ${name}`, async () => {
    const upstream = await echo();
    await using t = await proxyTo(upstream);
    const client = await dial(t.proxy.port);
    client.send(request);
    const text = await client.end();
    assert.match(
      text,
      new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*content-type: text/plain\\r\\n[\\s\\S]*connection: close\\r\\n[\\s\\S]*\\r\\n${body}$`),
    );
    const record = await t.proxy.nextRecord();
    assert.deepEqual([record.responseCode, record.flags, record.responseCodeDetails], [status, ['DPE'], details]);
    assert.equal(upstream.wires.length, 0);
  });
}

test('a damaged chunk in a body that is under way is answered with 400 and not passed on', async () => {
  const upstream = await rawUpstream();
  await using t = await proxyTo(upstream);
  const client = await dial(t.proxy.port);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n');
  await (await upstream.wire(0)).until('a\r\n');
  client.send('zz\r\n');
  assert.match(await client.end(), /^HTTP\/1\.1 400 Bad Request/);
  const record = await t.proxy.nextRecord();
  assert.deepEqual([record.responseCode, record.flags, record.responseCodeDetails], [400, ['DPE'], 'http1.codec_error']);
  assert.doesNotMatch(await upstream.wires[0]!.end(), /0\r\n\r\n$/);
});

test('HTTP/1.1 without Host is 400', async () => {
  await using t = await proxyTo(await echo());
  const client = await dial(t.proxy.port);
  client.send('GET / HTTP/1.1\r\n\r\n');
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request/);
  assert.equal((await t.proxy.nextRecord()).responseCodeDetails, 'missing_host_header');
  client.socket.destroy();
});

test('an asterisk, and a path with an escaped NUL, go nowhere', async () => {
  await using t = await proxyTo(await echo(), { manager: { normalizePath: true } });
  const client = await dial(t.proxy.port);
  client.send('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 404 Not Found/);
  assert.equal((await t.proxy.nextRecord()).responseCodeDetails, 'absolute_path_rejected');
  client.take();
  client.send('GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request/);
  assert.equal((await t.proxy.nextRecord()).responseCodeDetails, 'path_normalization_failed');
  client.socket.destroy();
});

test('a client that leaves while its request runs is DC, and the upstream connection ends', async () => {
  const upstream = await rawUpstream();
  await using t = await proxyTo(upstream);
  const client = await dial(t.proxy.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const wire = await upstream.wire(0);
  await wire.until('\r\n\r\n');
  client.socket.end();
  const record = await t.proxy.nextRecord();
  assert.deepEqual([record.responseCode, record.flags, record.responseCodeDetails], [0, ['DC'], 'downstream_remote_disconnect']);
  await wire.end();
  assert.equal(t.cluster.limits.requests.used, 0);
  assert.equal(t.cluster.hosts[0]!.active, 0);
});

test('a client that leaves after its body is noticed while the answer is awaited', async () => {
  const upstream = await rawUpstream();
  await using t = await proxyTo(upstream);
  const client = await dial(t.proxy.port);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc');
  const wire = await upstream.wire(0);
  await wire.until('abc');
  client.socket.end();
  assert.deepEqual((await t.proxy.nextRecord()).flags, ['DC']);
  await wire.end();
});

test('an upgrade to h2c is passed over', async () => {
  await using t = await proxyTo(await echo());
  const client = await dial(t.proxy.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n');
  const text = await client.until('\r\n\r\n', 2);
  assert.match(text, /^HTTP\/1\.1 200 OK/);
  assert.doesNotMatch(text, /upgrade|http2-settings/i);
  client.socket.destroy();
});

test('an early response to a request that is still coming arrives whole, and the connection ends', async () => {
  const upstream = await rawUpstream((wire) => wire.socket.once('data', () => wire.send(response('early'))));
  await using t = await proxyTo(upstream);
  const client = await dial(t.proxy.port);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc');
  assert.match(await client.end(), /early$/);
  await upstream.wires[0]!.end();
});

test('a request for another authority goes back to the listener', async () => {
  const upstream = await echo();
  const handedBack: Buffer[] = [];
  await using t = await proxyTo(upstream, {
    downstream: {
      reenter: (unread) => {
        handedBack.push(unread);
        back();
      },
    },
  });
  let back: () => void = () => undefined;
  const returned = new Promise<void>((resolve) => {
    back = resolve;
  });
  const client = await dial(t.proxy.port);
  client.send('GET http://a/1 HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until('\r\n\r\n', 2);
  client.send('GET http://a/2 HTTP/1.1\r\nHost: a\r\n\r\nGET http://b/3 HTTP/1.1\r\nHost: b\r\n\r\nGET http://b/4 HTTP/1.1\r\n');
  await returned;
  assert.equal(handedBack.length, 1);
  assert.equal(handedBack[0]!.toString(), 'GET http://b/3 HTTP/1.1\r\nHost: b\r\n\r\nGET http://b/4 HTTP/1.1\r\n');
  assert.equal(t.proxy.handler.active, 0);
  assert.match(await client.until('/2'), /\/2/);
  client.socket.destroy();
});

test('who listens for the close of a client’s socket hears it when the connection ends, and not before', async () => {
  const told: string[] = [];
  const onSocket: ProxyOptions['onSocket'] = (socket) => socket.once('close', () => told.push('closed'));
  await using t = await proxyTo(await echo(), { onSocket });
  const client = await dial(t.proxy.port);
  for (const count of [2, 4]) {
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until('\r\n\r\n', count);
    assert.deepEqual([told, t.proxy.handler.active], [[], 1]);
  }
  client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  await client.end();
  client.socket.destroy();
  while (t.proxy.handler.active > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(told, ['closed']);
});
