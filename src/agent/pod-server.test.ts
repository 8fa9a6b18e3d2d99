import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { freePort } from '../lib/free-port.ts';
import { appProbes } from './app-probes.ts';
import { startProbeServer } from './probe-server.ts';

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
  const server = await startProbeServer(at, probes, '127.0.0.1');
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
