import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { MetadataSchema } from '../gen/envoy/config/core/v3/base_pb.js';
import { type BoundCall, bindingOf, dialsByName, disagreement, disagreementDetails, disagreementText, nameDialled } from './binding.ts';

const bound = (bind: JsonValue) => bindingOf(fromJson(MetadataSchema, { filterMetadata: { sallyport: { bind } } }))!;
const call = (said: Partial<BoundCall>): BoundCall => ({
  asked: undefined,
  serverName: undefined,
  authority: undefined,
  dialled: undefined,
  ...said,
});
const host = (name: string, port = 0) => ({ authority: { host: name, port } });
const dialled = (ip: string, port = 443) => ({ dialled: { ip, port } });

test('what is bound is read; what is not understood of it is enforced, and allows nothing', () => {
  const full = { mode: 'audit', hosts: ['a.example', 7], ports: [80, '81'], addresses: ['192.0.2.0/24', 'x', 5], sni: true };
  const { addresses, ...rest } = bound(full);
  assert.deepEqual(rest, { mode: 'audit', hosts: ['a.example'], ports: [80], needsServerName: true });
  assert.equal(addresses.length, 1);
  const nothing = { mode: 'enforce', hosts: [], ports: [], addresses: [], needsServerName: false };
  const odds: JsonValue[] = [{}, null, 'audit', ['audit'], { mode: 'other', hosts: 'a', sni: 'true' }];
  for (const odd of odds) assert.deepEqual(bound(odd), nothing);
  assert.equal(bindingOf(undefined), undefined);
  assert.equal(bindingOf(fromJson(MetadataSchema, {})), undefined);
});

const A = { hosts: ['a.example', '*.b.example'], ports: [80, 443] };
const ONE = { hosts: ['a.example'], ports: [80] };
const AT = { ...A, addresses: ['192.0.2.0/24', '2001:db8::/64'] };

/** The binding, the call, and what disagrees with what; undefined where all agrees. */
const CALLS: Readonly<Record<string, readonly [JsonValue, Partial<BoundCall>, string | undefined]>> = {
  'a declared name': [A, host('a.example'), undefined],
  'in capitals and with a dot at its end': [A, host('A.Example.'), undefined],
  'a name of a declared wildcard': [A, host('x.b.example'), undefined],
  'a name that is not declared': [A, host('c.example'), 'Host c.example and the declared host a.example, *.b.example disagree'],
  'an SNI that is not declared': [A, { serverName: 'c.example' }, 'SNI c.example and the declared host a.example, *.b.example disagree'],
  'the one declared name': [ONE, { ...host('a.example', 80), asked: 'a.example', serverName: 'a.example' }, undefined],
  'the one declared name, and another port': [
    ONE,
    host('a.example', 81),
    'port 81 of the Host and the declared ports of a.example disagree',
  ],
  'the one declared name, and another SNI': [
    ONE,
    { ...host('a.example'), serverName: 'b.example' },
    'Host a.example and SNI b.example disagree',
  ],
  'the one declared name, where another was asked for': [
    ONE,
    { ...host('a.example'), asked: 'b.example' },
    'Host a.example and the destination asked for b.example disagree',
  ],
  'nothing is said': [A, {}, undefined],
  'two names that are both declared': [
    A,
    { serverName: 'a.example', ...host('x.b.example') },
    'Host x.b.example and SNI a.example disagree',
  ],
  'what was asked of the proxy, and an SNI': [
    A,
    { asked: 'a.example', serverName: 'x.b.example' },
    'SNI x.b.example and the destination asked for a.example disagree',
  ],
  'three that agree': [A, { asked: 'a.example', serverName: 'a.example', ...host('a.example') }, undefined],
  'TLS without SNI, where that is all that names the host': [
    { ...A, sni: true },
    { serverName: '' },
    'TLS without SNI and the declared host a.example, *.b.example disagree',
  ],
  'TLS without SNI, where something else does': [{ ...A, sni: true }, { serverName: '', ...host('a.example') }, undefined],
  'TLS without SNI, where nothing asks for one': [A, { serverName: '' }, undefined],
  'TLS that this proxy does not look into': [{ ...A, sni: true }, {}, undefined],
  'an address of the host': [AT, { ...host('a.example'), ...dialled('192.0.2.7') }, undefined],
  'an IPv6 address of the host': [AT, { ...host('a.example'), ...dialled('2001:db8::7') }, undefined],
  'another address': [
    AT,
    { ...host('a.example'), ...dialled('198.51.100.7') },
    'the address 198.51.100.7 that was dialled and Host a.example disagree',
  ],
  'another address, and no name': [
    AT,
    dialled('198.51.100.7'),
    'the address 198.51.100.7 that was dialled and the declared host a.example, *.b.example disagree',
  ],
  'any address where none is known': [A, { ...host('a.example'), ...dialled('198.51.100.7') }, undefined],
  'another address that the proxy itself looked up': [AT, { asked: 'a.example', ...dialled('198.51.100.7') }, undefined],
  'another address that the proxy was asked for': [
    AT,
    { asked: '198.51.100.7', ...dialled('198.51.100.7') },
    'the address 198.51.100.7 that was dialled and the destination asked for 198.51.100.7 disagree',
  ],
  'a Host that is the address': [AT, { ...host('192.0.2.7'), ...dialled('192.0.2.7') }, undefined],
  'a Host that is the address, written otherwise': [AT, { ...host('2001:db8:0::7'), ...dialled('2001:db8::7') }, undefined],
  'a Host that is another of its addresses': [
    AT,
    { ...host('192.0.2.8'), ...dialled('192.0.2.7') },
    'Host 192.0.2.8 and the address 192.0.2.7 that was dialled disagree',
  ],
  'a Host that is an address, at a gateway': [AT, host('192.0.2.8'), undefined],
  'a Host that is none of its addresses, at a gateway': [
    AT,
    host('198.51.100.7'),
    'Host 198.51.100.7 and the declared host a.example, *.b.example disagree',
  ],
  'an address and a name beside each other': [AT, { serverName: 'a.example', ...host('192.0.2.7'), ...dialled('192.0.2.7') }, undefined],
  'a port that is declared': [A, host('a.example', 80), undefined],
  'a port that is not': [A, host('a.example', 81), 'port 81 of the Host and the declared ports of a.example, *.b.example disagree'],
  'a port that was dialled': [A, { ...host('a.example', 443), ...dialled('192.0.2.7') }, undefined],
  'a declared port that was not dialled': [
    A,
    { ...host('a.example', 80), ...dialled('192.0.2.7') },
    'port 80 of the Host and port 443 that was dialled disagree',
  ],
};

for (const [name, [bind, said, expected]] of Object.entries(CALLS)) {
  test(`binding: ${name}`, () => {
    const found = disagreement(bound(bind), call(said));
    assert.equal(found && disagreementText(found), expected);
  });
}

test('details are one word', () => {
  const found = disagreement(bound(A), call(host('c.example')))!;
  assert.equal(disagreementDetails(found), 'binding_refused{Host_c.example_and_the_declared_host_a.example,_*.b.example_disagree}');
});

test('the name that has to lead to the address that was dialled', () => {
  assert.deepEqual([dialsByName(undefined), dialsByName(bound({ ...A, mode: 'audit' })), dialsByName(bound(AT))], [false, false, false]);
  assert.equal(dialsByName(bound(A)), true);
  assert.equal(nameDialled(bound(A), [undefined, '', '192.0.2.7', 'X.b.example.']), 'x.b.example');
  assert.equal(nameDialled(bound(A), ['192.0.2.7']), 'a.example');
  assert.equal(nameDialled(bound({ hosts: ['*.b.example', 'a.example'] }), []), 'a.example');
  assert.equal(nameDialled(bound({ hosts: ['*.b.example'] }), []), undefined);
});
