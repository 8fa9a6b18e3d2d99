import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { type Answer, decode, encode, type Packet, type Question } from 'dns-packet';
import { client, cluster, dataPlane, echoServer, listener, readAll, server, tcpProxy } from './support.ts';

type Found = Answer[] | 'NXDOMAIN' | 'SERVFAIL' | undefined;

/** A name server on loopback; `answers` may change while it runs, and undefined means that it does not answer. */
async function nameServer(t: TestContext, answers: (question: Question) => Found | Promise<Found>): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', async (message, from) => {
    const query = decode(message);
    const found = await answers(query.questions![0]!);
    if (found === undefined) return;
    const code = found === 'NXDOMAIN' ? 3 : found === 'SERVFAIL' ? 2 : 0;
    const response = {
      type: 'response',
      id: query.id,
      flags: 0x180 | code,
      questions: query.questions,
      answers: typeof found === 'string' ? [] : found,
    } as Packet;
    socket.send(encode(response), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

const a = (name: string, data: string, ttl = 60): Answer => ({ type: 'A', name, data, ttl });

async function ask(t: TestContext, port: number, name: string, type: 'A' | 'AAAA' | 'TXT' = 'A'): Promise<Packet> {
  const socket: Socket = createSocket('udp4');
  t.after(() => socket.close());
  socket.send(encode({ type: 'query', id: 7, flags: 0x100, questions: [{ type, name }] }), port, '127.0.0.1');
  const [message] = (await once(socket, 'message')) as [Buffer];
  return decode(message);
}

/** RFC 1035 §4.1.1. */
const rcode = (packet: Packet) => (packet.flags ?? 0) & 15;
const data = (packet: Packet) => packet.answers?.map((answer) => (answer as { data: unknown }).data);

test('the DNS server answers registered hosts and their wildcards, passes on names of the table without addresses, and asks nobody for others', async (t) => {
  const asked: string[] = [];
  const upstream = await nameServer(t, ({ name, type }) => {
    asked.push(name);
    return name === 'other.test' && type === 'A' ? [a(name, '192.0.2.9')] : 'NXDOMAIN';
  });
  const { plane, set } = await dataPlane(t, { dns: { ip: '127.0.0.1', port: 0 }, nameServers: [upstream] });
  await set({
    names: {
      'www.example.com': ['240.240.0.1'],
      '*.example.org': ['240.240.0.2'],
      'six.example.com': ['2001:db8::1', '240.240.0.3'],
      'other.test': [],
      '*.wild.test': [],
    },
  });
  const { port } = plane.dnsAddress!;
  assert.deepEqual(data(await ask(t, port, 'WWW.example.com')), ['240.240.0.1']);
  assert.deepEqual(data(await ask(t, port, 'a.b.example.org')), ['240.240.0.2']);
  assert.deepEqual(data(await ask(t, port, 'six.example.com', 'AAAA')), ['2001:db8::1']);
  const none = await ask(t, port, 'www.example.com', 'AAAA');
  assert.deepEqual([rcode(none), data(none)], [0, []], 'it exists, without IPv6');
  assert.deepEqual(data(await ask(t, port, 'other.test')), ['192.0.2.9']);
  assert.equal(rcode(await ask(t, port, 'nx.wild.test')), 3);
  assert.deepEqual(asked, ['other.test', 'nx.wild.test']);
  for (const name of ['nx.test', 'wild.test', 'c2VjcmV0.evil.test', '9.2.0.192.in-addr.arpa'])
    assert.equal(rcode(await ask(t, port, name)), 3);
  assert.equal(rcode(await ask(t, port, 'c2VjcmV0.evil.test', 'TXT')), 3);
  assert.equal(asked.length, 2, 'nobody is asked for names that the table does not have');
  for (const name of ['localhost', 'app.localhost']) assert.deepEqual(data(await ask(t, port, name)), ['127.0.0.1']);
  // Over TCP, two questions at once.
  const socket = await client(t, port);
  for (const name of ['www.example.com', 'x.example.org']) {
    const query = encode({ type: 'query', id: 9, questions: [{ type: 'A', name }] });
    socket.write(Buffer.concat([Buffer.from([0, query.length]), query]));
  }
  const pieces: Buffer[] = [];
  for await (const piece of socket) {
    pieces.push(piece as Buffer);
    const all = Buffer.concat(pieces);
    const first = all.readUInt16BE(0) + 2;
    if (all.length < first + 2 || all.length < first + 2 + all.readUInt16BE(first)) continue;
    assert.deepEqual(data(decode(all.subarray(2, first))), ['240.240.0.1']);
    assert.deepEqual(data(decode(all.subarray(first + 2))), ['240.240.0.2']);
    break;
  }
  await set({ names: { '*': [] } });
  assert.equal(rcode(await ask(t, port, 'nx.test')), 3);
  assert.equal(asked.at(-1), 'nx.test');
});

test('garbage on the DNS port changes nothing; a dead upstream is SERVFAIL', async (t) => {
  const dead = createSocket('udp4').bind(0, '127.0.0.1');
  await once(dead, 'listening');
  const at = `127.0.0.1:${dead.address().port}`;
  dead.close();
  await once(dead, 'close');
  const { plane, set } = await dataPlane(t, { dns: { ip: '127.0.0.1', port: 0 }, nameServers: [at] });
  await set({ names: { 'www.example.com': ['240.240.0.1'], 'other.test': [] } });
  const { port } = plane.dnsAddress!;
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  for (const bytes of [[], [1], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255, 255]]) socket.send(Buffer.from(bytes), port, '127.0.0.1');
  const tcp = await client(t, port);
  tcp.end(Buffer.from([0, 3, 1, 2, 3]));
  await readAll(tcp);
  assert.deepEqual(data(await ask(t, port, 'www.example.com')), ['240.240.0.1']);
  assert.equal(rcode(await ask(t, port, 'other.test')), 2);
});

test('other name servers are asked one plain question, whatever else a message holds', async (t) => {
  const seen: Buffer[] = [];
  const upstream = createSocket('udp4');
  upstream.on('message', (message, from) => {
    seen.push(message);
    upstream.send(
      encode({ type: 'response', id: message.readUInt16BE(0), answers: [a('x.wild.test', '192.0.2.1')] }),
      from.port,
      from.address,
    );
  });
  upstream.bind(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.after(() => upstream.close());
  const { plane, set } = await dataPlane(t, {
    dns: { ip: '127.0.0.1', port: 0 },
    nameServers: [`127.0.0.1:${upstream.address().port}`],
  });
  await set({ names: { '*.wild.test': [] } });
  const { port } = plane.dnsAddress!;
  const send = async (bytes: Buffer): Promise<Packet> => {
    const socket = createSocket('udp4');
    t.after(() => socket.close());
    socket.send(bytes, port, '127.0.0.1');
    const [message] = (await once(socket, 'message')) as [Buffer];
    return decode(message);
  };
  const query = (name: string, more: Partial<Packet> = {}) =>
    encode({ type: 'query', id: 5, flags: 0x100, questions: [{ type: 'A', name }], ...more } as Packet);
  const option = { code: 65_001, data: Buffer.from('SECRET') };
  const extended = query('x.wild.test', {
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [option] }] as unknown as NonNullable<
      Packet['additionals']
    >,
  });
  assert.deepEqual(data(await send(extended)), ['192.0.2.1']);
  assert.deepEqual(data(await send(Buffer.concat([query('x.wild.test'), Buffer.from('SECRET')]))), ['192.0.2.1']);
  assert.deepEqual(
    seen.map((message) => decode(message).questions?.map(({ name }) => name)),
    [['x.wild.test'], ['x.wild.test']],
  );
  assert.ok(seen.every((message) => !message.includes('SECRET')));
  const refused = [
    encode({
      type: 'query',
      id: 5,
      questions: [
        { type: 'A', name: 'x.wild.test' },
        { type: 'A', name: 'secret.evil.test' },
      ],
    }),
    Buffer.from('0005010000010000000000000b7365637265742e77696c640474657374000001' + '0001', 'hex'),
    Buffer.from('00050100000100000000000003780079047769' + '6c640474657374000001' + '0001', 'hex'),
    query('x.wild.test', { flags: 0x2800 }),
    Buffer.concat([query('x.wild.test').subarray(0, -1), Buffer.from([3])]),
    Buffer.from('000501000000000000000000', 'hex'),
  ];
  for (const bytes of refused) assert.equal(rcode(await send(bytes)), 1, bytes.toString('latin1'));
  assert.equal(seen.length, 2);
});

test('STRICT_DNS waits for its first answer, follows changes, and keeps what it knows when DNS fails', async (t) => {
  const upstream = await server(t, (socket) => socket.end('hello'));
  let answer: Answer[] | 'NXDOMAIN' | 'SERVFAIL' = [a('db.test', '127.0.0.1', 1)];
  let asked = 0;
  let onAsked = () => {};
  const names = await nameServer(t, ({ name, type }) => {
    if (type !== 'A') return 'NXDOMAIN';
    asked++;
    setImmediate(() => onAsked());
    return name === 'db.test' ? answer : 'NXDOMAIN';
  });
  const { set, port, plane } = await dataPlane(t, { nameServers: [names] });
  const endpoints = (name: string) => ({
    type: 'STRICT_DNS',
    dnsLookupFamily: 'V4_ONLY',
    dnsRefreshRate: '0.05s',
    loadAssignment: {
      clusterName: 'c',
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: name, portValue: upstream } } } }] }],
    },
  });
  await set({
    listeners: [listener('l', [{ filters: [tcpProxy('c')] }]), listener('nx', [{ filters: [tcpProxy('nx')] }])],
    clusters: [cluster('c', [], { ...endpoints('db.test'), respectDnsTtl: true }), cluster('nx', [], endpoints('nx.test'))],
  });
  assert.equal((await readAll(await client(t, port('l')))).toString(), 'hello');
  assert.equal((await readAll(await client(t, port('nx')))).toString(), '', 'no address: refused');
  const hosts = () =>
    plane
      .status()
      .clusters.find(({ name }) => name === 'c')!
      .hosts.map(({ address }) => address.ip);
  assert.deepEqual(hosts(), ['127.0.0.1']);
  const again = () =>
    new Promise<void>((resolve) => {
      const from = asked;
      onAsked = () => {
        if (asked > from + 1) resolve();
      };
    });
  answer = 'SERVFAIL';
  await again();
  assert.deepEqual(hosts(), ['127.0.0.1'], 'a failure changes nothing');
  answer = [a('db.test', '127.0.0.2', 1), a('db.test', '127.0.0.3', 1)];
  while (hosts().length !== 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(hosts(), ['127.0.0.2', '127.0.0.3']);
});

test('connections that wait for the same name count when they connect: no more than the cluster may have', async (t) => {
  const upstream = await server(t, (socket) => void socket.write('hello'));
  let release = () => {};
  const waiting = new Promise<void>((resolve) => {
    release = resolve;
  });
  const names = await nameServer(t, async ({ name, type }) => {
    await waiting;
    return type === 'A' ? [a(name, '127.0.0.1')] : 'NXDOMAIN';
  });
  const { set, port, plane } = await dataPlane(t, { nameServers: [names] });
  const address = { socketAddress: { address: 'db.test', portValue: upstream } };
  await set({
    listeners: [listener('l', [{ filters: [tcpProxy('c')] }])],
    clusters: [
      cluster('c', [], {
        type: 'STRICT_DNS',
        dnsLookupFamily: 'V4_ONLY',
        circuitBreakers: { thresholds: [{ maxConnections: 1 }] },
        loadAssignment: { clusterName: 'c', endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] },
      }),
    ],
  });
  const sockets = await Promise.all(Array.from({ length: 4 }, () => client(t, port('l'))));
  while (plane.status().activeConnections !== 4) await new Promise((resolve) => setImmediate(resolve));
  release();
  const outcomes = sockets.map(async (socket) => {
    const [first] = (await Promise.race([once(socket, 'data'), once(socket, 'end')])) as [Buffer?];
    return first?.toString() ?? 'closed';
  });
  assert.deepEqual((await Promise.all(outcomes)).sort(), ['closed', 'closed', 'closed', 'hello']);
});

test('a dynamic forward proxy resolves the server name, and reaches the ports and addresses that its cluster says', async (t) => {
  const echo = await echoServer(t);
  const names = await nameServer(t, ({ name, type }) => (name === 'www.test' && type === 'A' ? [a(name, '127.0.0.1')] : 'NXDOMAIN'));
  const { set, port } = await dataPlane(t, { nameServers: [names] });
  const dfp = {
    name: 'c',
    connectTimeout: '1s',
    lbPolicy: 'CLUSTER_PROVIDED',
    dnsLookupFamily: 'V4_ONLY',
    clusterType: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typedConfig: {
        '@type': 'type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig',
        dnsCacheConfig: { name: 'd' },
      },
    },
  };
  const sni = {
    name: 'sni',
    typedConfig: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig',
      dnsCacheConfig: { name: 'd' },
      portValue: echo,
    },
  };
  const inspector = {
    name: 'tls',
    typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector' },
  };
  const listeners = [listener('l', [{ filters: [sni, tcpProxy('c')] }], { listenerFilters: [inspector] })];
  const { rejected } = await set({ listeners, clusters: [dfp] });
  assert.deepEqual(rejected, []);
  const { connect } = await import('node:tls');
  const { Duplex } = await import('node:stream');
  const hello = (servername: string): Promise<Buffer> =>
    new Promise((resolve) => {
      const wire = new Duplex({ write: (piece: Buffer, _encoding, done) => done(void resolve(piece)), read() {} });
      connect({ socket: wire, servername }).on('error', () => {});
    });
  const echoes = async (name: string): Promise<boolean> => {
    const bytes = await hello(name);
    const socket = await client(t, port('l'));
    socket.end(bytes);
    return (await readAll(socket)).equals(bytes);
  };
  assert.equal(await echoes('www.test'), true, 'another control plane says nothing of it');
  assert.equal(await echoes('nx.test'), false);
  for (const [ports, ranges, expected] of [
    [[echo], [], false],
    [[echo], ['10.0.0.0/8', '127.0.0.0/8'], true],
    [[echo], ['127.0.0.2/32'], false],
    [[echo + 1], ['0.0.0.0/0'], false],
  ] as const) {
    const reach = { ports: [...ports], ranges: [...ranges] };
    await set({ listeners, clusters: [{ ...dfp, metadata: { filterMetadata: { sallyport: { reach } } } }] });
    assert.equal(await echoes('www.test'), expected, JSON.stringify(reach));
  }
});
