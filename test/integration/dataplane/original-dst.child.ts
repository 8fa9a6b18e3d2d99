/** Runs inside a network namespace whose redirect rule sends 10.9.0.0/16, ports 7000 to 7099, to port 15001: prints what clients saw, as JSON. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createDataPlane } from '../../../src/proxy/dataplane.ts';
import { EMPTY_SET, encodeSet, updateBetween } from '../../../src/xds/update.ts';
import { cluster, listener, readAll, resources, socketAddress, tcpProxy } from './support.ts';

async function serve(port: number, text: string): Promise<void> {
  const server = createServer((socket) => socket.end(`${text} ${socket.localAddress}`)).listen(port, '0.0.0.0');
  await once(server, 'listening');
}

async function ask(host: string, port: number): Promise<string> {
  const socket = connect({ host, port });
  socket.on('error', () => {});
  return (await readAll(socket)).toString();
}

await serve(8000, 'direct');
await serve(8001, 'service');
const plane = await createDataPlane({ log: (level, message) => process.stderr.write(`${level} ${message}\n`), environment: {} });
const json = {
  listeners: [
    listener(
      'virtualOutbound',
      [
        { filterChainMatch: { destinationPort: 15001 }, filters: [tcpProxy('BlackHoleCluster')] },
        { filters: [tcpProxy('PassthroughCluster')] },
      ],
      {
        address: socketAddress(15001, '0.0.0.0'),
        useOriginalDst: true,
      },
    ),
    listener('10.9.0.1_7001', [{ filters: [tcpProxy('service')] }], { address: socketAddress(7001, '10.9.0.1'), bindToPort: false }),
    listener(
      '0.0.0.0_7002',
      [{ filterChainMatch: { prefixRanges: [{ addressPrefix: '10.9.0.2', prefixLen: 32 }] }, filters: [tcpProxy('service')] }],
      {
        address: socketAddress(7002, '0.0.0.0'),
        bindToPort: false,
      },
    ),
  ],
  clusters: [
    cluster('service', [8001]),
    cluster('BlackHoleCluster', []),
    {
      name: 'PassthroughCluster',
      type: 'ORIGINAL_DST',
      lbPolicy: 'CLUSTER_PROVIDED',
      connectTimeout: '5s',
      originalDstLbConfig: { upstreamPortOverride: 8000 },
    },
  ],
};
const ack = await plane.apply(updateBetween(EMPTY_SET, encodeSet(resources(json)))!);
const result = {
  rejected: ack.rejected,
  exact: await ask('10.9.0.1', 7001),
  'same port, other address': await ask('10.9.0.9', 7001),
  'any address': await ask('10.9.0.2', 7002),
  'any address, no chain': await ask('10.9.0.3', 7002),
  'no listener': await ask('10.9.0.4', 7050),
  'not redirected': await ask('127.0.0.1', 15001),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
