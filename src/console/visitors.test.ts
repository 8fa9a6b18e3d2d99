import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SallyportError } from '../lib/errors.ts';
import { EVERYTHING, LEFT_OUT, sightOf } from './sight.ts';
import { type Known, Visitors } from './visitors.ts';

const COOKIE = 'session';

/** What the cluster says of each token, which tests change, and a clock of their own. */
function opened(t: TestContext) {
  const says = new Map<string, Known | Error>([['a', { name: 'alice', sight: EVERYTHING }]]);
  const clock = { now: 0 };
  const asked: string[] = [];
  const visitors = new Visitors({
    know: async (token) => {
      asked.push(token.revealText());
      const known = says.get(token.revealText());
      if (known instanceof Error) throw known;
      return known;
    },
    now: () => clock.now,
  });
  t.after(() => visitors.close());
  const withCookie = (id: string) => visitors.admit({ cookie: `other=1; ${COOKIE}=${id}` }, COOKIE);
  return { says, clock, asked, visitors, withCookie };
}

test('a session is known by its cookie, and the cluster is asked about it again', async (t) => {
  const { says, clock, asked, visitors, withCookie } = opened(t);
  const id = await visitors.enter('a');
  assert.equal((await withCookie(id)).name, 'alice');
  clock.now += 29_000;
  await withCookie(id);
  assert.equal(asked.length, 1);
  clock.now += 2_000;
  await Promise.all([withCookie(id), withCookie(id)]);
  assert.equal(asked.length, 2, 'once for all who wait');
  says.delete('a');
  clock.now += 31_000;
  await assert.rejects(withCookie(id), { code: 'no-session' });
  says.set('a', { name: 'alice', sight: EVERYTHING });
  await assert.rejects(withCookie(id), { code: 'no-session' }, 'it does not come back');
});

test('while the cluster does not say, nothing is shown, and then it goes on', async (t) => {
  const { says, clock, visitors, withCookie } = opened(t);
  const id = await visitors.enter('a');
  let out = 0;
  (await withCookie(id)).whenOut(() => out++);
  says.set('a', new SallyportError('not-reviewed', 'no answer'));
  clock.now += 31_000;
  await assert.rejects(withCookie(id), { code: 'not-reviewed' });
  says.set('a', { name: 'alice', sight: EVERYTHING });
  assert.equal((await withCookie(id)).name, 'alice');
  assert.equal(out, 0);
});

test('whoever listens is let go when what they may see is another, or nothing', async (t) => {
  const { says, clock, visitors, withCookie } = opened(t);
  const id = await visitors.enter('a');
  let out = 0;
  (await withCookie(id)).whenOut(() => out++);
  says.set('a', { name: 'alice', sight: sightOf(new Set(['shop']), () => new Set()) });
  clock.now += 31_000;
  const cut = await withCookie(id);
  assert.deepEqual([out, cut.sight.namespaces], [1, ['shop']]);
  cut.whenOut(() => out++);
  says.set('a', { name: 'alice', sight: undefined });
  clock.now += 31_000;
  await assert.rejects(withCookie(id), { code: 'sees-nothing' });
  await assert.rejects(withCookie(id), { code: 'no-session' });
  assert.equal(out, 2);
});

test('sessions end after twelve hours, and are bounded for each person', async (t) => {
  const { clock, visitors, withCookie } = opened(t);
  const first = await visitors.enter('a');
  for (let i = 0; i < 8; i++) await visitors.enter('a');
  await assert.rejects(withCookie(first), { code: 'no-session' });
  const last = await visitors.enter('a');
  clock.now += 12 * 60 * 60 * 1000;
  await assert.rejects(withCookie(last), { code: 'no-session' });
});

test('of many who enter at once some are told to come again', async (t) => {
  const { visitors } = opened(t);
  const all = await Promise.allSettled(Array.from({ length: 12 }, () => visitors.enter('nobody')));
  const codes = all.map((one) => (one.status === 'rejected' ? one.reason.code : ''));
  assert.deepEqual([codes.filter((code) => code === 'no-session').length, codes.filter((code) => code === 'busy').length], [8, 4]);
  await visitors.enter('a');
});

test('a text that names a namespace which is not seen is left out', () => {
  const sight = sightOf(new Set(['shop']), () => new Set(['shop', 'payments', 'kube-system']));
  for (const text of ['VirtualService payments/x', 'db.payments.svc', 'in kube-system.', 'PAYMENTS', 'ns=payments'])
    assert.equal(sight.text(text), LEFT_OUT, text);
  for (const text of ['VirtualService shop/x', 'payments-api.example', 'my-kube-system-x', '', 'anywhere'])
    assert.equal(sight.text(text), text, text);
});
