/** What is refused of the mesh's objects, and what is warned of: the decision alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText } from '../../../test/support/mesh.ts';
import type { Finding } from '../../lib/finding.ts';
import { CausedFindings } from './caused.ts';
import type { AdmissionRequest } from './review.ts';
import { submittedIn, withSubmitted } from './submitted.ts';
import { entryOf, requestOf } from './testing.ts';
import { validateAnswer, warningsOf } from './validate.ts';

const MESH = meshFromText(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec: {hosts: [api.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: broken-already, namespace: shop}
spec: {hosts: [api.example.com], tls: [{match: [{sniHosts: [api.example.com]}], route: [{destination: {host: nowhere.example.com}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: shop}
spec: {host: api.example.com}
`);

const rule = (host: string) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'rule', namespace: 'shop' },
  spec: { host },
});

async function answer(request: AdmissionRequest) {
  const submitted = submittedIn(request);
  return (
    submitted &&
    validateAnswer(submitted, () => new CausedFindings().of(MESH, withSubmitted(MESH.snapshot, submitted), submitted.origin, 60_000))
  );
}

test('what is not valid is refused, with the field and what mends it', async () => {
  const wrong = { ...entryOf('www'), spec: { ...entryOf('www').spec, hosts: ['www.example.com', '*'], resolution: 'DMS' } };
  const { refusal, forbidden } = (await answer(requestOf(wrong)))!;
  assert.match(refusal!, /^it is not valid: spec\.resolution: .*did you mean DNS\?/);
  assert.equal(forbidden, undefined);
  assert.match((await answer(requestOf({ ...entryOf('www'), apiVersion: 'networking.istio.io/v7' })))!.refusal!, /has no version v7/);
  const ruled = { ...entryOf('www'), spec: { ...entryOf('www').spec, hosts: [] } };
  assert.match((await answer(requestOf(ruled)))!.refusal!, /hosts/);
});

test('one that is being deleted, or is gone, is not refused whatever it says', async () => {
  const wrong = { ...entryOf('www'), spec: { hosts: [] } };
  const going = { ...wrong, metadata: { ...wrong.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
  assert.equal((await answer(requestOf(going, { operation: 'UPDATE', oldObject: wrong })))!.refusal, undefined);
  assert.equal((await answer(requestOf(wrong, { operation: 'DELETE' })))!.refusal, undefined);
});

test('warnings are what the object causes, and not what was there before', async () => {
  assert.deepEqual(await answer(requestOf(entryOf('other'))), { warnings: [] });
  const { refusal, warnings = [] } = (await answer(requestOf(rule('apy.example.com'))))!;
  assert.equal(refusal, undefined);
  assert.ok(warnings.some((warning) => /^[A-Z]+\d+ .*apy\.example\.com/.test(warning)));
  assert.ok(!warnings.join().includes('nowhere.example.com'));
  // What loses the object that it needs.
  const gone = (await answer(requestOf(entryOf('api'), { operation: 'DELETE' })))!;
  assert.match(gone.warnings!.join('\n'), /DestinationRule shop\/api: /);
});

test('warnings are as many and as long as API servers take', () => {
  const about = { kind: 'DestinationRule', namespace: 'shop', name: 'rule' };
  const finding = (n: number): Finding => ({ code: `SP${n}`, level: 'Warning', message: '🦊'.repeat(300), origin: about });
  const warnings = warningsOf(
    Array.from({ length: 25 }, (_, n) => finding(n)),
    about,
  );
  assert.equal(warnings.length, 10);
  assert.ok(warnings.every((warning) => [...warning].length <= 256));
  assert.match(warnings.at(-1)!, /16 findings more/);
  assert.deepEqual(warningsOf([{ ...finding(1), level: 'Info' }], about), []);
});

test('analysis that takes too long gives no warnings', async () => {
  const submitted = submittedIn(requestOf(rule('apy.example.com')))!;
  assert.equal(await new CausedFindings().of(MESH, withSubmitted(MESH.snapshot, submitted), submitted.origin, 0), undefined);
});

test('what is none of the mesh’s objects is no question', () => {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'shop' } };
  assert.throws(() => submittedIn(requestOf(secret)), /kubernetes|rules/);
  assert.throws(() => submittedIn(requestOf({ ...entryOf('www'), apiVersion: 'other.example/v1' })), /other\.example is none/);
  assert.throws(() => submittedIn({ ...requestOf(entryOf('www')), object: secret }), /its object is another/);
  assert.throws(() => submittedIn({ ...requestOf(entryOf('www')), object: [] }), /has no object/);
  assert.throws(() => submittedIn({ ...requestOf(entryOf('www')), operation: 'DELETE' }), /has no oldObject/);
  assert.equal(submittedIn({ ...requestOf(entryOf('www')), subResource: 'status' }), undefined);
  assert.equal(submittedIn({ ...requestOf(entryOf('www')), operation: 'CONNECT' }), undefined);
});
