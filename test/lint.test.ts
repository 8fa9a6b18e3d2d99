import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');
const BIOME = join(ROOT, 'node_modules/.bin/biome');

/** What Biome, set up as it is here, says of files: `file: rule`, sorted. The rules on style that these files would break are not asked. */
async function findings(t: TestContext, files: Readonly<Record<string, string>>): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-lint-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const name of ['biome.json', 'biome.layers.json', '.gitignore', 'scripts/lint'])
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const rules = ['noImportCycles', 'noRestrictedImports', 'noRestrictedGlobals', 'noExcessiveLinesPerFile'];
  const args = ['lint', '--reporter=json', '--max-diagnostics=200', 'src'];
  const text = await new Promise<string>((resolve) => execFile(BIOME, args, { cwd: folder }, (_error, stdout) => resolve(stdout)));
  const { diagnostics } = JSON.parse(text) as { diagnostics: { category: string; location: { path: string } }[] };
  return diagnostics
    .map(({ category, location }) => `${location.path}: ${category.slice(category.lastIndexOf('/') + 1)}`)
    .filter((line) => rules.some((rule) => line.endsWith(rule)) || line.endsWith('plugin'))
    .sort();
}

test('an import against the direction fails in every form, and at every depth of folders', async (t) => {
  const forms = {
    type: "import type { A } from 'PATH';\nexport type B = A;\n",
    value: "import { a } from 'PATH';\nexport const b = a;\n",
    reexport: "export { a } from 'PATH';\n",
    dynamic: "export const a = await import('PATH');\n",
    side: "import 'PATH';\n",
  };
  const target = { 'src/proxy/a.ts': 'export const a = 1;\nexport type A = string;\n' };
  for (const [folder, up] of [
    ['', '../'],
    ['deep/', '../../'],
    ['deep/er/', '../../../'],
    ['deep/er/still/', '../../../../'],
  ] as const) {
    const files = Object.fromEntries(
      Object.entries(forms).map(([form, text]) => [`src/translate/${folder}${form}.ts`, text.replace('PATH', `${up}proxy/a.ts`)]),
    );
    assert.deepEqual(
      await findings(t, { ...target, ...files }),
      Object.keys(files)
        .sort()
        .map((name) => `${name}: noRestrictedImports`),
    );
  }
});

test('what goes down and up again, too deep, from an unknown folder, out of src/, or to a test fails', async (t) => {
  const value = (path: string) => `import { a } from '${path}';\nexport const b = a;\n`;
  const files = {
    'src/translate/a.ts': value('../lib/../proxy/a.ts'),
    'src/translate/b.ts': value('./../proxy/a.ts'),
    'src/translate/c.ts': value('./listeners/../../proxy/a.ts'),
    'src/translate/d.ts': value('../../test/a.ts'),
    'src/translate/e.ts': value('./a.test.ts'),
    'src/translate/f.ts': value('./a.js'),
    'src/translate/1/2/3/4/a.ts': value('../../../../../lib/a.ts'),
    'src/unheard/a.ts': value('../lib/a.ts'),
  };
  assert.deepEqual(
    await findings(t, files),
    Object.keys(files)
      .sort()
      .map((name) => `${name}: noRestrictedImports`),
  );
  const type = { 'src/translate/a.ts': "export type A = import('../proxy/a.ts').A;\n" };
  assert.deepEqual(await findings(t, type), ['src/translate/a.ts: plugin']);
});

test('an import along the direction, within a folder, of generated code, or by a unit test is fine', async (t) => {
  const value = (path: string) => `import { a } from '${path}';\nexport const b = a;\n`;
  const files = {
    'src/lib/a.ts': 'export const a = 1;\n',
    'src/translate/a.ts': value('../lib/a.ts'),
    'src/translate/b.ts': value('./a.ts'),
    'src/translate/c.ts': value('../xds/gen/a_pb.js'),
    'src/translate/d.ts': value('ipaddr.js'),
    'src/translate/deep/a.ts': value('../a.ts'),
    'src/translate/deep/b.ts': value('../../lib/a.ts'),
    'src/translate/a.test.ts': value('../proxy/a.ts'),
    'src/api/gateway-api/a.ts': value('../a.ts'),
    'src/api/a.ts': value('./gateway-api/b.ts'),
    'src/cli/a.ts': value('../proxy/a.ts'),
  };
  assert.deepEqual(await findings(t, files), []);
  assert.deepEqual(await findings(t, { 'src/api/deep/a.ts': value('../../gateway-api/a.ts') }), ['src/api/deep/a.ts: noRestrictedImports']);
});

test('a circle fails, of types alone too', async (t) => {
  const files = {
    'src/lib/a.ts': "import type { B } from './b.ts';\nexport type A = B | 1;\n",
    'src/lib/b.ts': "import type { A } from './a.ts';\nexport type B = A | 2;\n",
  };
  assert.deepEqual(await findings(t, files), ['src/lib/a.ts: noImportCycles', 'src/lib/b.ts: noImportCycles']);
});

test('a pure folder has no I/O, clock, randomness or process', async (t) => {
  const bodies: readonly (readonly [text: string, rule: string])[] = [
    ["import { readFileSync } from 'node:fs';\nexport const a = readFileSync;", 'noRestrictedImports'],
    ["import { randomBytes } from 'node:crypto';\nexport const a = randomBytes;", 'noRestrictedImports'],
    ["import process from 'node:process';\nexport const a = process;", 'noRestrictedImports'],
    ['export const a = process.env.A;', 'noRestrictedGlobals'],
    ['export const a = globalThis.process;', 'noRestrictedGlobals'],
    ['console.log(1);', 'noRestrictedGlobals'],
    ['setTimeout(() => undefined, 1);', 'noRestrictedGlobals'],
    ['export const a = fetch;', 'noRestrictedGlobals'],
    ['export const a = performance.now();', 'noRestrictedGlobals'],
    ['export const a = crypto.randomUUID();', 'noRestrictedGlobals'],
    ['export const a = Math.random();', 'plugin'],
    ['export const a = Date.now;', 'plugin'],
    ['export const a = new Date();', 'plugin'],
    ['export const a = new Date;', 'plugin'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the source that is checked
    ['export const a = `${Math.random()}`;', 'plugin'],
  ];
  for (const folder of ['analysis', 'analysis/deep', 'xds/match']) {
    const files = Object.fromEntries(bodies.map(([text], index) => [`src/${folder}/${index}.ts`, `${text}\n`]));
    assert.deepEqual(await findings(t, files), bodies.map(([, rule], index) => `src/${folder}/${index}.ts: ${rule}`).sort());
  }
  const fine = {
    'src/analysis/a.ts': "import { X509Certificate } from 'node:crypto';\nexport const a = [X509Certificate, new Date('2020-01-01')];\n",
    'src/analysis/b.ts': "// Math.random() and process.env\nexport const process = 'Date.now()';\nexport const a = process;\n",
    'src/config/a.ts':
      "import { readFileSync } from 'node:fs';\nexport const a = [readFileSync, process.env.A, Math.random(), Date.now(), new Date()];\n",
    'src/xds/a.ts': 'export const a = process.env.A;\n',
  };
  assert.deepEqual(await findings(t, fine), []);
});

test('a file of more than 400 lines says why', async (t) => {
  const lines = (count: number) => Array.from({ length: count }, (_, index) => `export const a${index} = 1;\n`).join('');
  const files = {
    'src/lib/fits.ts': lines(400),
    'src/lib/long.ts': lines(401),
    'src/lib/says.ts': `// biome-ignore-all lint/style/noExcessiveLinesPerFile: a table.\n${lines(401)}`,
    'src/lib/long.test.ts': lines(401),
  };
  assert.deepEqual(await findings(t, files), ['src/lib/long.ts: noExcessiveLinesPerFile']);
});

/** Files of the system and of our own, which no user names. */
const OWN_FILES = [
  'console/assets.ts',
  'control/contained/caller.ts',
  'control/contained/own-code.ts',
  'demo/run.ts',
  'engine/envoy/leftovers.ts',
  'kube/cni/node-files.ts',
  'kube/cni/plugin.ts',
  'kube/iptables.ts',
  'lib/listen.ts',
  'lib/version.ts',
  'proxy/dns/system.ts',
  'sandbox/hidden.ts',
  'sandbox/namespaces.ts',
  'sandbox/pause.ts',
  'sandbox/quiet.ts',
  'sandbox/signals.ts',
];

const READS = /\bfs\.readFile\(|^import \{[^}]*\breadFile(?:Sync)?\b[^}]*\} from 'node:fs/m;

test('what a user names is read as a regular file: a FIFO or a device holds nobody up', () => {
  const reading = globSync('src/**/*.ts', { cwd: ROOT, exclude: ['**/*.test.ts', 'src/xds/gen/**'] })
    .filter((file) => file !== 'src/lib/regular-file.ts' && READS.test(readFileSync(join(ROOT, file), 'utf8')))
    .map((file) => file.slice('src/'.length))
    .sort();
  assert.deepEqual(reading, OWN_FILES, 'read it with lib/regular-file.ts, or name it here if no user names its file');
});

test('each generated test has a seed: what lands does not depend on chance', () => {
  const counts = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0;
  for (const file of globSync('{src,test}/**/*.test.ts', { cwd: ROOT })) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    assert.ok(counts(text, /\bfc\.assert\(/g) <= counts(text, /\bseed: /g), `${file}: give each fc.assert a seed, such as { seed: 1 }`);
  }
});

test('a key from outside is not asked of what every object inherits', async (t) => {
  const table = (text: string) => `const TABLE: Readonly<Record<string, number>> = { a: 1 };\n${text}`;
  const files = {
    'src/lib/table.ts': table('export const a = (key: string) => TABLE[key];\n'),
    'src/lib/cast.ts': 'const ONE = { a: 1 } as const;\nexport const a = (key: string) => ONE[key as keyof typeof ONE];\n',
    'src/lib/within.ts': 'export const a = (key: string, all: object) => key in all;\n',
    'src/lib/right.ts': "export const a = (all: object) => 'kind' in all && Object.hasOwn(all, 'kind');\n",
    'src/lib/right.test.ts': table('export const a = (key: string) => key in TABLE;\n'),
  };
  assert.deepEqual(await findings(t, files), ['src/lib/cast.ts: plugin', 'src/lib/table.ts: plugin', 'src/lib/within.ts: plugin']);
});
