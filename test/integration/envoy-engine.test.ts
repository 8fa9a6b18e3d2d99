/** A stock Envoy as the engine, when Sallyport is killed, and against those who must not reach its admin endpoint. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { fromGateway, hostHere } from '../support/egress-text.ts';
import { freePort, get, PROGRAM, Program } from './cli/program.ts';
import { until } from './controller-world.ts';
import { programWorld } from './program-world.ts';

const envoy = findEnvoy();
const skip = envoy === undefined ? 'no Envoy here: set ENVOY' : process.platform !== 'linux' && 'needs /proc';

const FILES = hostHere('www', 'www.example.com', 9);

interface Place {
  readonly temporary: string;
  readonly admin: number;
  start(): Program;
}

async function place(t: TestContext): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-engine-'));
  const temporary = mkdtempSync(join(folder, 'tmp-'));
  const file = join(folder, 'files.yaml');
  writeFileSync(file, FILES);
  const [admin, capture] = [await freePort(), await freePort()];
  const none = ['--proxy-address', '0', '--dns-address', '0', '--status-address', '0', '--grace', '0s'];
  const ports = ['--admin-address', `127.0.0.1:${admin}`, '--capture-port', String(capture)];
  const programs: Program[] = [];
  t.after(async () => {
    for (const program of programs) await program.end();
    rmSync(folder, { recursive: true });
  });
  return {
    temporary,
    admin,
    start() {
      const environment = ['env', `TMPDIR=${temporary}`] as const;
      const args = ['up', file, '--engine', 'envoy', '--envoy', envoy!, ...ports, ...none];
      const program = new Program(args, [...environment, process.execPath, PROGRAM]);
      programs.push(program);
      return program;
    },
  };
}

/** Processes whose arguments name a file in the folder. */
function runningFrom(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${folder}/`);
      } catch {
        return false;
      }
    })
    .map(Number);
}

const folders = (path: string) => readdirSync(path).filter((name) => name.startsWith('sallyport-envoy-'));

test('an Envoy dies with the Sallyport that is killed; the next start clears its files and serves', {
  skip,
  timeout: 90_000,
}, async (t) => {
  const { temporary, start } = await place(t);
  const first = start();
  await first.says(/: ready/);
  const [pid, ...others] = runningFrom(temporary);
  assert.ok(pid !== undefined);
  assert.deepEqual(others, []);
  const [left] = folders(temporary);
  first.child.kill('SIGKILL');
  await first.exit;
  // Nobody tells of the end of a process that is no child of ours.
  while (runningFrom(temporary).length > 0) await delay(10);

  const second = start();
  await second.says(/: ready/);
  assert.equal(runningFrom(temporary).length, 1);
  const now = folders(temporary);
  assert.equal(now.length, 1);
  assert.notEqual(now[0], left);
  assert.equal(await second.end(), 0);
  assert.deepEqual(folders(temporary), []);
  assert.deepEqual(runningFrom(temporary), []);
});

test('an Envoy that was left behind all the same is ended by the next start', { skip, timeout: 90_000 }, async (t) => {
  const { temporary, start } = await place(t);
  const first = start();
  await first.says(/: ready/);
  const [pid] = runningFrom(temporary);
  // As if the kernel had not heard of it: its owner is another process, which is gone.
  const [folder] = folders(temporary);
  first.child.kill('SIGSTOP');
  writeFileSync(join(temporary, folder!, 'owner'), JSON.stringify({ pid: 2 ** 22 + 1, started: '1' }));
  const second = start();
  await second.says(/in use|ready/);
  assert.ok(!runningFrom(temporary).includes(pid!));
  assert.ok(!folders(temporary).includes(folder!));
  first.child.kill('SIGKILL');
  await first.exit;
});

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(port: number, method: string, path: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    asked.on('error', reject).end();
  });
}

test('the admin endpoint answers tools, and no web page', { skip, timeout: 60_000 }, async (t) => {
  const { temporary, admin, start } = await place(t);
  const up = start();
  await up.says(/: ready/);
  assert.deepEqual(await ask(admin, 'GET', '/ready', {}), { status: 200, body: 'LIVE\n' });
  assert.match((await ask(admin, 'GET', '/config_dump', { host: `localhost:${admin}` })).body, /"configs"/);
  assert.equal((await ask(admin, 'GET', '/no/such/path', {})).status, 404);
  const foreign: readonly Record<string, string>[] = [
    { host: 'evil.example' },
    { host: `127.0.0.1:${admin}`, origin: 'http://evil.example' },
    { host: `127.0.0.1:${admin}`, 'sec-fetch-site': 'cross-site' },
  ];
  for (const headers of foreign) {
    assert.equal((await ask(admin, 'POST', '/quitquitquit', headers)).status, 403);
    assert.equal((await ask(admin, 'GET', '/config_dump', headers)).status, 403);
  }
  const [folder] = folders(temporary);
  assert.equal(statSync(join(temporary, folder!, 'admin.sock')).mode & 0o777, 0o600);
  assert.equal((await ask(admin, 'GET', '/ready', {})).status, 200);
});

const ROUTER = (gateway: number, upstream: number) => `
apiVersion: v1
kind: Pod
metadata: { name: egress-1, namespace: default, labels: { app: egress } }
status: { podIP: 127.0.0.1 }${fromGateway('www.example.com', gateway, 'app: egress')}${hostHere('www', 'www.example.com', upstream)}`;

test("it counts Istio's metrics, which the admin address shows", { skip, timeout: 90_000 }, async (t) => {
  const { folder, upstream, run } = await programWorld(t, 'engine-metrics', (_request, answer) => answer.end('hello'));
  const [gateway, admin] = [await freePort('0.0.0.0'), await freePort()];
  const file = join(folder, 'mesh.yaml');
  writeFileSync(file, ROUTER(gateway, upstream));
  const who = ['--role', 'router', '--workload', 'default/egress-1', '--engine', 'envoy', '--envoy', envoy!];
  await run('proxy', file, ...who, '--admin-address', String(admin), '--status-address', '0', '--concurrency', '1').says(/: ready/);
  for (const path of ['/', '/', '/']) assert.equal((await get(gateway, path, 'www.example.com')).status, 200);
  const counted =
    /^istio_requests_total\{reporter="source",source_workload="egress".*destination_service="www\.example\.com".*response_code="200".*\} 3$/m;
  const timed = /^istio_request_duration_milliseconds_count\{.*\} 3$/m;
  // Envoy's workers hand their counts over by and by.
  const page = await until(async () => {
    const { body } = await get(admin, '/stats/prometheus', 'localhost');
    return counted.test(body) && timed.test(body) && body;
  });
  assert.ok(!page.includes('envoy_istio_source'));
});
