import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { weakly } from './weakly.ts';

test('a value stays while somebody has it, and is made again when nobody has', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let made = 0;
  const read = weakly(() => ({ number: ++made, room: new Uint8Array(1000) }));
  let held: object | undefined = read();
  // What a WeakRef was asked for stays until the turn ends.
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await turn();
  collect();
  assert.equal(read(), held);
  held = undefined;
  await turn();
  collect();
  assert.equal(read().number, 2);
});
