import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { decode, encode } from 'dns-packet';
import { createDnsResolver } from './resolver.ts';

/** A name server that tells what it is asked, and answers when it is told to. */
class NameServer {
  readonly asked: string[] = [];
  address = '';
  readonly #socket: Socket = createSocket('udp4');
  #held: (() => void)[] | undefined;
  #wanted: { readonly count: number; readonly resolve: () => void } | undefined;

  constructor(hold: boolean) {
    this.#held = hold ? [] : undefined;
    this.#socket.on('message', (message, peer) => {
      const { id, questions } = decode(message);
      const { name } = questions![0]!;
      this.asked.push(name);
      const reply = () => {
        const answers = [{ type: 'A' as const, name, ttl: 60, data: '10.0.0.1' }];
        this.#socket.send(encode({ type: 'response', id: id!, questions: questions!, answers }), peer.port, peer.address);
      };
      if (this.#held) this.#held.push(reply);
      else reply();
      if (this.#wanted && this.asked.length >= this.#wanted.count) this.#wanted.resolve();
    });
  }

  async listen(t: TestContext): Promise<string> {
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
    t.after(() => this.#socket.close());
    this.address = `127.0.0.1:${(this.#socket.address() as AddressInfo).port}`;
    return this.address;
  }

  /** Resolves when so many questions have come. */
  async came(count: number): Promise<void> {
    if (this.asked.length >= count) return;
    await new Promise<void>((resolve) => {
      this.#wanted = { count, resolve };
    });
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const reply of held) reply();
  }
}

async function resolver(t: TestContext, server: NameServer) {
  const made = createDnsResolver({ servers: [await server.listen(t)], now: () => performance.now() });
  t.after(() => made.close());
  return made;
}

test('questions for one name are one query, while it is under way and while its answer holds', async (t) => {
  const server = new NameServer(true);
  const { resolve } = await resolver(t, server);
  const answers = [resolve('a.test', 'v4'), resolve('A.TEST', 'v4')];
  await server.came(1);
  server.release();
  for (const answer of await Promise.all([...answers, resolve('a.test', 'v4')]))
    assert.deepEqual(answer, { kind: 'found', ips: ['10.0.0.1'], ttlMs: 60_000 });
  assert.deepEqual(server.asked, ['a.test']);
});

test('a crowd of names goes out a hundred at a time, and all are answered', async (t) => {
  const server = new NameServer(true);
  const { resolve } = await resolver(t, server);
  const answers = Array.from({ length: 250 }, (_, i) => resolve(`n${i}.test`, 'v4'));
  await server.came(100);
  // A question from elsewhere, sent now: what had been sent beyond the hundred would come before it.
  const beside = createDnsResolver({ servers: [server.address], now: () => performance.now() });
  t.after(() => beside.close());
  const last = beside.resolve('fence.test', 'v4');
  await server.came(101);
  assert.equal(server.asked.at(-1), 'fence.test');
  server.release();
  assert.deepEqual(new Set((await Promise.all(answers)).map(({ kind }) => kind)), new Set(['found']));
  assert.equal((await last).kind, 'found');
  assert.equal(server.asked.length, 251);
});
