import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '../api/mesh-config-document.ts';
import { selfSigned } from '../ca/certificates.ts';
import { snapshotFromText } from '../config/memory.ts';
import { certificatesOf } from './certificates.ts';
import type { Moment } from './subject.ts';

const NOW = Date.UTC(2026, 5, 1);
const DAY = 86_400_000;

/** A Secret whose certificate begins and ends so many days from now. */
const secretOf = (name: string, since: number, until: number, key = 'tls.crt') => {
  const { certificate } = selfSigned(name, { notBefore: NOW + since * DAY, notAfter: NOW + until * DAY });
  return `apiVersion: v1
kind: Secret
metadata: { name: ${name}, namespace: shop }
stringData: { ${key}: ${JSON.stringify(certificate)}, tls.key: PRIVATE, broken: "-----BEGIN CERTIFICATE-----x-----END CERTIFICATE-----" }
`;
};

const momentWith = (text: string): Moment => {
  const snapshot = snapshotFromText(text, { file: 'mesh.yaml' });
  return { version: '1', snapshot, config: defaultMeshConfig(), findings: [], proxies: [], running: [] };
};

test('certificates of Secrets, the first to end first, with what is the matter with each', async () => {
  const text = [
    secretOf('later', -10, 90),
    secretOf('gone', -90, -1),
    secretOf('ending', -90, 5, 'ca.crt'),
    secretOf('coming', 1, 50),
  ].join('---\n');
  const found = await certificatesOf(momentWith(text), NOW);
  assert.deepEqual(
    found.map(({ where, kind, state }) => [where, kind, state]),
    [
      ['Secret shop/gone', 'chain', 'expired'],
      ['Secret shop/ending', 'roots', 'soon'],
      ['Secret shop/coming', 'chain', 'not yet'],
      ['Secret shop/later', 'chain', 'valid'],
    ],
  );
  assert.deepEqual(found[0]!.place, { file: 'mesh.yaml', line: found[0]!.place!.line });
  assert.equal(found[3]!.until, new Date(NOW + 90 * DAY).toISOString());
  assert.ok(!JSON.stringify(found).includes('PRIVATE'));
});
