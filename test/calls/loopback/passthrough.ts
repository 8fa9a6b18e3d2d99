/** A proxy without any policy: dials where the client was going. Shows that the network and the comparison tell a difference from agreement. */
import net from 'node:net';
import { loadOriginalDst } from './original-dst.ts';

const originalDst = loadOriginalDst();

for (const port of [15_001, 15_006]) {
  const server = net.createServer({ allowHalfOpen: true }, (downstream) => {
    const application = port === 15_006 ? { localAddress: '127.0.0.6' } : {};
    const { ip: host, port: to } = originalDst(downstream)!;
    const upstream = net.connect({ host, port: to, allowHalfOpen: true, ...application });
    for (const socket of [downstream, upstream]) socket.on('error', () => [downstream, upstream].map((each) => each.destroy()));
    downstream.pipe(upstream).pipe(downstream);
  });
  server.listen(port, '0.0.0.0');
}
