import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import type { EncodedResource, RoutesPatch, SentUpdate, XdsUpdate } from '../xds/resources.ts';
import { shareUpdate } from './shared-bytes.ts';

const resource = (name: string, size: number, fill: number): EncodedResource => ({
  type: 'cluster',
  name,
  version: name,
  bytes: new Uint8Array(size).fill(fill),
});

const update = (...changed: XdsUpdate['changed']): XdsUpdate => ({ version: '1', changed, removed: [{ type: 'route', name: 'r' }] });

test('an update in shared memory holds what it held, and a thread that gets it has the same memory', () => {
  const given = update(resource('a', 3, 1), resource('empty', 0, 0), resource('large', 70_000, 2), resource('b', 5, 3));
  const made = shareUpdate(given);
  const byName = ({ changed }: SentUpdate) => new Map(changed.map(({ name, bytes }) => [name, [...bytes!]]));
  assert.deepEqual(byName(made), byName(given));
  assert.deepEqual(made.removed, given.removed);
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(made);
  const received = receiveMessageOnPort(port2)!.message as SentUpdate;
  assert.deepEqual(byName(received), byName(given));
  made.changed[0]!.bytes![0] = 99;
  assert.equal(received.changed[0]!.bytes![0], 99);
  port1.close();
});

test('small resources share pieces, a large one has its own, and what is shared already is not copied', () => {
  const many = Array.from({ length: 2000 }, (_, i) => resource(`r${i}`, 1000, i));
  const changed = shareUpdate(update(...many, resource('large', 100_000, 1))).changed as readonly EncodedResource[];
  const pieces = new Set(changed.map(({ bytes }) => bytes.buffer));
  assert.equal(pieces.size, Math.ceil(2_000_000 / (256 * 1024 + 1000)) + 1);
  const large = changed.find(({ name }) => name === 'large')!;
  assert.equal(large.bytes.buffer.byteLength, 100_000);
  const again = shareUpdate(update(...changed));
  assert.deepEqual(
    again.changed.map(({ bytes }) => bytes!.buffer),
    changed.map(({ bytes }) => bytes.buffer),
  );
});

test('of a resource with a patch the patch crosses, in shared memory; whoever starts later gets the whole', () => {
  const patch: RoutesPatch = {
    base: '1',
    frame: new Uint8Array([1]),
    hosts: [{ start: 0, end: 3 }, new Uint8Array([2, 3]), { start: 4, end: 9 }],
  };
  const given = { ...resource('r', 70_000, 1), type: 'route', patch } as const;
  const [sent] = shareUpdate(update(given)).changed;
  assert.deepEqual(sent, { type: 'route', name: 'r', version: 'r', patch });
  for (const bytes of [sent!.patch!.frame, sent!.patch!.hosts[1] as Uint8Array]) assert.ok(bytes.buffer instanceof SharedArrayBuffer);
  const [whole] = shareUpdate(update(given), 'whole').changed;
  assert.equal(whole!.patch, undefined);
  assert.deepEqual([...whole!.bytes!], [...given.bytes]);
});
