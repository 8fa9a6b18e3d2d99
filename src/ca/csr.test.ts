/** Requests for certificates: ours, those of openssl, and what is none. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { needs } from '../../test/integration/tools.ts';
import { newKey } from './certificates.ts';
import { makeCsr, readCsr } from './csr.ts';

test('a request of ours gives its key', () => {
  const key = newKey();
  assert.ok(createPublicKey(key).equals(readCsr(makeCsr(key))));
});

test('openssl and we read one another’s requests', { skip: needs('openssl') }, () => {
  const key = newKey();
  const said = execFileSync('openssl', ['req', '-verify', '-noout'], {
    input: makeCsr(key),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  assert.equal(said, '');
  const kinds = [
    ['ec', 'ec_paramgen_curve:P-384', '-sha384'],
    ['rsa', 'rsa_keygen_bits:2048', '-sha512'],
  ] as const;
  for (const [type, option, digest] of kinds) {
    const names = ['-subj', '/O=x', '-addext', 'subjectAltName=URI:spiffe://other/ns/a/sa/b'];
    const how = ['-newkey', type, '-pkeyopt', option, '-nodes', '-keyout', '/dev/null', digest, ...names];
    const text = execFileSync('openssl', ['req', '-new', ...how], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    assert.equal(readCsr(text).asymmetricKeyType, type);
  }
});

test('a request that is changed, weak or something else is refused', () => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
  assert.throws(() => readCsr(''), { code: 'csr-invalid', message: /no single CERTIFICATE REQUEST/ });
  assert.throws(() => readCsr(makeCsr(newKey()) + makeCsr(newKey())), { code: 'csr-invalid' });
  assert.throws(() => readCsr(makeCsr(weak.privateKey)), { code: 'csr-invalid', message: /1024 bits/ });
  const curve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  assert.throws(() => readCsr(makeCsr(curve.privateKey)), { code: 'csr-invalid', message: /curve/ });
  const good = Buffer.from(makeCsr(newKey()).replace(/-----.*-----|\s/g, ''), 'base64');
  const textOf = (bytes: Uint8Array) =>
    `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(bytes).toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  readCsr(textOf(good));
  const change = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(3));
  const altered = change.map(([at, by, cut]) => {
    const bytes = Buffer.from(good);
    bytes[at] = bytes[at]! ^ by;
    return bytes.subarray(0, bytes.length - cut);
  });
  fc.assert(
    fc.property(altered, (bytes) => {
      assert.throws(() => readCsr(textOf(bytes)), { code: 'csr-invalid' });
    }),
    { seed: 7, numRuns: 500 },
  );
});
