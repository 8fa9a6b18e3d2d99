import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { type Acknowledgement, type Client, type Publication, type Refused, SetCache } from './cache.ts';
import { NameTableSchema } from './gen/istio/nds_pb.js';
import type { XdsResources, XdsUpdate } from './resources.ts';
import type { EncodedSet } from './update.ts';

type Versions = Readonly<Record<string, string>>;

const RESOURCES: XdsResources = { listeners: [], routes: [], clusters: [], endpoints: [], secrets: [], nameTable: create(NameTableSchema) };

function setOf(versions: Versions): EncodedSet {
  const resources = Object.entries(versions).map(
    ([name, version]) => [`cluster/${name}`, { type: 'cluster', name, version, bytes: new Uint8Array() }] as const,
  );
  return { version: JSON.stringify(versions), resources: new Map(resources) };
}

const publication = (versions: Versions): Publication => ({ set: setOf(versions), resources: RESOURCES });

/** Answers when the test says so. */
class SlowClient implements Client<Refused> {
  readonly updates: XdsUpdate[] = [];
  readonly answers: Acknowledgement<Publication, Refused>[] = [];
  #asked: { readonly resolve: (refused: readonly Refused[]) => void; readonly reject: (error: Error) => void } | undefined;

  apply(_resources: XdsResources, update: XdsUpdate): Promise<readonly Refused[]> {
    assert.equal(this.#asked, undefined, 'one change at a time');
    this.updates.push(update);
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject };
    });
  }

  get busy(): boolean {
    return this.#asked !== undefined;
  }

  async accept(...refused: readonly string[]): Promise<void> {
    const asked = this.#asked ?? assert.fail('nothing was asked');
    this.#asked = undefined;
    asked.resolve(refused.map((name) => ({ key: `cluster/${name}` })));
    await settle();
  }

  async fail(): Promise<void> {
    const asked = this.#asked ?? assert.fail('nothing was asked');
    this.#asked = undefined;
    asked.reject(new Error('broken'));
    await settle();
  }

  /** What the last change sets and removes. */
  get last(): string {
    const { changed, removed } = this.updates.at(-1)!;
    return [...changed.map(({ name, version }) => `${name}=${version}`), ...removed.map(({ name }) => `-${name}`)].sort().join(' ');
  }

  get kinds(): string[] {
    return this.answers.map((answer) => (answer.kind === 'accepted' && answer.refused.length > 0 ? 'refused' : answer.kind));
  }
}

/** Lets what was settled run on. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

function watched(cache = new SetCache<Publication, Refused>({ first: 1, most: 1 }), key = 'a') {
  const client = new SlowClient();
  const watch = cache.watch(key, client, (answer) => client.answers.push(answer));
  return { cache, client, watch };
}

test('a client gets all at first, then what changed, and nothing where nothing did', async () => {
  const { cache, client } = watched();
  cache.publish('a', publication({ x: '1', y: '1' }));
  assert.equal(client.last, 'x=1 y=1');
  await client.accept();
  cache.publish('a', publication({ x: '1', y: '1' }));
  await settle();
  assert.equal(client.updates.length, 1);
  cache.publish('a', publication({ x: '1', y: '2', z: '1' }));
  assert.equal(client.last, 'y=2 z=1');
  await client.accept();
  assert.deepEqual(client.kinds, ['accepted', 'accepted', 'accepted']);
});

test('a watch that begins later gets what was published, another key’s does not', async () => {
  const cache = new SetCache<Publication, Refused>();
  cache.publish('a', publication({ x: '1' }));
  assert.equal(watched(cache).client.last, 'x=1');
  assert.equal(watched(cache, 'b').client.busy, false);
});

test('while a client is busy, what is published replaces each other', async () => {
  const { cache, client } = watched();
  for (const version of ['1', '2', '3', '4']) cache.publish('a', publication({ x: version }));
  assert.equal(client.last, 'x=1');
  await client.accept();
  assert.equal(client.last, 'x=4');
  await client.accept();
  assert.equal(client.updates.length, 2);
  assert.deepEqual(
    client.answers.map((answer) => answer.publication.set.version),
    [JSON.stringify({ x: '1' }), JSON.stringify({ x: '4' })],
  );
});

test('a slow client delays no other', async () => {
  const { cache, client: slow } = watched();
  const { client: fast } = watched(cache);
  for (const version of ['1', '2', '3']) {
    cache.publish('a', publication({ x: version }));
    await fast.accept();
  }
  assert.equal(fast.last, 'x=3');
  assert.equal(slow.updates.length, 1);
  await slow.accept();
  assert.equal(slow.last, 'x=3');
});

test('what was refused is told, and sent again with the next publication, or removed', async () => {
  const { cache, client } = watched();
  cache.publish('a', publication({ x: '1', y: '1' }));
  await client.accept('x');
  assert.deepEqual(client.kinds, ['refused']);
  cache.publish('a', publication({ x: '1', y: '1' }));
  assert.equal(client.last, 'x=1');
  await client.accept('x');
  cache.publish('a', publication({ y: '1' }));
  assert.equal(client.last, '-x');
});

test('a failure is told and tried again; what it may have done is done anew or undone', async () => {
  const { cache, client } = watched();
  cache.publish('a', publication({ x: '1', y: '1' }));
  await client.accept();
  cache.publish('a', publication({ x: '2', z: '1' }));
  await client.fail();
  assert.deepEqual(client.kinds, ['accepted', 'failed']);
  while (!client.busy) await settle();
  assert.equal(client.last, '-y x=2 z=1');
  // Back to what was acknowledged last: z may be there, y may be gone.
  cache.publish('a', publication({ x: '1', y: '1' }));
  await client.fail();
  while (!client.busy) await settle();
  assert.equal(client.last, '-z x=1 y=1');
});

test('a watch that is closed gives and says nothing more', async () => {
  const { cache, client, watch } = watched();
  cache.publish('a', publication({ x: '1' }));
  watch.close();
  cache.publish('a', publication({ x: '2' }));
  await client.accept();
  assert.equal(client.updates.length, 1);
  assert.deepEqual(client.answers, []);
});

type Step = { readonly publish: Versions } | { readonly answer: 'accept' | 'fail'; readonly parts: readonly string[] };

const names = ['p', 'q', 'r'];
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ publish: fc.dictionary(fc.constantFrom(...names), fc.constantFrom('1', '2', '3')) as fc.Arbitrary<Versions> }),
  fc.record({ answer: fc.constantFrom('accept' as const, 'fail' as const), parts: fc.subarray(names) }),
);

test('whatever comes between, in the end a client runs what was published last', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { cache, client, watch } = watched(new SetCache({ first: 100_000, most: 100_000 }));
      const running = new Map<string, string>();
      /** Takes the change over but for these; of a failed one, nobody says which. */
      const take = (without: readonly string[]) => {
        const { changed, removed } = client.updates.at(-1)!;
        for (const { name, version } of changed) if (!without.includes(name)) running.set(name, version);
        for (const { name } of removed) if (!without.includes(name)) running.delete(name);
      };
      const answer = async (kind: 'accept' | 'fail', parts: readonly string[]) => {
        // What is removed cannot be refused.
        const refused = parts.filter((name) => client.updates.at(-1)!.changed.some((resource) => resource.name === name));
        take(kind === 'fail' ? parts : refused);
        await (kind === 'fail' ? client.fail() : client.accept(...refused));
      };
      let last: Versions = {};
      for (const each of steps) {
        if ('publish' in each) {
          last = each.publish;
          cache.publish('a', publication(last));
          await settle();
        } else if (client.busy) await answer(each.answer, each.parts);
      }
      while (client.busy) await answer('accept', []);
      // What was refused or failed is settled with the next one.
      cache.publish('a', publication(last));
      await settle();
      while (client.busy) await answer('accept', []);
      watch.close();
      assert.deepEqual(Object.fromEntries([...running].sort()), Object.fromEntries(Object.entries(last).sort()));
    }),
    { numRuns: 300, seed: 1 },
  );
});
