import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Leg, type Shift, shiftOfLeg, shiftOfWay, wayText } from './security.ts';
import { originated } from './testing.ts';

const PLAIN: Leg = { kind: 'plain' };
const OWN: Leg = { kind: 'application' };
const leg = (...given: Parameters<typeof originated>): Leg => ({ kind: 'originated', ...originated(...given) });
const NAMED = leg('name');

/** Each pair, and what it is the other way round. */
const PAIRS: readonly (readonly [string, Leg, Leg, Shift, Shift])[] = [
  ['nothing changes', NAMED, leg('name'), 'same', 'same'],
  ['no TLS any more', NAMED, PLAIN, 'weakens', 'strengthens'],
  ['TLS of the application ended', OWN, PLAIN, 'weakens', 'strengthens'],
  ['TLS of the application ended and made anew', OWN, NAMED, 'differs', 'differs'],
  ['name not verified', NAMED, leg('chain'), 'weakens', 'strengthens'],
  ['nothing verified', leg('chain'), leg('nothing'), 'weakens', 'strengthens'],
  ['another CA', NAMED, leg('name', { authorities: 'CA b' }), 'differs', 'differs'],
  ['another SNI', NAMED, leg('name', { serverName: 'b' }), 'differs', 'differs'],
  ['a name more will do', NAMED, leg('name', { names: [['a', 'b']] }), 'weakens', 'strengthens'],
  ['another name', NAMED, leg('name', { names: [['b']] }), 'differs', 'differs'],
  ['one of other names needed too', NAMED, leg('name', { names: [['a'], ['b', 'c']] }), 'strengthens', 'weakens'],
  ['another CA, and a name more', NAMED, leg('name', { authorities: 'CA b', names: [['a', 'b']] }), 'weakens', 'differs'],
  ['revocations not heeded', leg('name', { revocations: 'crl.pem' }), NAMED, 'weakens', 'strengthens'],
  ['no client certificate', leg('name', { identity: 'me' }), NAMED, 'weakens', 'strengthens'],
  ['a certificate not demanded', { ...NAMED, demandsCertificate: true } as Leg, NAMED, 'weakens', 'strengthens'],
  ['another client certificate', leg('name', { identity: 'me' }), leg('name', { identity: 'you' }), 'differs', 'differs'],
];

for (const [what, before, after, shift, back] of PAIRS) {
  test(`${what}: ${shift}, and ${back} the other way round`, () => {
    assert.equal(shiftOfLeg(before, after), shift);

    assert.equal(shiftOfLeg(after, before), back);
  });
}

test('ways: each stretch of as many, else the last one and whether a stretch is open', () => {
  assert.equal(shiftOfWay([NAMED, NAMED], [PLAIN, NAMED]), 'weakens');
  assert.equal(shiftOfWay([NAMED], [PLAIN, NAMED]), 'weakens');
  assert.equal(shiftOfWay([PLAIN], [PLAIN, NAMED]), 'strengthens');
  assert.equal(shiftOfWay([OWN], [OWN, OWN]), 'same');
  assert.equal(shiftOfWay([PLAIN, PLAIN], [PLAIN]), 'same');
  assert.equal(shiftOfWay([OWN], []), 'weakens');
});

test('in words', () => {
  assert.equal(wayText([PLAIN, PLAIN]), 'in plain');
  assert.equal(wayText([PLAIN, NAMED]), 'in plain, then TLS with SNI a, verified to be a by CA a');
  assert.equal(wayText([leg('name', { names: [['a'], ['b', 'c']] })]), 'TLS with SNI a, verified to be a and b or c by CA a');
  assert.equal(
    wayText([leg('chain', { serverName: '', revocations: 'crl.pem', identity: 'me' })]),
    'TLS with no SNI, verified by CA a, whatever its name, revocations from crl.pem, as me',
  );
});
