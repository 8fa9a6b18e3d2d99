import assert from 'node:assert/strict';
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const print = new URL('./print.ts', import.meta.url).href;

function printed(text: string, environment: Record<string, string>): string {
  const program = `import { print, printError } from ${JSON.stringify(print)}; print(process.env.TEXT); printError(process.env.TEXT);`;
  const options: ExecFileSyncOptionsWithStringEncoding = {
    env: { ...environment, TEXT: text },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  };
  return execFileSync(process.execPath, ['--input-type=module', '-e', program], options);
}

test('escape sequences of files are written out, also where there are colours', () => {
  const text = '\u001b[31mred\u001b[39m \u001b]0;title\u0007 \u001b[2J \u001b[8m';
  const rest = ' \\u001b]0;title\\u0007 \\u001b[2J \\u001b[8m';
  assert.equal(printed(text, { FORCE_COLOR: '1' }), `\u001b[31mred\u001b[39m${rest}`);
  assert.equal(printed(text, {}), `\\u001b[31mred\\u001b[39m${rest}`);
});

test('commands write in no other way', () => {
  const folder = new URL('.', import.meta.url).pathname;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
  );
  const writing = files.filter((file) => /process\.std(out|err)\.write|console\./.test(readFileSync(join(folder, file), 'utf8')));
  assert.deepEqual(writing, ['print.ts']);
});
