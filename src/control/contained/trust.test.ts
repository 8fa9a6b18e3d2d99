import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { certificatesIn } from '../../ca/certificates.ts';
import { InterceptionAuthority } from '../../ca/interception.ts';
import { trustIn } from './trust.ts';

const NOW = Date.parse('2026-06-15T12:00:00Z');

test('each variable names what it named before and the CA, and no key is written', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-trusted-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [ours, theirs] = [new InterceptionAuthority(NOW).certificate, new InterceptionAuthority(NOW).certificate];
  const corporate = join(folder, 'corporate.pem');
  writeFileSync(corporate, theirs);
  const trust = trustIn(ours, { CURL_CA_BUNDLE: corporate, NODE_EXTRA_CA_CERTS: corporate, PIP_CERT: join(folder, 'gone.pem') });
  const inFile = (name: string) => certificatesIn(readFileSync(trust.environment[name]!, 'utf8'));
  assert.deepEqual(inFile('CURL_CA_BUNDLE'), [theirs, ours]);
  assert.deepEqual(inFile('NODE_EXTRA_CA_CERTS'), [theirs, ours]);
  assert.deepEqual(inFile('DENO_CERT'), [ours]);
  assert.deepEqual(inFile('PIP_CERT'), [ours]);
  assert.ok(inFile('SSL_CERT_FILE').length > 50 && inFile('SSL_CERT_FILE').at(-1) === ours);
  for (const file of Object.values(trust.environment)) assert.doesNotMatch(readFileSync(file, 'utf8'), /PRIVATE/);
  trust.close();
  assert.ok(!existsSync(trust.environment.SSL_CERT_FILE!));
});

test('a certificate for a host is the CA’s, for that name alone, and ends with the CA', () => {
  const authority = new InterceptionAuthority(NOW);
  const root = new X509Certificate(authority.certificate);
  const { chain, key } = authority.issue('api.example');
  const leaf = new X509Certificate(chain);
  assert.equal(leaf.subjectAltName, 'DNS:api.example');
  assert.ok(leaf.checkIssued(root) && leaf.verify(root.publicKey) && !leaf.ca);
  assert.equal(leaf.validTo, root.validTo);
  assert.ok(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom) < 398 * 86_400_000);
  assert.equal(String(key), '[redacted]');
});
