/** Ctrl-C at a terminal: the command that `run --cooperative` runs gets it once; of contained ones see run.test.ts. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const skip = spawnSync('script', ['--version']).status === 0 ? false : 'needs script, for a terminal';
/** Says that the runner has done at SIGINT what it does. */
const TELL = 'data:text/javascript,process.on("SIGINT",()=>setImmediate(()=>console.log("runner done")))';
/** Counts what it gets, and says so at SIGTERM, which comes last; of signals that come together the later may be seen first. */
const COUNTER = `
let interrupts = 0;
process.on('SIGINT', () => { interrupts++; console.log('interrupted'); });
process.on('SIGTERM', () => setImmediate(() => { console.log('interrupts: ' + interrupts); process.exit(0); }));
setInterval(() => {}, 1000);
console.log('counting, started by ' + process.ppid);
`;

test('Ctrl-C reaches the command once', { skip }, async (t) => {
  const mesh = createServer().listen(0, '127.0.0.1');
  await once(mesh, 'listening');
  t.after(() => mesh.close());
  const { port } = mesh.address() as { port: number };
  const program = fileURLToPath(new URL('../sallyport.ts', import.meta.url));
  const line = `exec '${process.execPath}' --import '${TELL}' '${program}' run --cooperative --proxy-address ${port} -- '${process.execPath}' -e "$COUNTER"`;
  const terminal = spawn('script', ['-qec', line, '/dev/null'], { env: { ...process.env, COUNTER, SHELL: '/bin/sh' } });
  t.after(() => terminal.kill('SIGKILL'));
  let said = '';
  const says = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(said);
      if (found) return found;
      const [more] = (await once(terminal.stdout, 'data')) as [Buffer];
      said += more;
    }
  };
  const [, runner] = await says(/started by (\d+)/);
  terminal.stdin.write('\x03');
  await Promise.all([says(/interrupted/), says(/runner done/)]);
  process.kill(Number(runner), 'SIGTERM');
  const [, interrupts] = await says(/interrupts: (\d+)/);
  assert.equal(interrupts, '1');
});
