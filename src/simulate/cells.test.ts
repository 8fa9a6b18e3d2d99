import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { outboundCells, sampleHost } from './cells.ts';
import { answer, chain, cluster, host, http, lineOf, listener, outbound, route, SOURCE, sidecar, tcp } from './testing.ts';

/** The cells of a sidecar with these listeners, a line each, and what is undecided. */
function cellsOf(...listeners: readonly JsonObject[]) {
  const proxy = sidecar('default/app', '10.0.0.1', { listeners, clusters: [cluster('a', '192.0.2.1:80')] });
  const { cells, undecided } = outboundCells(proxy, SOURCE);
  const all = [...cells];
  return { lines: all.map(({ call }) => lineOf(call)), all, undecided: [...undecided] };
}

const addressesOf = (lines: readonly string[]) => [...new Set(lines.map((line) => line.split(' ')[0]))];
const ALL = outbound(chain(tcp('a')));

test('a sidecar without a listener for what leaves has no cells, and that is not silence', () => {
  const { lines, undecided } = cellsOf(listener(80, [chain(tcp('a'))]));
  assert.deepEqual([lines, undecided], [[], ['there is no listener for what leaves']]);
});

test('addresses: each that a listener is bound to, another one at its port, and a port that no listener has', () => {
  const { lines } = cellsOf(
    ALL,
    listener(80, [chain(tcp('a'))]),
    listener(80, [chain(tcp('a'))], { ip: '198.51.100.7' }),
    listener(443, [chain(tcp('a'))], { ip: '198.51.100.8' }),
  );
  assert.deepEqual(addressesOf(lines), ['203.0.113.1:80', '198.51.100.7:80', '198.51.100.8:443', '203.0.113.1:49151']);
});

test('the port for all others is one that no listener has, the address one that none is bound to', () => {
  const { lines } = cellsOf(ALL, listener(49_151, [chain(tcp('a'))]), listener(49_151, [chain(tcp('a'))], { ip: '203.0.113.1' }));
  assert.deepEqual(addressesOf(lines), ['198.51.100.77:49151', '203.0.113.1:49151', '203.0.113.1:49150']);
});

test('ranges of chains: an address in each that is in no narrower one, and one outside of all', () => {
  const within = (prefix: string, length: number) => chain(tcp('a'), { prefix_ranges: [{ address_prefix: prefix, prefix_len: length }] });
  const { lines } = cellsOf(
    ALL,
    listener(80, [within('198.51.0.0', 16), within('198.51.0.0', 24), within('198.51.0.7', 32), chain(tcp('a'))]),
  );
  const ips = addressesOf(lines).flatMap((text) => (text?.endsWith(':80') ? [text.slice(0, -3)] : []));
  const place = (ip: string) =>
    ip === '198.51.0.7' ? 'single' : ip.startsWith('198.51.0.') ? 'narrow' : ip.startsWith('198.51.') ? 'wide' : 'outside';
  assert.deepEqual(ips.map(place), ['wide', 'narrow', 'single', 'outside']);
});

test('TLS at an address: the names of the chains of its narrowest range, and no others', () => {
  const named = (name: string, ...ranges: readonly [prefix: string, length: number][]) =>
    chain(tcp('a'), {
      server_names: [name],
      transport_protocol: 'tls',
      prefix_ranges: ranges.map(([address_prefix, prefix_len]) => ({ address_prefix, prefix_len })),
    });
  const { lines } = cellsOf(
    ALL,
    listener(443, [
      named('wide', ['198.51.0.0', 16]),
      named('narrow', ['198.51.100.7', 32]),
      named('both', ['198.51.0.0', 16], ['198.51.100.7', 32]),
      named('open'),
    ]),
  );
  const namesAt = (where: (ip: string) => boolean) => [
    ...new Set(lines.flatMap((line) => (where(line.split(':')[0]!) ? (/sni (wide|narrow|both|open)\b/.exec(line)?.[1] ?? []) : []))),
  ];
  assert.deepEqual(
    namesAt((ip) => ip === '198.51.100.7'),
    ['narrow', 'both'],
  );
  assert.deepEqual(
    namesAt((ip) => ip.startsWith('198.51.') && ip !== '198.51.100.7'),
    ['wide', 'both'],
  );
  assert.deepEqual(
    namesAt((ip) => ip === '203.0.113.1'),
    ['open'],
  );
});

test('a port that a chain of the outbound listener names counts beside those of listeners', () => {
  const { lines } = cellsOf(outbound(chain(tcp('a'), { destination_port: 6379 }), chain(tcp('a'))));
  assert.deepEqual(addressesOf(lines), ['203.0.113.1:49151', '203.0.113.1:6379']);
});

test('TLS: without SNI, by every name that a chain asks for and by another, with every ALPN', () => {
  const names = { server_names: ['www.example.com', '*.example.org'], transport_protocol: 'tls', application_protocols: ['h2'] };
  const { all, lines } = cellsOf(ALL, listener(443, [chain(tcp('a'), names), chain(tcp('a'))]));
  const at = (text: string) => `203.0.113.1:443${text}`;
  const sni = ['none', 'undeclared.invalid', 'www.example.com', 'zz-other.example.org'];
  assert.deepEqual(
    lines.filter((line) => line.startsWith(at(''))),
    [at(''), ...sni.map((name) => at(` sni ${name}`)), ...sni.map((name) => at(` sni ${name} h2`))],
  );
  const patterns = all.flatMap(({ call, patterns: of }) =>
    call.payload.tls?.alpn.length === 0 && call.destination.port === 443 ? [of.join()] : [],
  );
  assert.deepEqual(patterns, ['', '*', '', '*.example.org'], 'what a sample stands for is said');
});

test('requests: one for each route, less those that earlier routes take everything of', () => {
  const { lines, undecided } = cellsOf(
    ALL,
    listener(80, [
      chain(
        http(
          host('www.example.com', route('a', { path: '/' }), answer(403, { prefix: '/' }), route('a', { prefix: '/never' })),
          host('*', answer(404, { prefix: '/', headers: [{ name: 'x', string_match: { exact: '1' } }] })),
        ),
      ),
    ]),
  );
  const requests = lines.filter((line) => line.includes('GET')).map((line) => line.slice(line.indexOf('GET')));
  assert.deepEqual(requests, ['GET www.example.com/', 'GET www.example.com/zz-other', 'GET undeclared.invalid/ x=1']);
  assert.deepEqual(undecided, []);
});

test('a route that no request was found for is undecided', () => {
  const regex = { safe_regex: { regex: '/(?:a{3}|b)[^/]{2}' } };
  const { lines, undecided } = cellsOf(ALL, listener(80, [chain(http(host('a.example', route('a', regex))))]));
  assert.deepEqual(
    lines.filter((line) => line.includes('GET')),
    [],
  );
  assert.deepEqual(undecided, ['route a of routes a.example: no request was found that it takes']);
});

test('a route for https alone gets a request that says so of itself', () => {
  const https = { prefix: '/', headers: [{ name: ':scheme', string_match: { exact: 'https' } }] };
  const { lines, undecided } = cellsOf(ALL, listener(80, [chain(http(host('a.example', route('a', https))))]));
  assert.ok(lines.includes('203.0.113.1:80 GET a.example/ x-forwarded-proto=https'), lines.join('\n'));
  assert.deepEqual(undecided, []);
});

test('requests of a listener are made at each of its addresses', () => {
  const range = { prefix_ranges: [{ address_prefix: '198.51.100.7', prefix_len: 32 }] };
  const { lines } = cellsOf(ALL, listener(80, [chain(http(host('*', answer(404))), range), chain(http(host('*', answer(404))))]));
  assert.deepEqual(
    lines.filter((line) => line.includes('GET')),
    ['198.51.100.7:80 GET undeclared.invalid/', '203.0.113.1:80 GET undeclared.invalid/'],
  );
});

test('names that host patterns stand for', () => {
  assert.deepEqual(['a.example', '*.a.example', 'a.*', '*'].map(sampleHost), [
    'a.example',
    'zz-other.a.example',
    'a.zz-other',
    'undeclared.invalid',
  ]);
});

test('a request stands for the other domains of its virtual host, which gateways may tell apart', () => {
  const hosts = [
    { ...host('a.example', answer(404)), domains: ['a.example', 'a', '10.96.0.7'] },
    { ...host('wild', answer(404)), domains: ['*.example.org', 'b'] },
  ];
  const { all } = cellsOf(ALL, listener(80, [chain(http(...hosts))]));
  assert.deepEqual(
    all.flatMap(({ call, patterns }) => (call.payload.http ? [`${call.payload.http.authority}: ${patterns.join()}`] : [])),
    ['a.example: a,10.96.0.7', 'zz-other.example.org: *.example.org,b'],
  );
});

test('the address that stands for a range is not one that another listener takes', () => {
  const within = chain(tcp('a'), { prefix_ranges: [{ address_prefix: '198.51.0.0', prefix_len: 24 }] });
  const range = () =>
    addressesOf(cellsOf(ALL, listener(80, [within])).lines).find((text) => text?.startsWith('198.51.0.') && text.endsWith(':80'));
  const first = range()!;
  const bound = listener(80, [chain(tcp('a'))], { ip: first.slice(0, -3) });
  const { lines } = cellsOf(ALL, listener(80, [within]), bound);
  assert.equal(addressesOf(lines).filter((text) => text?.startsWith('198.51.0.')).length, 2);
});
