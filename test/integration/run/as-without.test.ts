/** A command inside of `run` behaves as without it: each of these is done both ways, and what is seen compared. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { sandboxNeeds } from '../../attacks/sandbox-support.ts';
import { PROGRAM } from '../cli/program.ts';
import { needs } from '../tools.ts';

const USER = process.getuid?.() === 0 ? 'root' : 'nobody';
const skip = sandboxNeeds(USER);
const RUN = [process.execPath, PROGRAM, 'run', '--'];

interface Seen {
  readonly code: number;
  readonly output: string;
}

/** What is done with it while it runs; `says` resolves once its output holds the text. */
type During = (child: ChildProcess, says: (text: string) => Promise<void>) => Promise<void>;

/** Runs words; the code is that of a shell if a signal ended it. */
async function seenOf(words: readonly string[], { during, ...options }: SpawnOptions & { readonly during?: During }): Promise<Seen> {
  const child = spawn(words[0]!, words.slice(1), { stdio: [during ? 'pipe' : 'ignore', 'pipe', 'inherit'], ...options });
  let output = '';
  child.stdout!.setEncoding('utf8').on('data', (piece: string) => (output += piece));
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const says = async (text: string) => {
    while (!output.includes(text)) await Promise.race([once(child.stdout!, 'data'), closed.then(() => assert.fail(`not said: ${text}`))]);
  };
  await during?.(child, says);
  const [code, signal] = await closed;
  return { code: code ?? 128 + constants.signals[signal!], output };
}

/** Both ways, and the same. Returns what was seen. */
async function same(words: readonly string[], options: SpawnOptions & { readonly during?: During } = {}): Promise<Seen> {
  const [without, within] = [await seenOf(words, options), await seenOf([...RUN, ...words], options)];
  assert.deepEqual(within, without);
  return within;
}

/** A shell's script in which `"$@"` stands for running what follows, both ways. */
async function sameIn(script: string): Promise<Seen> {
  const without = await seenOf(['bash', '-c', script, 'bash', 'env'], {});
  const within = await seenOf(['bash', '-c', script, 'bash', ...RUN], {});
  assert.deepEqual(within, without);
  return within;
}

test('exit codes, and deaths by signals', { skip }, async () => {
  for (const [end, code] of [
    ['exit 255', 255],
    ...(['HUP', 'INT', 'KILL', 'USR1', 'SEGV'] as const).map(
      (name) => [`ulimit -c 0; kill -${name} $$`, 128 + constants.signals[`SIG${name}`]] as const,
    ),
  ] as const)
    assert.equal((await same(['sh', '-c', end])).code, code, end);
});

test('input and output: the rest of a file is left to who reads next, a reader that leaves ends the writer, and order is kept', {
  skip,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-as-without-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'lines'), 'one\ntwo\nthree\n');
  const { output } = await sameIn(`cd ${folder}
    { "$@" sh -c 'read -r line; echo "first $line"'; cat; } <lines
    "$@" yes | head -1; echo "\${PIPESTATUS[0]}"
    head -c 3000000 /dev/zero | "$@" wc -c
    "$@" sh -c 'echo out; echo err >&2; echo out' >both 2>&1; cat both
    "$@" wc -c </dev/null
    "$@" sh -c 'cat 2>/dev/null | wc -c' <&-`);
  assert.equal(output, 'first one\ntwo\nthree\ny\n141\n3000000\nout\nerr\nout\n0\n0\n');
});

test('what a process has from who started it', { skip }, async () => {
  // The soft limit of open files is the hard one, as of all that Node starts.
  const look = `ulimit -Hn; ulimit -Ss; ulimit -Sc; umask; pwd; nice; id -u; id -g; hostname; grep -E "Sig(Blk|Ign|Cgt)" /proc/self/status
    env -u _ | grep -v -i -E "^(no_proxy|(https?|all)_proxy|node_use_env_proxy)=" | sort`;
  await sameIn(`ulimit -Sc 0; umask 027; cd /; export ODD='a
b' A_B=; nice -n 3 "$@" sh -c '${look}'`);
});

/** Says each signal that comes, and at the end of its input how often each came. */
const LISTENER = `
const counts = {};
for (const name of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'])
  process.on(name, () => { counts[name] = (counts[name] ?? 0) + 1; console.log(name); });
process.stdin.resume().on('end', () => { console.log(JSON.stringify(counts)); process.exit(9); });
console.log('listening');
`;
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const;

for (const whom of ['the process', 'its group'] as const)
  test(`signals to ${whom} come once`, { skip }, async () => {
    const { code, output } = await same([process.execPath, '-e', LISTENER], {
      detached: true,
      during: async (child, says) => {
        await says('listening');
        for (const name of SIGNALS) {
          process.kill(whom === 'the process' ? child.pid! : -child.pid!, name);
          await says(name);
        }
        child.stdin!.end();
      },
    });
    assert.equal(code, 9);
    assert.ok(output.endsWith(`${JSON.stringify(Object.fromEntries(SIGNALS.map((name) => [name, 1])))}\n`), output);
  });

/** A Node that is too old for Sallyport, which it hands over to the one of the package. */
const oldNode = (process.env.PATH ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'node'))
  .find((node) => Number(/^v(\d+)/.exec(spawnSync(node, ['-v'], { encoding: 'utf8' }).stdout ?? '')?.[1] ?? Infinity) < 24);

test('signals to the process come once, too, where an older Node started it', {
  skip: skip || (oldNode === undefined && 'no Node before 24 is on the PATH, and none has to be'),
}, async () => {
  const { code, output } = await seenOf([oldNode!, ...RUN.slice(1), process.execPath, '-e', LISTENER], {
    detached: true,
    during: async (child, says) => {
      await says('listening');
      for (const name of SIGNALS) {
        child.kill(name);
        await says(name);
      }
      child.stdin!.end();
    },
  });
  assert.equal(code, 9);
  assert.ok(output.endsWith(`${JSON.stringify(Object.fromEntries(SIGNALS.map((name) => [name, 1])))}\n`), output);
});

test('a script that signals its own group hears it once', { skip }, async () => {
  const script =
    'trap "echo term" TERM; trap "echo usr1" USR1; trap "echo alrm" ALRM; kill 0; kill -USR1 0; kill -ALRM 0; echo over; exit 4';
  const { code, output } = await same(['sh', '-c', script], { detached: true });
  assert.equal(output, 'term\nusr1\nalrm\nover\n');
  assert.equal(code, 4);
});

test('children in the background go on: what they say comes, and the code is the command’s', { skip }, async () => {
  const child = 'read -r go; echo late';
  const { code, output } = await same(['bash', '-c', `{ ${child}; } <&0 & echo early; exit 6`], {
    during: async (process, says) => {
      await says('early');
      process.stdin!.end('go\n');
    },
  });
  assert.equal(output, 'early\nlate\n');
  assert.equal(code, 6);
});

test('SIGKILL ends it', { skip }, async () => {
  for (const around of [[], RUN]) {
    // What it writes ends when the last that could write has ended.
    const seen = await seenOf([...around, 'sh', '-c', 'trap "" TERM HUP; echo ready; exec tail -f /dev/null'], {
      during: async (child, says) => {
        await says('ready');
        child.kill('SIGKILL');
      },
    });
    assert.deepEqual(seen, { code: 137, output: 'ready\n' });
  }
});

/** What to wait for, and what to type then, or the size that the terminal gets. */
type Step = readonly [says: string, then: string | readonly [rows: number, columns: number]];

async function sameInTerminal(words: readonly string[], steps: readonly Step[]): Promise<string> {
  const seen = async (around: readonly string[]) => {
    const all = [join(import.meta.dirname, 'terminal.py'), JSON.stringify(steps), ...around, ...words];
    return (await promisify(execFile)('python3', all)).stdout;
  };
  const [without, within] = [await seen(['env']), await seen(RUN)];
  assert.equal(within, without);
  return within;
}

test('a terminal: its size and changes of it, Ctrl-C once, Ctrl-Z and on, and its end of input', {
  skip: skip || needs('python3'),
}, async () => {
  // A shell may miss a signal that comes just before it reads, until there is something to read.
  const script = `process.on('SIGINT', () => console.log('<interrupted>'));
    process.stdout.on('resize', () => console.log(process.stdout.getWindowSize().reverse().join(' ')));
    process.stdin.on('data', (line) => console.log('<read ' + String(line).trim() + '>')).on('end', () => process.exit(5));
    if ([0, 1, 2].every((fd) => require('tty').isatty(fd))) console.log('<tty>');`;
  const output = await sameInTerminal(
    [process.execPath, '-e', script],
    [
      ['<tty>', [31, 97]],
      ['31 97', '\x03'],
      ['<interrupted>', '\x1a'],
      ['<stopped>', 'typed\n'],
      ['<read typed>', '\x04'],
    ],
  );
  assert.match(output, /<stopped>.*<ended 5>/s);
  assert.equal(output.split('<interrupted>').length, 2, output);
});

test('a terminal: Ctrl-C and Ctrl-\\ end what does not listen', { skip: skip || needs('python3') }, async () => {
  // No shell, which pays no heed to SIGQUIT until it has become another program.
  const words = [process.execPath, '-e', 'console.log("<ready>"); setInterval(() => {}, 1000)'];
  assert.match(await sameInTerminal(words, [['<ready>', '\x03']]), /<ended 130>/);
  assert.match(await sameInTerminal(words, [['<ready>', '\x1c']]), /<ended 131>/);
});

test('a terminal: an interactive shell has job control', { skip: skip || needs('python3') }, async () => {
  const says = 'signal.signal(signal.SIGCONT, lambda *_: print("ag" "ain")); signal.signal(signal.SIGINT, lambda *_: sys.exit(3))';
  const job = `python3 -u -c 'import signal, sys; ${says}; print("st" "arted"); [signal.pause() for _ in iter(int, 1)]'`;
  const output = await sameInTerminal(
    ['env', String.raw`PS1=\#> `, 'bash', '--norc', '--noprofile', '--noediting', '-i'],
    [
      ['1> ', `${job}\n`],
      ['started\r\n', '\x1a'],
      ['2> ', 'fg\n'],
      ['again\r\n', '\x03'],
      ['3> ', 'echo "code $?"; exit 7\n'],
    ],
  );
  assert.match(output, /Stopped.*code 3\r\n.*<ended 7>/s);
});
