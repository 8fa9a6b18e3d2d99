import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plain } from '../report/paint.ts';
import { eventText, newsText, servedText } from './event-text.ts';

const origin = { kind: 'Gateway', namespace: 'shop', name: 'egress' };

test('news are what is found and what is mended', () => {
  const finding = { code: 'SP1', level: 'Error', message: 'wrong', origin } as const;
  assert.equal(
    newsText({ fresh: [finding], mended: [{ ...finding, code: 'SP2' }] }, plain, () => undefined),
    'Error [SP1] Gateway shop/egress\n  wrong\nmended [SP2] Gateway shop/egress\n',
  );
});

test('what is in force says of how many proxies, and which errors stand', () => {
  assert.equal(eventText({ kind: 'in-force', proxies: 1, errors: 0 }), 'reloaded: what was read is in force with 1 proxy');
  assert.match(eventText({ kind: 'in-force', proxies: 2, errors: 1 }), /2 proxies, apart from what 1 error of the files concerns$/);
  assert.match(eventText({ kind: 'in-force', proxies: 2, errors: 3 }), /apart from what 3 errors of the files concern$/);
  assert.equal(servedText({ proxies: 0 }), 'reloaded: what was read is served to 0 proxies');
});

test('what is refused says whom and why', () => {
  assert.equal(eventText({ kind: 'unauthenticated', address: '10.0.0.1:1', reason: 'why' }), 'a client at 10.0.0.1:1 is refused: why');
  assert.equal(eventText({ kind: 'not-admitted', object: 'Gateway a/b', reason: 'why' }), 'Gateway a/b is refused: why');
  assert.match(eventText({ kind: 'failed', error: new Error('why') }), /brought into force: why$/);
  assert.match(eventText({ kind: 'not-kept', error: new Error('why') }), /not up to date: why\. It is tried again$/);
  const proxy = { type: 'sidecar', name: 'a', namespace: 'b', labels: {}, serviceAccount: '', addresses: [], locality: '' } as const;
  assert.match(eventText({ kind: 'withheld', proxy, secrets: ['default'] }), /^sidecar b\/a .*private keys \(default\)/);
});
