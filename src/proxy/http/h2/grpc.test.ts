/** Calls of gRPC between grpc-js's client and server, through the proxy. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { fakeCluster, routesTo, startProxy } from '../testing.ts';

const bytes = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/t.Echo/${name}`,
  requestStream,
  responseStream,
  ...bytes,
});
const SERVICE = {
  unary: method('Unary', false, false),
  fails: method('Fails', false, false),
  never: method('Never', false, false),
  collect: method('Collect', true, false),
  repeat: method('Repeat', false, true),
  both: method('Both', true, true),
} as const;

function same(value: Buffer): Buffer {
  return value;
}

async function setup(t: TestContext) {
  let cancelled: () => void = () => undefined;
  const cancellation = new Promise<void>((resolve) => {
    cancelled = resolve;
  });
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
  server.addService(SERVICE, {
    unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
      const trailer = new grpc.Metadata();
      trailer.set('x-trailer', 'said');
      answer(null, call.request, trailer);
    },
    fails: (_call: unknown, answer: grpc.sendUnaryData<Buffer>) => answer({ code: grpc.status.NOT_FOUND, details: 'not here: 100 %' }),
    never: (call: grpc.ServerUnaryCall<Buffer, Buffer>) => call.on('cancelled', cancelled),
    collect: (call: grpc.ServerReadableStream<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
      const pieces: Buffer[] = [];
      call.on('data', (piece: Buffer) => pieces.push(piece));
      call.on('end', () => answer(null, Buffer.concat(pieces)));
    },
    repeat: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      for (let i = 0; i < 100; i++) call.write(call.request);
      call.end();
    },
    both: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (piece: Buffer) => call.write(piece));
      call.on('end', () => call.end());
    },
  });
  const port = await promisify(server.bindAsync.bind(server))('127.0.0.1:0', grpc.ServerCredentials.createInsecure());
  const cluster = fakeCluster('upstream', [port]);
  cluster.protocol = 'http2';
  const proxy = await startProxy({ clusters: [cluster], routes: routesTo('upstream') });
  const Client = grpc.makeGenericClientConstructor(SERVICE, 'Echo');
  const client = new Client(`127.0.0.1:${proxy.port}`, grpc.credentials.createInsecure(), { 'grpc.max_receive_message_length': -1 });
  t.after(async () => {
    client.close();
    server.forceShutdown();
    await proxy.close();
  });
  return { client, proxy, cancellation };
}

type Unary = (
  request: Buffer,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, answer?: Buffer) => void,
) => grpc.ClientUnaryCall;

const LARGE = Buffer.alloc(3 * 1024 * 1024, 'gRPC');

test('calls of which hundreds come at once keep their messages, whole and in order', async (t) => {
  const { client } = await setup(t);
  const call = (message: Buffer) =>
    new Promise<Buffer>((resolve, reject) =>
      (client.unary as unknown as Unary)(message, {}, (error, answer) => (error ? reject(error) : resolve(Buffer.from(answer!)))),
    );
  const messages = Array.from({ length: 300 }, (_, i) => Buffer.from(`${i} `.repeat(i % 7 === 0 ? 20_000 : 1)));
  const answers = await Promise.all(messages.map(call));
  assert.deepEqual(
    answers.flatMap((answer, i) => (answer.equals(messages[i]!) ? [] : [`${i}: ${answer.length} of ${messages[i]!.length} bytes`])),
    [],
  );
});

test('unary calls: messages of any size, trailers, an error with its text', async (t) => {
  const { client, proxy } = await setup(t);
  for (const message of [Buffer.alloc(0), Buffer.from('a'), LARGE]) {
    const { answer, status } = await new Promise<{ answer: Buffer; status: grpc.StatusObject }>((resolve, reject) => {
      let said = Buffer.alloc(0);
      const call = (client.unary as unknown as Unary)(message, {}, (error, answer = said) => {
        if (error) reject(error);
        said = Buffer.from(answer);
      });
      call.on('status', (status) => resolve({ answer: said, status }));
    });
    assert.ok(answer.equals(message), `${message.length} bytes`);
    assert.deepEqual(status.metadata.get('x-trailer'), ['said']);
    assert.equal((await proxy.nextRecord()).responseTrailers?.get('grpc-status'), '0');
  }
  const error = await new Promise<grpc.ServiceError | null>((resolve) => (client.fails as unknown as Unary)(Buffer.alloc(1), {}, resolve));
  assert.deepEqual([error?.code, error?.details], [grpc.status.NOT_FOUND, 'not here: 100 %']);
});

test('streams in one direction and in both', async (t) => {
  const { client } = await setup(t);
  const piece = LARGE.subarray(0, 100_000);
  const collected = await new Promise<Buffer>((resolve, reject) => {
    const call = (client.collect as unknown as (done: (error: Error | null, answer: Buffer) => void) => grpc.ClientWritableStream<Buffer>)(
      (error, answer) => (error ? reject(error) : resolve(answer)),
    );
    for (let i = 0; i < 20; i++) call.write(piece);
    call.end();
  });
  assert.equal(collected.length, 20 * piece.length);
  const repeated = (client.repeat as unknown as (request: Buffer) => grpc.ClientReadableStream<Buffer>)(piece);
  let count = 0;
  for await (const each of repeated) {
    assert.ok((each as Buffer).equals(piece));
    count++;
  }
  assert.equal(count, 100);
  const both = (client.both as unknown as () => grpc.ClientDuplexStream<Buffer, Buffer>)();
  for (let i = 0; i < 50; i++) {
    const message = Buffer.from(`message ${i}`);
    both.write(message);
    const [echoed] = await new Promise<Buffer[]>((resolve) => both.once('data', (data: Buffer) => resolve([data])));
    assert.ok(echoed!.equals(message));
  }
  both.end();
  both.resume();
  await new Promise((resolve) => both.once('end', resolve));
});

test('a call that is cancelled, or whose deadline is over, is cancelled at the server', async (t) => {
  const { client, cancellation } = await setup(t);
  const error = await new Promise<grpc.ServiceError | null>((resolve) =>
    (client.never as unknown as Unary)(Buffer.alloc(1), { deadline: Date.now() + 300 }, resolve),
  );
  assert.equal(error?.code, grpc.status.DEADLINE_EXCEEDED);
  await cancellation;
});
