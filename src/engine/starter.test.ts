import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { proxyOf } from '../../test/support/mesh.ts';
import { startEngine } from './starter.ts';

const identity = proxyOf();
const host = { log: assert.fail, environment: { PATH: '/does/not/exist' }, quit: assert.fail };
const envoy = { engine: 'envoy', envoy: undefined, concurrency: 1, logLevel: 'warning' } as const;

test('without Envoy there is an error that says where to get it', async () => {
  const admin = { address: '127.0.0.1', port: 15000 };
  await assert.rejects(startEngine(envoy, host, { identity, admin }), { code: 'envoy-missing', message: /--envoy BINARY/ });
});

test('an Envoy that is named has to be a file that may be executed', async () => {
  const admin = { address: '127.0.0.1', port: 15000 };
  const start = (named: string) => startEngine({ ...envoy, envoy: named }, host, { identity, admin });
  for (const named of ['/does/not/exist', 'no-such-envoy'])
    await assert.rejects(start(named), { code: 'envoy-missing', message: new RegExp(`--envoy ${named}: there is no such file`) });
  for (const path of [tmpdir(), fileURLToPath(import.meta.url)])
    await assert.rejects(start(path), { code: 'envoy-missing', message: /it is no file that may be executed/ });
});

test('Envoy needs an admin address', async () => {
  await assert.rejects(startEngine(envoy, host, { identity, admin: undefined }), { code: 'usage' });
});
