import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { cidrContains, compileCidr, isLoopback, maskWords, parseIp, sameIp } from '../../lib/ip.ts';
import type { FilterChainMatch } from '../gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../gen/envoy/config/listener/v3/listener_pb.js';
import { type ConnectionInfo, compileFilterChains } from './filter-chain.ts';
import { compileListeners, listenerAddresses } from './listener.ts';

const listener = (filterChains: JsonObject[], more: JsonObject = {}): Listener =>
  fromJson(ListenerSchema, { name: 'l', filterChains, ...more });

const connection = (fields: Partial<ConnectionInfo> = {}): ConnectionInfo => ({
  destinationIp: '10.0.0.1',
  destinationPort: 80,
  sourceIp: '192.168.0.1',
  sourcePort: 40000,
  serverName: '',
  transportProtocol: '',
  applicationProtocols: [],
  ...fields,
});

const chain = (name: string, filterChainMatch: JsonObject) => ({ name, filterChainMatch });

test('addresses parse to words', () => {
  assert.deepEqual(parseIp('1.2.3.4'), [0x01020304]);
  assert.deepEqual(parseIp('255.255.255.255'), [0xffffffff]);
  assert.deepEqual(parseIp('2001:db8::1'), [0x20010db8, 0, 0, 1]);
  assert.deepEqual(parseIp('::'), [0, 0, 0, 0]);
  assert.deepEqual(parseIp('fe80::1%eth0'), [0xfe800000, 0, 0, 1]);
  assert.deepEqual(parseIp('::ffff:1.2.3.4'), [0x01020304]);
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '1..2.3',
    'a.b.c.d',
    '1:2',
    '::1::',
    '12345::',
    'g::',
    '/a/b',
    '1:2:3:4:5:6:7:8:9',
  ]) {
    assert.equal(parseIp(text), undefined, text);
  }
});

test('the exact server name, then the longest wildcard, then none', () => {
  const table = compileFilterChains(
    listener([
      chain('exact', { serverNames: ['www.example.com'] }),
      chain('wide', { serverNames: ['*.com'] }),
      chain('narrow', { serverNames: ['*.example.com'] }),
      chain('plain', {}),
    ]),
  );
  const by = (serverName: string) => table.match(connection({ serverName }))?.name;
  assert.equal(by('www.example.com'), 'exact');
  assert.equal(by('WWW.example.com'), 'exact');
  assert.equal(by('a.b.example.com'), 'narrow');
  assert.equal(by('example.com'), 'wide');
  assert.equal(by('com'), 'plain');
  assert.equal(by(''), 'plain');
});

test('a more specific value that was chosen is not left again', () => {
  const table = compileFilterChains(
    listener([chain('sni', { prefixRanges: [{ addressPrefix: '10.0.0.1', prefixLen: 32 }], serverNames: ['a'] }), chain('any', {})], {
      defaultFilterChain: { name: 'default' },
    }),
  );
  assert.equal(table.match(connection({ serverName: 'a' }))?.name, 'sni');
  assert.equal(table.match(connection({ serverName: 'b' }))?.name, 'default');
  assert.equal(table.match(connection({ destinationIp: '10.0.0.2', serverName: 'b' }))?.name, 'any');
});

test('ports, protocols and sources', () => {
  const table = compileFilterChains(
    listener([
      chain('port', { destinationPort: 8080 }),
      chain('tls-h2', { transportProtocol: 'tls', applicationProtocols: ['h2'] }),
      chain('tls', { transportProtocol: 'tls' }),
      chain('raw-http', { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1', 'h2c'] }),
      chain('raw', { transportProtocol: 'raw_buffer' }),
    ]),
  );
  const by = (fields: Partial<ConnectionInfo>) => table.match(connection(fields))?.name;
  assert.equal(by({ destinationPort: 8080, transportProtocol: 'tls' }), 'port');
  assert.equal(by({ transportProtocol: 'tls', applicationProtocols: ['x', 'h2'] }), 'tls-h2');
  assert.equal(by({ transportProtocol: 'tls', applicationProtocols: ['http/1.1'] }), 'tls');
  assert.equal(by({ applicationProtocols: ['http/1.1'] }), 'raw-http');
  assert.equal(by({}), 'raw');
  const sources = compileFilterChains(
    listener([
      chain('local', { sourceType: 'SAME_IP_OR_LOOPBACK' }),
      chain('port', { sourceType: 'EXTERNAL', sourcePorts: [7] }),
      chain('net', { sourceType: 'EXTERNAL', sourcePrefixRanges: [{ addressPrefix: '192.168.0.0', prefixLen: 16 }] }),
      chain('direct', { directSourcePrefixRanges: [{ addressPrefix: '172.16.0.0', prefixLen: 12 }] }),
    ]),
  );
  const from = (fields: Partial<ConnectionInfo>) => sources.match(connection(fields))?.name;
  assert.equal(from({ sourceIp: '127.0.0.1' }), 'local');
  assert.equal(from({ sourceIp: '10.0.0.1' }), 'local');
  assert.equal(from({ sourceIp: '', destinationIp: '/run/s.sock' }), 'local', 'a Unix socket');
  assert.equal(from({ sourceIp: '1.1.1.1', sourcePort: 7 }), 'port');
  assert.equal(from({ sourceIp: '192.168.3.4' }), 'net');
  assert.equal(from({ sourceIp: '1.1.1.1' }), undefined);
  assert.equal(from({ sourceIp: '172.16.3.4' }), 'direct');
});

test('what Envoy refuses is refused', () => {
  const same = [chain('a', { serverNames: ['x', 'y'] }), chain('b', { serverNames: ['y'] })];
  assert.throws(() => compileFilterChains(listener(same)), { code: 'xds-invalid', message: /"a" and "b" have the same matching rules/ });
  assert.throws(() => compileFilterChains(listener([chain('a', { serverNames: ['a*'] })])), { code: 'xds-invalid' });
  assert.throws(() => compileFilterChains(listener([chain('a', { prefixRanges: [{ addressPrefix: 'x' }] })])), { code: 'xds-invalid' });
  assert.throws(() => compileFilterChains(listener([chain('a', { addressSuffix: 'x' })])), { code: 'xds-unsupported' });
  assert.throws(() => compileFilterChains(listener([], { filterChainMatcher: {} })), { code: 'xds-unsupported' });
});

/** Envoy's steps over a plain list: at each step keep the chains with the most specific value that holds. */
function reference(chains: readonly { readonly name: string; readonly match: FilterChainMatch }[], c: ConnectionInfo): string | undefined {
  const destination = parseIp(c.destinationIp)!;
  const source = parseIp(c.sourceIp)!;
  const cidr = (ranges: readonly { addressPrefix: string; prefixLen?: number }[], ip: readonly number[]) =>
    ranges.length === 0
      ? 0
      : Math.max(
          -1,
          ...ranges.map((range) => compileCidr(range as never)).map((range) => (cidrContains(range, ip) ? range.length + 1 : -1)),
        );
  const name = (names: readonly string[]) =>
    names.length === 0
      ? 0
      : Math.max(
          -1,
          ...names.map((n) =>
            n === c.serverName
              ? 1000
              : n.startsWith('*.') && c.serverName.length > n.length - 1 && c.serverName.endsWith(n.slice(1))
                ? n.length
                : -1,
          ),
        );
  const local = isLoopback(source) || sameIp(source, destination);
  const steps: readonly ((m: FilterChainMatch) => number)[] = [
    (m) => (m.destinationPort === undefined ? 0 : m.destinationPort === c.destinationPort ? 1 : -1),
    (m) => cidr(m.prefixRanges, destination),
    (m) => name(m.serverNames),
    (m) => (m.transportProtocol === '' ? 0 : m.transportProtocol === (c.transportProtocol || 'raw_buffer') ? 1 : -1),
    (m) => {
      const at = c.applicationProtocols.findIndex((protocol) => m.applicationProtocols.includes(protocol));
      return m.applicationProtocols.length === 0 ? 0 : at < 0 ? -1 : 10 - at;
    },
    (m) => (m.sourceType === 0 ? 0 : (m.sourceType === 1) === local ? 1 : -1),
    (m) => cidr(m.sourcePrefixRanges, source),
    (m) => (m.sourcePorts.length === 0 ? 0 : m.sourcePorts.includes(c.sourcePort) ? 1 : -1),
  ];
  let left = [...chains];
  for (const step of steps) {
    const best = Math.max(-1, ...left.map(({ match }) => step(match)));
    if (best < 0) return undefined;
    left = left.filter(({ match }) => step(match) === best);
  }
  return left[0]?.name;
}

test('agrees with a search through all chains', () => {
  const range = fc.constantFrom(
    { addressPrefix: '10.0.0.1', prefixLen: 32 },
    { addressPrefix: '10.0.0.0', prefixLen: 8 },
    { addressPrefix: '10.0.0.0', prefixLen: 24 },
    { addressPrefix: '2001:db8::', prefixLen: 32 },
  );
  const some = <T>(values: fc.Arbitrary<T>) => fc.uniqueArray(values, { maxLength: 2 });
  const match = fc.record(
    {
      destinationPort: fc.constantFrom(80, 443),
      prefixRanges: some(range),
      serverNames: some(fc.constantFrom('a.b.c', '*.b.c', '*.c', 'b.c')),
      transportProtocol: fc.constantFrom('tls', 'raw_buffer', ''),
      applicationProtocols: some(fc.constantFrom('h2', 'http/1.1')),
      sourceType: fc.constantFrom('ANY', 'SAME_IP_OR_LOOPBACK', 'EXTERNAL'),
      sourcePrefixRanges: some(range),
      sourcePorts: some(fc.constantFrom(1, 2)),
    },
    { requiredKeys: [] },
  );
  const asked = fc.record({
    destinationIp: fc.constantFrom('10.0.0.1', '10.0.0.2', '10.1.1.1', '2001:db8::5', '9.9.9.9'),
    destinationPort: fc.constantFrom(80, 443, 8080),
    sourceIp: fc.constantFrom('10.0.0.1', '10.0.0.9', '127.0.0.1', '::1', '2001:db8::6'),
    sourcePort: fc.constantFrom(1, 2, 3),
    serverName: fc.constantFrom('', 'a.b.c', 'x.b.c', 'b.c', 'c', 'z.a.b.c'),
    transportProtocol: fc.constantFrom('', 'tls'),
    applicationProtocols: fc.constantFrom([], ['h2', 'http/1.1'], ['http/1.1', 'h2'], ['h3']),
  });
  let compared = 0;
  fc.assert(
    fc.property(fc.array(match, { maxLength: 6 }), fc.array(asked, { minLength: 5, maxLength: 20 }), (matches, connections) => {
      const config = listener(matches.map((each, i) => chain(String(i), each as JsonObject)));
      let table: ReturnType<typeof compileFilterChains>;
      try {
        table = compileFilterChains(config);
      } catch {
        return; // Two chains with one match: refused, as the test above shows.
      }
      const chains = config.filterChains.map(({ name, filterChainMatch }) => ({ name, match: filterChainMatch! }));
      for (const each of connections) {
        compared++;
        assert.equal(table.match(each)?.name, reference(chains, each));
      }
    }),
    { numRuns: 400, seed: 1 },
  );
  assert.ok(compared > 1000);
});

test('masks', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0, max: 32 }), (word, length) => {
      const range = { words: maskWords([word], length), length };
      assert.ok(cidrContains(range, [word]));
      if (length > 0) assert.ok(!cidrContains(range, [(word ^ (1 << (32 - length))) >>> 0]));
    }),
    { seed: 1 },
  );
});

test('the listener of a restored destination: its exact address, else any address on its port', () => {
  const at = (name: string, address: string, portValue: number, more: JsonObject = {}) =>
    fromJson(ListenerSchema, { name, address: { socketAddress: { address, portValue } }, ...more });
  const all = [
    at('exact', '10.0.0.1', 80, { bindToPort: false }),
    at('any', '0.0.0.0', 80),
    at('six', '::', 81),
    at('more', '10.0.0.9', 82, { additionalAddresses: [{ address: { socketAddress: { address: '10.0.0.10', portValue: 82 } } }] }),
  ];
  const table = compileListeners(all.map((config) => ({ config, value: config.name })));
  const name = (ip: string, port: number) => table.match(ip, port);
  assert.equal(name('10.0.0.1', 80), 'exact');
  assert.equal(name('10.0.0.2', 80), 'any');
  assert.equal(name('::ffff:10.0.0.1', 80), 'exact');
  assert.equal(name('2001:db8::1', 81), 'six');
  assert.equal(name('10.0.0.10', 82), 'more');
  assert.equal(name('10.0.0.11', 82), undefined);
  assert.equal(listenerAddresses(all[3]!).length, 2);
  assert.deepEqual(listenerAddresses(fromJson(ListenerSchema, { address: { pipe: { path: '/x' } } })), []);
});
