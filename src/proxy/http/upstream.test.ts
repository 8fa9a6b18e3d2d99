import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessRecord } from '../types.ts';
import { type FakeCluster, fakeCluster, type Proxy, type ProxyOptions, routesTo, startProxy } from './testing.ts';
import { answering, assertInOrder, dial, Flood, type RawUpstream, rawUpstream, response, type Wire } from './testing-sockets.ts';

interface Setup {
  readonly proxy: Proxy;
  readonly cluster: FakeCluster;
  readonly client: Wire;
  [Symbol.asyncDispose](): Promise<void>;
}

async function setup(upstream: RawUpstream | undefined, options: Partial<ProxyOptions> = {}): Promise<Setup> {
  const cluster = fakeCluster('upstream', upstream ? [upstream.port] : []);
  const proxy = await startProxy({ clusters: [cluster], routes: routesTo('upstream'), ...options });
  const client = await dial(proxy.port);
  return {
    proxy,
    cluster,
    client,
    async [Symbol.asyncDispose]() {
      client.socket.destroy();
      await proxy.close();
      await upstream?.close();
    },
  };
}

type RouteValue = Extract<
  NonNullable<NonNullable<NonNullable<ProxyOptions['routes']['virtualHosts']>[number]['routes']>[number]['action']>,
  { case: 'route' }
>['value'];

function route(value: RouteValue, host: object = {}): ProxyOptions['routes'] {
  return {
    virtualHosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: [
          {
            match: { pathSpecifier: { case: 'prefix', value: '/' } },
            action: { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: 'upstream' }, ...value } },
          },
        ],
        ...host,
      },
    ],
  };
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const ms = (milliseconds: number) => ({ seconds: 0n, nanos: milliseconds * 1e6 });
const summary = (record: AccessRecord) => [record.responseCode, record.flags.join(','), record.responseCodeDetails, record.attempts];

async function closedPort(): Promise<number> {
  const server = await rawUpstream();
  await server.close();
  return server.port;
}

test('no route: 404 NR', async () => {
  await using t = await setup(undefined, { routes: { virtualHosts: [{ name: 'v', domains: ['other.example'] }] } });
  t.client.send(GET);
  assert.match(await t.client.until('\r\n\r\n'), /^HTTP\/1\.1 404 Not Found\r\n[\s\S]*content-length: 0\r\n/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [404, 'NR', 'route_not_found', 0]);
});

test('no cluster: 503 NC', async () => {
  await using t = await setup(undefined, { routes: routesTo('missing') });
  t.client.send(GET);
  assert.match(await t.client.until('\r\n\r\n'), /^HTTP\/1\.1 503 /);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [503, 'NC', 'cluster_not_found', 0]);
});

test('no host: 503 UH', async () => {
  await using t = await setup(undefined);
  t.client.send(GET);
  assert.match(await t.client.until('upstream'), /no healthy upstream$/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [503, 'UH', 'no_healthy_upstream', 1]);
});

test('a name that does not resolve: 503 DF', async () => {
  await using t = await setup(undefined);
  t.cluster.failure = { kind: 'dns', reason: 'no such host' };
  t.client.send(GET);
  assert.match(await t.client.until('failure'), /DNS resolution failure$/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [503, 'DF', 'dns_resolution_failure{no_such_host}', 1]);
});

test('a refused connection: 503 UF', async () => {
  await using t = await setup(undefined);
  t.cluster.hosts.push({ ...fakeCluster('x', [await closedPort()]).hosts[0]! });
  t.client.send(GET);
  assert.match(await t.client.until('connection failure'), /reset reason: remote connection failure$/);
  const record = await t.proxy.nextRecord();
  assert.deepEqual(summary(record), [
    503,
    'UF',
    'upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}',
    1,
  ]);
  assert.equal(record.upstreamTransportFailureReason, 'delayed connect error: Connection refused');
  assert.equal(t.cluster.limits.pending.used, 0);
  assert.equal(t.cluster.limits.requests.used, 0);
});

test('an upstream that closes without an answer: 503 UC', async () => {
  await using t = await setup(await rawUpstream((wire) => wire.socket.once('data', () => wire.socket.destroy())));
  t.client.send(GET);
  assert.match(await t.client.until('termination'), /reset reason: connection termination$/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [503, 'UC', 'upstream_reset_before_response_started{connection_termination}', 1]);
});

for (const [name, answer] of [
  ['is not HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ['has both framings', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['has two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n'],
  ['has another coding', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n'],
  ['switches protocols unasked', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
  ['has a body where 204 allows none', 'HTTP/1.1 204 No Content\r\ncontent-length: 1\r\n\r\n'],
  ['frames an informational response', 'HTTP/1.1 103 Early Hints\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['has a head that never ends', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`],
] as const) {
  test(`a response that ${name}: 502 UPE`, async () => {
    await using t = await setup(await rawUpstream((wire) => wire.socket.once('data', () => wire.send(answer))));
    t.client.send(GET);
    assert.match(await t.client.until('protocol error'), /^HTTP\/1\.1 502 Bad Gateway/);
    assert.deepEqual(summary(await t.proxy.nextRecord()), [502, 'UPE', 'upstream_reset_before_response_started{protocol_error}', 1]);
  });
}

test('a response that breaks off: the client sees it is not whole', async () => {
  await using t = await setup(
    await rawUpstream((wire) => wire.socket.once('data', () => wire.socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'))),
  );
  t.client.send(GET);
  assert.match(await t.client.end(), /content-length: 10\r\n[\s\S]*abc$/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [200, 'UPE', 'upstream_reset_after_response_started{protocol_error}', 1]);
});

test('a chunked response that breaks off has no last chunk', async () => {
  const broken = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n';
  await using t = await setup(await rawUpstream((wire) => wire.socket.once('data', () => wire.send(broken))));
  t.client.send(GET);
  assert.match(await t.client.end(), /3\r\nabc\r\n$/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [200, 'UPE', 'upstream_reset_after_response_started{protocol_error}', 1]);
});

test('a head that breaks off: 502 UPE', async () => {
  await using t = await setup(await rawUpstream((wire) => wire.socket.once('data', () => wire.socket.end('HTTP/1.1 200 OK\r\nconte'))));
  t.client.send(GET);
  assert.match(await t.client.until('protocol error'), /^HTTP\/1\.1 502 Bad Gateway/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [502, 'UPE', 'upstream_reset_before_response_started{protocol_error}', 1]);
});

test('max_stream_duration: from the start of the stream, in place of the timeout; gRPC is told of its deadline', async () => {
  const upstream = await rawUpstream();
  await using t = await setup(upstream, {
    routes: route({ timeout: ms(1), maxStreamDuration: { maxStreamDuration: ms(80), grpcTimeoutHeaderMax: ms(40) } }),
  });
  t.client.send(GET);
  assert.match(await t.client.until('timeout'), /^HTTP\/1\.1 504 Gateway Timeout\r\n[\s\S]*downstream duration timeout$/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [504, '', 'max_duration_timeout', 1]);
  t.client.take();
  t.client.send('GET / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\ngrpc-timeout: 1S\r\n\r\n');
  assert.match(await t.client.until('\r\n\r\n'), /grpc-status: 4\r\ngrpc-message: downstream duration timeout\r\n/);
  assert.match(upstream.wires[1]!.text, /grpc-timeout: 40m\r\n/);
});

test('what the proxy answers in a route’s place has the route’s headers and the number of attempts', async () => {
  await using t = await setup(undefined, {
    routes: route(
      {},
      {
        includeAttemptCountInResponse: true,
        responseHeadersToAdd: [{ header: { key: 'x-of-route', value: '%RESPONSE_FLAGS%' } }],
      },
    ),
  });
  t.client.send(GET);
  assert.match(await t.client.until('upstream'), /x-envoy-attempt-count: 1\r\nx-of-route: UH\r\n/);
});

test('what follows a response unasked is never the next response', async () => {
  const upstream = await answering((_head, connection) =>
    connection === 0 ? `${response('one')}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil` : response('two'),
  );
  await using t = await setup(upstream);
  t.client.send(GET);
  await t.client.until('one');
  t.client.send(GET);
  assert.match(await t.client.until('two'), /one[\s\S]*two$/);
  assert.doesNotMatch(t.client.text, /evil/);
});

test('an idle connection that dies as it is taken is replaced where the request is safe to repeat', async () => {
  let clock = 0;
  const upstream = await rawUpstream((wire, index) => {
    let requests = 0;
    wire.socket.on('data', () => {
      if (index === 0 && ++requests > 1) wire.socket.destroy();
      else wire.send(response(`from ${index}.`));
    });
  });
  await using t = await setup(upstream, { now: () => clock });
  t.client.send(GET);
  await t.client.until('from 0.');
  clock += 2000;
  t.client.send(GET);
  await t.client.until('from 1.');
  await t.proxy.nextRecord();
  assert.deepEqual(summary(await t.proxy.nextRecord()), [200, '', 'via_upstream', 1]);
});

test('a request that is not idempotent is not repeated', async () => {
  let clock = 0;
  const upstream = await rawUpstream((wire) => {
    let requests = 0;
    wire.socket.on('data', () => {
      if (++requests > 1) wire.socket.destroy();
      else wire.send(response('first'));
    });
  });
  await using t = await setup(upstream, { now: () => clock });
  t.client.send(GET);
  await t.client.until('first');
  clock += 2000;
  t.client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx');
  await t.client.until('termination');
  await t.proxy.nextRecord();
  assert.deepEqual(summary(await t.proxy.nextRecord()), [503, 'UC', 'upstream_reset_before_response_started{connection_termination}', 1]);
  assert.equal(upstream.wires.length, 1);
});

test('an idle connection that the upstream closes is not used', async () => {
  const upstream = await answering((_head, connection) => response(`from ${connection}.`));
  await using t = await setup(upstream);
  t.client.send(GET);
  await t.client.until('from 0.');
  const closed = new Promise((resolve) => upstream.wires[0]!.socket.on('close', resolve));
  upstream.wires[0]!.socket.end();
  await closed;
  t.client.send(GET);
  await t.client.until('from 1.');
});

test('of two idle connections one closes, and the other is used on', async () => {
  const upstream = await rawUpstream();
  await using t = await setup(upstream);
  const other = await dial(t.proxy.port);
  t.client.send(GET);
  await (await upstream.wire(0)).until('\r\n\r\n');
  other.send(GET);
  await (await upstream.wire(1)).until('\r\n\r\n');
  const [first, second] = upstream.wires as [Wire, Wire];
  first.send(response('first'));
  await t.client.until('first');
  second.send(response('second'));
  await other.until('second');
  const closed = new Promise((resolve) => first.socket.on('close', resolve));
  first.socket.end();
  await closed;
  t.client.send(GET);
  await Promise.race([second.until('\r\n\r\n', 2), upstream.wire(2)]);
  assert.equal(upstream.wires.length, 2);
  other.socket.destroy();
});

test('pool limits: one connection and one that waits; the third is UO', async () => {
  const upstream = await rawUpstream();
  await using t = await setup(upstream);
  Object.assign(t.cluster.limits, { connections: { max: 1, used: 0 }, pending: { max: 1, used: 0 } });
  t.client.send(GET);
  await (await upstream.wire(0)).until('\r\n\r\n');
  const second = await dial(t.proxy.port);
  second.send(GET);
  const third = await dial(t.proxy.port);
  // The second request is in the queue once the limit shows it.
  while (t.cluster.limits.pending.used === 0) await new Promise((resolve) => setImmediate(resolve));
  third.send(GET);
  const text = await third.until('overflow');
  assert.match(text, /^HTTP\/1\.1 503 [\s\S]*x-envoy-overloaded: true\r\n[\s\S]*reset reason: overflow$/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [503, 'UO', 'upstream_reset_before_response_started{overflow}', 1]);
  upstream.wires[0]!.send(response('first'));
  await t.client.until('first');
  await upstream.wires[0]!.until('\r\n\r\n', 2);
  upstream.wires[0]!.send(response('second'));
  await second.until('second');
  assert.equal(upstream.wires.length, 1);
  second.socket.destroy();
  third.socket.destroy();
});

test('requests on one connection are bounded', async () => {
  const upstream = await answering((_head, connection) => response(`from ${connection}.`));
  await using t = await setup(upstream);
  t.cluster.maxRequestsPerConnection = 2;
  for (const expected of ['from 0.', 'from 0.', 'from 1.']) {
    t.client.take();
    t.client.send(GET);
    await t.client.until(expected);
  }
});

test('idle connections close after the idle timeout, and when their host leaves', async () => {
  const upstream = await answering(() => response('x.'));
  await using t = await setup(upstream);
  t.cluster.idleTimeoutMs = 30;
  t.client.send(GET);
  await t.client.until('x.');
  await upstream.wires[0]!.end();
  t.cluster.idleTimeoutMs = 0;
  t.client.send(GET);
  await t.client.until('x.', 2);
  t.cluster.hosts[0]!.live = false;
  await upstream.wires[1]!.end();
});

test('a running response outlives its host; its connection does not', async () => {
  const upstream = await rawUpstream((wire) =>
    wire.socket.once('data', () => wire.send('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc')),
  );
  await using t = await setup(upstream);
  t.client.send(GET);
  await t.client.until('abc');
  t.cluster.hosts[0]!.live = false;
  t.proxy.pools.drain();
  upstream.wires[0]!.send('def');
  await t.client.until('abcdef');
  await upstream.wires[0]!.end();
});

test('the route timeout: 504 UT', async () => {
  const upstream = await rawUpstream();
  await using t = await setup(upstream, { routes: route({ timeout: ms(50) }) });
  t.client.send(GET);
  assert.match(await t.client.until('timeout'), /^HTTP\/1\.1 504 Gateway Timeout\r\n[\s\S]*upstream request timeout$/);
  assert.match(upstream.wires[0]!.text, /x-envoy-expected-rq-timeout-ms: 50\r\n/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [504, 'UT', 'response_timeout', 1]);
  await upstream.wires[0]!.end();
});

test('a response that is too slow is cut by the route timeout', async () => {
  await using t = await setup(
    await rawUpstream((wire) => wire.socket.once('data', () => wire.send('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc'))),
    {
      routes: route({ timeout: ms(80) }),
    },
  );
  t.client.send(GET);
  assert.match(await t.client.end(), /abc$/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [200, 'UT', 'response_timeout', 1]);
});

test('the idle timeout of a stream whose request is complete: 504 SI', async () => {
  await using t = await setup(await rawUpstream(), { manager: { streamIdleTimeout: ms(50) } });
  t.client.send(GET);
  assert.match(await t.client.until('timeout'), /^HTTP\/1\.1 504 Gateway Timeout\r\n[\s\S]*stream timeout$/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [504, 'SI', 'stream_idle_timeout', 1]);
});

test('a request that does not come to its end in time: 408', async () => {
  await using t = await setup(await rawUpstream(), { manager: { requestTimeout: ms(50) } });
  t.client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab');
  assert.match(await t.client.end(), /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*request timeout$/);
  assert.equal((await t.proxy.nextRecord()).responseCodeDetails, 'request_overall_timeout');
});

test('a head that does not come to its end in time: 408', async () => {
  await using t = await setup(await rawUpstream(), { manager: { requestHeadersTimeout: ms(50) } });
  t.client.send('GET / HTTP/1.1\r\nHos');
  assert.match(await t.client.end(), /^HTTP\/1\.1 408 Request Timeout\r\n/);
  assert.equal((await t.proxy.nextRecord()).responseCodeDetails, 'request_header_timeout');
});

test('an idle client is hung up on, silently', async () => {
  await using t = await setup(await answering(() => response('x.')), { manager: { commonHttpProtocolOptions: { idleTimeout: ms(60) } } });
  t.client.send(GET);
  await t.client.until('x.');
  assert.doesNotMatch(await t.client.end(), /408/);
});

test('a connection that has grown old is told to close', async () => {
  await using t = await setup(await answering(() => response('x.')), {
    manager: { commonHttpProtocolOptions: { maxConnectionDuration: ms(30) }, drainTimeout: ms(30) },
  });
  t.client.send(GET);
  await t.client.until('x.');
  await t.client.end();
});

test('after as many requests as a connection may have it is told to close', async () => {
  await using t = await setup(await answering(() => response('x.')), {
    manager: { commonHttpProtocolOptions: { maxRequestsPerConnection: 2 } },
  });
  t.client.send(GET);
  assert.doesNotMatch(await t.client.until('x.'), /connection: close/);
  t.client.send(GET);
  assert.match(await t.client.end(), /x\.HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n[\s\S]*x\.$/);
});

test('draining: running requests end with connection: close, new ones on the connection too', async () => {
  const upstream = await rawUpstream();
  await using t = await setup(upstream, { manager: { drainTimeout: ms(30) } });
  t.client.send(GET);
  const wire = await upstream.wire(0);
  await wire.until('\r\n\r\n');
  t.proxy.handler.drain();
  wire.send(response('last'));
  assert.match(await t.client.end(), /connection: close\r\n[\s\S]*last$/);
  while (t.proxy.handler.active > 0) await new Promise((resolve) => setImmediate(resolve));
});

for (const [what, manager, drains] of [
  ['drained', { drainTimeout: ms(30) }, true],
  ['idle', { commonHttpProtocolOptions: { idleTimeout: ms(60) } }, false],
] as const)
  test(`a request that has come by the time at which its ${what} connection is to close is answered`, async () => {
    await using t = await setup(await answering(() => response('x.')), { manager });
    t.client.send(GET);
    await t.client.until('x.');
    if (drains) t.proxy.handler.drain();
    t.client.send(GET);
    // The time is up before anything is read.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    assert.equal((await t.client.until('x.', 2)).split('x.').length, 3);
  });

const RETRY = { retryPolicy: { retryOn: '5xx', numRetries: 2, retryBackOff: { baseInterval: ms(1) } } };
const ATTEMPTS = { includeRequestAttemptCount: true, includeAttemptCountInResponse: true };

test('retries: until an answer is good, each attempt numbered', async () => {
  let hits = 0;
  const heads: string[] = [];
  const upstream = await answering((head) => {
    heads.push(head);
    return ++hits < 3 ? 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n' : response('good');
  });
  await using t = await setup(upstream, { routes: route(RETRY, ATTEMPTS) });
  t.client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody');
  assert.match(await t.client.until('good'), /x-envoy-attempt-count: 3\r\n/);
  assert.deepEqual(
    heads.map((head) => /x-envoy-attempt-count: (\d)/.exec(head)?.[1]),
    ['1', '2', '3'],
  );
  assert.ok(upstream.wires.every((wire) => wire.text.endsWith('body')));
  assert.deepEqual(summary(await t.proxy.nextRecord()), [200, '', 'via_upstream', 3]);
  assert.equal(t.cluster.limits.retries.used, 0);
});

test('retries: exhausted, the last answer passes with URX', async () => {
  await using t = await setup(await answering(() => 'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 3\r\n\r\nbad'), {
    routes: route(RETRY),
  });
  t.client.send(GET);
  await t.client.until('bad');
  assert.deepEqual(summary(await t.proxy.nextRecord()), [500, 'URX', 'via_upstream', 3]);
});

test('retries of refused connections: URX,UF and the words for it', async () => {
  await using t = await setup(undefined, { routes: route({ retryPolicy: { ...RETRY.retryPolicy, retryOn: 'connect-failure' } }) });
  t.cluster.hosts.push({ ...fakeCluster('x', [await closedPort()]).hosts[0]! });
  t.client.send(GET);
  assert.match(await t.client.until('failure'), /retried and the latest reset reason: remote connection failure$/);
  const record = await t.proxy.nextRecord();
  assert.deepEqual([record.flags.join(), record.attempts], ['URX,UF', 3]);
});

test('a per-try timeout is retried, then 504 URX,UT', async () => {
  const upstream = await rawUpstream();
  await using t = await setup(upstream, {
    routes: route({ timeout: { seconds: 5n }, retryPolicy: { ...RETRY.retryPolicy, perTryTimeout: ms(30) } }),
  });
  t.client.send(GET);
  assert.match(await t.client.until('timeout'), /^HTTP\/1\.1 504 /);
  assert.match(upstream.wires[0]!.text, /x-envoy-expected-rq-timeout-ms: 30\r\n/);
  assert.deepEqual(summary(await t.proxy.nextRecord()), [504, 'URX,UT', 'upstream_per_try_timeout', 3]);
});

test('a try has its time from the end of the request: a slow body costs it nothing', async () => {
  const upstream = await rawUpstream((wire) => {
    let text = '';
    wire.socket.on('data', (data) => {
      text += String(data);
      if (text.endsWith('body')) wire.send(response('good'));
    });
  });
  await using t = await setup(upstream, {
    routes: route({ timeout: { seconds: 5n }, retryPolicy: { ...RETRY.retryPolicy, perTryTimeout: ms(30) } }),
  });
  t.client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo');
  const other = await dial(t.proxy.port);
  other.send(GET);
  // Three tries later.
  assert.match(await other.until('timeout'), /^HTTP\/1\.1 504 /);
  other.socket.destroy();
  assert.deepEqual(summary(await t.proxy.nextRecord()), [504, 'URX,UT', 'upstream_per_try_timeout', 3]);
  t.client.send('dy');
  await t.client.until('good');
  assert.deepEqual(summary(await t.proxy.nextRecord()), [200, '', 'via_upstream', 1]);
});

test('a try that has begun its answer in time may take as long as it will', async () => {
  const upstream = await rawUpstream((wire, index) => {
    if (index === 0) wire.socket.once('data', () => wire.send('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc'));
  });
  await using t = await setup(upstream, { routes: route({ retryPolicy: { perTryTimeout: ms(50) } }) });
  t.client.send(GET);
  await t.client.until('abc');
  // One that begins later and comes to its end shows that the time is up.
  const other = await dial(t.proxy.port);
  other.send(GET);
  assert.match(await other.until('timeout'), /^HTTP\/1\.1 504 /);
  upstream.wires[0]!.send('def');
  assert.match(await t.client.until('def'), /abcdef$/);
  other.socket.destroy();
});

test('a reset is not retried by a policy for refused connections', async () => {
  await using t = await setup(await rawUpstream((wire) => wire.socket.once('data', () => wire.socket.destroy())), {
    routes: route({ retryPolicy: { ...RETRY.retryPolicy, retryOn: 'connect-failure,refused-stream' } }),
  });
  t.client.send(GET);
  await t.client.until('termination');
  assert.deepEqual(summary(await t.proxy.nextRecord()), [503, 'UC', 'upstream_reset_before_response_started{connection_termination}', 1]);
});

/** What outlier detection hears of one request. */
for (const [name, answer, heard, more] of [
  ['an answer', 'HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n', ['connected false', 'answered 503'], ''],
  ['a reset', '', ['connected false', 'failed false'], ''],
  [
    'a gRPC status in the header',
    'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\ncontent-length: 0\r\n\r\n',
    ['connected false', 'answered 503'],
    'Content-Type: application/grpc\r\n',
  ],
  [
    'a gRPC status in a trailer',
    'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n0\r\ngrpc-status: 0\r\n\r\n',
    ['connected false', 'answered 200'],
    'Content-Type: application/grpc\r\n',
  ],
] as const) {
  test(`outlier detection hears of ${name}`, async () => {
    const upstream = await rawUpstream((wire) => {
      wire.socket.once('data', () => (answer === '' ? wire.socket.destroy() : wire.send(answer)));
    });
    const seen: string[] = [];
    const outliers = {
      answered: (_host: unknown, status: number) => seen.push(`answered ${status}`),
      failed: (_host: unknown, timedOut: boolean) => seen.push(`failed ${timedOut}`),
      connected: (_host: unknown, final: boolean) => seen.push(`connected ${final}`),
    };
    const cluster = { ...fakeCluster('upstream', [upstream.port]), trailers: true, outliers };
    await using t = await setup(upstream, { clusters: [cluster] });
    t.client.send(`GET / HTTP/1.1\r\nHost: a\r\n${more}\r\n`);
    await t.proxy.nextRecord();
    assert.deepEqual(seen, heard);
  });
}

test('outlier detection hears of timeouts and of connections that are refused', async () => {
  const upstream = await rawUpstream();
  const seen: string[] = [];
  const nothing = () => undefined;
  const outliers = { answered: nothing, connected: nothing, failed: (_: unknown, timedOut: boolean) => seen.push(`failed ${timedOut}`) };
  const cluster = { ...fakeCluster('upstream', [await closedPort(), upstream.port]), outliers };
  await using t = await setup(upstream, { clusters: [cluster], routes: route({ timeout: ms(20) }) });
  for (let i = 0; i < 2; i++) {
    t.client.send(GET);
    await t.proxy.nextRecord();
  }
  assert.deepEqual(seen, ['failed false', 'failed true']);
});

test('a slow reader holds the upstream back, and memory stays flat', async () => {
  const flood = new Flood(64 * 1024 * 1024);
  const upstream = await rawUpstream((wire) => {
    wire.socket.once('data', () => {
      wire.send(`HTTP/1.1 200 OK\r\ncontent-length: ${flood.total}\r\n\r\n`);
      flood.start(wire.socket);
    });
  });
  let proxySocket: import('node:net').Socket | undefined;
  await using t = await setup(upstream, {
    onSocket: (socket) => {
      proxySocket = socket;
    },
  });
  let read = 0;
  t.client.socket.removeAllListeners('data');
  t.client.socket.pause();
  t.client.send(GET);
  await flood.atRest();
  assert.ok(flood.written < flood.total / 2, `the upstream wrote ${flood.written} bytes to a client that reads nothing`);
  assert.ok(proxySocket!.writableLength < 2 * 1024 * 1024);
  t.client.socket.on('data', (data: Buffer) => {
    read += data.length;
  });
  t.client.socket.resume();
  const record = await t.proxy.nextRecord();
  assert.equal(record.bytesSent, flood.total);
  while (read < flood.total) await new Promise((resolve) => setImmediate(resolve));
});

test('a large response arrives as it was sent, whether its reader hurries or rests', async () => {
  for (const resting of [false, true]) {
    const flood = new Flood(16 * 1024 * 1024);
    const upstream = await rawUpstream((wire) => {
      wire.socket.once('data', () => {
        wire.send(`HTTP/1.1 200 OK\r\ncontent-length: ${flood.total}\r\n\r\n`);
        flood.start(wire.socket);
      });
    });
    await using t = await setup(upstream);
    const { socket } = t.client;
    socket.removeAllListeners('data');
    const pieces: Buffer[] = [];
    let read = 0;
    let next = 0;
    socket.on('data', (data: Buffer) => {
      pieces.push(data);
      read += data.length;
      if (!resting || read < next) return;
      next = read + 1024 * 1024;
      socket.pause();
      flood.atRest().then(() => socket.resume());
    });
    t.client.send(GET);
    const record = await t.proxy.nextRecord();
    assert.equal(record.bytesSent, flood.total);
    const head = () => Buffer.concat(pieces.slice(0, 2)).indexOf('\r\n\r\n') + 4;
    while (read < flood.total || read < flood.total + head()) await new Promise((resolve) => setImmediate(resolve));
    assertInOrder(Buffer.concat(pieces).subarray(head()));
  }
});

test('a slow upstream holds the client back', async () => {
  const upstream = await rawUpstream((wire) => wire.socket.pause());
  await using t = await setup(upstream);
  const flood = new Flood(64 * 1024 * 1024);
  t.client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${flood.total}\r\n\r\n`);
  flood.start(t.client.socket);
  const wire = await upstream.wire(0);
  await flood.atRest();
  assert.ok(flood.written < flood.total / 2, `the client wrote ${flood.written} bytes to an upstream that reads nothing`);
  let read = 0;
  wire.socket.removeAllListeners('data');
  wire.socket.on('data', (data: Buffer) => {
    read += data.length;
    if (read > flood.total) wire.send(response('got it'));
  });
  wire.socket.resume();
  await t.client.until('got it');
  assert.equal((await t.proxy.nextRecord()).bytesReceived, flood.total);
});
