/** `run`: what a command and whoever starts it see of the sandbox around it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { policyFile, runSandboxed, sandboxNeeds, type User, witnesses } from '../../attacks/sandbox-support.ts';
import { needs } from '../tools.ts';
import { freePort, get, start } from './program.ts';

const SALLYPORT = join(import.meta.dirname, '../sallyport.ts');
const USER = process.getuid?.() === 0 ? 'root' : 'nobody';
const skip = sandboxNeeds(USER);

test('the command is who it was, where it was, with its arguments, variables and input', { skip }, async (t) => {
  const script = 'id -u; pwd; printf "%s|" "$@"; echo; echo "$MINE"; cat';
  const words = ['sh', '-c', script, 'sh', 'a b', '', "it's", '$HOME'];
  const { stdout, stderr } = await runSandboxed(t, USER, words, { environment: { MINE: 'x y' }, input: 'from outside\n' });
  const uid = USER === 'root' ? 0 : process.getuid!();
  assert.equal(stdout, `${uid}\n${process.cwd()}\na b||it's|$HOME|\nx y\nfrom outside\n`, stderr);
});

test('what is refused is said with what allows it, and answered at once in the client’s own words', {
  skip: skip || needs('curl'),
}, async (t) => {
  const script = [
    'curl -sS http://plain.example/ -D -',
    'curl -sS https://tunnel.example/ || echo tunnel $?',
    'curl -sS -x "$ALL_PROXY" https://socks.example/ || echo socks $?',
    "curl -sS --noproxy '*' https://name.example/ || echo name $?",
    "curl -sS --noproxy '*' https://198.51.100.7/ || echo address $?",
    'curl -sS http://plain.example/again >/dev/null',
  ].join('; ');
  const { stdout, stderr } = await runSandboxed(t, USER, ['sh', '-c', script]);
  assert.match(stdout, /^HTTP\/1\.1 403 Forbidden\r\n/);
  assert.match(stdout, /x-sallyport-refused: not-allowed\r\n/);
  assert.match(stdout, /sallyport: refused plain\.example:80: not allowed; to allow: --allow plain\.example\n/);
  assert.match(stdout, /tunnel 56\nsocks 97\nname 6\naddress 35\n/);
  const lines = stderr.split('\n').filter((line) => line.includes('to allow:'));
  assert.deepEqual(
    // Of a connection that is over the client may be gone.
    lines.map((line) => line.replace(/pid \d+/, 'pid N').replace(/(198\.51\.100\.7:443) \(curl, pid N\)/, '$1')).sort(),
    [
      'sallyport: refused 198.51.100.7:443: not allowed; to allow: --allow tcp://198.51.100.7:443',
      'sallyport: refused plain.example:80 (curl, pid N): not allowed; to allow: --allow plain.example',
      'sallyport: refused socks.example:443 (curl, pid N): not allowed; to allow: --allow socks.example',
      'sallyport: refused to look up name.example (curl, pid N): not allowed; to allow: --allow name.example',
      'sallyport: refused tunnel.example:443 (curl, pid N): not allowed; to allow: --allow tunnel.example',
    ],
    stderr,
  );
});

test('the account of a run, as JSON', { skip: skip || needs('curl') }, async (t) => {
  const { declaredPort } = await witnesses(t);
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-report-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const report = join(folder, 'report.json');
  const script = "curl -sS --noproxy '*' http://declared.example/ http://declared.example/; curl -sS http://other.example/ >/dev/null";
  const { code, stdout, stderr } = await runSandboxed(t, USER, ['sh', '-c', script], {
    declared: declaredPort,
    options: ['--report', report],
  });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'declared answers\ndeclared answers\n');
  const { calls, exitCode } = JSON.parse(readFileSync(report, 'utf8'));
  assert.equal(exitCode, 0);
  assert.deepEqual(
    calls.map(({ host, port, verdict, count, bytesReceived }: Record<string, unknown>) => [host, port, verdict, count, bytesReceived]),
    [
      ['other.example', 80, 'refused', 1, 0],
      ['declared.example', 80, 'allowed', 2, 34],
    ],
  );
});

test('what a command called at last is in the account, though it waited for no answer', { skip }, async (t) => {
  const question = String.raw`\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04last\x07example\x00\x00\x01\x00\x01`;
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-report-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const report = join(folder, 'report.json');
  for (const [script, ...called] of [
    [': >/dev/tcp/192.0.2.1/443', ['192.0.2.1', 443, 'refused']],
    [`printf '${question}' >/dev/udp/192.0.2.53/53`, ['last.example', 0, 'unresolved']],
    [':'],
  ] as const) {
    const { code, stderr } = await runSandboxed(t, USER, ['bash', '-c', script], { options: ['--report', report] });
    assert.equal(code, 0, stderr);
    const { calls } = JSON.parse(readFileSync(report, 'utf8')) as { calls: { host: string; port: number; verdict: string }[] };
    assert.deepEqual(
      calls.map(({ host, port, verdict }) => [host, port, verdict]),
      called,
      script,
    );
  }
});

test('a call that names two destinations is refused, and told of with the two', { skip: skip || needs('curl') }, async (t) => {
  const { declaredPort } = await witnesses(t);
  const call = "curl -sS -D - --noproxy '*' -H 'Host: declared.example:81' http://declared.example/";
  const { stdout, stderr } = await runSandboxed(t, USER, ['sh', '-c', call], { declared: declaredPort });
  assert.match(stdout, /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*x-sallyport-refused: binding\r\n/, stderr);
  assert.match(stdout, /sallyport: refused: port 81 of the Host and port 80 that was dialled disagree/);
  assert.match(
    stderr,
    /refused declared\.example:80 \(curl, pid \d+\): binding_refused\{port_81_of_the_Host_and_port_80_that_was_dialled_disagree\}/,
  );
});

test('a policy that does not read completely, or a program that is not there, starts nothing', { skip }, async (t) => {
  for (const [options, words, why] of [
    [['--policy', '/nowhere'], ['echo', 'ran'], /no file \/nowhere/],
    [['/nowhere'], ['echo', 'ran'], /\/nowhere/],
    [['--allow', 'ftp://x'], ['echo', 'ran'], /scheme/],
    [[], ['no-such-program'], /cannot run no-such-program: there is no such program/],
  ] as const) {
    const { code, stdout, stderr } = await runSandboxed(t, USER, words, { options });
    assert.notEqual(code, 0);
    assert.equal(stdout, '');
    assert.match(stderr, why);
  }
});

test('ten at once need no port of the machine, beside an up, and of several users where there are', {
  skip: skip || needs('curl'),
}, async (t) => {
  const { declaredPort } = await witnesses(t);
  const file = policyFile(t, declaredPort);
  const [proxy, capture, admin] = [await freePort(), await freePort(), await freePort()];
  const ports = ['--proxy-address', String(proxy), '--capture-port', String(capture), '--admin-address', String(admin)];
  const up = start(t, ['up', file, ...ports, '--dns-address', '0', '--status-address', '0', '--router-address', '127.0.108.10']);
  await up.says(/ready: use the proxy/);
  const users: readonly User[] = USER === 'root' ? ['root', 'nobody', 'daemon'] : [USER];
  const script = "curl -sS --noproxy '*' http://declared.example/; curl -s -o /dev/null -w '%{http_code}' http://other.example/";
  const runs = Array.from({ length: 10 }, (_, i) =>
    runSandboxed(t, users[i % users.length]!, ['sh', '-c', script], { declared: declaredPort }),
  );
  for (const { code, stdout, stderr } of await Promise.all(runs)) {
    assert.equal(stdout, 'declared answers\n403', stderr);
    assert.equal(code, 0);
    assert.match(stderr, /declared\.example:80 +allowed +1×/);
  }
  assert.equal((await get(proxy, 'http://declared.example/', 'declared.example')).body, 'declared answers\n');
  assert.equal((await get(proxy, 'http://other.example/', 'other.example')).status, 502);
});

test('processes inside reach each other', { skip: skip || needs('curl') }, async (t) => {
  const server = 'require("http").createServer((q, s) => s.end("inside\\n")).listen(8080, "0.0.0.0", () => require("child_process")';
  const script = `${server}.spawn("curl", ["-sS", "--noproxy", "*", "http://127.0.0.1:8080/", "http://localhost:8080/"], { stdio: "inherit" }).on("exit", process.exit))`;
  const { code, stdout, stderr } = await runSandboxed(t, USER, ['node', '-e', script]);
  assert.equal(stdout, 'inside\ninside\n', stderr);
  assert.equal(code, 0);
});

test('localhost inside is the command’s own, which is said where it is allowed', { skip }, async (t) => {
  const { code, stderr } = await runSandboxed(t, USER, ['true'], { options: ['--allow', 'localhost:8080'] });
  assert.equal(code, 0);
  assert.match(stderr, /--allow localhost: within the run localhost is the command's own; .* --allow-local 8080/);
});

test('a credential whose variable is not set is told before the command runs', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-unset-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const list = join(folder, 'list.yaml');
  const credential = '{ bearer: true, from: { environment: SALLYPORT_TEST_UNSET } }';
  writeFileSync(list, `allow: [{ host: api.example, tls: { intercept: true }, credentials: [${credential}] }]\n`);
  const { code, stderr } = await runSandboxed(t, USER, ['true'], { options: ['--policy', list] });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /api\.example: the variable SALLYPORT_TEST_UNSET is not set, so calls .* are refused \(503\)/);
});

test('a service of the machine that is named, and a server inside that is published', { skip: skip || needs('curl') }, async (t) => {
  const { declaredPort } = await witnesses(t);
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as AddressInfo;
  free.close();
  const server = `require("net").createServer((c) => c.end("inside\\n")).listen(${port}, "127.0.0.1", () => console.log("listening")); process.stdin.resume().on("end", () => process.exit())`;
  const script = `curl -sS --noproxy '*' http://127.0.0.1:${declaredPort}/ http://localhost:${declaredPort}/; node -e '${server}'`;
  const options = ['--allow-local', String(declaredPort), '--publish', String(port)];
  const { code, stdout, stderr } = await runSandboxed(t, USER, ['sh', '-c', script], {
    options,
    during: async (child, seen) => {
      await seen('listening');
      const socket = connect(port, '127.0.0.1').setEncoding('utf8');
      assert.deepEqual(await socket.toArray(), ['inside\n']);
      child.stdin!.end();
    },
  });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'declared answers\ndeclared answers\nlistening\n', stderr);
  assert.match(stderr, new RegExp(`127\\.0\\.0\\.1:${declaredPort} +allowed +2×`));
});

test('--would-deny lets all through and says what would be refused', { skip: skip || needs('curl') }, async (t) => {
  const { declaredPort, environment } = await witnesses(t);
  const script =
    "curl -sS --noproxy '*' http://declared.example/ http://$WITNESS_HOST:$WITNESS_PORT/; curl -s -o /dev/null http://nobody-has-this.invalid/ || true";
  const { code, stdout, stderr } = await runSandboxed(t, USER, ['sh', '-c', script], {
    declared: declaredPort,
    environment,
    options: ['--would-deny'],
  });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'declared answers\nREACHED\n');
  assert.match(stderr, /would refuse [\d.]+:\d+[^:]*: not allowed; to allow: --allow tcp:/);
  assert.match(stderr, /would refuse nobody-has-this\.invalid:80[^:]*: not allowed; to allow: --allow nobody-has-this\.invalid\n/);
  assert.match(stderr, /declared\.example:80 +allowed +1×/);
});

test('a policy by method: what is not in it is answered 403, says so, and is no matter of --allow', {
  skip: skip || needs('curl'),
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-run-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, 'allow: [{ host: reads.example, methods: [GET] }]\n');
  const script = "curl -sS --noproxy '*' -X DELETE http://reads.example/";
  const { code, stdout, stderr } = await runSandboxed(t, USER, ['sh', '-c', script], {
    options: ['--policy', file, '--fail-on', 'refused'],
  });
  assert.equal(stdout, 'sallyport: not allowed: reads.example:80 is allowed by method and path, and the policy has not this one');
  assert.match(stderr, /refused reads\.example:80 \(curl, pid \d+\): a route answers 403 itself[^;]*\n/);
  assert.equal(code, 1);
});

test('--learn-policy writes the list that allows what was reached, and --fail-on tells of what is not', {
  skip: skip || needs('curl'),
}, async (t) => {
  const { declaredPort, environment } = await witnesses(t);
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-run-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'policy.yaml');
  const script = "curl -s --noproxy '*' http://declared.example/ http://$WITNESS_HOST:$WITNESS_PORT/ || true";
  const run = (...options: string[]) => runSandboxed(t, USER, ['sh', '-c', script], { declared: declaredPort, environment, options });
  const learnt = await run('--learn-policy', file, '--fail-on', 'refused');
  assert.equal(learnt.stdout, 'declared answers\nREACHED\n', learnt.stderr);
  assert.equal(learnt.code, 1, learnt.stderr);
  assert.match(learnt.stderr, /the command succeeded, and calls to [\d.]+:\d+ were refused, or would be: exit code 1/);
  const enforced = await run('--policy', file, '--fail-on', 'refused');
  assert.equal(enforced.stdout, 'declared answers\nREACHED\n', enforced.stderr);
  assert.equal(enforced.code, 0, enforced.stderr);
  const refused = await run('--fail-on', 'refused');
  assert.equal(refused.stdout, 'declared answers\n', refused.stderr);
  assert.equal(refused.code, 1, refused.stderr);
  assert.equal((await run()).code, 0);
});

test('what is known to be wrong starts nothing', { skip }, async (t) => {
  for (const options of [
    ['--engine', 'envoy'],
    ['--concurrency', '2'],
    ['--namespace', ''],
    ['--learn', '/nowhere/x.yaml'],
    ['--mesh-config', '/nowhere'],
  ]) {
    const { code, stdout, stderr } = await runSandboxed(t, USER, ['echo', 'ran'], { options });
    assert.equal(stdout, '', options.join(' '));
    assert.notEqual(code, 0);
    assert.match(stderr, /^sallyport: [^\n]+\n$/);
  }
});

test('--cooperative: proxy variables alone, and no exceptions from them', { skip: needs('curl') }, async (t) => {
  const { declaredPort } = await witnesses(t);
  const ports = ['admin', 'status', 'dns'].flatMap((name) => [`--${name}-address`, '0']);
  const options = ['--cooperative', '--proxy-address', '127.0.0.1:27950', '--capture-port', '0', ...ports];
  const script = 'env | grep -ci no_proxy; curl -sS http://declared.example/';
  const given = { declared: declaredPort, environment: { NO_PROXY: '*', no_proxy: '*' }, options };
  const { stdout, stderr } = await runSandboxed(t, USER, ['sh', '-c', script], given);
  assert.equal(stdout, '0\ndeclared answers\n', stderr);
});

test('--cooperative: what --allow and --policy say is all that the proxy lets out', { skip: needs('curl') }, async (t) => {
  const { declaredPort, environment, visits } = await witnesses(t);
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-cooperative-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const policy = join(folder, 'policy.yaml');
  writeFileSync(policy, JSON.stringify({ allow: [{ host: '127.0.0.1', ports: [declaredPort], protocol: 'HTTP' }] }));
  const ports = ['admin', 'status', 'dns'].flatMap((name) => [`--${name}-address`, '0']);
  const own = ['--cooperative', '--proxy-address', '127.0.0.1:27951', '--capture-port', '0', ...ports];
  const script = `for url in http://127.0.0.1:${declaredPort}/ http://$WITNESS_HOST:$WITNESS_PORT/; do
    curl -s -o /dev/null -w '%{http_code} ' "$url"; done`;
  const run = (...options: string[]) => runSandboxed(t, USER, ['sh', '-c', script], { environment, options: [...own, ...options] });
  for (const options of [
    ['--policy', policy],
    ['--allow', `http://127.0.0.1:${declaredPort}`],
  ]) {
    const { stdout, stderr } = await run(...options);
    assert.match(stdout, /^200 (?:000|403|502) $/, stderr);
  }
  assert.deepEqual(visits, []);
});

test('--cooperative: what it cannot do is refused before anything runs', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-cooperative-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const policy = join(folder, 'policy.yaml');
  const credentials = [{ bearer: true, from: { environment: 'HOME' } }];
  writeFileSync(policy, JSON.stringify({ allow: [{ host: 'api.example', tls: { intercept: true }, credentials }] }));
  for (const [options, said] of [
    [['--policy', policy], /api\.example has credentials or is intercepted, which needs a command that is contained/],
    [['--strict'], /--strict/],
    [['--would-deny'], /--would-deny/],
    [['--report', join(folder, 'report')], /--report/],
    [['--learn-policy', join(folder, 'list')], /--learn-policy/],
    [['--allow-local', '127.0.0.1:1'], /--allow-local/],
    [['--allow-socket', '/nowhere'], /--allow-socket/],
    [['--publish', '1'], /--publish/],
    [['--fail-on', 'refused'], /--fail-on/],
  ] as const) {
    const { code, stdout, stderr } = await runSandboxed(t, USER, ['echo', 'ran'], { options: ['--cooperative', ...options] });
    assert.match(stderr, said);
    assert.equal(stdout, '');
    assert.equal(code, 2);
  }
});

test('where no namespaces can be had nothing runs, and one line says why', { skip: skip || needs('unshare') }, async (t) => {
  // In a user namespace in which there may be no other, a line of the kernel's settings says so.
  const forbid = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"';
  const around = ['unshare', '-U', '-r', '--', 'sh', '-c', forbid, 'sh'];
  const { code, stdout, stderr } = await runSandboxed(t, USER, ['echo', 'ran'], { around });
  assert.equal(stdout, '');
  assert.equal(code, 3);
  assert.match(
    stderr,
    /^sallyport: the command cannot be contained: the sysctl user\.max_user_namespaces is 0[^\n]*--cooperative[^\n]*\n$/,
  );
});

const run = (...words: string[]) => [process.execPath, SALLYPORT, 'run', ...words];
/** Runs words in a shell with what `script` sets up for them, and resolves with the exit code. */
const inShell = (script: string, words: readonly string[]): Promise<number> =>
  new Promise((resolve) => {
    execFile('bash', ['-c', script, 'bash', ...words], (error) => resolve(error ? Number(error.code) : 0));
  });

test('descriptors that somebody left open do not reach the command', { skip }, async () => {
  const look = ['sh', '-c', 'for fd in 3 9 16 60 200; do [ ! -e "/proc/self/fd/$fd" ] || exit "$fd"; done; exit 4'];
  const open = 'exec 9</dev/null 16</dev/null 60</dev/null 200</dev/null; exec "$@"';
  assert.equal(await inShell(open, run('--', ...look)), 4);
});

test('a reader of stderr that leaves changes nothing', { skip: skip || needs('curl') }, async () => {
  const calls = 'for i in 1 2 3; do curl -s -m 10 "http://192.0.2.$i/"; [ $? = 28 ] && exit 9; done; exit 3';
  // The first line is all that is read; what follows meets a pipe without a reader.
  const until = '"$@" 2>&1 >/dev/null | { read -r _; exec 0<&-; wait; }; exit $PIPESTATUS';
  assert.equal(await inShell(until, run('--', 'sh', '-c', calls)), 3);
});

test('connections to services of the machine end with the run', { skip }, async (t) => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const closed = once(server, 'connection').then(async ([socket]) => {
    socket.on('error', () => undefined).resume();
    await once(socket, 'close');
  });
  const survivor = `(exec 5<>/dev/tcp/127.0.0.1/${port}; echo here >&5; sleep 30) </dev/null >/dev/null 2>&1 & sleep 1; exit 5`;
  assert.equal(await inShell('exec "$@"', run('--allow-local', String(port), '--', 'bash', '-c', survivor)), 5);
  await closed;
});

test('a report that cannot be written is said before anything runs', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-report-'));
  t.after(() => rmSync(folder, { recursive: true }));
  assert.equal(await inShell('exec "$@"', run('--report', folder, '--', 'sh', '-c', 'exit 7')), 3);
  const report = join(folder, 'report.json');
  const swap = `rm -f ${report}; mkfifo ${report}; exit 6`;
  assert.equal(await inShell('exec "$@"', run('--report', report, '--', 'sh', '-c', swap)), 6);
});
