/** Both transports, over TCP (as the server has it, bare, and connected) and unix sockets, against ordinary sockets: what one does, the others do. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { codeOf } from '../../lib/errors.ts';
import { acceptBare } from './accept.ts';
import { BareSocket, nodeSocket } from './bare-socket.ts';
import { connectBare } from './connect.ts';
import { HandleTransport } from './handle-transport.ts';
import { streamInternals } from './internals.ts';
import { openTransport } from './open.ts';
import { SocketTransport } from './socket-transport.ts';
import type { StreamSocket } from './stream-socket.ts';
import type { Transport } from './transport.ts';

const LARGE = Buffer.alloc(8 * 1024 * 1024, 'x');

/** A transport, and what it has told. */
class Side {
  readonly transport: Transport;
  readonly lent = Buffer.alloc(32 * 1024);
  text = '';
  ended = false;
  drains = 0;
  closed: { readonly error: Error | undefined } | undefined;
  /** What the reader answers. */
  more = true;
  /** Called within each read. */
  onText: (() => void) | undefined;
  #wake: () => void = () => undefined;

  constructor(socket: StreamSocket, open: (socket: StreamSocket, side: Side) => Transport);
  constructor(from: Transport, open: (from: Transport, side: Side) => Transport);
  constructor(from: never, open: (from: never, side: Side) => Transport) {
    this.transport = open(from, this);
  }

  readonly reader = {
    buffer: () => this.lent,
    filled: (length: number) => this.#came(this.lent.subarray(0, length)),
    took: (bytes: Buffer) => this.#came(bytes),
  };

  readonly events = {
    ended: () => this.#told(() => (this.ended = true)),
    drained: () => this.#told(() => this.drains++),
    closed: (error: Error | undefined) =>
      this.#told(() => {
        assert.equal(this.closed, undefined, 'closed is told once');
        this.closed = { error };
      }),
  };

  #came(bytes: Buffer): boolean {
    this.#told(() => (this.text += bytes.toString('latin1')));
    this.onText?.();
    return this.more;
  }

  #told(what: () => void): void {
    what();
    this.#wake();
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

const WAYS: Readonly<Record<string, (socket: StreamSocket, side: Side) => Transport>> = {
  handle: (socket, side) => openTransport(socket, side.reader, side.events),
  socket: (socket, side) => new SocketTransport(nodeSocket(socket), side.reader, side.events),
};

const KINDS = ['tcp', 'bare tcp', 'connected tcp', 'unix'];

interface Pair {
  readonly peer: Socket;
  /** Our side, before a transport has it. */
  readonly ours: Socket | BareSocket;
  open(): Side;
}

async function pair(t: TestContext, kind: string, way: string, allowHalfOpen = true): Promise<Pair> {
  const connects = kind === 'connected tcp';
  const server = createServer({ pauseOnConnect: !connects, allowHalfOpen: allowHalfOpen || connects });
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-net-'));
  t.after(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  if (kind === 'unix') server.listen(join(folder, 'socket'));
  else server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  if (kind === 'bare tcp') acceptBare(server, (socket) => server.emit('connection', socket));
  const address = server.address() as AddressInfo | string;
  const where = typeof address === 'string' ? { path: address } : { port: address.port, host: '127.0.0.1' };
  const called = connects
    ? connectBare({ ip: '127.0.0.1', port: (address as AddressInfo).port })!
    : connect({ ...where, allowHalfOpen: true });
  const [[other]] = (await Promise.all([once(server, 'connection'), once(called, 'connect')])) as unknown as [[Socket | BareSocket]];
  const [given, peer] = (connects ? [called, other] : [other, called]) as [Socket | BareSocket, Socket];
  t.after(() => peer.destroy());
  assert.equal(given instanceof BareSocket, kind === 'bare tcp' || connects);
  given.allowHalfOpen = allowHalfOpen;
  const ours = way === 'socket' ? nodeSocket(given) : given;
  t.after(() => ours.destroy());
  ours.on('error', () => undefined);
  return { peer, ours, open: () => new Side(ours, WAYS[way]!) };
}

/** All that the peer is sent. */
async function everything(peer: Socket): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of peer) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('latin1');
}

test('this Node has what the transport on handles needs', async (t) => {
  assert.ok(streamInternals());
  for (const kind of KINDS) assert.ok((await pair(t, kind, 'handle')).open().transport instanceof HandleTransport);
});

for (const kind of KINDS) {
  for (const way of Object.keys(WAYS)) {
    const check = (name: string, body: (t: TestContext) => Promise<void>) => test(`${name} (${kind}, ${way})`, { timeout: 30_000 }, body);

    check('bytes go both ways, those that were read before come first, and nothing is read before resume', async (t) => {
      const { peer, ours, open } = await pair(t, kind, way);
      peer.write('one ');
      ours.resume();
      await once(ours, 'readable');
      const side = open();
      assert.equal(side.text, '');
      side.transport.resume();
      await side.until(() => side.text === 'one ');
      peer.write('two');
      await side.until(() => side.text === 'one two');
      assert.equal(side.transport.writeText('th\xe9 '), true);
      assert.equal(side.transport.write(Buffer.from('end')), true);
      side.transport.end();
      assert.equal(await everything(peer), 'th\xe9 end');
      assert.equal(side.closed, undefined, 'half open');
      peer.end();
      await side.until(() => side.closed !== undefined);
      assert.deepEqual([side.ended, side.closed], [true, { error: undefined }]);
      assert.deepEqual([ours.bytesRead, ours.bytesWritten], [7, 7], 'the socket counts');
    });

    check('another takes it over: what comes and happens from then on is theirs', async (t) => {
      const { peer, open } = await pair(t, kind, way);
      const first = open();
      let second: Side | undefined;
      first.onText = () => {
        second = new Side(first.transport, (from, side) => openTransport(from, side.reader, side.events));
      };
      first.transport.resume();
      peer.write('one');
      await first.until(() => first.text === 'one');
      peer.end('two');
      assert(second);
      assert.equal(second.transport, first.transport);
      await second.until(() => second!.ended);
      assert.equal(second.text, 'two');
      second.transport.end();
      await second.until(() => second!.closed !== undefined);
      assert.deepEqual([first.text, first.ended, first.closed], ['one', false, undefined]);
    });

    check('the peer may end first, also before anybody listened', async (t) => {
      const { peer, open } = await pair(t, kind, way);
      peer.end('last words');
      const side = open();
      side.transport.resume();
      await side.until(() => side.ended);
      assert.equal(side.text, 'last words');
      side.transport.writeText('an answer');
      side.transport.destroySoon();
      assert.equal(await everything(peer), 'an answer');
      await side.until(() => side.closed !== undefined);
      assert.equal(side.transport.destroyed, true);
    });

    check('a connection that may not stay half open ends with its peer, after what is pending', async (t) => {
      const { peer, open } = await pair(t, kind, way, false);
      const side = open();
      side.transport.resume();
      side.transport.write(LARGE);
      side.transport.writeText('end');
      peer.end();
      assert.equal((await everything(peer)).length, LARGE.length + 3);
      await side.until(() => side.closed !== undefined);
      assert.equal(side.closed?.error, undefined);
    });

    check('what the system does not take is pending until it has drained, in the order of the writes', async (t) => {
      const { peer, open } = await pair(t, kind, way);
      const side = open();
      side.transport.resume();
      assert.equal(side.transport.writeText('head '), true);
      assert.equal(side.transport.write(LARGE), false);
      assert.ok(side.transport.pending > 0);
      side.transport.writeText(' middle ');
      side.transport.write(Buffer.from('tail'));
      side.transport.writeText('!');
      assert.equal(side.drains, 0);
      peer.setEncoding('latin1');
      let got = '';
      peer.on('data', (piece) => (got += piece));
      await side.until(() => side.drains > 0);
      assert.deepEqual([side.transport.pending, side.drains], [0, 1]);
      side.transport.end();
      await once(peer, 'end');
      assert.ok(got === `head ${LARGE.toString('latin1')} middle tail!`);
    });

    check('ending waits for what is pending', async (t) => {
      const { peer, open } = await pair(t, kind, way);
      const side = open();
      side.transport.resume();
      side.transport.write(LARGE);
      side.transport.write(LARGE);
      side.transport.destroySoon();
      side.transport.writeText('dropped');
      assert.equal((await everything(peer)).length, 2 * LARGE.length);
    });

    check('a pause holds back what comes, and so does a reader that has enough', async (t) => {
      const { peer, open } = await pair(t, kind, way);
      const side = open();
      side.transport.resume();
      peer.write('a');
      await side.until(() => side.text === 'a');
      side.transport.pause();
      peer.write(LARGE);
      side.transport.readOn();
      // The peer cannot be rid of it all.
      assert.equal(peer.writableNeedDrain, true);
      assert.equal(side.text, 'a');
      side.more = false;
      side.transport.resume();
      await side.until(() => side.text.length > 1);
      const { length } = side.text;
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(side.text.length, length, 'one read and no more');
      side.more = true;
      side.transport.readOn();
      await side.until(() => side.text.length === LARGE.length + 1);
    });

    check('closing now loses what is pending, and is told once', async (t) => {
      const { peer, ours, open } = await pair(t, kind, way);
      const side = open();
      side.transport.resume();
      side.transport.write(LARGE);
      side.transport.destroy();
      assert.equal(side.closed, undefined, 'not within the call');
      side.transport.writeText('never');
      side.transport.destroy();
      const [, text] = await Promise.all([once(ours, 'close'), everything(peer).catch(() => '')]);
      assert.ok(text.length < LARGE.length);
      assert.ok(side.closed);
    });

    check('a reset is one, and the peer’s is told', async (t) => {
      const { peer, open } = await pair(t, kind, way);
      const side = open();
      side.transport.resume();
      const failed = once(peer, kind === 'unix' ? 'end' : 'error');
      peer.resume();
      side.transport.reset();
      const [error] = await failed;
      if (kind !== 'unix') assert.equal(codeOf(error), 'ECONNRESET');
      await side.until(() => side.closed !== undefined);
      if (kind === 'unix') return;
      const other = await pair(t, kind, way);
      const heard = other.open();
      heard.transport.resume();
      other.peer.resetAndDestroy();
      await heard.until(() => heard.closed !== undefined);
      assert.equal(codeOf(heard.closed?.error), 'ECONNRESET');
    });

    check('a write to a peer that has gone closes with the error', async (t) => {
      const { peer, open } = await pair(t, kind, way);
      const side = open();
      const gone = once(peer, 'close');
      peer.destroy();
      await gone;
      // The first may still be taken by the system.
      while (!side.closed) {
        side.transport.writeText('x');
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.match(String(codeOf(side.closed.error)), /^(EPIPE|ECONNRESET)$/);
    });

    check('idle is told when no byte moves', async (t) => {
      const { peer, open } = await pair(t, kind, way);
      const side = open();
      side.transport.resume();
      let idle = 0;
      const told = new Promise<void>((resolve) => side.transport.onIdle(500, () => resolve(void idle++)));
      let before = 0;
      for (let i = 0; i < 20; i++) {
        before = performance.now();
        peer.write('x');
        await side.until(() => side.text.length > i);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await told;
      assert.ok(performance.now() - before >= 499);
      assert.equal(idle, 1);
    });
  }
}

test('a bare connection has its errors heard also once it is a net.Socket, and one that is closed makes none that stays open', async (t) => {
  const { peer, ours } = await pair(t, 'bare tcp', 'handle');
  const socket = nodeSocket(ours);
  // Not by `once`, which would hear the error.
  const hadError = new Promise((resolve) => socket.on('close', resolve));
  peer.resetAndDestroy();
  socket.resume();
  assert.equal(await hadError, true);

  const other = await pair(t, 'bare tcp', 'handle');
  const gone = once(other.ours, 'close');
  other.ours.destroy();
  const late = nodeSocket(other.ours);
  assert.equal(late.destroyed, true);
  await Promise.all([gone, once(late, 'close')]);
});
