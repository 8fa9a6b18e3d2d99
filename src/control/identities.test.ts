import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { proxyOf } from '../../test/support/mesh.ts';
import { Identities } from '../ca/identities.ts';
import { codeOf } from '../lib/errors.ts';
import { engineFleet } from './fleet.ts';
import { Loop } from './loop.ts';
import { entryText, inputOf, RecordingEngine } from './testing.ts';

const HOUR_MS = 3_600_000;

/** Whom the `default` secret of the newest resources names, and until when. */
function identityOf(engine: RecordingEngine) {
  const { type } = engine.resources.at(-1)!.secrets.find(({ name }) => name === 'default')!;
  assert.ok(type.case === 'tlsCertificate');
  const { subjectAltName, validTo } = new X509Certificate(String(type.value.certificateChain!.specifier.value));
  return { subjectAltName, validTo: Date.parse(validTo) };
}

test('each proxy gets its own identity, and at half of its time another, which changes nothing else', async () => {
  let now = Date.now();
  const engines = new Map<string, RecordingEngine>();
  const accounts = ['a', 'b'];
  const proxies = new Map(accounts.map((serviceAccount) => [serviceAccount, proxyOf({ name: serviceAccount, serviceAccount })]));
  const loop = new Loop({
    prepare: (input) => ({ input, findings: [], proxies: () => proxies }),
    fleet: engineFleet({
      graceMs: 0,
      startEngine: async (key) => {
        const engine = new RecordingEngine();
        engines.set(key, engine);
        return engine;
      },
    }),
    identities: new Identities(undefined, () => now),
  });
  await loop.apply(inputOf(entryText('one.example.com')));
  for (const account of accounts) {
    assert.equal(identityOf(engines.get(account)!).subjectAltName, `URI:spiffe://cluster.local/ns/default/sa/${account}`);
  }
  const first = identityOf(engines.get('a')!).validTo;
  now += 13 * HOUR_MS;
  loop.renew();
  await new Promise((resolve) => setImmediate(resolve));
  const { updates } = engines.get('a')!;
  assert.deepEqual(
    updates.at(-1)!.changed.map(({ type, name }) => `${type}/${name}`),
    ['secret/default'],
  );
  assert.ok(identityOf(engines.get('a')!).validTo > first);
  await loop.close(0);
});

test('who is gone is not renewed for, and a CA that can sign no more is told of while what is in force goes on', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.now() });
  let passed = 0;
  const identities = new Identities(undefined, () => Date.now() + passed);
  const failures: unknown[] = [];
  let account = 'a';
  const loop = new Loop({
    prepare: (input) => ({ input, findings: [], proxies: () => new Map([['proxy', proxyOf({ name: account, serviceAccount: account })]]) }),
    fleet: engineFleet({ graceMs: 0, startEngine: async () => new RecordingEngine() }),
    identities,
    notRenewed: (error) => failures.push(error),
  });
  await loop.apply(inputOf(entryText('one.example.com')));
  t.mock.timers.tick(6 * HOUR_MS);
  account = 'b';
  await loop.apply(inputOf(entryText('two.example.com')));
  assert.equal(identities.renewAt, Date.now() + 12 * HOUR_MS);
  passed = 11 * 365 * 24 * HOUR_MS;
  t.mock.timers.tick(12 * HOUR_MS);
  assert.deepEqual(failures.map(codeOf), ['ca-expired']);
  t.mock.timers.tick(60_000);
  assert.deepEqual(failures.map(codeOf), ['ca-expired', 'ca-expired']);
  await loop.close(0);
  t.mock.timers.tick(120_000);
  assert.equal(failures.length, 2);
});
