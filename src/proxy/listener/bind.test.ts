import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bind } from './bind.ts';

type Options = Partial<Parameters<typeof bind>[0]>;

async function bound(t: TestContext, ip: string, port = 0, options: Options = {}): Promise<Server> {
  const all = { backlog: undefined, ipv4Compat: false, reusePort: false, probe: false, ...options };
  const server = await bind({ ...all, address: { ip, port } }, (socket) => socket.destroy());
  t.after(() => server.close());
  return server;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

/** The code of the error, or undefined where the connection was taken. */
async function called(to: { readonly host: string; readonly port: number } | { readonly path: string }): Promise<string | undefined> {
  const socket = connect(to);
  try {
    await once(socket, 'connect');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  } finally {
    socket.destroy();
  }
}

/** Undefined where this machine has IPv6. */
const withoutIpv6 = await new Promise<string | undefined>((resolve) => {
  const server = createServer()
    .once('error', ({ message }) => resolve(`no IPv6 here: ${message}`))
    .listen({ host: '::1', port: 0 }, () => server.close(() => resolve(undefined)));
});
if (withoutIpv6 && process.env.CI) throw new Error(`needed in CI: ${withoutIpv6}`);

test(':: takes IPv4 only where that is asked for', { skip: withoutIpv6 }, async (t) => {
  const own = portOf(await bound(t, '::'));
  assert.equal(await called({ host: '::1', port: own }), undefined);
  assert.equal(await called({ host: '127.0.0.1', port: own }), 'ECONNREFUSED');
  const both = portOf(await bound(t, '::', 0, { ipv4Compat: true }));
  for (const host of ['::1', '127.0.0.1']) assert.equal(await called({ host, port: both }), undefined, host);
});

test('who has the port is told by an error; the port is not shared with another process unasked', async (t) => {
  const port = portOf(await bound(t, '127.0.0.1'));
  await assert.rejects(bound(t, '127.0.0.1', port), { code: 'port-in-use' });
  const shared = portOf(await bound(t, '127.0.0.1', 0, { reusePort: true }));
  await assert.rejects(bound(t, '127.0.0.1', shared, { reusePort: true, probe: true }), { code: 'port-in-use' });
  await bound(t, '127.0.0.1', shared, { reusePort: true });
  await assert.rejects(bound(t, '203.0.113.1'), { code: 'address-unavailable' });
});

test('a port that was only looked at can be had', async (t) => {
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const port = portOf(free);
  await new Promise((resolve) => free.close(resolve));
  assert.equal(portOf(await bound(t, '127.0.0.1', port, { reusePort: true, probe: true })), port);
});

test('a socket that a process left behind makes way, what is no socket does not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'bind-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 's');
  await bound(t, path);
  await bound(t, path);
  assert.equal(await called({ path }), undefined);
  const file = join(folder, 'file');
  writeFileSync(file, '');
  await assert.rejects(bound(t, file), { code: 'port-in-use' });
  assert.ok(existsSync(file));
});
