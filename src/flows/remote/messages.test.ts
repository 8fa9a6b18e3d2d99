import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowOf } from '../testing.ts';
import { askedBytes, askedIn, flowIn, MOST_TOLD, toldBytes, toldIn } from './messages.ts';

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));

test('what is asked comes as it was sent, and what is not understood is left out', () => {
  assert.deepEqual(askedIn(askedBytes({ watch: 0 })), { watch: 0 });
  assert.deepEqual(askedIn(askedBytes({ recent: 5 })), { recent: 5 });
  assert.deepEqual(askedIn(bytes({ watch: -1, recent: '5', more: true })), {});
  for (const wrong of [[], null, 1]) assert.throws(() => askedIn(bytes(wrong)));
  assert.throws(() => askedIn(Buffer.from('{')));
});

test('a flow is read with the fields that there are, whatever else comes with it', () => {
  const {
    proxy: _proxy,
    role: _role,
    ...flow
  } = flowOf({
    workload: 'spiffe://cluster.local/ns/shop/sa/cart',
    origins: [{ kind: 'ServiceEntry', namespace: 'shop', name: 'www', file: 'a.yaml', line: 3 }],
    responseFlags: ['UH'],
    undeclared: true,
    path: '/a',
    status: 200,
  });
  assert.deepEqual(flowIn(flow), flow);
  const claimed = { ...flow, proxy: 'payments/ledger', role: 'router', gateway: 'a/b', process: { pid: 1, name: 'x' }, more: {} };
  assert.deepEqual(flowIn(claimed), flow);
});

test('queries are cut off, texts and lists are cut, and what lacks something is no flow', () => {
  const flow = flowOf({ path: '/a?token=1#b', reason: 'x'.repeat(10_000) });
  const read = flowIn({ ...flow, responseFlags: Array(1000).fill('UH'), origins: [{ kind: 'a' }, 1, null], status: 'x', port: 443 });
  assert.equal(read?.path, '/a');
  assert.equal(read?.reason?.length, 2048);
  assert.equal(read?.responseFlags?.length, 64);
  assert.deepEqual([read?.origins, read?.status], [[], undefined]);
  for (const lacking of ['kind', 'time', 'id', 'source', 'host', 'port', 'protocol', 'verdict', 'bytesSent'])
    assert.equal(flowIn({ ...flow, [lacking]: undefined }), undefined, lacking);
  for (const wrong of [
    { kind: 'x' },
    { time: 'yesterday' },
    { port: -1 },
    { protocol: 'constructor' },
    { verdict: 'fine' },
    { duration: -1 },
  ])
    assert.equal(flowIn({ ...flow, ...wrong }), undefined, JSON.stringify(wrong));
  assert.equal(flowIn(null), undefined);
});

test('what cannot be read of a message counts as dropped', () => {
  const { flows, dropped, recent } = toldIn(toldBytes([JSON.stringify(flowOf()), '{}'], 3));
  assert.deepEqual([flows.length, dropped, recent], [1, 4, false]);
  assert.equal(toldIn(toldBytes([], 0, true)).recent, true);
  for (const wrong of [{}, { flows: {}, dropped: 0 }, { flows: [], dropped: -1 }, { flows: Array(MOST_TOLD + 1).fill({}), dropped: 0 }])
    assert.throws(() => toldIn(bytes(wrong)));
});
