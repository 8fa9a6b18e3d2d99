import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowHub } from '../flows/hub.ts';
import { TestSource } from '../flows/testing.ts';
import { FlowRecord } from './flow-record.ts';

test('a namespace with very many calls takes nothing of what others have', async (t) => {
  const hub = new FlowHub();
  const [noisy, quiet] = [new TestSource(), new TestSource()];
  hub.register({ type: 'sidecar', namespace: 'noisy', name: 'a', addresses: [] }, noisy);
  hub.register({ type: 'sidecar', namespace: 'quiet', name: 'b', addresses: [] }, quiet);
  const record = new FlowRecord(hub);
  t.after(() => record.close());
  record.read({ take: () => {}, dropped: () => {}, ended: () => {} });
  await new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 100; i++) quiet.tell({ id: `q${i}`, verdict: 'refused' });
  for (let i = 0; i < 10_000; i++) noisy.tell({ id: `n${i}`, verdict: 'refused' });
  const { calls, lost } = record.after(0);
  const of = (proxy: string) => calls.filter(({ flow }) => flow.proxy === proxy).map(({ flow }) => flow.id);
  assert.equal(of('quiet/b').length, 100);
  assert.ok(of('noisy/a').length >= 1_900 && of('noisy/a').length <= 2_500, String(of('noisy/a').length));
  assert.equal(of('noisy/a').at(-1), '1-n9999');
  assert.equal(lost, 10_100 - calls.length);
});
