/** Clients of a gRPC server that keep to no protocol: none of them ends it, fills its memory, or keeps others from being served. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Client, credentials } from '@grpc/grpc-js';
import { prefixOf } from '../../src/lib/grpc/messages.ts';
import { type GrpcServer, type Handler, startGrpcServer } from '../../src/lib/grpc/server.ts';
import { STATUS } from '../../src/lib/grpc/status.ts';
import { END_STREAM, frame, headers, PREFACE, request, SETTINGS, TYPE } from './frames.ts';

const PATH = '/test.Service/Method';
const HEAD = request('POST', PATH, 'x', [['content-type', 'application/grpc']]);
const address = '127.0.0.1';

/** Answers each message with as many bytes, and the end of the messages with an end. */
function answering(bytes: number): Handler {
  return (call) => ({ message: () => call.write(Buffer.alloc(bytes)), halfClosed: () => call.end(STATUS.ok), closed: () => {} });
}

async function serverOf(t: TestContext, handler: Handler): Promise<GrpcServer> {
  const server = await startGrpcServer({
    listen: { address, port: 0 },
    what: 'cannot serve the test',
    name: 'the test',
    methods: new Map([[PATH, handler]]),
  });
  t.after(() => server.close(0));
  return server;
}

async function hostile(t: TestContext, { port }: GrpcServer): Promise<Socket> {
  const socket = connect(port, address);
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(Buffer.concat([PREFACE, SETTINGS]));
  return socket;
}

/** Another client is served. */
async function serves({ port }: GrpcServer): Promise<void> {
  const client = new Client(`${address}:${port}`, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(
    PATH,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
  );
  call.end(Buffer.from('a'));
  const status = once(call, 'status');
  call.resume();
  assert.equal(((await status) as [{ code: number }])[0].code, STATUS.ok);
  client.close();
}

const message = (bytes: Buffer) => Buffer.concat([prefixOf(bytes), bytes]);
const data = (stream: number, bytes: Buffer, flags = 0) => frame(TYPE.data, flags, stream, bytes);

for (const code of [0, 8]) {
  for (const [what, flags, pieces] of [
    ['calls', 0, []],
    ['calls of no message', END_STREAM, []],
    ['calls with a message', 0, [message(Buffer.from('a'))]],
    ['calls with half a message', 0, [message(Buffer.from('abc')).subarray(0, 6)]],
  ] as const) {
    test(`${what} that are reset at once with code ${code} end nothing else`, { timeout: 30_000 }, async (t) => {
      const server = await serverOf(t, answering(1));
      const socket = await hostile(t, server);
      socket.resume();
      const ids = Array.from({ length: 40 }, (_, index) => 2 * index + 1);
      const frames = ids.flatMap((id) => [
        headers(id, flags, HEAD),
        ...pieces.map((piece) => data(id, piece)),
        frame(TYPE.rst, 0, id, [0, 0, 0, code]),
      ]);
      socket.write(Buffer.concat(frames));
      await serves(server);
    });
  }
}

test('a call that is over is told of once, however it ended', { timeout: 30_000 }, async (t) => {
  let [begun, closed] = [0, 0];
  const server = await serverOf(t, (call) => {
    begun += 1;
    return {
      message: () => call.write(Buffer.alloc(1_000_000)),
      halfClosed: () => call.end(STATUS.ok),
      closed: () => {
        closed += 1;
      },
    };
  });
  const socket = await hostile(t, server);
  // Nothing is read: the answers wait, and so does what comes after the messages.
  const open = (id: number) => [headers(id, 0, HEAD), data(id, message(Buffer.from('a'))), data(id, message(Buffer.from('a')))];
  socket.write(Buffer.concat([1, 3, 5].flatMap(open)));
  while (begun < 3) await wait(5);
  socket.write(Buffer.concat([frame(TYPE.rst, 0, 1, [0, 0, 0, 0]), frame(TYPE.rst, 0, 3, [0, 0, 0, 8])]));
  while (closed < 2) await wait(5);
  socket.destroy();
  while (closed < 3) await wait(5);
  await server.close(0);
  assert.deepEqual([begun, closed], [3, 3]);
});

for (const bytes of [0, 100_000]) {
  test(`whoever does not read is not answered further, by messages of ${bytes} bytes`, { timeout: 30_000 }, async (t) => {
    let asked = 0;
    const server = await serverOf(t, (call) => ({
      message: () => {
        asked += 1;
        call.write(Buffer.alloc(bytes));
      },
      halfClosed: () => call.end(STATUS.ok),
      closed: () => {},
    }));
    const socket = await hostile(t, server);
    // A window of nothing: the client takes nothing, however little it is.
    socket.write(frame(TYPE.settings, 0, 0, [0, 4, 0, 0, 0, 0]));
    const many = Buffer.concat(Array.from({ length: 3000 }, () => message(Buffer.alloc(0))));
    socket.write(Buffer.concat([headers(1, 0, HEAD), data(1, many)]));
    while (asked === 0) await wait(5);
    await serves(server);
    assert.ok(asked < 20, `${asked} answers wait for a client that reads none`);
  });
}

test('messages that are never complete do not add up', { timeout: 60_000 }, async (t) => {
  const server = await serverOf(t, answering(1));
  const socket = await hostile(t, server);
  socket.resume();
  const gone = new Promise((resolve) => socket.once('close', resolve));
  const ids = Array.from({ length: 60 }, (_, index) => 2 * index + 1);
  for (const id of ids) socket.write(Buffer.concat([headers(id, 0, HEAD), data(id, Buffer.from([0, 0, 0x7f, 0xff, 0xff]))]));
  const block = Buffer.alloc(16_000);
  let sent = 0;
  const limit = 256 * 1024 * 1024;
  while (!socket.destroyed && sent < limit) {
    for (const id of ids) {
      sent += block.length;
      if (!socket.write(data(id, block))) await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), gone]);
    }
  }
  assert.ok(sent < limit, `${sent} bytes of messages that never end were taken`);
  await gone;
  await serves(server);
});

test('a client that does not read does not outlive the server, nor its connection its age', { timeout: 30_000 }, async (t) => {
  for (const mostAgeMs of [undefined, 100]) {
    const server = await startGrpcServer({
      listen: { address, port: 0 },
      what: 'cannot serve the test',
      name: 'the test',
      methods: new Map([[PATH, answering(30_000_000)]]),
      mostAgeMs,
    });
    const socket = await hostile(t, server);
    const window = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]);
    socket.write(frame(TYPE.settings, 0, 0, window));
    socket.write(frame(TYPE.windowUpdate, 0, 0, [0x7f, 0, 0, 0]));
    socket.write(Buffer.concat([headers(1, 0, HEAD), data(1, message(Buffer.from('a')))]));
    if (mostAgeMs !== undefined) {
      // What it has not read is lost with the connection: it cannot be 30 MB.
      await wait(mostAgeMs + 1500);
      let read = 0;
      socket.on('data', (piece) => {
        read += piece.length;
      });
      await once(socket, 'close');
      assert.ok(read < 20_000_000, `${read} bytes were read of a connection that is too old`);
    } else await wait(100);
    await server.close(50);
  }
});
