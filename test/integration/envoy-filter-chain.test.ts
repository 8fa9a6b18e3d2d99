/** Filter-chain match as a stock Envoy does it, beside ours. A PROXY header gives each connection the addresses that are wanted. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { ListenerSchema } from '../../src/xds/gen/envoy/config/listener/v3/listener_pb.js';
import { type ConnectionInfo, compileFilterChains } from '../../src/xds/match/filter-chain.ts';
import { type RunningEnvoy, startEnvoy } from './envoy-process.ts';

const cidr = (text: string) => {
  const [addressPrefix, length] = text.split('/');
  return { addressPrefix, prefixLen: Number(length) } as JsonObject;
};
const to = (...ranges: string[]) => ({ prefixRanges: ranges.map(cidr) });
const from = (...ranges: string[]) => ({ sourcePrefixRanges: ranges.map(cidr) });

const MATCHES: readonly JsonObject[] = [
  {},
  { serverNames: ['a.example'] },
  { serverNames: ['*.example', 'b.example'] },
  { serverNames: ['*.deep.example'], applicationProtocols: ['h2'] },
  { serverNames: ['*.deep.example'] },
  { transportProtocol: 'tls' },
  { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1', 'h2c'] },
  { applicationProtocols: ['h2'], transportProtocol: 'tls' },
  { destinationPort: 443 },
  { destinationPort: 443, serverNames: ['a.example'] },
  { destinationPort: 443, ...to('10.0.0.0/8') },
  { ...to('10.0.0.1/32'), serverNames: ['a.example'] },
  { ...to('10.0.0.0/16') },
  { ...to('10.0.0.0/24'), ...from('192.168.0.0/16') },
  { ...to('10.0.0.0/24'), ...from('192.168.1.0/24'), sourcePorts: [1000] },
  { ...to('10.0.0.0/24'), sourceType: 'SAME_IP_OR_LOOPBACK' },
  { ...to('10.1.0.0/16'), sourceType: 'EXTERNAL', transportProtocol: 'tls' },
  { ...to('10.1.0.0/16'), sourceType: 'SAME_IP_OR_LOOPBACK', sourcePorts: [1000, 2000] },
  { ...to('10.2.0.0/16'), directSourcePrefixRanges: [cidr('127.0.0.0/8')] },
  { ...to('10.2.0.0/16'), directSourcePrefixRanges: [cidr('192.168.0.0/16')] },
  { ...to('2001:db8::/32'), transportProtocol: 'tls' },
  { ...to('2001:db8::1/128'), ...from('2001:db8::/64') },
];

const chains = MATCHES.map((filterChainMatch, i) => ({ name: `c${i}`, filterChainMatch }));
const table = compileFilterChains(fromJson(ListenerSchema, { name: 'l', filterChains: chains, defaultFilterChain: { name: 'default' } }));

const answering = (name: string) => ({
  name: 'envoy.filters.network.direct_response',
  typedConfig: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config',
    response: { inlineString: name },
  },
});
const filter = (name: string, type: string) => ({
  name: `envoy.filters.listener.${name}`,
  typedConfig: { '@type': `type.googleapis.com/envoy.extensions.filters.listener.${name}.v3.${type}` },
});

interface Asked {
  readonly v6: boolean;
  readonly destination: number;
  readonly source: number;
  readonly destinationPort: number;
  readonly sourcePort: number;
  readonly payload:
    | { readonly kind: 'tls'; readonly serverName: string; readonly alpn: readonly string[] }
    | { readonly kind: 'http' | 'raw' };
}

const DESTINATIONS = [
  ['10.0.0.1', '10.0.0.9', '10.0.5.5', '10.1.0.1', '10.2.0.1', '172.16.0.1'],
  ['2001:db8::1', '2001:db8::2', '2001:db9::1'],
];
const SOURCES = [
  ['192.168.1.1', '192.168.2.2', '127.0.0.1', '10.0.0.1', '10.1.0.1', '8.8.8.8'],
  ['2001:db8::7', '2001:db8:1::7', '::1', '2001:db8::1'],
];

const asked: fc.Arbitrary<Asked> = fc.record({
  v6: fc.nat(4).map((n) => n === 0),
  destination: fc.nat(11),
  source: fc.nat(11),
  destinationPort: fc.constantFrom(80, 443),
  sourcePort: fc.constantFrom(1000, 2000, 3000),
  payload: fc.oneof(
    fc.record({
      kind: fc.constant('tls' as const),
      serverName: fc.constantFrom(
        '',
        'a.example',
        'A.EXAMPLE',
        'b.example',
        'c.example',
        'example',
        'x.deep.example',
        'deep.example',
        'a.b',
      ),
      alpn: fc.constantFrom([], ['h2'], ['http/1.1', 'h2'], ['h3']),
    }),
    fc.record({ kind: fc.constantFrom('http' as const, 'raw' as const) }),
  ),
});

const addresses = ({ v6, destination, source }: Asked) => {
  const family = v6 ? 1 : 0;
  const pick = (list: readonly string[], n: number) => list[n % list.length]!;
  return { destinationIp: pick(DESTINATIONS[family]!, destination), sourceIp: pick(SOURCES[family]!, source) };
};

function ours(call: Asked): string {
  const { payload, destinationPort, sourcePort } = call;
  const info: ConnectionInfo = {
    ...addresses(call),
    destinationPort,
    sourcePort,
    directSourceIp: '127.0.0.1',
    serverName: payload.kind === 'tls' ? payload.serverName : '',
    transportProtocol: payload.kind === 'tls' ? 'tls' : '',
    applicationProtocols: payload.kind === 'tls' ? payload.alpn : payload.kind === 'http' ? ['http/1.1'] : [],
  };
  return table.match(info)!.name;
}

async function theirs(port: number, call: Asked): Promise<string> {
  const { v6, destinationPort, sourcePort, payload } = call;
  const { destinationIp, sourceIp } = addresses(call);
  const socket = connect(port, '127.0.0.1');
  socket.write(`PROXY TCP${v6 ? 6 : 4} ${sourceIp} ${destinationIp} ${sourcePort} ${destinationPort}\r\n`);
  socket.write(
    payload.kind === 'tls'
      ? clientHello(payload.serverName, payload.alpn)
      : payload.kind === 'http'
        ? 'GET / HTTP/1.1\r\n\r\n'
        : Buffer.from([1, 2, 3, 4, 13, 10]),
  );
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  // The rest of what was sent makes Envoy reset the connection after its answer.
  socket.on('error', () => {});
  await once(socket, 'close');
  return text;
}

const u8 = (n: number) => Buffer.from([n]);
const u16 = (n: number) => Buffer.from([n >> 8, n & 255]);
const sized16 = (...parts: Buffer[]) => {
  const all = Buffer.concat(parts);
  return Buffer.concat([u16(all.length), all]);
};

/** A ClientHello with SNI and ALPN (RFC 8446, section 4.1.2). */
function clientHello(serverName: string, alpn: readonly string[]): Buffer {
  const extension = (type: number, content: Buffer) => Buffer.concat([u16(type), sized16(content)]);
  const extensions = [extension(0x2b, Buffer.from([2, 3, 4]))];
  if (serverName) extensions.push(extension(0, sized16(u8(0), sized16(Buffer.from(serverName)))));
  if (alpn.length > 0) extensions.push(extension(16, sized16(...alpn.map((name) => Buffer.concat([u8(name.length), Buffer.from(name)])))));
  const body = Buffer.concat([u16(0x0303), Buffer.alloc(32, 7), u8(0), sized16(u16(0x1301)), Buffer.from([1, 0]), sized16(...extensions)]);
  const handshake = Buffer.concat([u8(1), u8(0), u16(body.length), body]);
  return Buffer.concat([u8(22), u16(0x0301), sized16(handshake)]);
}

const envoy = findEnvoy();

describe('filter chains beside Envoy', { skip: envoy ? false : 'no Envoy binary: node scripts/fetch-envoy.ts fetches it' }, () => {
  let running: RunningEnvoy;
  before(async () => {
    running = await startEnvoy(envoy!, {
      name: 'l',
      address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
      listenerFilters: [
        filter('proxy_protocol', 'ProxyProtocol'),
        filter('tls_inspector', 'TlsInspector'),
        filter('http_inspector', 'HttpInspector'),
      ],
      filterChains: chains.map((chain) => ({ ...chain, filters: [answering(chain.name)] })),
      defaultFilterChain: { name: 'default', filters: [answering('default')] },
    });
  });
  after(() => running?.stop());

  test('the same chain for each connection', async () => {
    const calls = fc.sample(asked, { numRuns: 600, seed: 20261121 });
    const chosen = new Set<string>();
    const different: unknown[] = [];
    for (const call of calls) {
      const expected = await theirs(running.port, call);
      chosen.add(expected);
      if (ours(call) !== expected) different.push({ ...addresses(call), ...call, ours: ours(call), envoy: expected });
    }
    assert.deepEqual(different.slice(0, 5), []);
    assert.ok(chosen.size > 15, `only ${[...chosen].join(', ')}`);
  });
});
