import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Chain, ChainSet, chain } from './chains.ts';

const made = (serverNames: string[], destinationCidrs: string[] = []): Chain =>
  chain({ serverNames, destinationCidrs, filters: [], metadata: undefined });
const listed = (set: ChainSet) => set.list().map((one) => `${one.serverNames.join(' ')} ${one.destinationCidrs.join(' ')}`.trim());

test('of two chains that share a name the first has it, and the second what is left', () => {
  const set = new ChainSet([made(['a.test', 'b.test'])]);
  const later = made(['b.test', 'c.test']);
  assert.deepEqual(set.add(later)?.serverNames, ['a.test', 'b.test']);
  assert.equal(set.add(made(['c.test', 'a.test']))?.serverNames.join(), 'a.test,b.test');
  assert.deepEqual(listed(set), ['a.test b.test', 'c.test']);
});

test('names are shared only where networks are', () => {
  const set = new ChainSet([made(['a.test'], ['10.0.0.0/8'])]);
  assert.equal(set.add(made(['a.test'], ['192.168.0.0/16'])), undefined);
  assert.ok(set.add(made(['a.test', 'b.test'], ['10.0.0.0/8', '172.16.0.0/12'])));
  assert.deepEqual(listed(set), ['a.test 10.0.0.0/8', 'a.test 192.168.0.0/16', 'b.test 10.0.0.0/8 172.16.0.0/12', 'a.test 172.16.0.0/12']);
});

test('without names and networks a chain takes everything, once', () => {
  const set = new ChainSet([made([])]);
  assert.ok(set.add(made(['*'])));
  assert.equal(set.add(made(['a.test'])), undefined);
  assert.deepEqual(listed(set), ['', 'a.test']);
});
