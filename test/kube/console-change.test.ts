/** What a change would open, asked at the console of a cluster: each about the workloads that they see. */
import assert from 'node:assert/strict';
import type { OutgoingHttpHeaders } from 'node:http';
import { after, before, test } from 'node:test';
import type { Difference } from '../../src/console/model.ts';
import { needsApiServer } from './api-server.ts';
import { ConsoleCluster, opening } from './console-cluster.ts';

const skip = needsApiServer();

let cluster: ConsoleCluster;
before(
  async () => {
    if (!skip) cluster = await ConsoleCluster.start();
  },
  { timeout: 240_000 },
);
after(() => cluster?.end());

test('what objects would open is told of the workloads that are seen, and only of objects that are theirs to change', {
  skip,
  timeout: 240_000,
}, async () => {
  const [alice, admin] = [await cluster.cookieOf(await cluster.token('alice')), await cluster.cookieOf(cluster.server.token('admin'))];
  const diff = async (headers: OutgoingHttpHeaders, after: object) => {
    const body = JSON.stringify({ before: {}, after });
    const { text } = await cluster.ask('/api/v1/diff', {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    });
    return JSON.parse(text.trim().split('\n').at(-1)!) as { answer: Difference; problem: { code: string; message: string }; code: string };
  };
  const workloadsIn = ({ groups }: Difference) =>
    [...new Set(groups.flatMap(({ rows }) => rows.flatMap(({ workloads }) => workloads)))].sort();
  const own = (await diff(alice, { applied: opening('shop', 'evil.example') })).answer;
  assert.deepEqual([workloadsIn(own), own.isCut, own.invalid], [['shop/cart'], true, []]);
  assert.match(JSON.stringify(own.groups), /ServiceEntry shop\/opened.*evil\.example:443/);
  for (const word of ['payments', 'ledger', 'bank.example', 'istio-system']) assert.ok(!JSON.stringify(own).includes(word), word);
  const whole = (await diff(admin, { applied: opening('shop', 'evil.example') })).answer;
  assert.deepEqual(
    [workloadsIn(whole).filter((name) => !name.startsWith('istio-')), whole.isCut],
    [['payments/ledger', 'shop/cart'], undefined],
  );
  // A namespace that one sees is where objects are that name none.
  assert.deepEqual(workloadsIn((await diff(alice, { applied: opening('shop', 'evil.example').replace(', namespace: shop', '') })).answer), [
    'shop/cart',
  ]);
  const invalid = (await diff(alice, { applied: opening('shop', 'evil.example').replace('resolution: DNS', 'resolution: NO') })).answer;
  assert.match(invalid.invalid.join(), /shop\/opened/);
  for (const [after, code] of [
    [{ applied: opening('payments', 'evil.example') }, 'not-seen'],
    [{ applied: 'apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }' }, 'not-seen'],
    [{ applied: '' }, 'usage'],
    [{ applied: 'apiVersion: v1\nkind: Secret\nmetadata: { name: a, namespace: shop }' }, 'usage'],
  ] as const)
    assert.equal((await diff(alice, after)).problem.code, code, JSON.stringify(after));
  for (const after of [{ spec: 'git:HEAD' }, { spec: '/etc' }, { file: '/etc/passwd', text: '' }])
    for (const headers of [alice, admin]) assert.equal((await diff(headers, after)).code, 'usage', JSON.stringify(after));
});
