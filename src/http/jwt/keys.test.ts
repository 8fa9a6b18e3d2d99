import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { readKeys, signatureProblem } from './keys.ts';
import { readToken } from './token.ts';

function signedWith(secret: string | Buffer) {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256' })}.${part({ iss: 'issuer' })}`;
  const token = readToken(`${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`);
  assert.ok(typeof token === 'object');
  return token;
}

test('a shared secret verifies what it signed; without a secret there is no key', () => {
  const keys = (k: unknown) => readKeys(JSON.stringify({ keys: [{ kty: 'oct', k }] }));
  const secret = Buffer.from('a secret that nobody else has');
  assert.equal(signatureProblem(signedWith(secret), keys(secret.toString('base64url'))), undefined);
  assert.equal(signatureProblem(signedWith('another'), keys(secret.toString('base64url'))), 'Jwt verification fails');
  for (const k of [undefined, null, '', 7, 'not base64url!']) {
    assert.deepEqual(keys(k), [], String(k));
    for (const guess of ['', Buffer.from(String(k), 'base64url')])
      assert.equal(signatureProblem(signedWith(guess), keys(k)), "Jwks doesn't have key to match kid or alg from Jwt");
  }
});
