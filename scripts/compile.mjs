// Starts the build of `proxy` (the argument), has it answer a request, and puts the code that V8 has made of it until then beside it, for `bin/compiled.js`.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import v8 from 'node:v8';
import { exportsOf, scriptOf } from '../bin/compiled.js';

const file = resolve(process.argv[2]);
const folder = mkdtempSync(join(tmpdir(), 'sallyport-compile-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

// V8 takes no code that was made under other flags than those of a start.
const { setFlagsFromString } = v8;
v8.setFlagsFromString = (flag) => {
  if (flag === '--expose-gc') setFlagsFromString(flag);
};

const upstream = createServer((_, response) => response.end('here'));
const port = await listening(upstream);
const spare = createServer();
const own = await listening(spare);
spare.close();
await once(spare, 'close');

const script = scriptOf(file);
const path = join(folder, 'bootstrap.json');
writeFileSync(path, JSON.stringify(bootstrap(own, port)));
// It serves until it is told to end.
void exportsOf(script, file).main(['proxy', '-c', path, '--concurrency', '1', '--status-address', '0']);
for (let tries = 0; !(await answers(own)); tries += 1) {
  if (tries === 1000) throw new Error('the proxy does not answer, so its start cannot be compiled');
  await new Promise((resolve) => setTimeout(resolve, 10));
}
setFlagsFromString('--no-expose-gc');
writeFileSync(`${file}.cache`, script.createCachedData());
process.exit(0);

/** @param {import('node:http').Server} server */
async function listening(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

function answers(at) {
  return new Promise((resolve) => {
    const call = request({ port: at, host: '127.0.0.1' }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode === 200));
    });
    call.on('error', () => resolve(false));
    call.end();
  });
}

/** What most starts have: a connection manager with a route, an access log, a TCP proxy. */
function bootstrap(listenerPort, upstreamPort) {
  const type = (name, value) => ({ '@type': `type.googleapis.com/envoy.extensions.${name}`, ...value });
  const address = (port_value) => ({ socket_address: { address: '127.0.0.1', port_value } });
  const access_log = [{ name: 'log', typed_config: type('access_loggers.file.v3.FileAccessLog', { path: join(folder, 'log') }) }];
  const router = { name: 'router', typed_config: type('filters.http.router.v3.Router', {}) };
  const virtual_hosts = [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'upstream' } }] }];
  const manager = type('filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'http',
    http_filters: [router],
    route_config: { virtual_hosts },
    access_log,
  });
  const tcp = type('filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: 'tcp', cluster: 'upstream', access_log });
  const listener = (name, port, typed_config) => ({ name, address: address(port), filter_chains: [{ filters: [{ name, typed_config }] }] });
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: address(upstreamPort) } }] }];
  return {
    static_resources: {
      listeners: [listener('http', listenerPort, manager), listener('tcp', 0, tcp)],
      clusters: [{ name: 'upstream', type: 'STATIC', load_assignment: { cluster_name: 'upstream', endpoints } }],
    },
  };
}
