/** `run --ask`: calls that nothing allows are held, and somebody decides: at a real terminal, or by a grant from elsewhere. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { asUser } from '../../attacks/sandbox-support.ts';
import { PROGRAM } from '../cli/program.ts';
import { Outside, UNPROXIED, workNeeds } from './outside.ts';

const skip = workNeeds('python3', 'curl', 'stty', 'ip', 'setsid');
const HOST = 'asked.work';

/** What to wait for, and what to type then. */
type Step = readonly [says: string, then: string];

/** What the question ends with. */
const ASKED = 'to deny it';

function inTerminal(...steps: readonly Step[]): string[] {
  return ['python3', join(import.meta.dirname, 'terminal.py'), JSON.stringify(steps)];
}

/** Nothing of root's own. */
const PATH = `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`;
const NOBODY = 65534;
/** An address of the world, which a network of the test's own has: what is granted is bound, and leads to no private one. */
const ADDRESS = '9.9.9.9';

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
}

interface World {
  /** The command's home. */
  readonly home: string;
  /** `run --ask` of a shell's script as nobody. `during` gets what it has said on stderr so far, each time that it says something. */
  run(
    script: string,
    given: { readonly options?: readonly string[]; readonly around?: readonly string[]; readonly during?: (said: string) => void },
  ): Promise<Ran>;
}

/** A network with one server, and a name server that knows it. */
function world(t: TestContext): World {
  const home = mkdtempSync(join(tmpdir(), 'sallyport-ask-'));
  chownSync(home, NOBODY, NOBODY);
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const resolvConf = join(home, 'resolv.conf');
  writeFileSync(resolvConf, `nameserver ${ADDRESS}\n`, { mode: 0o644 });
  const setUp = [
    `ip link set lo up && ip addr add ${ADDRESS}/32 dev lo && mount --bind ${resolvConf} /etc/resolv.conf`,
    `"${process.execPath}" ${join(import.meta.dirname, 'one-server.ts')} ${HOST} ${ADDRESS} & trap "kill $!" EXIT`,
    `curl -s -o /dev/null --retry 100 --retry-delay 1 --retry-connrefused http://${ADDRESS}/ && "$@"`,
  ];
  return {
    home,
    async run(script, { options = [], around = [], during }) {
      const run = [...around, process.execPath, PROGRAM, 'run', '--ask', ...options, '--', 'sh', '-ec', `cd ${home}\n${script}`];
      const words = ['unshare', '-m', '-n', 'sh', '-ec', setUp.join('\n'), 'sh', ...asUser('nobody'), ...run];
      const child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: { HOME: home, PATH } });
      const said = { stdout: '', stderr: '' };
      child.stdout.on('data', (piece) => (said.stdout += String(piece)));
      child.stderr.on('data', (piece) => {
        said.stderr += String(piece);
        during?.(said.stderr);
      });
      await once(child, 'close');
      return said;
    },
  };
}

/** The name is asked for and called without any help by the command. */
const CALL = `${UNPROXIED} curl -s --max-time 50 http://${HOST}/`;

for (const [way, call] of [
  ['captured', CALL],
  ['by the proxy variables', `curl -s --max-time 50 http://${HOST}/`],
] as const)
  test(`allowed for the run at the terminal: the call that was held goes on, and the next is not asked about (${way})`, {
    skip,
  }, async (t) => {
    const { stdout, stderr } = await world(t).run(`${call}; ${call}`, { around: inTerminal([ASKED, 'r\n']) });
    assert.match(stdout, /curl \(pid \d+\) calls asked\.work:80, which nothing allows/, stderr);
    assert.equal(stdout.split('<hello>').length, 3, stdout);
    assert.equal(stdout.split(ASKED).length, 2, stdout);
    assert.match(stdout, /<ended 0>/);
  });

test('denied, nothing of it was looked up, and it is not asked about again', { skip }, async (t) => {
  const outside = await Outside.start(t);
  const { stdout, calls } = await outside.run(`${CALL} || true; ${CALL} || true; echo "<over>"`, [], {
    options: ['--ask'],
    around: inTerminal([ASKED, 'x\n'], [ASKED, 'd\n'], ['<over>', '']),
  });
  assert.doesNotMatch(stdout, /<hello>/);
  assert.equal(stdout.split(ASKED).length, 3, 'once more after an answer that is none');
  assert.deepEqual(calls, [`${HOST}:80 refused`]);
  assert.equal(outside.asked.has(HOST), false);
});

test('many calls of one host are one question, which ends by itself', { skip }, async (t) => {
  const outside = await Outside.start(t);
  const script = `for i in 1 2 3 4 5 6; do ${CALL} -o /dev/null -w '<%{http_code}>' & done; wait; echo "<over>"`;
  const { stdout } = await outside.run(script, [], { options: ['--ask', '--ask-timeout', '3s'], around: inTerminal(['<over>', '']) });
  assert.equal(stdout.split(ASKED).length, 2, stdout);
  assert.equal(stdout.split('<502>').length, 7, stdout);
  assert.match(stdout, /nobody answered in time/);
});

test('nothing of the command writes over the question: not in another session or network, nor what its parent has left', {
  skip,
}, async (t) => {
  const here = world(t);
  const writes = (what: string) => `sh -c 'while [ ! -e done ]; do printf "<${what}>"; touch ${what}; sleep 0.02; done'`;
  const all = ['session', 'orphan', 'daemon', 'elsewhere'].map((file) => `[ -e ${file} ]`).join(' && ');
  const { stdout } = await here.run(
    [
      `setsid ${writes('session')} &`,
      `(${writes('orphan')} &)`,
      `(setsid ${writes('daemon')} &)`,
      `(setsid unshare -Un ${writes('elsewhere')} &)`,
      `until ${all}; do sleep 0.01; done`,
      `curl -s http://${HOST}/ || true`,
      `rm session orphan daemon elsewhere; until ${all}; do sleep 0.01; done; touch done; wait`,
    ].join('\n'),
    { options: ['--ask-timeout', '1s'], around: inTerminal() },
  );
  const [, during, after] = /to deny it (.*?)nobody answered in time(.*)/s.exec(stdout) ?? assert.fail(stdout);
  assert.doesNotMatch(during!, /<(session|orphan|daemon|elsewhere)>/);
  assert.match(after!, /<daemon>/);
});

test('no program that the command has put into the PATH is started outside to ask', { skip }, async (t) => {
  const here = world(t);
  const bin = join(here.home, 'bin');
  const planted = '#!/bin/sh\nreadlink /proc/self/ns/net >>$HOME/networks\nexec /usr/bin/stty "$@"';
  const { stdout, stderr } = await here.run(
    [
      'mkdir bin',
      `printf '%s\\n' '${planted}' >bin/stty && chmod 755 bin/stty`,
      'stty -a >/dev/null; readlink /proc/self/ns/net >>networks',
      CALL,
      'echo "<$(sort -u networks | wc -l) networks>"',
    ].join('\n'),
    { around: ['env', `PATH=${bin}:${PATH}`, ...inTerminal([ASKED, 'r\n'])] },
  );
  assert.match(stdout, /<hello>.*<1 networks>/s, stderr);
});

test('what the command has made of the terminal hides nothing of the question', { skip }, async (t) => {
  // Written invisibly, into a title that never ends, and in another character set; nothing that was written before stands below it.
  const { stdout } = await world(t).run(`printf '\\033[8m\\033(0\\016\\033[1;2r\\033]0;'; ${CALL}`, { around: inTerminal([ASKED, 'r\n']) });
  const reset = stdout.slice(stdout.indexOf('\x1b]0;') + 4, stdout.indexOf('sallyport: '));
  for (const sequence of ['\x18', '\x1b\\', '\x1b[!p', '\x1b[0m', '\x1b(B\x0f', '\x1b[J'])
    assert.ok(reset.includes(sequence), JSON.stringify(reset));
});

test('the command that reads the terminal loses nothing of it, and has it as it was', { skip }, async (t) => {
  const outside = world(t);
  // Raw, and in the middle of reading when the question comes.
  const script = `import subprocess, sys, termios, tty
before = termios.tcgetattr(0)
tty.setcbreak(0)
mode = termios.tcgetattr(0)
call = subprocess.Popen(["sh", "-c", "${CALL}"])
print("<reads>", flush=True)
print("<got %s>" % sys.stdin.buffer.raw.read(1).decode(), flush=True)
call.wait()
print("<kept>" if termios.tcgetattr(0) == mode else "<lost>", flush=True)
termios.tcsetattr(0, termios.TCSANOW, before)`;
  writeFileSync(join(outside.home, 'reads.py'), script, { mode: 0o644 });
  const { stdout } = await outside.run('python3 reads.py', {
    around: inTerminal([ASKED, 'r\n'], ['<hello>', 'k'], ['<got k>', '']),
  });
  assert.match(stdout, /<reads>.*<hello>.*<got k>.*<kept>.*<ended 0>/s);
});

test('Ctrl-Z and on while it asks, and Ctrl-C', { skip }, async (t) => {
  const outside = world(t);
  const stopped = await outside.run(CALL, { around: inTerminal([ASKED, '\x1a'], ['<stopped>', 'r\n'], ['<hello>', '']) });
  assert.match(stopped.stdout, /<stopped>.*<hello>.*<ended 0>/s);
  const ended = await outside.run(CALL, { around: inTerminal([ASKED, '\x03']) });
  assert.match(ended.stdout, /<ended 130>/);
});

/** A folder of its own: the command finds it empty. */
function grantsIn({ home }: World): string {
  const folder = join(home, 'grants');
  mkdirSync(folder);
  chownSync(folder, NOBODY, NOBODY);
  return join(folder, 'grants.yaml');
}

async function grant(file: string, ...words: readonly string[]): Promise<void> {
  const [program, ...rest] = [...asUser('nobody'), process.execPath, PROGRAM, 'grant', '--file', file, '--status-address', '1', ...words];
  const [code] = (await once(spawn(program!, rest, { stdio: ['ignore', 'ignore', 'inherit'] }), 'close')) as [number];
  assert.equal(code, 0);
}

test('without a terminal a grant from elsewhere lets the held call go on', { skip }, async (t) => {
  const outside = world(t);
  const file = grantsIn(outside);
  let granted: Promise<void> | undefined;
  const { stdout, stderr } = await outside.run(CALL, {
    options: ['--grants', file],
    around: ['setsid', '-w'],
    during: (said) => {
      if (said.includes(`waits for ${HOST}:80`)) granted ??= grant(file, HOST, '--for', '1h', '--reason', 'a test');
    },
  });
  assert.match(stdout, /<hello>/, stderr);
  await granted;
});

test('the command allows itself nothing: not by the files of the run, which it may write, nor by the grants, which it does not find', {
  skip,
}, async (t) => {
  const outside = world(t);
  const file = grantsIn(outside);
  const configuration = join(outside.home, 'mesh.yaml');
  writeFileSync(configuration, '');
  chownSync(configuration, NOBODY, NOBODY);
  const entry = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'own', namespace: 'default' },
    spec: { hosts: [HOST], resolution: 'DNS', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
  };
  let granted: Promise<void> | undefined;
  const { stdout, stderr } = await outside.run(
    [
      `echo '${JSON.stringify(entry)}' >${configuration}`,
      'ls grants | wc -l',
      'echo x >grants/grants.yaml',
      `${CALL} -f || echo "<refused>"`,
    ].join('\n'),
    {
      options: ['--grants', file, '--ask-timeout', '10s', configuration],
      around: ['setsid', '-w'],
      during: (said) => {
        if (said.includes(`waits for ${HOST}:80`)) granted ??= grant(file, 'other.work', '--for', '1h', '--reason', 'a test');
      },
    },
  );
  await granted;
  assert.match(stderr, /reloaded: what was read is in force/);
  assert.equal(stdout, '0\n<refused>\n', stderr);
});

test('a time is recorded as a grant', { skip }, async (t) => {
  const outside = world(t);
  const file = grantsIn(outside);
  const { stdout } = await outside.run(CALL, { options: ['--grants', file], around: inTerminal([ASKED, '2h\n']) });
  assert.match(stdout, /granted asked\.work until .*: grant-/);
  assert.match(stdout, /<hello>/);
  assert.match(readFileSync(file, 'utf8'), /granted-by: nobody[\s\S]*asked\.work[\s\S]*expires/);
});

test('without a terminal and without grants it is refused at once, with a line', { skip }, async (t) => {
  const { stdout, stderr } = await world(t).run(`${CALL} || echo "<over>"`, { around: ['setsid', '-w'] });
  assert.match(stdout, /<over>/);
  assert.doesNotMatch(stdout, /<hello>/);
  assert.match(stderr, /--ask: there is no terminal to ask at, and no --grants/);
  const left = existsSync('/tmp/sallyport-65534')
    ? readdirSync('/tmp/sallyport-65534').filter((name) => name.endsWith('allowed.yaml'))
    : [];
  assert.deepEqual(left, []);
});
