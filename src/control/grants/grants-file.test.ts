import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { MeshInput } from '../../config/mesh-source.ts';
import { openMeshFiles } from '../../config/mesh-source.ts';
import { parseAllowed } from '../../policy/allow.ts';
import { addGrant, foreign, LONGEST_MS, openGrants, readGrants, revokeGrant } from './grants-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-grants-'));
after(() => rmSync(folder, { recursive: true }));

const NOW = Date.parse('2026-06-15T12:00:00.700Z');
const request = (host: string, forMs = 3_600_000) => ({
  allowed: parseAllowed(host),
  namespace: 'default',
  by: 'ann',
  reason: 'a release',
  forMs,
});

test('a grant is recorded with who, why and until when, and revoked by its id', async () => {
  const file = openGrants(join(folder, 'a.yaml'));
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const grant = await addGrant(file, request('db.example.com:5432'), NOW);
  const { id, ...rest } = grant;
  assert.match(id, /^grant-[0-9a-f]{8}$/);
  assert.deepEqual(rest, {
    namespace: 'default',
    hosts: ['db.example.com:5432'],
    by: 'ann',
    reason: 'a release',
    from: '2026-06-15T12:00:00Z',
    until: '2026-06-15T13:00:00Z',
  });
  await addGrant(file, request('www.example.com'), NOW);
  assert.equal(readGrants(file).length, 2);
  await revokeGrant(file, id);
  assert.deepEqual(
    readGrants(file).map(({ hosts }) => hosts),
    [['www.example.com:80', 'www.example.com:443']],
  );
  await assert.rejects(revokeGrant(file, id), { code: 'no-such-grant' });
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('a.yaml') && name !== 'a.yaml'),
    [],
  );
});

test('what is too long or too short is no grant; those that ended long ago go', async () => {
  const file = join(folder, 'b.yaml');
  await assert.rejects(addGrant(file, request('a.example', LONGEST_MS + 1), NOW), { code: 'usage' });
  await assert.rejects(addGrant(file, request('a.example', 999), NOW), { code: 'usage' });
  await addGrant(file, request('a.example'), NOW);
  await addGrant(file, request('b.example'), NOW + LONGEST_MS + 2 * 3_600_000);
  assert.deepEqual(
    readGrants(file).map(({ hosts }) => hosts[0]),
    ['b.example:80'],
  );
});

test('many that write at once lose nothing', async () => {
  const file = join(folder, 'c.yaml');
  await Promise.all(Array.from({ length: 8 }, (_, i) => addGrant(file, request(`h${i}.example`), NOW)));
  assert.equal(readGrants(file).length, 8);
});

test('a file that does not read completely is left as it is', async () => {
  const file = join(folder, 'd.yaml');
  writeFileSync(file, 'kind: [');
  await assert.rejects(addGrant(file, request('a.example'), NOW), { code: 'grants-unreadable' });
});

test('what could not be read again is not granted: the file stays as it is', async () => {
  const file = join(folder, 'f.yaml');
  const { id } = await addGrant(file, request('a.example'), NOW);
  const before = readFileSync(file, 'utf8');
  await assert.rejects(addGrant(file, { ...request('b.example'), namespace: 'No_Good' }, NOW), { code: 'usage', message: /No_Good/ });
  await assert.rejects(addGrant(file, { ...request('b.example'), reason: 'r'.repeat(1001) }, NOW), { code: 'usage' });
  await assert.rejects(addGrant(file, request('b.example:5432=10.0.0.0/8'), NOW), { code: 'usage', message: /no ranges/ });
  assert.equal(readFileSync(file, 'utf8'), before);
  await revokeGrant(file, id);
});

test('a file that others may write, or have put there, is not followed, listed or changed', async (t) => {
  const file = join(folder, 'g.yaml');
  await addGrant(file, request('a.example'), NOW);
  const refused = async (message: RegExp) => {
    const error = { code: 'grants-unreadable', message };
    assert.throws(() => openGrants(file), error);
    assert.throws(() => readGrants(file), error);
    await assert.rejects(addGrant(file, request('b.example'), NOW), error);
  };
  chmodSync(file, 0o606);
  await refused(/may be written by everybody/);
  chmodSync(file, 0o600);
  assert.equal(readGrants(file).length, 1);
  if (process.getuid?.() !== 0) {
    t.diagnostic('not root: that a file is of another user is not tried');
    return;
  }
  chownSync(file, 65534, 65534);
  await refused(/belongs to another user \(65534\)/);
});

test('a mesh that follows the file keeps what it held when others may write it, or have put another there', async () => {
  const file = openGrants(join(folder, 'h.yaml'));
  await addGrant(file, request('a.example:443'), NOW);
  const guards = new Map([[file, (stats: { readonly uid: number; readonly mode: number }) => foreign(stats)]]);
  const listener = { changed: () => undefined, failed: assert.fail };
  const source = await openMeshFiles({ paths: [file], meshConfig: undefined, now: () => NOW, guards }, listener);
  try {
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replaceAll('a.example', 'b.example'));
    chmodSync(file, 0o606);
    const { snapshot } = await source.reload();
    assert.deepEqual(
      snapshot.list('ServiceEntry').map(({ spec }) => spec.hosts),
      [['a.example']],
    );
    assert.match(snapshot.findings.map(({ message }) => message).join(), /may be written by everybody, who could allow anything by it/);
    chmodSync(file, 0o600);
    assert.deepEqual(
      (await source.reload()).snapshot.list('ServiceEntry').map(({ spec }) => spec.hosts),
      [['b.example']],
    );
  } finally {
    source.close();
  }
});

test('a mesh that follows the file takes a grant, ends it on time though the clock is set back, and takes a revocation', async () => {
  const file = openGrants(join(folder, 'e.yaml'));
  let now = NOW;
  const heard: ((input: MeshInput) => void)[] = [];
  const next = () => new Promise<MeshInput>((resolve) => heard.push(resolve));
  const listener = { changed: (input: MeshInput) => heard.splice(0).forEach((tell) => void tell(input)), failed: assert.fail };
  const source = await openMeshFiles({ paths: [file], meshConfig: undefined, now: () => now }, listener);
  const hosts = ({ snapshot }: MeshInput) =>
    snapshot.list('VirtualService').flatMap(({ spec }) => spec.http.map(({ name = '' }) => `${spec.hosts[0]} ${name}`));
  try {
    const { id } = await addGrant(file, request('api.example.com:443', 60_000), NOW);
    const granted = await source.reload();
    assert.equal(granted.snapshot.list('ServiceEntry').length, 1);
    const ended = next();
    now = Date.parse('2026-06-15T12:01:00Z');
    assert.match(JSON.stringify((await ended).snapshot.list('VirtualService')[0]!.spec.tls), /ended\.egress-policy\.internal/);
    await revokeGrant(file, id);
    const revoked = await source.reload();
    assert.deepEqual(hosts(revoked), []);
    assert.equal(revoked.snapshot.list('ServiceEntry').length, 0);
  } finally {
    source.close();
  }
});
