import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freePort } from '../lib/free-port.ts';
import { startAgentServers } from './servers.ts';

/** The page of metrics beside an application that answers so, and an Envoy that says one line. */
async function page(t: TestContext, application: RequestListener, timeoutS: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-agent-'));
  const admin = join(folder, 'admin.sock');
  const served = async (server: Server, where: string | number) => {
    if (typeof where === 'string') server.listen(where);
    else server.listen(where, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    return server.address() as AddressInfo;
  };
  await served(
    createServer((_request, answer) => answer.end('envoy_up 1\n')),
    admin,
  );
  const { port } = await served(createServer(application), 0);
  const metrics = { address: '127.0.0.1', port: await freePort() };
  const servers = await startAgentServers({
    status: { address: '127.0.0.1', port: 0 },
    metrics,
    appMetrics: `http://127.0.0.1:${port}/metrics`,
    probes: new Map(),
    address: '127.0.0.1',
    admin,
    nodeMetadata: {},
    notReady: async () => undefined,
    notAfter: () => undefined,
  });
  t.after(() => {
    servers.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const headers = { 'x-prometheus-scrape-timeout-seconds': String(timeoutS) };
  return (await fetch(`http://127.0.0.1:${metrics.port}/stats/prometheus`, { headers })).text();
}

test('a page of the application that never ends costs its own end, and what Envoy says is there in time', {
  timeout: 20_000,
}, async (t) => {
  const text = await page(
    t,
    (_request, answer) => {
      answer.write('app_before 1\napp_cut{a="');
      const timer = setInterval(() => answer.write('x'), 20);
      answer.on('close', () => clearInterval(timer));
    },
    1,
  );
  assert.match(text, /^envoy_up 1$/m);
  assert.match(text, /^app_before 1$/m);
  assert.doesNotMatch(text, /app_cut/);
});

test('a page of the application that is far too long is cut at a line', { timeout: 60_000 }, async (t) => {
  const line = `app_line{a="${'x'.repeat(1000)}"} 1\n`.repeat(1000);
  const text = await page(
    t,
    (_request, answer) => {
      const more = () => {
        while (answer.write(line));
        answer.once('drain', more);
      };
      more();
    },
    30,
  );
  assert.match(text, /^envoy_up 1$/m);
  assert.ok(text.length < 40 * 1024 * 1024);
  assert.ok(text.trimEnd().endsWith('"} 1'));
});

test('a page of the application that breaks off, or is none, leaves whole lines', async (t) => {
  const broken = await page(
    t,
    (_request, answer) => {
      answer.write('app_before 1\napp_cut{a="', () => answer.destroy());
    },
    5,
  );
  assert.match(broken, /^app_before 1$/m);
  assert.doesNotMatch(broken, /app_cut/);
  const other = await page(t, (_request, answer) => answer.writeHead(302, { location: 'http://192.0.2.1/' }).end('elsewhere'), 5);
  assert.match(other, /^envoy_up 1$/m);
  assert.doesNotMatch(other, /elsewhere/);
  assert.match(await page(t, (_request, answer) => answer.end('app_last 1'), 5), /^app_last 1$/m);
});
