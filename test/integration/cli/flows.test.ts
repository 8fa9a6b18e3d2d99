/** `flows`: what it shows of a running `up` and `run`, called by curl. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Flow } from '../../../src/flows/flow.ts';
import { flowSchema } from '../../../src/flows/schema.ts';
import { runningShowers } from '../../../src/flows/socket.ts';
import { privateFolder } from '../../../src/lib/private-folder.ts';
import { runSandboxed, sandboxNeeds } from '../../attacks/sandbox-support.ts';
import { hostHere, REGISTRY_ONLY, throughEgress } from '../../support/egress-text.ts';
import { needs } from '../tools.ts';
import { freePort, Program } from './program.ts';

const USER = process.getuid?.() === 0 ? 'root' : 'nobody';
const skipUp = needs('curl') || (process.platform === 'linux' ? false : 'routers need the addresses of 127.0.0.0/8, which Linux has');
const skipRun = sandboxNeeds(USER);

function program(t: TestContext, args: readonly string[]): Program {
  const one = new Program(args);
  t.after(() => one.end());
  return one;
}

async function watching(t: TestContext, pid: number, args: readonly string[] = []): Promise<Program> {
  const one = program(t, ['flows', '--run', String(pid), '-o', 'json', ...args]);
  await one.says(/watching/);
  return one;
}

/** What stands on whole lines so far. */
function linesOf(one: Program): Flow[] {
  return one.output
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Flow);
}

async function until(one: Program, isSo: () => boolean): Promise<void> {
  while (!isSo()) await once(one.child.stdout!, 'data');
}

async function curl(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--max-time', '20', ...args]).catch((error: { stdout: string }) => error);
  return stdout;
}

/** Answers, and holds back the answer to /slow. */
async function server(t: TestContext) {
  const held: ServerResponse[] = [];
  const own = createServer((asked, answer) => {
    if (asked.url?.startsWith('/slow')) {
      held.push(answer);
      own.emit('held');
    } else answer.end('hello\n');
  }).listen(0, '127.0.0.1');
  await once(own, 'listening');
  t.after(() => {
    own.closeAllConnections();
    own.close();
  });
  return { own, held, port: (own.address() as AddressInfo).port };
}

const mesh = (port: number, closed: number) =>
  `${REGISTRY_ONLY}${hostHere('www', 'www.example.com', port)}${hostHere('down', 'down.example.com', closed)}${throughEgress('www.example.com')}\n`;

interface Up {
  readonly up: Program;
  readonly pid: number;
  readonly proxy: string;
  readonly admin: number;
}

async function startUp(t: TestContext, port: number, router: string): Promise<Up> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-flows-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'mesh.yaml');
  writeFileSync(file, mesh(port, await freePort()));
  const [proxy, admin] = [await freePort(), await freePort()];
  const none = ['--capture-port', '0', '--dns-address', '0', '--status-address', '0', '--concurrency', '2'];
  const up = program(t, [
    'up',
    file,
    '--proxy-address',
    String(proxy),
    '--admin-address',
    String(admin),
    '--router-address',
    router,
    ...none,
  ]);
  await up.says(/ready: use the proxy/);
  return { up, pid: up.child.pid!, proxy: `http://127.0.0.1:${proxy}`, admin };
}

test('calls of up are shown as they begin and end, hop by hop, with verdicts', { skip: skipUp }, async (t) => {
  const { own, held, port } = await server(t);
  const { up, pid, proxy, admin } = await startUp(t, port, '127.0.107.10');
  assert.equal(await curl('-x', proxy, 'http://www.example.com/before'), 'hello\n');
  const last = await watching(t, pid, ['--last', '5', '--host', 'www.example.com']);
  await until(last, () => linesOf(last).length === 2);
  assert.deepEqual(
    linesOf(last)
      .map(({ kind, role, path }) => `${kind} ${role} ${path}`)
      .sort(),
    ['end router /before', 'end sidecar /before'],
  );
  last.end();
  const all = await watching(t, pid);
  const refused = await watching(t, pid, ['--verdict', 'refused']);
  const down = await watching(t, pid, ['--host', 'DOWN.*']);
  const sidecar = program(t, ['flows', '--admin', String(admin), '--protocol', 'http']);
  await sidecar.says(/watching the proxy at 127\.0\.0\.1/);

  const arrived = once(own, 'held');
  const slow = curl('-x', proxy, 'http://www.example.com/slow?token=secret');
  await arrived;
  // Sidecar and gateway tell of it from threads of their own.
  await until(all, () => linesOf(all).length === 2);
  const begun = linesOf(all);
  assert.deepEqual(begun.map(({ kind, role, path }) => `${kind} ${role} ${path}`).sort(), ['begin router /slow', 'begin sidecar /slow']);
  held[0]!.end('late\n');
  assert.equal(await slow, 'late\n');

  assert.equal(await curl('-x', proxy, '-o', '/dev/null', '-w', '%{http_code}', 'http://undeclared.example/x'), '502');
  assert.equal(await curl('-x', proxy, '-o', '/dev/null', '-w', '%{http_code}', 'http://down.example.com/'), '503');
  await curl('-x', proxy, '-k', 'https://tunnel.example/');
  await refused.says(/tunnel\.example.*\n/, 'output');
  await down.says(/"kind":"end".*\n/, 'output');
  await all.says(/"kind":"end"[^\n]*tunnel\.example.*\n/, 'output');
  await sidecar.says(/failed +http .*down\.example\.com.*\n/, 'output');

  const flows = linesOf(all);
  for (const flow of flows) z.fromJSONSchema(flowSchema() as Parameters<typeof z.fromJSONSchema>[0]).parse(flow);
  assert.doesNotMatch(all.output, /secret|\/before/);
  for (const { id } of flows)
    assert.deepEqual(
      flows.filter((flow) => flow.id === id).map(({ kind }) => kind),
      ['begin', 'end'],
      id,
    );
  const [first, second] = flows.filter(({ kind, path }) => kind === 'end' && path === '/slow').sort((a, b) => b.role.localeCompare(a.role));
  assert.deepEqual(
    [first?.role, first?.verdict, first?.status, first?.gateway, first?.workload, first?.bytesReceived],
    ['sidecar', 'allowed', 200, 'istio-system/istio-egressgateway', 'default/local', 5],
  );
  assert.ok(first?.origins?.some(({ kind, name }) => kind === 'VirtualService' && name === 'www'));
  assert.deepEqual(
    [second?.role, second?.proxy, second?.verdict, second?.port],
    ['router', 'istio-system/istio-egressgateway', 'allowed', 80],
  );
  assert.equal(second?.upstream, `127.0.0.1:${port}`);

  assert.deepEqual(
    [...new Set(linesOf(refused).map(({ host, verdict }) => `${host} ${verdict}`))],
    ['undeclared.example refused', 'tunnel.example refused'],
  );
  assert.deepEqual(
    linesOf(down).map(({ kind, verdict, responseFlags }) => [kind, verdict, responseFlags?.includes('UF')]),
    [
      ['begin', undefined, undefined],
      ['end', 'failed', true],
    ],
  );
  assert.match(sidecar.output, /allowed http .*GET www\.example\.com:80\/slow .*200 .*by gateway istio-system\/istio-egressgateway\n/);
  assert.doesNotMatch(sidecar.output, /gateway istio-system\/istio-egressgateway +→/, 'an admin server shows its own proxy');

  refused.child.kill('SIGINT');
  assert.equal(await refused.exit, 0);
  assert.equal(await up.end(), 0);
  assert.equal(await all.exit, 0);
  assert.match(all.errors, new RegExp(`sallyport up, process ${pid} has ended\n$`));
  assert.equal(await sidecar.exit, 0);
});

test('a reader that takes nothing loses lines and is told how many, and the calls go on', { skip: skipUp }, async (t) => {
  const { port } = await server(t);
  const { pid, proxy } = await startUp(t, port, '127.0.107.20');
  const one = await watching(t, pid);
  one.child.stdout!.pause();
  // Each leaves four lines of 1,500 characters.
  const path = 'x'.repeat(1000);
  const statuses = await curl(
    '-x',
    proxy,
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}\n',
    '--no-progress-meter',
    `http://www.example.com/${path}[1-800]`,
  );
  assert.equal(statuses, '200\n'.repeat(800));
  one.child.stdout!.resume();
  const counted = () => {
    const lines = linesOf(one) as readonly (Flow | { readonly kind: 'dropped'; readonly count: number })[];
    const dropped = lines.flatMap((line) => (line.kind === 'dropped' ? [line.count] : []));
    return { dropped: dropped.length, all: lines.length - dropped.length + dropped.reduce((sum, count) => sum + count, 0) };
  };
  await until(one, () => counted().all >= 3200);
  assert.equal(counted().all, 3200);
  assert.notEqual(counted().dropped, 0);
});

test('calls of a contained command are shown with their programs, and the command does not see them', {
  skip: skipRun || needs('curl'),
}, async (t) => {
  const { port } = await server(t);
  const folder = privateFolder(USER === 'root' ? 0 : process.getuid!());
  const script = [
    `echo "$(ls -A ${folder} | wc -l) sockets"; read -r line`,
    `echo "$(ls -A ${folder} | wc -l) later"`,
    'curl -sS http://declared.example/fine',
    `curl -sS http://127.0.0.1:${port}/local`,
    'curl -sS http://undeclared.example/ >/dev/null',
    "curl -sS --noproxy '*' https://name.example/ 2>/dev/null",
    'echo over; read -r line',
  ].join('; ');
  let seen: Flow[] = [];
  let ended: Promise<number | null> | undefined;
  let last = '';
  const during = async (child: ChildProcess, says: (text: string) => Promise<void>) => {
    await says('sockets');
    const all = await watching(t, child.pid!);
    const curls = await watching(t, child.pid!, ['--process', 'curl', '--verdict', 'refused', '--verdict', 'failed']);
    if (USER === 'root') await laterRun(t);
    child.stdin!.write('\n');
    await says('over');
    await all.says(/"kind":"end"[^\n]*name\.example.*\n/, 'output');
    await curls.says(/name\.example.*\n/, 'output');
    seen = linesOf(all);
    assert.deepEqual([...new Set(linesOf(curls).map(({ host }) => host))], ['undeclared.example', 'name.example']);
    assert.ok((await runningShowers()).some(({ pid, command }) => pid === child.pid && command === 'run'));
    child.stdin!.end('\n');
    ended = all.exit.then((code) => {
      last = all.errors;
      return code;
    });
  };
  const { code, stdout } = await runSandboxed(t, USER, ['sh', '-c', script], {
    declared: port,
    options: ['--allow-local', String(port)],
    during,
  });
  assert.equal(stdout, '0 sockets\n0 later\nhello\nhello\nover\n');
  assert.equal(code, 0);
  assert.equal(await ended, 0);
  assert.match(last, /sallyport run, process \d+ has ended\n$/);
  const ends = seen
    .filter(({ kind }) => kind === 'end')
    .map(({ host, verdict, protocol, process: p }) => `${p?.name} ${protocol} ${host} ${verdict}`);
  assert.deepEqual(
    [...new Set(ends)],
    [
      'curl http declared.example allowed',
      'curl tcp 127.0.0.1 allowed',
      'curl http undeclared.example refused',
      'curl dns name.example refused',
    ],
  );
});

/** Another command of the same user, started while the first one runs. */
async function laterRun(t: TestContext): Promise<void> {
  const other = program(t, ['run', '--', 'sh', '-c', 'echo there; exec tail -f /dev/null']);
  await other.says(/there/, 'output');
  assert.ok((await runningShowers()).some(({ pid }) => pid === other.child.pid));
  const which = program(t, ['flows']);
  assert.equal(await which.exit, 2);
  assert.match(which.errors, new RegExp(`several of this user run: name one with --run PID: .*\\b${other.child.pid} \\(run\\)`));
}

test('what is not there is said, with what to do', async (t) => {
  const none = program(t, ['flows', '--run', '4194305']);
  assert.equal(await none.exit, 3);
  assert.match(none.errors, /(process 4194305 shows no calls; there are|nothing of this user runs)/);
  const port = await freePort();
  const nobody = program(t, ['flows', '--admin', String(port)]);
  assert.equal(await nobody.exit, 3);
  assert.match(nobody.errors, /the proxy at 127\.0\.0\.1:\d+ does not answer: .*ECONNREFUSED.*is it running there/);
  const both = program(t, ['flows', '--admin', String(port), '--run', '1']);
  assert.equal(await both.exit, 2);
  const wrong = program(t, ['flows', '--verdict', 'denied']);
  assert.equal(await wrong.exit, 2);
  assert.match(wrong.errors, /it is one of allowed, refused, failed/);
});

test('the socket is its user’s alone and goes with the process', { skip: skipUp }, async (t) => {
  const { port } = await server(t);
  const { up, pid } = await startUp(t, port, '127.0.107.30');
  const [own] = (await runningShowers()).filter((one) => one.pid === pid);
  assert.ok(own);
  assert.equal(await up.end(), 0);
  assert.ok(!existsSync(own.socketPath));
});
