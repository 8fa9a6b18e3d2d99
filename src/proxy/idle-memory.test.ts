import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdleMemory } from './idle-memory.ts';

const MiB = 1024 * 1024;

/** A heap of which a collection leaves `live` bytes. */
function heap(size: number, live: number) {
  const state = { active: 0, size, live, collections: 0 };
  const memory = new IdleMemory({
    activeMs: () => state.active,
    size: () => state.size,
    collect() {
      state.collections++;
      state.active += 50;
      state.size = state.live;
    },
  });
  return { state, memory };
}

test('an idle thread collects once, and again only when its heap has grown', () => {
  const { state, memory } = heap(50 * MiB, 20 * MiB);
  memory.look();
  assert.equal(state.collections, 1);
  memory.look();
  state.size += 3 * MiB;
  memory.look();
  assert.equal(state.collections, 1, 'not worth it');
  state.size += 2 * MiB;
  memory.look();
  assert.equal(state.collections, 2);
});

test('a large heap, which takes a second to collect and then soon fills its smaller limit, collects when it has doubled', () => {
  const { state, memory } = heap(700 * MiB, 400 * MiB);
  memory.look();
  assert.equal(state.collections, 1);
  state.size += 300 * MiB;
  memory.look();
  assert.equal(state.collections, 1, 'what a change leaves behind is not worth it');
  state.size += 150 * MiB;
  memory.look();
  assert.equal(state.collections, 2);
});

test('a thread with work to do is left alone until it has none', () => {
  const { state, memory } = heap(50 * MiB, 20 * MiB);
  for (let i = 0; i < 3; i++) {
    state.active += 100;
    memory.look();
  }
  assert.equal(state.collections, 0);
  state.active += 1;
  memory.look();
  assert.equal(state.collections, 1);
});
