import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../../test/integration/tools.ts';
import { manualText } from '../report/manual.ts';
import { COMMAND_NAMES, commandOf, manualPages } from './main.ts';

const pages = await manualPages();

test('each command has a page, and the package names them all', () => {
  const { man } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { man: string[] };
  const wanted = ['sallyport.1', ...COMMAND_NAMES.map((name) => `sallyport-${name}.1`)].sort();
  assert.deepEqual([...pages.keys()].sort(), wanted);
  assert.deepEqual(man.sort(), wanted.map((name) => `dist/man/${name}`).sort());
});

test('mandoc finds nothing wrong with them', { skip: needs('mandoc') }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-man-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of pages) writeFileSync(join(folder, name), text);
  const { stdout, stderr, status } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', ...pages.keys()], {
    cwd: folder,
    encoding: 'utf8',
  });
  assert.ok(status !== null, stderr);
  // There is no date on purpose.
  const wrong = stdout.split('\n').filter((line) => line !== '' && !line.includes('missing date'));
  assert.deepEqual(wrong, []);
});

/** Bold characters are written twice. */
const OVERSTRUCK = new RegExp(`.${String.fromCharCode(8)}`, 'gu');

/** The page as a reader has it, in one line. */
function read(text: string): string {
  const output = execFileSync('mandoc', ['-T', 'utf8', '-O', 'width=1000'], { input: text, encoding: 'utf8' });
  return output.replace(OVERSTRUCK, '').replaceAll(/\s+/g, ' ');
}

test('a page says what --help says: every argument, option and example', { skip: needs('mandoc') }, async () => {
  for (const name of ['run', 'analyze', 'flows', 'proxy-config']) {
    const page = read(pages.get(`sallyport-${name}.1`)!);
    const command = await commandOf(name, []);
    const help = command.createHelp();
    const said = [
      ...help.visibleOptions(command).flatMap((option) => [help.optionTerm(option), help.optionDescription(option)]),
      command.description(),
    ];
    for (const text of said) assert.ok(page.includes(text.replaceAll(/\s+/g, ' ')), `${name}: ${text}\n${page}`);
  }
});

test('names keep their capitals in summaries', () => {
  const overview = pages.get('sallyport.1')!;
  for (const summary of ['JSON Schema of the resources', 'Istio’s resources as Kubernetes']) assert.ok(overview.includes(summary), summary);
});

test('text of a description cannot become a request', { skip: needs('mandoc') }, () => {
  const text = `.so /etc/passwd\n'br\n\\n(.c "a" - it's`;
  const page = manualText(
    {
      words: ['a'],
      summary: text.split('\n')[0]!,
      usage: text,
      description: text,
      sections: [{ heading: text.slice(-5), entries: [{ term: '.x', text }] }],
      examples: [text],
      seeAlso: ['b', 'c'],
    },
    '1',
  );
  assert.ok(read(page).includes(`DESCRIPTION .so /etc/passwd 'br \\n(.c "a" - it's`), read(page));
});
