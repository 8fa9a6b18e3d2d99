import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { needs } from '../../test/integration/tools.ts';
import type { Secret } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { type AuthorityFiles, isVouchedFor, newAuthorityFiles, openAuthority } from './authority.ts';
import { newKey } from './certificates.ts';
import { authorityIn } from './folder.ts';
import { Identities } from './identities.ts';

const NOW = Date.parse('2026-05-04T12:00:00Z');
const HOUR_MS = 3_600_000;
const ID = 'spiffe://cluster.local/ns/default/sa/sleep';

test('a workload’s certificate names it critically, is signed by the root, and ends within a day', () => {
  const files = newAuthorityFiles('cluster.local', NOW);
  const { chain, notAfter } = openAuthority(files, 'test').issue(ID, NOW);
  const leaf = new X509Certificate(chain);
  const root = new X509Certificate(files['root-cert.pem']);
  assert.equal(leaf.subject, undefined);
  assert.equal(leaf.subjectAltName, `URI:${ID}`);
  assert.ok(leaf.verify(root.publicKey) && leaf.checkIssued(root));
  assert.ok(root.ca && !leaf.ca);
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  assert.equal(notAfter, NOW + 24 * HOUR_MS);
  assert.equal(Date.parse(leaf.validTo), notAfter);
  // subjectAltName (2.5.29.17), TRUE.
  assert.ok(leaf.raw.includes(Buffer.from('0603551d110101ff', 'hex')));
  // The root is not sent along: peers have it.
  assert.equal(chain.match(/BEGIN CERTIFICATE/g)?.length, 1);
});

test('a CA in a folder is made once, its key for its owner alone, and read by who comes later', () => {
  const parent = mkdtempSync(join(tmpdir(), 'sallyport-ca-'));
  try {
    const folder = join(parent, 'deep', 'ca');
    const first = authorityIn(folder, 'cluster.local', NOW);
    const second = authorityIn(folder, 'cluster.local', NOW);
    assert.equal(first.trusted, second.trusted);
    assert.equal(statSync(join(folder, 'ca-key.pem')).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(parent, 'deep')), ['ca']);
    writeFileSync(join(folder, 'ca-key.pem'), readFileSync(join(folder, 'ca-cert.pem')));
    assert.throws(() => authorityIn(folder, 'cluster.local', NOW), { code: 'ca-invalid' });
    rmSync(join(folder, 'ca-key.pem'));
    assert.throws(() => authorityIn(folder, 'cluster.local', NOW), { code: 'ca-invalid', message: /ca-key\.pem is missing/ });
    execFileSync('mkfifo', [join(folder, 'ca-key.pem')]);
    assert.throws(() => authorityIn(folder, 'cluster.local', NOW), { code: 'ca-invalid', message: /named pipe/ });
    assert.ok(existsSync(join(folder, 'ca-cert.pem')));
  } finally {
    rmSync(parent, { recursive: true });
  }
});

test('another CA’s key signs nothing', () => {
  const files = { ...newAuthorityFiles('a', NOW), 'ca-key.pem': newAuthorityFiles('b', NOW)['ca-key.pem'] };
  assert.throws(() => openAuthority(files, 'test'), { code: 'ca-invalid', message: /does not belong/ });
});

test('certificates are kept until half of their time is over', () => {
  let now = NOW;
  const identities = new Identities(undefined, () => now);
  const first = identities.secretsOf('cluster.local', ID);
  assert.equal(identities.secretsOf('cluster.local', ID), first);
  assert.equal(identities.renewAt, NOW + 12 * HOUR_MS);
  now += 12 * HOUR_MS;
  const second = identities.secretsOf('cluster.local', ID);
  assert.notEqual(second, first);
  assert.equal(second[1], first[1]);
  assert.equal(identities.renewAt, now + 12 * HOUR_MS);
});

test('keys are not printed', () => {
  const { key } = openAuthority(newAuthorityFiles('a', NOW), 'test').issue(ID, NOW);
  for (const text of [String(key), JSON.stringify({ key }), inspect(key)]) assert.doesNotMatch(text, /PRIVATE|MI/);
});

const filesIn = (folder: string, ...files: readonly Partial<AuthorityFiles>[]) => {
  for (const [name, content] of Object.entries(Object.assign({}, ...files) as AuthorityFiles))
    writeFileSync(join(folder, name), typeof content === 'string' ? content : content.reveal());
};
const both = (...files: readonly AuthorityFiles[]) => ({ 'root-cert.pem': files.map((each) => each['root-cert.pem']).join('') });

test('another root is trusted at once, and signs once everybody has heard of it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-ca-'));
  t.after(() => rmSync(folder, { recursive: true }));
  let now = NOW;
  const [old, next] = [newAuthorityFiles('cluster.local', NOW), newAuthorityFiles('cluster.local', NOW)];
  filesIn(folder, old);
  const identities = new Identities(folder, () => now, 30_000);
  const trustedIn = ([, root]: readonly Secret[]) =>
    root?.type.case === 'validationContext' ? String(root.type.value.trustedCa?.specifier.value) : '';
  const signedBy = ([own]: readonly Secret[], files: AuthorityFiles) =>
    own?.type.case === 'tlsCertificate' && isVouchedFor(String(own.type.value.certificateChain?.specifier.value), files['root-cert.pem']);
  const secrets = () => identities.secretsOf('cluster.local', ID);
  const before = secrets();
  assert.equal(identities.reload(), false);
  filesIn(folder, next, both(old, next));
  assert.equal(identities.reload(), true);
  const during = secrets();
  assert.equal(during[0], before[0]);
  assert.equal(trustedIn(during), both(old, next)['root-cert.pem']);
  assert.equal(identities.renewAt, NOW + 30_000);
  assert.equal(identities.reload(), false);
  now += 30_000;
  const after = secrets();
  assert.ok(signedBy(after, next) && !signedBy(after, old));
  assert.equal(after[1], during[1]);
  filesIn(folder, both(next));
  assert.equal(identities.reload(), true);
  assert.equal(secrets()[0], after[0]);
  assert.equal(trustedIn(secrets()), next['root-cert.pem']);
  // A root that is trusted no more leaves no certificate behind it.
  filesIn(folder, old);
  assert.equal(identities.reload(), true);
  assert.ok(signedBy(secrets(), old));
});

test('a CA whose files do not fit one another is not taken over', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-ca-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [old, next] = [newAuthorityFiles('cluster.local', NOW), newAuthorityFiles('cluster.local', NOW)];
  filesIn(folder, old);
  const identities = new Identities(folder, () => NOW);
  const before = identities.secretsOf('cluster.local', ID);
  filesIn(folder, { 'root-cert.pem': next['root-cert.pem'] });
  assert.throws(() => identities.reload(), { code: 'ca-invalid', message: /root-cert\.pem does not have the root of ca-cert\.pem/ });
  filesIn(folder, { 'ca-cert.pem': next['ca-cert.pem'] });
  assert.throws(() => identities.reload(), { code: 'ca-invalid', message: /does not belong/ });
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  assert.throws(() => identities.reload(), { code: 'ca-invalid', message: /are missing/ });
  assert.deepEqual(identities.secretsOf('cluster.local', ID), before);
});

test('where an intermediate signs it stands between the leaf and the roots', { skip: needs('openssl') }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-ca-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-x509'];
  const root = ['-subj', '/CN=root', '-keyout', at('root-key.pem'), '-out', at('root-cert.pem')];
  openssl('req', ...key, ...root);
  const constraints = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign'];
  const by = ['-CA', at('root-cert.pem'), '-CAkey', at('root-key.pem')];
  openssl('req', ...key, '-subj', '/CN=intermediate', ...constraints, ...by, '-keyout', at('ca-key.pem'), '-out', at('ca-cert.pem'));
  writeFileSync(at('cert-chain.pem'), readFileSync(at('ca-cert.pem')));
  const identities = new Identities(folder, Date.now);
  const certChain = identities.certify('cluster.local', newKey(), ID, HOUR_MS);
  const subjects = certChain.map((pem) => new X509Certificate(pem).subject);
  assert.deepEqual(subjects, [undefined, 'CN=intermediate', 'CN=root']);
  writeFileSync(at('leaf.pem'), certChain[0]!);
  const verified = openssl(
    'verify',
    '-purpose',
    'sslclient',
    '-CAfile',
    at('root-cert.pem'),
    '-untrusted',
    at('ca-cert.pem'),
    at('leaf.pem'),
  );
  assert.match(verified, /leaf\.pem: OK/);
});
