/** Global rate limits by the rate limit service that Envoy's project gives out, with a real Redis: at a stock Envoy and at the embedded data plane. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freePort } from '../../../src/lib/free-port.ts';
import { folder } from '../dataplane/support.ts';
import { startRedis } from '../redis.ts';
import { needs } from '../tools.ts';
import { ask, ENVOY, engines, startUpstream } from './engines.ts';
import { builtRateLimitService } from './real-service.ts';

const LIMITS = `
domain: d
descriptors:
  - key: tenant
    rate_limit: { unit: year, requests_per_unit: 2 }
    descriptors: [{ key: path, value: /free, rate_limit: { unlimited: true } }]
`;

/** Resolves with the port of its gRPC server. It ends with the test. */
async function startService(t: TestContext): Promise<number> {
  const program = builtRateLimitService();
  const runtime = folder(t);
  mkdirSync(join(runtime, 'config'), { recursive: true });
  writeFileSync(join(runtime, 'config/limits.yaml'), LIMITS);
  const [http, grpc, debug] = [await freePort(), await freePort(), await freePort()];
  const child = spawn(program, {
    env: {
      ...{ HOST: '127.0.0.1', GRPC_HOST: '127.0.0.1', DEBUG_HOST: '127.0.0.1' },
      ...{ PORT: String(http), GRPC_PORT: String(grpc), DEBUG_PORT: String(debug) },
      ...{ RUNTIME_ROOT: runtime, RUNTIME_SUBDIRECTORY: '', RUNTIME_APPDIRECTORY: 'config', RUNTIME_WATCH_ROOT: 'false' },
      ...{ REDIS_SOCKET_TYPE: 'tcp', REDIS_URL: `127.0.0.1:${await startRedis(t)}`, USE_STATSD: 'false', LOG_LEVEL: 'WARN' },
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await new Promise<void>((resolve, reject) => {
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('Listening for gRPC on ')) resolve();
    });
    child.once('exit', () => reject(new Error(output)));
  });
  return grpc;
}

test('a real service counts the same requests of both engines the same', {
  skip: needs('go', 'redis-server') || (ENVOY ? false : 'there is no Envoy'),
}, async (t) => {
  const upstream = await startUpstream();
  t.after(() => upstream.stop());
  const header = (headerName: string, descriptorKey: string) => ({ requestHeaders: { headerName, descriptorKey } });
  const both = await engines(t, {
    ports: { upstream: upstream.port, limits: await startService(t) },
    filter: { enableXRatelimitHeaders: 'DRAFT_VERSION_03' },
    action: {
      rateLimits: [{ actions: [header('x-tenant', 'tenant')] }, { actions: [header('x-tenant', 'tenant'), header(':path', 'path')] }],
    },
  });
  const tenant = async (port: number, name: string) => {
    const answers: object[] = [];
    for (const path of ['/', '/', '/free', '/', '/']) answers.push(await ask(port, { path, headers: { 'x-tenant': name } }));
    return answers;
  };
  const [first, second] = [await tenant(both[0], 'one'), await tenant(both[1], 'two')];
  const steady = (answers: readonly object[]) =>
    JSON.parse(JSON.stringify(answers).replace(/x-ratelimit-reset: \\d+/g, 'x-ratelimit-reset: N'));
  assert.deepEqual(steady(second), steady(first));
  assert.deepEqual(
    first.map((answer) => (answer as { status: number }).status),
    [200, 200, 429, 429, 429],
  );
});
