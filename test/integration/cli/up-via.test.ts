/** `up --via`: a mesh of files whose only way out is the company's proxy, a real squid. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startSquid } from '../squid.ts';
import { needs } from '../tools.ts';
import { freePort, get, start } from './program.ts';

const skip = (process.platform !== 'linux' && 'needs all of 127.0.0.0/8 on the loopback interface, as Linux has it') || needs('squid');

const PASSWORD = 'canary-2b9e:40d';

/** What squid alone knows the address of, by the egress gateway and by the sidecar; one that says that it is reached directly, and one that is excepted. */
const resources = (port: number) => `
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: "outboundTrafficPolicy: { mode: REGISTRY_ONLY }" }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: far, namespace: default }
spec:
  hosts: [led.inside.example, own.inside.example]
  resolution: DNS
  location: MESH_EXTERNAL
  ports: [{ number: ${port}, name: http, protocol: HTTP }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: near, namespace: default, annotations: { sallyport.dev/through: direct } }
spec:
  hosts: [near.example]
  resolution: STATIC
  location: MESH_EXTERNAL
  ports: [{ number: ${port}, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: excepted, namespace: default }
spec:
  hosts: [excepted.example]
  resolution: STATIC
  location: MESH_EXTERNAL
  ports: [{ number: ${port}, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: default }
spec:
  selector: { istio: egressgateway }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: [led.inside.example] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: led, namespace: default }
spec:
  hosts: [led.inside.example]
  gateways: [mesh, egress]
  http:
  - match: [{ gateways: [mesh] }]
    route: [{ destination: { host: istio-egressgateway.istio-system.svc.cluster.local, port: { number: 80 } } }]
  - match: [{ gateways: [egress] }]
    route: [{ destination: { host: led.inside.example, port: { number: ${port} } } }]
`;

test('of files, too, all leaves through the proxy but what says otherwise, and without the proxy nothing else does', {
  skip,
}, async (t) => {
  const server = createServer(({ headers }, answer) =>
    answer.end(`${headers.host} ${headers['x-forwarded-for'] ? 'by the gateway' : 'directly'}`),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-up-via-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const squid = await startSquid(t, ['led.inside.example', 'own.inside.example'], PASSWORD);
  const proxy = await freePort();
  const none = ['--capture-port', '0', '--dns-address', '0', '--admin-address', '0', '--status-address', '0', '--concurrency', '1'];
  const own = ['--proxy-address', String(proxy), '--router-address', '127.0.104.10'];
  const via = ['--via', `http://127.0.0.1:${squid.port}`, '--via-credentials', file('credentials', `user:${PASSWORD}`)];
  const up = start(t, ['up', file('mesh.yaml', resources(port)), ...via, '--via-except', 'excepted.example', ...own, ...none]);
  await up.says(/ready: use the proxy/);
  const call = (host: string) => get(proxy, `http://${host}:${port}/`, `${host}:${port}`);

  for (const [host, way] of [
    ['led.inside.example', 'by the gateway'],
    ['own.inside.example', 'directly'],
    ['near.example', 'directly'],
    ['excepted.example', 'directly'],
  ] as const)
    assert.deepEqual(await call(host), { status: 200, body: `${host}:${port} ${way}` });
  assert.equal((await call('undeclared.inside.example')).status, 502);
  // The proxy itself, which would go anywhere: no workload gets there.
  const asked = await get(proxy, `http://127.0.0.1:${squid.port}/`, `127.0.0.1:${squid.port}`).catch(() => undefined);
  assert.ok(asked === undefined || asked.status >= 500, asked?.body);
  const log = await squid.stop();
  assert.deepEqual(log.sort(), [`CONNECT led.inside.example:${port} 200 user`, `CONNECT own.inside.example:${port} 200 user`]);

  // A new connection finds no proxy, and no other way.
  server.closeAllConnections();
  for (const host of ['led.inside.example', 'own.inside.example']) assert.equal((await call(host)).status, 503, host);
  assert.equal((await call('near.example')).status, 200);
  await up.end();
  assert.ok(!`${up.output}${up.errors}`.includes(PASSWORD));
  assert.ok(!`${up.output}${up.errors}`.includes(Buffer.from(`user:${PASSWORD}`).toString('base64')));
});
