import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { CidrMap } from './cidr-map.ts';
import {
  canonicalRange,
  cidrContains,
  cidrCovers,
  compileCidr,
  formatIp,
  isAnyAddress,
  isIp,
  isLoopback,
  parseIp,
  parseRange,
  sampleOutside,
  singleAddress,
} from './ip.ts';

const ipv4 = fc.ipV4();
/** Zeros often, so that runs of them are shortened. */
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((groups) => new ipaddr.IPv6(groups))
  .filter((address) => !address.isIPv4MappedAddress())
  .chain((address) => fc.constantFrom(address.toString(), address.toNormalizedString(), address.toNormalizedString().toUpperCase()));
const ip = fc.oneof(
  ipv4,
  ipv6,
  fc.ipV6().filter((text) => !(ipaddr.parse(text) as ipaddr.IPv6).isIPv4MappedAddress()),
);
const range = ip.chain((text) => fc.nat(text.includes(':') ? 128 : 32).map((length) => ({ text: `${text}/${length}`, length })));

test('a text is an address where Node says so', () => {
  const noise = fc.array(fc.constantFrom('0', '1', '9', '25', '255', '256', 'f', 'ffff', 'g', ':', '::', '.', '%', '%e0', '/', ' ', '01'), {
    maxLength: 12,
  });
  const check = (text: string) => assert.equal(isIp(text), isIP(text) !== 0, JSON.stringify(text));
  fc.assert(
    fc.property(
      fc.oneof(
        noise.map((parts) => parts.join('')),
        ip,
        fc.string(),
      ),
      check,
    ),
    { numRuns: 2000, seed: 1 },
  );
  for (const text of [
    '',
    '10.1',
    '010.0.0.1',
    '0x7f.0.0.1',
    '1.2.3.4.5',
    '::1%',
    '1::2::3',
    ':::',
    '1:2:3:4:5:6:7::',
    '::1.2.3.4',
    '::1.2.3.4:5',
  ])
    check(text);
});

test('addresses have the words and the spelling that ipaddr.js gives them', () => {
  fc.assert(
    fc.property(ip, (text) => {
      const words = parseIp(text)!;
      assert.deepEqual(
        words.flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]),
        ipaddr.parse(text).toByteArray(),
      );
      assert.equal(formatIp(words), ipaddr.parse(text).toString());
      assert.deepEqual(parseIp(formatIp(words)), words);
    }),
    { seed: 1 },
  );
});

test('ranges have the network that ipaddr.js gives them', () => {
  fc.assert(
    fc.property(range, ({ text, length }) => {
      const family = text.includes(':') ? ipaddr.IPv6 : ipaddr.IPv4;
      const network = family.networkAddressFromCIDR(text);
      const expected =
        network.kind() === 'ipv6' && (network as ipaddr.IPv6).isIPv4MappedAddress() ? undefined : `${network.toString()}/${length}`;
      if (expected !== undefined) assert.equal(canonicalRange(text), expected);
    }),
    { seed: 1 },
  );
});

test('a range holds an address where ipaddr.js says so', () => {
  const near = range.chain(({ text, length }) =>
    fc.record({
      text: fc.constant(text),
      length: fc.constant(length),
      // Half of them in the range or close to it, which chance alone would hardly meet.
      other: fc.oneof(
        ip,
        fc.nat(text.includes(':') ? 127 : 31).map((bit) => flipped(text.slice(0, text.indexOf('/')), bit)),
      ),
    }),
  );
  fc.assert(
    fc.property(near, ({ text, other }) => {
      const [a, b] = [ipaddr.parseCIDR(text), ipaddr.parse(other)];
      fc.pre(!(b.kind() === 'ipv6' && (b as ipaddr.IPv6).isIPv4MappedAddress()));
      const expected = a[0].kind() === b.kind() && b.match(a);
      assert.equal(cidrContains(parseRange(text)!, parseIp(other)!), expected);
      assert.equal(cidrCovers(text, other), expected);
    }),
    { numRuns: 2000, seed: 1 },
  );
});

function flipped(text: string, bit: number): string {
  const bytes = ipaddr.parse(text).toByteArray();
  bytes[bit >> 3]! ^= 0x80 >> (bit & 7);
  return ipaddr.fromByteArray(bytes).toString();
}

test('an IPv4-mapped address is its IPv4 address, alone, in ranges and as a prefix', () => {
  assert.deepEqual(parseIp('::ffff:10.0.0.1'), parseIp('10.0.0.1'));
  assert.deepEqual(parseIp('::ffff:a00:1'), parseIp('10.0.0.1'));
  assert.ok(cidrCovers('10.0.0.0/8', '::ffff:10.1.2.3'));
  assert.equal(canonicalRange('::ffff:10.1.2.3/104'), '10.0.0.0/8');
  assert.equal(singleAddress('::ffff:10.1.2.3'), '10.1.2.3');
  assert.deepEqual(compileCidr({ addressPrefix: '::ffff:10.1.2.3', prefixLen: 128 }), parseRange('10.1.2.3'));
  assert.equal(canonicalRange('::ffff:10.1.2.3/90'), '::ffc0:0:0/90');
  assert.ok(!cidrCovers('::/0', '::ffff:10.1.2.3'), 'a range of IPv6 holds no IPv4');
});

test('an address is a range of one; what is no range is none', () => {
  assert.equal(parseRange('10.0.0.1')?.length, 32);
  assert.equal(parseRange('2001:db8::1')?.length, 128);
  for (const text of [
    '',
    '10.1',
    '10.1/8',
    'nonsense/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '::/129',
    'fe80::%eth0/10',
    '1.2.3.4/1e1',
  ])
    assert.equal(parseRange(text), undefined, text);
  assert.throws(() => compileCidr({ addressPrefix: '10.0.0.0', prefixLen: 33 }), {
    code: 'xds-invalid',
    message: /"10\.0\.0\.0\/33" is no CIDR range/,
  });
  assert.throws(() => compileCidr({ addressPrefix: 'x' }), { code: 'xds-invalid' });
});

test('ranges cover one another within a family', () => {
  assert.ok(cidrCovers('10.0.0.0/8', '10.1.2.0/24'));
  assert.ok(!cidrCovers('10.1.2.0/24', '10.0.0.0/8'));
  assert.ok(!cidrCovers('0.0.0.0/0', '::/0'));
  assert.ok(!cidrCovers('0.0.0.0/0', 'x'));
});

test('the only address of a range of one, in its one spelling', () => {
  assert.equal(singleAddress('10.0.0.1/32'), '10.0.0.1');
  assert.equal(singleAddress('2001:DB8:0::1/128'), '2001:db8::1');
  assert.equal(singleAddress('10.0.0.0/31'), undefined);
  assert.equal(singleAddress('unix:///x'), undefined);
});

test('addresses of the machine, and those that stand for all', () => {
  assert.deepEqual(
    ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '128.0.0.1', '::2'].map((text) => isLoopback(parseIp(text)!)),
    [true, true, true, true, false, false],
  );
  assert.deepEqual(['0.0.0.0', '::', '0:0::0', '::ffff:0.0.0.0', '0.0.0.1', '::1', ''].map(isAnyAddress), [
    true,
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

test('a sample outside is the first address of a gap', () => {
  assert.equal(sampleOutside('0.0.0.0/0', []), '0.0.0.0');
  assert.equal(sampleOutside('10.0.0.0/8', ['10.0.0.0/9']), '10.128.0.0');
  assert.equal(sampleOutside('10.0.0.0/8', ['10.0.0.0/9', '10.128.0.0/9']), undefined);
  assert.equal(sampleOutside('10.0.0.0/8', ['0.0.0.0/0']), undefined);
  assert.equal(sampleOutside('255.255.255.0/24', ['255.255.255.0/25', '255.255.255.128/25']), undefined);
  assert.equal(sampleOutside('2001:db8::/32', ['2001:db8::/64', '10.0.0.0/8', 'x']), '2001:db8:0:1::');
  assert.equal(sampleOutside('x', []), undefined);
});

test('a map finds the longest range that holds an address, else what stands for any', () => {
  const map = new CidrMap<string>();
  const put = (text: string) => map.ensure(parseRange(text), () => text);
  for (const text of ['10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0', '2001:db8::/32']) put(text);
  const at = (text: string) => map.get(parseIp(text));
  assert.deepEqual(['10.1.2.3', '::ffff:10.1.2.3', '10.2.0.1', '1.1.1.1', '2001:db8::1', '::1'].map(at), [
    '10.1.0.0/16',
    '10.1.0.0/16',
    '10.0.0.0/8',
    '0.0.0.0/0',
    '2001:db8::/32',
    undefined,
  ]);
  map.ensure(undefined, () => 'any');
  assert.deepEqual([at('::1'), map.get(undefined), map.size], ['any', 'any', 5]);
  assert.equal(put('10.1.9.9/16'), '10.1.0.0/16', 'the same network is one entry');
});
