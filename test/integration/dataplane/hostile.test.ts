import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { cluster, dataPlane, HTTP_INSPECTOR, listener, server, TLS_INSPECTOR, tcpProxy, typed } from './support.ts';

const HTTP: JsonObject = {
  name: 'http',
  typedConfig: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    statPrefix: 'h',
    routeConfig: {
      name: 'r',
      virtualHosts: [{ name: 'a', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] }],
    },
    httpFilters: [{ name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') }],
  }),
};
const EXPLICIT = {
  name: 'sallyport.filters.listener.explicit_proxy',
  typedConfig: { '@type': 'type.googleapis.com/google.protobuf.Empty' },
};

/** Numbers in [0, 1) that are the same in each run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

test('clients and servers that send anything and break off anywhere leave nothing behind', { timeout: 120_000 }, async (t) => {
  const random = numbers(1);
  const upstream = await server(t, (socket) => {
    socket.on('data', (data: Buffer) => (random() < 0.3 ? socket.resetAndDestroy() : socket.write(data)));
    socket.on('end', () => socket.end());
  });
  const { set, port, plane } = await dataPlane(t);
  const sniffed = { listenerFilters: [TLS_INSPECTOR, HTTP_INSPECTOR], defaultFilterChain: { filters: [tcpProxy('c')] } };
  const { rejected } = await set({
    listeners: [
      listener('tcp', [{ filters: [tcpProxy('c')] }]),
      listener('sniffed', [{ filterChainMatch: { applicationProtocols: ['http/1.1', 'h2c'] }, filters: [HTTP] }], sniffed),
      listener('http', [{ filters: [HTTP] }]),
      listener('explicit', [{ filters: [tcpProxy('c')] }], { useOriginalDst: true, listenerFilters: [EXPLICIT] }),
    ],
    // Pooled connections go soon, so that what stays is a leak.
    clusters: [cluster('c', [upstream], { commonHttpProtocolOptions: { idleTimeout: '0.05s' } })],
  });
  assert.deepEqual(rejected, []);
  const starts = [
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc',
    '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
    'CONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n',
    '\x05\x01\0\x05\x01\0\x01\x7f\0\0\x01',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
    '\0\0\0',
  ];
  const ports = ['tcp', 'sniffed', 'http', 'explicit'].map(port);
  const one = (index: number): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(ports[index % 4]!, '127.0.0.1');
      socket.on('error', () => {});
      socket.on('close', () => resolve());
      socket.resume();
      const bytes = Buffer.from(starts[Math.floor(random() * starts.length)]!, 'latin1');
      if (random() < 0.5) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      const noise = Buffer.from(Array.from({ length: Math.floor(random() * 500) }, () => Math.floor(random() * 256)));
      const way = random();
      let turns = Math.floor(random() * 20);
      const leave = (): void => {
        if (turns-- > 0) setImmediate(leave);
        else if (way < 0.4) socket.resetAndDestroy();
        else socket.destroy();
      };
      socket.write(bytes);
      socket.write(noise, leave);
    });
  for (let i = 0; i < 800; i += 8) await Promise.all(Array.from({ length: 8 }, (_, k) => one(i + k)));
  const left = () => {
    const [c] = plane.status().clusters;
    const host = c!.hosts[0]!;
    return [plane.status().activeConnections, c!.limits.connections.used, c!.limits.requests.used, host.connections, host.active];
  };
  while (left().some((count) => count > 0)) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(left(), [0, 0, 0, 0, 0]);
});
