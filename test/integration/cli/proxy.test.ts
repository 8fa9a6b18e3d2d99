import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freePort, get, start } from './program.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-proxy-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const bootstrap = (port: number, path: string, extra = '') => `
node: { id: edge-1, cluster: edge }
static_resources:
  listeners:
  - name: edge
    address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          rds: { route_config_name: routes, config_source: { path_config_source: { path: ${path} } } }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
${extra}`;

const routes = (text: string) => `
resources:
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: routes
  virtual_hosts:
  - name: all
    domains: ["*"]
    routes:
    - match: { prefix: / }
      direct_response: { status: 200, body: { inline_string: ${text} } }
`;

test('proxy -c runs an Envoy bootstrap and follows its files', async (t) => {
  const path = folder(t);
  const port = await freePort();
  const file = join(path, 'rds.yaml');
  writeFileSync(file, routes('one'));
  writeFileSync(join(path, 'envoy.yaml'), bootstrap(port, file));
  const proxy = start(t, ['proxy', '-c', join(path, 'envoy.yaml'), '--concurrency', '1', '--grace', '100ms']);
  await proxy.says(/: ready/);
  assert.deepEqual(await get(port, '/', 'any'), { status: 200, body: 'one' });
  writeFileSync(`${file}.new`, routes('two'));
  renameSync(`${file}.new`, file);
  await proxy.says(/in force/);
  assert.equal((await get(port, '/', 'any')).body, 'two');
  writeFileSync(`${file}.new`, 'resources: [');
  renameSync(`${file}.new`, file);
  await proxy.says(/rds\.yaml:\d+:\d+: .*stays/);
  assert.equal((await get(port, '/', 'any')).body, 'two');
  assert.equal(await proxy.end(), 0);
});

test('proxy -c names what it lacks', async (t) => {
  const path = folder(t);
  writeFileSync(join(path, 'envoy.yaml'), bootstrap(1, '/x', 'stats_sinks: [{ name: x }]\n'));
  const proxy = start(t, ['proxy', '-c', join(path, 'envoy.yaml')]);
  assert.equal(await proxy.exit, 3);
  assert.match(proxy.errors, /stats_sinks is not supported/);
});

const WORKLOAD = `
apiVersion: v1
kind: Pod
metadata: { name: out, namespace: edge, labels: { istio: edge } }
spec: { serviceAccountName: out, containers: [{ name: istio-proxy }] }
status: { podIP: 127.0.104.1, phase: Running }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge, namespace: edge }
spec:
  selector: { istio: edge }
  servers: [{ port: { number: PORT, name: http, protocol: HTTP }, hosts: ["*"] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: edge, namespace: edge }
spec:
  hosts: ["*"]
  gateways: [edge]
  http: [{ directResponse: { status: 218, body: { string: here } } }]
`;

test('proxy --role router serves the Gateways that select its Pod, reloads when asked, and says what is in force', async (t) => {
  const path = folder(t);
  const port = await freePort();
  const status = await freePort();
  const file = join(path, 'edge.yaml');
  writeFileSync(file, WORKLOAD.replace('PORT', String(port)));
  const args = [
    '--role',
    'router',
    '--workload',
    'edge/out',
    '--no-watch',
    '--concurrency',
    '1',
    '--grace',
    '100ms',
    '--admin-address',
    String(await freePort()),
  ];
  const proxy = start(t, ['proxy', ...args, '--status-address', String(status), file]);
  await proxy.says(/: ready/);
  assert.equal((await get(port, '/', 'any')).status, 218);
  const before = JSON.parse((await get(status, '/status', 'localhost')).body);
  assert.equal(before.proxies[0].name, 'out');
  writeFileSync(file, WORKLOAD.replace('PORT', String(port)).replace('218', '219'));
  const answer = await fetch(`http://127.0.0.1:${status}/reload`, { method: 'POST' });
  assert.notEqual(((await answer.json()) as typeof before).proxies[0].version, before.proxies[0].version);
  assert.equal((await get(port, '/', 'any')).status, 219);
  assert.equal(await proxy.end(), 0);
});

test('wrong usage ends with 2, a workload that is not there with 3', async (t) => {
  const file = join(folder(t), 'edge.yaml');
  writeFileSync(file, WORKLOAD.replace('PORT', '8080'));
  const usage = start(t, ['proxy', '--role', 'gateway']);
  assert.equal(await usage.exit, 2);
  assert.match(usage.errors, /sidecar, router/);
  const flags = ['--admin-address', String(await freePort()), '--status-address', '0'];
  const missing = start(t, ['proxy', '--role', 'router', '--workload', 'edge/in', ...flags, file]);
  assert.equal(await missing.exit, 3);
  assert.match(missing.errors, /no Pod or WorkloadEntry edge\/in; they have edge\/out/);
});
