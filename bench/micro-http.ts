/**
 * The connection manager alone on one port, in front of one upstream, for a load generator and a profiler:
 *   node bench/micro-http.ts [PORT] [UPSTREAM_PORT]
 * With UPSTREAM_PORT 0 it starts a minimal upstream in a process of its own.
 *   wrk -t 1 -c 64 -d 5 http://127.0.0.1:18080/
 * Prints requests and CPU microseconds a request whenever two seconds with traffic have passed.
 */
import { fork } from 'node:child_process';
import net from 'node:net';
import { fakeCluster, routesTo, startProxy } from '../src/proxy/http/testing.ts';

const [port = '18080', upstream = '0'] = process.argv.slice(2);
const REPORT_MS = 2000;

if (port === 'upstream') {
  const answer = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 256\r\n\r\n${'x'.repeat(256)}`);
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on('data', () => socket.write(answer));
    socket.on('error', () => socket.destroy());
  });
  server.listen(Number(upstream), '127.0.0.1', () => process.send?.((server.address() as net.AddressInfo).port));
  process.on('disconnect', () => process.exit());
} else {
  const upstreamPort = Number(upstream) || (await startUpstream());
  let requests = 0;
  const proxy = await startProxy({
    clusters: [fakeCluster('upstream', [upstreamPort])],
    routes: routesTo('upstream'),
    port: Number(port),
    sink: {
      record() {
        requests++;
      },
    },
  });
  console.log(`listening on 127.0.0.1:${proxy.port}, upstream 127.0.0.1:${upstreamPort}`);
  let cpu = process.cpuUsage();
  let before = 0;
  setInterval(() => {
    const used = process.cpuUsage(cpu);
    cpu = process.cpuUsage();
    const done = requests - before;
    before = requests;
    if (done > 0)
      console.log(`${Math.round(done / (REPORT_MS / 1000))} requests/s, ${((used.user + used.system) / done).toFixed(1)} µs CPU a request`);
  }, REPORT_MS);
  process.on('SIGINT', () => process.exit());
  process.on('SIGTERM', () => process.exit());
}

function startUpstream(): Promise<number> {
  const child = fork(import.meta.filename, ['upstream', '0']);
  return new Promise((resolve) => child.once('message', (listening) => resolve(Number(listening))));
}
