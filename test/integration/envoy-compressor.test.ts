/**
 * Compressed responses (`envoy.filters.http.compressor`) on a stock Envoy and on the embedded data plane: heads are the same byte for byte, save what time
 * makes of them, and bodies the same once they are read. Envoy is the one that `scripts/fetch-envoy.ts` finds (SALLYPORT_ENVOY, PATH or its cache).
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, describe, type TestContext, test } from 'node:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { JsonObject } from '@bufbuild/protobuf';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { accessLog, cluster, dataPlane, folder, listener, logged, readAll, typed } from './dataplane/support.ts';
import { startEnvoy } from './envoy-process.ts';

const ENVOY = findEnvoy();
const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const TYPE = 'envoy.extensions.filters.http.compressor.v3.Compressor';
const LIBRARIES = {
  gzip: 'envoy.extensions.compression.gzip.compressor.v3.Gzip',
  br: 'envoy.extensions.compression.brotli.compressor.v3.Brotli',
  zstd: 'envoy.extensions.compression.zstd.compressor.v3.Zstd',
};
const DECODERS: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  gzip: gunzipSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
};

const compressor = (
  library: keyof typeof LIBRARIES,
  response: JsonObject = {},
  more: JsonObject = {},
  settings: JsonObject = {},
): JsonObject => ({
  name: `compressor.${library}`,
  typedConfig: typed(TYPE, {
    compressorLibrary: { name: library, typedConfig: typed(LIBRARIES[library], settings) },
    responseDirectionConfig: response,
    ...more,
  }),
});
const ROUTER_FILTER = { name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') };

const TRAILERS = {
  typedExtensionProtocolOptions: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', {
      explicitHttpConfig: { httpProtocolOptions: { enableTrailers: true } },
    }),
  },
};

const TEXT = 'All work and no play. '.repeat(100);
/** What the server behind was asked with. */
let accepted: string[] = [];
/** Answers with what the query says: fields, `status`, `pieces` of the body that come apart, `body` in place of the usual one. */
const upstream = createServer((message, response) => {
  accepted.push(String(message.headers['accept-encoding']).replaceAll(', ', ','));
  const query = new URL(message.url!, 'http://a').searchParams;
  response.sendDate = false;
  response.statusCode = Number(query.get('status') ?? 200);
  for (const [name, value] of query) if (!['status', 'pieces', 'body', 'trailer'].includes(name)) response.appendHeader(name, value);
  if (!query.has('content-type')) response.setHeader('content-type', 'text/plain');
  const body = query.get('body') ?? TEXT;
  const pieces = Number(query.get('pieces') ?? 0);
  if (pieces === 0) {
    response.end(body);
    return;
  }
  for (let i = 0; i < pieces; i++) response.write(body);
  if (query.has('trailer')) response.addTrailers({ 'x-trailer': 'last' });
  response.end();
});

before(async () => {
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
});
after(() => {
  upstream.closeAllConnections();
  upstream.close();
});

type Both = readonly [envoy: number, embedded: number];

async function engines(
  t: TestContext,
  filters: readonly JsonObject[],
  more: JsonObject = {},
  routes: readonly JsonObject[] = [],
): Promise<Both> {
  const manager = (own: JsonObject) =>
    typed(HCM, {
      statPrefix: 'x',
      httpFilters: [...filters, ROUTER_FILTER],
      routeConfig: {
        name: 'rc',
        virtualHosts: [{ name: 'v', domains: ['*'], routes: [...routes, { match: { prefix: '/' }, route: { cluster: 'upstream' } }] }],
      },
      httpProtocolOptions: { enableTrailers: true },
      delayedCloseTimeout: '0s',
      ...own,
    });
  const of = (own: JsonObject) => listener('l', [{ filters: [{ name: 'hcm', typedConfig: manager(own) }] }]);
  const clusters = [cluster('upstream', [(upstream.address() as AddressInfo).port], TRAILERS)];
  const envoy = await startEnvoy(ENVOY!, of({}), clusters);
  t.after(() => envoy.stop());
  const plane = await dataPlane(t);
  assert.deepEqual((await plane.set({ listeners: [of(more)], clusters })).rejected, []);
  return [envoy.port, plane.port('l')];
}

interface Sent {
  readonly path?: string;
  readonly method?: string;
  /** Null: no such line. */
  readonly accept?: string | null;
  /** More lines of the request. */
  readonly lines?: string;
}

/** The head as it came, without what time makes of it, and the body as it is read. */
async function ask(port: number, { path = '/', method = 'GET', accept = 'gzip', lines = '' }: Sent) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const accepts = accept === null ? '' : `accept-encoding: ${accept}\r\n`;
  socket.write(`${method} ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${accepts}${lines}\r\n`);
  const bytes = await readAll(socket);
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes
    .subarray(0, end)
    .toString('latin1')
    .replace(/^date: .*\r\n/m, '')
    // As the request asks for it; codecs have places of their own for it.
    .replace(/^connection: close(?:\r\n|$)/m, '')
    .trimEnd()
    .replace(/^x-envoy-upstream-service-time: .*\r\n/m, '');
  const { body, trailers } = bodyOf(bytes.subarray(end + 4), method !== 'HEAD' && /^transfer-encoding: chunked$/im.test(head));
  const encoding = /^content-encoding: (.*)$/m.exec(head)?.[1] ?? '';
  const decoder = DECODERS[encoding];
  // Of a response without body, where Envoy says how one would have been framed.
  const framed = method === 'HEAD' ? head.replace(/\r\ntransfer-encoding: chunked/, '') : head;
  return { head: framed, text: (decoder && body.length > 0 ? decoder(body) : body).toString('latin1'), trailers, encoding };
}

function bodyOf(bytes: Buffer, chunked: boolean): { body: Buffer; trailers: string } {
  if (!chunked) return { body: bytes, trailers: '' };
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at);
    const length = Number.parseInt(bytes.subarray(at, line).toString('latin1'), 16);
    assert.ok(length >= 0, `no chunk: ${bytes.length} bytes, at ${at}`);
    if (length === 0) return { body: Buffer.concat(pieces), trailers: bytes.subarray(line + 2).toString('latin1') };
    pieces.push(bytes.subarray(line + 2, line + 2 + length));
    at = line + 2 + length + 2;
  }
}

/** The outcome on Envoy, which has to be the embedded data plane's as well. */
async function same([envoy, own]: Both, sent: Sent = {}) {
  accepted = [];
  const expected = { ...(await ask(envoy, sent)), accepted };
  accepted = [];
  assert.deepEqual({ ...(await ask(own, sent)), accepted }, expected, JSON.stringify(sent));
  return expected;
}

const field = (name: string, value: string) => `/?${name}=${encodeURIComponent(value)}`;

describe('compressed responses beside Envoy', { skip: ENVOY ? false : 'there is no Envoy' }, () => {
  for (const library of ['gzip', 'br', 'zstd'] as const)
    test(`by ${library}`, async (t) => {
      const both = await engines(t, [compressor(library)]);
      const { encoding, text, head } = await same(both, { accept: library });
      assert.equal(encoding, library);
      assert.equal(text, TEXT);
      assert.match(head, /vary: Accept-Encoding/);
      assert.equal((await same(both, { accept: library, path: '/?pieces=3' })).text, TEXT.repeat(3));
      assert.match((await same(both, { accept: library, path: '/?pieces=2&trailer=1' })).trailers, /x-trailer: last/);
      assert.equal((await same(both, { accept: library, method: 'HEAD' })).text, '');
      assert.equal((await same(both, { accept: library, path: '/?pieces=200' })).text.length, TEXT.length * 200);
    });

  test('which responses', async (t) => {
    const both = await engines(t, [compressor('gzip')]);
    const paths: Record<string, boolean> = {
      [field('content-type', 'text/html; charset=utf-8')]: true,
      [field('content-type', 'Text/HTML')]: true,
      [field('content-type', 'application/grpc')]: false,
      [field('content-type', 'image/png')]: false,
      [field('content-type', '')]: false,
      [field('body', 'x'.repeat(29))]: false,
      [field('body', 'x'.repeat(30))]: true,
      [`${field('body', 'x')}&pieces=1`]: true,
      [field('content-encoding', 'deflate')]: false,
      [field('cache-control', 'no-transform')]: false,
      [field('cache-control', 'max-age=1, No-Transform')]: false,
      [field('cache-control', 'max-age=1')]: true,
      [field('etag', '"strong"')]: true,
      [field('etag', 'W/"weak"')]: true,
      [field('etag', 'w/"weak"')]: true,
      [field('etag', '""')]: true,
      [field('vary', 'Cookie')]: true,
      [field('vary', 'Accept-Encoding')]: true,
      [field('vary', 'accept-encoding')]: true,
      [field('vary', '*')]: true,
      '/?vary=a&vary=b': true,
      '/?status=404': true,
      '/?status=204&body=': false,
      '/?status=304&body=': false,
      '/?status=206': true,
      '/?x-other=1': true,
    };
    for (const [path, expected] of Object.entries(paths)) assert.equal((await same(both, { path })).encoding === 'gzip', expected, path);
  });

  test('for which clients', async (t) => {
    const both = await engines(t, [compressor('gzip')]);
    const accepts: Record<string, boolean> = {
      gzip: true,
      'deflate, gzip;q=0.5': true,
      'gzip;q=0': false,
      'gzip;q=0.0, *': false,
      '*': true,
      '*;q=0': false,
      'identity, gzip;q=0.5': false,
      'identity;q=0.5, gzip': true,
      'gzip;q=0.5, identity;q=0.5': true,
      'identity;q=0.5, gzip;q=0.5': false,
      'gzip;q=x': false,
      'gzip;level=1': true,
      'gzip ; q = 0.3 ,br': true,
      GZIP: false,
      br: false,
      'gzip;q=0, gzip': false,
    };
    for (const [accept, expected] of Object.entries(accepts))
      assert.equal((await same(both, { accept })).encoding === 'gzip', expected, accept);
    await same(both, { accept: null });
    await same(both, { accept: null, lines: 'accept-encoding: br\r\naccept-encoding: gzip\r\n' });
    await same(both, { accept: null, lines: 'accept-encoding: \r\n' });
  });

  test('several, of which a client chooses', async (t) => {
    const json = { commonConfig: { contentType: ['application/json'] } };
    const sets = [
      [compressor('gzip'), compressor('br'), compressor('zstd')],
      [compressor('gzip'), compressor('br', {}, { chooseFirst: true })],
      [compressor('br', json), compressor('gzip')],
    ];
    for (const filters of sets) {
      const both = await engines(t, filters);
      for (const accept of [
        'gzip, br',
        'br, gzip',
        'gzip;q=0.5, br;q=0.6',
        '*',
        'br;q=0, *',
        'gzip;q=0.1, *;q=0.5',
        'zstd, br, gzip',
        'zstd',
      ])
        for (const type of ['text/plain', 'application/json']) await same(both, { accept, path: field('content-type', type) });
    }
  });

  const RESPONSES: Readonly<Record<string, JsonObject>> = {
    'not where there is an etag': { disableOnEtagHeader: true },
    'etags become weak': { weakenEtagOnCompress: true, disableOnEtagHeader: true },
    'other sizes and types': { commonConfig: { minContentLength: 500, contentType: ['image/PNG'] } },
    'not these statuses': { uncompressibleResponseCodes: [404, 206] },
    'accept-encoding goes no further': { removeAcceptEncodingHeader: true },
    disabled: { commonConfig: { enabled: { defaultValue: false, runtimeKey: 'none' } }, removeAcceptEncodingHeader: true },
  };
  for (const [name, response] of Object.entries(RESPONSES))
    test(name, async (t) => {
      const both = await engines(t, [compressor('gzip', response)]);
      for (const path of [
        '/',
        '/?status=404',
        field('etag', '"a"'),
        field('etag', 'W/"a"'),
        field('content-type', 'image/png'),
        `${field('content-type', 'image/png')}&body=${'x'.repeat(499)}`,
      ])
        await same(both, { path });
    });

  test('settings of libraries', async (t) => {
    const all = [
      compressor('gzip', {}, {}, { memoryLevel: 9, windowBits: 15, compressionLevel: 'BEST_COMPRESSION', compressionStrategy: 'RLE' }),
      compressor(
        'br',
        {},
        {},
        { quality: 11, windowBits: 10, inputBlockBits: 16, encoderMode: 'FONT', disableLiteralContextModeling: true },
      ),
      compressor('zstd', {}, {}, { compressionLevel: 19, enableChecksum: true, strategy: 'BTULTRA2' }),
    ];
    const both = await engines(t, all);
    for (const accept of ['gzip', 'br', 'zstd']) assert.equal((await same(both, { accept })).encoding, accept);
  });

  test('what the proxy answers itself, and routes that say otherwise', async (t) => {
    const perRoute = (more: JsonObject) => ({ typedPerFilterConfig: { 'compressor.gzip': typed(`${TYPE}PerRoute`, more) } });
    const to = { route: { cluster: 'upstream' } };
    const routes: JsonObject[] = [
      { match: { path: '/direct' }, directResponse: { status: 200, body: { inlineString: TEXT } } },
      { match: { path: '/short' }, directResponse: { status: 200, body: { inlineString: 'short' } } },
      { match: { path: '/redirect' }, redirect: { hostRedirect: 'b' } },
      { match: { path: '/off' }, ...to, ...perRoute({ disabled: true }) },
      { match: { path: '/on' }, ...to, ...perRoute({ overrides: { responseDirectionConfig: {} } }) },
      { match: { path: '/removed' }, ...to, ...perRoute({ overrides: { responseDirectionConfig: { removeAcceptEncodingHeader: true } } }) },
      { match: { path: '/nowhere' }, route: { clusterHeader: ':authority' } },
    ];
    const off = { commonConfig: { enabled: { defaultValue: false, runtimeKey: 'none' } } };
    for (const response of [{}, off]) {
      const both = await engines(t, [compressor('gzip', response)], {}, routes);
      for (const path of ['/direct', '/short', '/redirect', '/off', '/on', '/removed', '/nowhere', '/']) {
        await same(both, { path });
        await same(both, { path, method: 'HEAD' });
      }
    }
  });

  test('a client that reads slowly slows down the server, and gets all of it', async (t) => {
    const path = `${folder(t)}/log`;
    const random = randomBytes(1 << 16);
    const pieces = 200;
    let left = pieces;
    const server = createServer((message, response) => {
      response.setHeader('content-type', 'text/plain');
      if (message.url === '/short') {
        response.end();
        return;
      }
      const write = () => {
        while (left > 0) {
          left--;
          if (response.write(random)) continue;
          response.once('drain', write);
          return;
        }
        response.end();
      };
      write();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const plane = await dataPlane(t);
    const manager = typed(HCM, {
      statPrefix: 'x',
      accessLog: accessLog(path),
      httpFilters: [compressor('gzip'), ROUTER_FILTER],
      routeConfig: {
        name: 'rc',
        virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'upstream', timeout: '0s' } }] }],
      },
    });
    const listeners = [listener('l', [{ filters: [{ name: 'hcm', typedConfig: manager }] }])];
    const ack = await plane.set({ listeners, clusters: [cluster('upstream', [(server.address() as AddressInfo).port])] });
    assert.deepEqual(ack.rejected, []);
    const socket = connect(plane.port('l'), '127.0.0.1');
    socket.pause();
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n');
    // Until nothing moves any more while other requests come and go.
    for (let before = -1; before !== left || left === pieces; ) {
      before = left;
      for (let i = 0; i < 20; i++) await ask(plane.port('l'), { path: '/short' });
    }
    assert.ok(left > 0);
    const all = readAll(socket);
    socket.resume();
    const bytes = await all;
    const { body } = bodyOf(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4), true);
    assert.equal(gunzipSync(body).length, pieces * random.length);
    const lines = await logged(plane, path, 2);
    assert.ok(lines.some(({ sent }) => sent === body.length));
  });
});
