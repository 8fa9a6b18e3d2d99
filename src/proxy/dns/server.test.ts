import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { decode, encode } from 'dns-packet';
import { createDnsServer, type DnsServer } from './server.ts';

async function serve(t: TestContext): Promise<DnsServer> {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const names = { lookup: () => ['10.0.0.1'], declares: () => true, hasAddress: () => false, size: 1 };
  const server = await createDnsServer({
    address: { ip: '127.0.0.1', port: 0 },
    names: () => names,
    upstreams: [],
    now: () => 0,
    log: () => undefined,
  });
  t.after(() => server.close());
  return server;
}

test('localhost is both loopback addresses, over UDP and TCP; while nobody has said which names there are, no answer is given', async (t) => {
  const SERVFAIL = 2;
  let known = false;
  const names = { lookup: () => ['10.0.0.1'], declares: () => true, hasAddress: () => false, size: 1 };
  const server = await createDnsServer({
    address: { ip: 'localhost', port: 0 },
    names: () => (known ? names : undefined),
    upstreams: [],
    now: () => 0,
    log: () => undefined,
  });
  t.after(() => server.close());
  const { port } = server.address;
  const codes = async (): Promise<readonly number[]> => {
    const replies: Buffer[] = [];
    for (const [ip, type] of [
      ['127.0.0.1', 'udp4'],
      ['::1', 'udp6'],
    ] as const) {
      const udp = createSocket(type);
      udp.send(query(3).subarray(2), port, ip);
      replies.push(((await once(udp, 'message')) as [Buffer])[0]);
      udp.close();
      const tcp = connect(port, ip);
      tcp.write(query(3));
      replies.push(((await once(tcp, 'data')) as [Buffer])[0].subarray(2));
      tcp.destroy();
    }
    return replies.map((reply) => reply.readUInt16BE(2) & 15);
  };
  assert.deepEqual(await codes(), [SERVFAIL, SERVFAIL, SERVFAIL, SERVFAIL]);
  known = true;
  assert.deepEqual(await codes(), [0, 0, 0, 0]);
});

test('a name server that is this one is not asked, by whichever address it is told', async (t) => {
  let asked = 0;
  const lookup = () => {
    asked++;
    return [];
  };
  const names = { lookup, declares: () => true, hasAddress: () => false, size: 1 };
  const at = (port: number, upstreams: readonly string[]) =>
    createDnsServer({ address: { ip: 'localhost', port }, names: () => names, upstreams, now: () => 0, log: () => undefined });
  const before = await at(0, []);
  const { port } = before.address;
  before.close();
  const server = await at(port, [`127.0.0.1:${port}`, `[::1]:${port}`]);
  t.after(() => server.close());
  const tcp = connect(port, '127.0.0.1');
  t.after(() => tcp.destroy());
  tcp.write(query(3));
  const [reply] = (await once(tcp, 'data')) as [Buffer];
  assert.deepEqual([reply.readUInt16BE(4) & 15, asked], [2, 1]);
});

const query = (id: number): Buffer => {
  const message = encode({ type: 'query', id, questions: [{ type: 'A', name: 'a.example' }] });
  return Buffer.concat([Buffer.from([message.length >> 8, message.length & 255]), message]);
};

/** A client that the server has heard of: its first question has its answer. */
async function asked(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write(query(1));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.equal(decode(answer.subarray(2)).id, 1);
  return socket;
}

test('over TCP, a client has 10 s for a question, and not more for bringing it byte by byte', async (t) => {
  const { address } = await serve(t);
  for (const bytes of [[], [...query(2)].slice(0, 4)]) {
    const socket = await asked(t, address.port);
    const ended = once(socket, 'end');
    socket.resume();
    for (const byte of bytes) {
      t.mock.timers.tick(2_400);
      socket.write(Buffer.from([byte]));
      for (let i = 0; i < 20; i++) await turn();
    }
    t.mock.timers.tick(10_000 - bytes.length * 2_400);
    await ended;
  }
});

test('over TCP, whoever asks and reads no answers is read no more, and let go', async (t) => {
  const { address } = await serve(t);
  const socket = await asked(t, address.port);
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.pause();
  const questions = Buffer.concat(Array.from({ length: 2_000 }, (_, id) => query(id)));
  // Until neither side's buffers take any more.
  let still = 0;
  for (let taken = -1; still < 50; await turn()) {
    if (socket.writableLength < 1024 * 1024) socket.write(questions);
    still = socket.bytesWritten - socket.writableLength === taken ? still + 1 : 0;
    taken = socket.bytesWritten - socket.writableLength;
  }
  t.mock.timers.tick(10_000);
  socket.resume();
  await closed;
});
