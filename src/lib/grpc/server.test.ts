/** The server with clients of a library, and with clients that keep to no protocol. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { connect, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { Client, type ClientDuplexStream, credentials, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { prefixOf } from './messages.ts';
import { type Call, type CallListener, type GrpcServer, startGrpcServer } from './server.ts';
import { STATUS } from './status.ts';

const address = '127.0.0.1';
const bytes = (given: Uint8Array) => Buffer.from(given);

/** Echoes each message, and ends the call when its client does. */
function echo(call: Call): CallListener {
  return { message: (message) => call.write(message), halfClosed: () => call.end(STATUS.ok), closed: () => {} };
}

async function serverOf(t: TestContext, handler: (call: Call) => CallListener): Promise<GrpcServer> {
  const server = await startGrpcServer({
    listen: { address, port: 0 },
    what: 'cannot serve the test',
    option: '--test',
    name: 'the test',
    methods: new Map([['/test.Service/Method', handler]]),
  });
  t.after(() => server.close(0));
  return server;
}

function clientOf(t: TestContext, { port }: GrpcServer): Client {
  const client = new Client(`${address}:${port}`, credentials.createInsecure(), { 'grpc.max_receive_message_length': -1 });
  t.after(() => client.close());
  return client;
}

function stream(client: Client, path = '/test.Service/Method'): ClientDuplexStream<Uint8Array, Buffer> {
  const call = client.makeBidiStreamRequest(path, bytes, bytes);
  call.on('error', () => {});
  return call;
}

async function statusOf(call: ClientDuplexStream<Uint8Array, Buffer>): Promise<string> {
  call.resume();
  const { code, details } = await new Promise<StatusObject>((resolve) => call.once('status', resolve));
  return `${status[code]}: ${details}`;
}

test('messages go both ways, large ones too, until the client ends the call', { timeout: 30_000 }, async (t) => {
  const call = stream(clientOf(t, await serverOf(t, echo)));
  for (const message of [Buffer.from('a'), Buffer.alloc(0), Buffer.alloc(3_000_000, 'x')]) {
    call.write(message);
    const [answer] = (await once(call, 'data')) as [Buffer];
    assert.ok(answer.equals(message));
  }
  call.end();
  assert.equal(await statusOf(call), 'OK: ');
});

test('a call of one message is answered by one', { timeout: 30_000 }, async (t) => {
  const server = await serverOf(t, (call) => ({
    message: (message) => {
      call.write(message);
      call.end(STATUS.ok);
    },
    halfClosed: () => {},
    closed: () => {},
  }));
  const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
    clientOf(t, server).makeUnaryRequest('/test.Service/Method', bytes, bytes, Buffer.from('ask'), (error: ServiceError | null, value) =>
      error ? reject(error) : resolve(value),
    );
  });
  assert.equal(answer?.toString(), 'ask');
});

test('an end says why, before and after something was written', { timeout: 30_000 }, async (t) => {
  const client = clientOf(
    t,
    await serverOf(t, (call) => ({
      message: (message) => {
        if (message.length > 0) call.write(message);
        call.end(STATUS.permissionDenied, 'no, „nobody“ may: 100 %');
        call.end(STATUS.ok);
      },
      halfClosed: () => {},
      closed: () => {},
    })),
  );
  for (const message of ['', 'something']) {
    const call = stream(client);
    call.write(Buffer.from(message));
    assert.equal(await statusOf(call), 'PERMISSION_DENIED: no, „nobody“ may: 100 %');
  }
});

test('a method that there is not is said to be unknown', { timeout: 30_000 }, async (t) => {
  const call = stream(clientOf(t, await serverOf(t, echo)), '/test.Service/Other');
  assert.equal(await statusOf(call), 'UNIMPLEMENTED: there is no method /test.Service/Other here');
});

test('a client that goes is told of once', { timeout: 30_000 }, async (t) => {
  const news = new EventEmitter();
  let closed = 0;
  const server = await serverOf(t, () => ({
    message: () => news.emit('message'),
    halfClosed: () => {},
    closed: () => {
      closed += 1;
      news.emit('closed');
    },
  }));
  const call = stream(clientOf(t, server));
  call.write(Buffer.from('a'));
  await once(news, 'message');
  const gone = once(news, 'closed');
  call.cancel();
  await gone;
  await server.close(1000);
  assert.equal(closed, 1);
});

test('whoever waits is told that the server ends, and nobody waits longer than its time', { timeout: 30_000 }, async (t) => {
  const server = await serverOf(t, (call) => {
    call.begin();
    return { message: () => {}, halfClosed: () => {}, closed: () => {} };
  });
  const call = stream(clientOf(t, server));
  await once(call, 'metadata');
  const ended = statusOf(call);
  await server.close(1000);
  assert.equal(await ended, 'UNAVAILABLE: the test is ending');
});

test('what a client does not read waits, and is told of when it is read', { timeout: 30_000 }, async (t) => {
  const news = new EventEmitter();
  const server = await serverOf(t, (call) => ({
    message: () => call.write(Buffer.alloc(1_000_000), () => news.emit('written')),
    halfClosed: () => {},
    closed: () => {},
  }));
  const session = connect(`http://${address}:${server.port}`);
  t.after(() => session.destroy());
  const call = session.request({ ':method': 'POST', ':path': '/test.Service/Method', 'content-type': 'application/grpc' });
  let written = false;
  const told = once(news, 'written').then(() => {
    written = true;
  });
  call.write(framed('a'));
  await once(call, 'response');
  assert.equal(written, false);
  call.resume();
  await told;
});

test('of a client that does not read what it is answered no more is read than so many questions', { timeout: 30_000 }, async (t) => {
  const news = new EventEmitter();
  let heard = 0;
  const server = await serverOf(t, (call) => ({
    message: () => {
      heard++;
      call.write(Buffer.alloc(100_000), () => news.emit('written'));
    },
    halfClosed: () => {},
    closed: () => {},
  }));
  const session = connect(`http://${address}:${server.port}`);
  t.after(() => session.destroy());
  const call = session.request({ ':method': 'POST', ':path': '/test.Service/Method', 'content-type': 'application/grpc' });
  // All in one frame, which comes at once.
  call.write(Buffer.concat(Array.from({ length: 50 }, () => framed('a'))));
  await once(call, 'response');
  assert.ok(heard <= 16, `${heard} of 50`);
  call.resume();
  while (heard < 50) await once(news, 'written');
});

test('clients that keep to no protocol are refused, each by itself', { timeout: 30_000 }, async (t) => {
  const server = await serverOf(t, echo);
  const session = connect(`http://${address}:${server.port}`);
  t.after(() => session.destroy());
  const head = { ':method': 'POST', ':path': '/test.Service/Method', 'content-type': 'application/grpc' };
  const answerTo = async (headers: Record<string, string>, sent: Buffer, end: boolean) => {
    const call = session.request({ ...head, ...headers });
    const trailers = new Promise<IncomingHttpHeaders>((resolve) => call.once('trailers', resolve));
    const response = once(call, 'response');
    if (end) call.end(sent);
    else call.write(sent);
    const [answer] = (await response) as [IncomingHttpHeaders & IncomingHttpStatusHeader];
    call.resume();
    const said = answer['grpc-status'] === undefined && answer[':status'] === 200 ? await trailers : answer;
    call.close();
    return `${String(answer[':status'])} ${String(said['grpc-status'] ?? '')} ${String(said['grpc-message'] ?? '')}`.trim();
  };
  assert.equal(await answerTo({ 'content-type': 'text/plain' }, framed('a'), true), '415');
  assert.match(await answerTo({ 'grpc-encoding': 'gzip' }, framed('a'), true), /^200 12 messages in the encoding gzip/);
  assert.match(await answerTo({}, Buffer.from([1, 0, 0, 0, 0]), false), /^200 12 a message is compressed/);
  assert.match(await answerTo({}, Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), false), /^200 8 a message of 4294967295 bytes/);
  assert.match(await answerTo({}, framed('a').subarray(0, 3), true), /^200 3 the last message is cut off/);
  assert.match(await answerTo({}, framed('a'), true), /^200 0/);
});

function framed(text: string): Buffer {
  const message = Buffer.from(text);
  return Buffer.concat([prefixOf(message), message]);
}
