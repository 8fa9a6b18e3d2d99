import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdleMemory } from './idle-memory.ts';

const MiB = 1024 * 1024;

/** So long without work, a heap that has been collected before is collected again. */
const PERIODS = 10;

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
  const pause = (periods = PERIODS) => {
    for (let i = 0; i < periods; i++) memory.look();
  };
  return { state, memory, pause };
}

test('a thread that idles after its start collects once, and again only when its heap has grown', () => {
  const { state, memory, pause } = heap(50 * MiB, 20 * MiB);
  memory.look();
  assert.equal(state.collections, 1);
  pause();
  state.size += 3 * MiB;
  pause();
  assert.equal(state.collections, 1, 'not worth it');
  state.size += 2 * MiB;
  memory.look();
  assert.equal(state.collections, 2);
});

test('after traffic a pause has to be long', () => {
  const { state, memory, pause } = heap(50 * MiB, 20 * MiB);
  memory.look();
  for (let i = 0; i < 3; i++) {
    state.active += 100;
    state.size += 10 * MiB;
    memory.look();
    pause(PERIODS - 1);
    assert.equal(state.collections, 1);
  }
  memory.look();
  assert.equal(state.collections, 2);
});

test('a large heap, which takes a second to collect and then soon fills its smaller limit, collects when it has doubled', () => {
  const { state, memory, pause } = heap(700 * MiB, 400 * MiB);
  memory.look();
  assert.equal(state.collections, 1);
  state.size += 300 * MiB;
  pause();
  assert.equal(state.collections, 1, 'what a change leaves behind is not worth it');
  state.size += 150 * MiB;
  pause();
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
