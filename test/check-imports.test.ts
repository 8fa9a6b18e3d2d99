import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkSource, checkTree } from '../scripts/check-imports.ts';
import { blankOut, importsOf } from '../scripts/source-text.ts';

const messages = (path: string, source: string) => checkSource(path, source).map(({ line, message }) => `${line}: ${message}`);

test('a folder may import what lies below it', () => {
  assert.deepEqual(
    messages('translate/x.ts', "import { a } from '../lib/errors.ts';\nimport type { S } from '../config/snapshot.ts';\n"),
    [],
  );
  assert.deepEqual(
    messages('cli/up.ts', "import { run } from '../proxy/index.ts';\nimport fs from 'node:fs';\nprocess.exit(Date.now());\n"),
    [],
  );
});

test('an import against the direction names the line, the folders and the way out', () => {
  const wanted =
    '2: translate must not import proxy (../proxy/types.ts); it may import lib, api, config, registry, xds. Pass the thing in, or move it down';
  assert.deepEqual(messages('translate/x.ts', "// why\nimport type { Cluster } from '../proxy/types.ts';\n"), [wanted]);
  assert.deepEqual(messages('translate/x.ts', "\nexport { Cluster } from '../proxy/types.ts';\n"), [wanted]);
  assert.deepEqual(messages('translate/x.ts', "\nconst types = await import('../proxy/types.ts');\n"), [wanted]);
  assert.match(messages('lib/x.ts', "import '../api/index.ts';")[0]!, /^1: lib must not import api .*nothing else of src\//);
  assert.match(messages('proxy/a/b.ts', "import {\n  c,\n} from '../../registry/model.ts';")[0]!, /^3: proxy must not import registry/);
  assert.match(messages('proxy/a.ts', "import { c } from '../../test/x.ts';")[0]!, /outside src/);
  assert.match(messages('unknown/a.ts', '')[0]!, /no place in the layering/);
});

test('a pure folder has no I/O, clock, randomness or process', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["import { readFileSync } from 'node:fs';", /registry is pure and must not import node:fs/],
    ["import { connect } from 'node:net';", /of node:net it may import isIP, isIPv4, isIPv6, not connect/],
    ["import * as net from 'node:net';", /not \*/],
    ['const now = Date.now();', /must not use Date\.now: take the time as a parameter/],
    ['const now = new Date();', /must not use new Date\(\)/],
    ['const r = Math.random();', /must not use Math\.random/],
    ['if (process.env.X) f();', /must not use process\./],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the source that is checked
    ['const s = `${process.pid}`;', /must not use process\./],
    ['setTimeout(f, 1);', /must not use setTimeout\(/],
    ['const re = /"/; const t = Math.random(); const q = "";', /Math\.random/],
  ];
  for (const [source, wanted] of cases) {
    const found = messages('registry/x.ts', source);
    assert.equal(found.length, 1, source);
    assert.match(found[0]!, wanted);
    assert.deepEqual(messages('config/x.ts', source), [], source);
  }
  assert.match(messages('xds/match/x.ts', 'Math.random()')[0]!, /xds\/match is pure/);
});

test('what only looks like a violation is none', () => {
  for (const source of [
    "import { isIP } from 'node:net';",
    "// import { x } from '../proxy/types.ts'; Date.now()\n/* process.exit */",
    "const text = 'process.env and Date.now() and Math.random()';",
    'const text = `Date.now() is forbidden`;',
    'const at = new Date(text); const process = { id: 1 }; f(process);',
    'const re = /Date.now()/; this.process.run(); preprocess.x();',
    'export const imported = "from"; const a = ["../proxy/types.ts"];',
  ]) {
    assert.deepEqual(messages('analysis/x.ts', source), [], source);
  }
});

test('import statements are found in every form', () => {
  const source =
    "import a, { type B, c as d } from 'x';\nimport * as e from \"y\";\nimport 'z';\nexport * from 'w';\nexport type { F } from 'v';";
  assert.deepEqual(
    importsOf(source).map(({ specifier, line, names }) => [specifier, line, names]),
    [
      ['x', 1, ['B', 'c', 'default']],
      ['y', 2, ['*']],
      ['z', 3, ['*']],
      ['w', 4, ['*']],
      ['v', 5, ['F']],
    ],
  );
});

test('blanking keeps lines and code', () => {
  assert.equal(blankOut('a /* x\ny */ b // c\nd'), 'a     \n     b     \nd');
  assert.equal(blankOut("f('(', /[/']/, 1 / 2)"), "f(' ',       , 1 / 2)");
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the source that is blanked
  assert.equal(blankOut('`a${b + `c${d}`}e`; g'), '` ${b + ` ${d}`} `; g');
});

test('a tree is walked, and the sources of this one hold the rule', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'sallyport-imports-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'src/lib/deep'), { recursive: true });
  writeFileSync(join(root, 'src/lib/deep/a.ts'), "import '../../api/b.ts';\n");
  writeFileSync(join(root, 'src/lib/deep/a.test.ts'), "import '../../api/b.ts';\n");
  const { files, violations } = checkTree(root);
  assert.equal(files, 1);
  assert.equal(violations[0]?.file, 'src/lib/deep/a.ts');
  assert.deepEqual(checkTree(join(import.meta.dirname, '..')).violations, []);
});
