import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newAuthorityFiles } from '../ca/authority.ts';
import { rootSecret } from '../ca/secrets.ts';
import { rootsCame } from './mesh-roots.ts';
import { Secrets } from './secrets.ts';

test('roots that are no certificates leave those before', () => {
  const secrets = new Secrets();
  const [first, second] = [0, 1].map(() => newAuthorityFiles('cluster.local', Date.now())['root-cert.pem']);
  secrets.put(rootSecret(first!));
  const refused: string[] = [];
  const take = (roots: string) => rootsCame(roots, { secrets, renew: () => undefined, refused: (reason) => refused.push(reason) });
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  for (const text of ['nonsense', broken, `${second}${broken}`]) take(text);
  assert.equal(secrets.roots, first);
  assert.equal(refused.length, 3);
  take(`${first}${second}`);
  assert.equal(secrets.roots, `${first}${second}`);
});
