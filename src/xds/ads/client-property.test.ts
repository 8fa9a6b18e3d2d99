/** Whatever happens between a client and its servers: what is in force is never half of something, and in the end what the last server serves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { contentHash } from '../encode.ts';
import { Pair } from './client-testing.ts';
import { type MeshContents, meshOf } from './testing.ts';

const NAMES = ['a', 'b', 'c'];
const version = fc.constantFrom('1', '2', '3');
const some = fc.dictionary(fc.constantFrom(...NAMES), version, { maxKeys: 3 });

/** Clusters with endpoints of their own, listeners with routes that are there. */
const contents: fc.Arbitrary<MeshContents> = fc.record({ clusters: some, texts: some, routes: some, listeners: some }).map((drawn) => ({
  clusters: drawn.clusters,
  endpoints: Object.fromEntries(Object.keys(drawn.clusters).map((name) => [name, drawn.texts[name] ?? '0'])),
  routes: drawn.routes,
  listeners: Object.fromEntries(
    Object.entries(drawn.listeners)
      .filter(([name]) => name in drawn.routes)
      .map(([name, text]) => [name, { text, route: name }]),
  ),
}));

type Step =
  | { readonly kind: 'serve' | 'reconnect'; readonly to: MeshContents }
  | { readonly kind: 'push' | 'settle' | 'lose' }
  | { readonly kind: 'refuse'; readonly digit: string | undefined };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('serve' as const, 'reconnect' as const), to: contents }),
  fc.record({ kind: fc.constantFrom('push' as const, 'settle' as const, 'lose' as const) }),
  fc.record({ kind: fc.constant('refuse' as const), digit: fc.option(fc.constantFrom('0', '4', '8', 'c'), { nil: undefined }) }),
);

for (const protocol of ['delta', 'sotw'] as const) {
  test(`${protocol}: every way of events ends at what is served`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), contents, async (steps, last) => {
        const pair = new Pair(protocol);
        pair.connect(meshOf({}));
        for (const one of steps) await take(pair, one);
        pair.plane.bad = () => undefined;
        pair.disconnect();
        pair.connect(meshOf(last));
        await pair.settle();
        const expected = [...meshOf(last).resources]
          .filter(([key]) => isAsked(key, last))
          .map(([key, { bytes }]) => `${key} ${contentHash(bytes)}`);
        const running = [...pair.plane.running].map(([key, version]) => `${key} ${version}`);
        assert.deepEqual(running.sort(), expected.sort());
        assert.deepEqual(pair.client.missing, []);
        // Of a listener that was taken the routes may have been refused.
        if (steps.some(({ kind }) => kind === 'refuse')) return;
        for (const { entries } of pair.sets)
          for (const name of entries.listener.keys()) assert.ok(entries.route.has(name), `listener ${name} came before its routes`);
      }),
      { numRuns: 300, seed: 1 },
    );
  });
}

/** Routes that no listener has are not asked for. */
function isAsked(key: string, { listeners = {} }: MeshContents): boolean {
  return !key.startsWith('route/') || key.slice('route/'.length) in listeners;
}

async function take(pair: Pair, one: Step): Promise<void> {
  switch (one.kind) {
    case 'serve':
      pair.stream?.serve(meshOf(one.to));
      return;
    case 'reconnect':
      pair.disconnect();
      pair.connect(meshOf(one.to));
      return;
    case 'push':
      pair.stream?.push();
      return;
    case 'settle':
      await pair.settle();
      return;
    case 'lose':
      pair.disconnect();
      return;
    case 'refuse':
      // By chance of the hash: some versions are bad.
      pair.plane.bad = (_key, hash) => (one.digit !== undefined && hash > one.digit && hash[0] === one.digit ? 'bad' : undefined);
  }
}
