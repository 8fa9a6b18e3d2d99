import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { freePort } from '../lib/free-port.ts';
import { appProbes } from './app-probes.ts';
import { startPodServer } from './pod-server.ts';

test('probes of the application are answered as it answers them, and nothing else is', async (t) => {
  const app = createServer((request, answer) => answer.writeHead(request.url === '/ok' ? 200 : 500).end()).listen(0, '127.0.0.1');
  await once(app, 'listening');
  t.after(() => app.close());
  const { port } = app.address() as AddressInfo;
  const probes = appProbes(
    JSON.stringify({
      '/app-health/app/readyz': { httpGet: { path: '/ok', port } },
      '/app-health/app/livez': { httpGet: { path: '/other', port } },
    }),
  );
  const at = { address: '127.0.0.1', port: await freePort() };
  const server = await startPodServer({ at, probes, pod: '127.0.0.1', admin: { address: '127.0.0.1', port } });
  t.after(() => server.close());
  const status = async (path: string, method = 'GET') => (await fetch(`http://127.0.0.1:${at.port}${path}`, { method })).status;
  assert.deepEqual(
    [
      await status('/app-health/app/readyz'),
      await status('/app-health/app/livez'),
      await status('/ok'),
      await status('/app-health/app/readyz', 'POST'),
    ],
    [200, 500, 404, 404],
  );
});

test('of the proxy’s admin server the metrics are passed on, and nothing else', async (t) => {
  const admin = createServer((request, answer) => answer.writeHead(200, { 'content-type': 'text/x' }).end(`said ${request.url}`));
  admin.listen(0, '127.0.0.1');
  await once(admin, 'listening');
  const at = { address: '127.0.0.1', port: await freePort() };
  const { port } = admin.address() as AddressInfo;
  const server = await startPodServer({ at, probes: new Map(), pod: '127.0.0.1', admin: { address: '127.0.0.1', port } });
  t.after(() => server.close());
  const asked = async (path: string, method = 'GET') => {
    const answer = await fetch(`http://127.0.0.1:${at.port}${path}`, { method });
    return `${answer.status} ${await answer.text()}`;
  };
  assert.equal(await asked('/stats/prometheus?filter=x'), '200 said /stats/prometheus');
  for (const path of ['/stats', '/config_dump', '/quitquitquit', '/stats/prometheus/../../quitquitquit'])
    assert.equal(await asked(path), '404 ');
  assert.equal(await asked('/stats/prometheus', 'POST'), '404 ');
  admin.close();
  admin.closeAllConnections();
  await once(admin, 'close');
  assert.equal(await asked('/stats/prometheus'), '503 ');
});
