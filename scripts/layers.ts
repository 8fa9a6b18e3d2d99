// Which folder of src/ may import which, and which folders are pure: the table from which Biome's overrides are made (biome.layers.json), so that its
// rules, which know each form of an import, do the checking. Biome matches the specifier as it is written, hence an override for each depth of folder.
// `node scripts/layers.ts` writes the file; `--check` fails if the file is not what the table says.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A folder of src/ and the folders that it may import, itself aside. A folder that is not here may import nothing outside itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  api: ['lib'],
  'gateway-api': ['lib', 'api'],
  policy: ['lib', 'api', 'learn'],
  config: ['lib', 'api', 'gateway-api', 'policy'],
  registry: ['lib', 'api', 'config'],
  xds: ['lib'],
  http: ['lib', 'xds'],
  analysis: ['lib', 'api', 'config', 'registry', 'xds'],
  translate: ['lib', 'api', 'config', 'registry', 'xds'],
  simulate: ['lib', 'xds', 'http'],
  ca: ['lib', 'xds', 'http'],
  learn: ['lib', 'api'],
  convert: ['lib', 'api', 'config', 'registry'],
  kube: ['lib', 'api', 'gateway-api', 'config'],
  prove: ['lib', 'api', 'policy', 'config', 'registry', 'translate', 'xds', 'http', 'simulate', 'learn', 'convert', 'kube'],
  inputs: ['lib', 'api', 'config', 'analysis', 'xds', 'simulate', 'admin', 'learn', 'convert', 'prove'],
  demo: ['lib', 'xds', 'control', 'report'],
  flows: ['lib'],
  report: ['lib', 'api', 'analysis', 'audit', 'convert', 'xds', 'simulate', 'learn', 'prove', 'flows', 'inputs'],
  audit: ['lib', 'xds', 'flows'],
  proxy: ['lib', 'xds', 'http', 'flows', 'audit'],
  admin: ['lib', 'xds', 'http', 'flows', 'proxy'],
  engine: ['lib', 'xds', 'http', 'flows', 'audit', 'proxy', 'admin'],
  agent: ['lib', 'xds', 'ca', 'flows', 'engine', 'proxy'],
  control: [
    'lib',
    'api',
    'gateway-api',
    'policy',
    'config',
    'registry',
    'analysis',
    'translate',
    'xds',
    'ca',
    'learn',
    'kube',
    'prove',
    'report',
    'engine',
    'agent',
    'audit',
    'flows',
    'proxy',
    'sandbox',
  ],
  sandbox: ['lib'],
  console: ['lib', 'api', 'config', 'analysis', 'xds', 'simulate', 'prove', 'inputs', 'flows', 'admin', 'control'],
  lsp: ['lib', 'api', 'config', 'analysis', 'prove'],
  cli: ['*'],
};

/** Folders without I/O, clock, randomness or process: the same input gives the same output. */
const PURE = [
  'api',
  'gateway-api',
  'policy',
  'registry',
  'analysis',
  'translate',
  'http',
  'simulate',
  'learn',
  'convert',
  'prove',
  'report',
  'xds/match',
  'audit/chain',
  'kube/injection',
  'kube/capture',
];

const TIME = 'take the time as a parameter';
const WAIT = 'leave waiting to the caller';
const IMPURE_GLOBALS = {
  console: 'return what is to be said',
  crypto: 'take the source of randomness as a parameter',
  fetch: 'take the content as a parameter',
  globalThis: 'name the global itself',
  performance: TIME,
  process: 'take what it needs of the process as a parameter',
  queueMicrotask: WAIT,
  setImmediate: WAIT,
  setInterval: WAIT,
  setTimeout: WAIT,
};

/** Folders nest no deeper; in a deeper one every import from outside it is refused. */
const DEPTHS = [1, 2, 3, 4];

const NOT_PRODUCT = { group: ['**/*.test.ts'], message: 'A unit test: move what both need to a module of its own.' };
const GENERATED_ONLY = {
  group: ['./**/*.js', '../**/*.js', '!**/gen/**'],
  message: 'Import the .ts file: sources run as they are, only generated code ends in .js.',
};
const NO_BUILTINS = { group: ['node:*', '!node:crypto'], message: 'The folder is pure: pass what the module gives in as a parameter.' };

interface Pattern {
  readonly group: readonly string[];
  readonly message: string;
}

/** An override for the files in `folder` whose path below src/ has `depth` folders. Each states all of its patterns, for the last override that fits counts. */
function override(includes: string, own: Pattern, pure: boolean) {
  const patterns = [own, NOT_PRODUCT, GENERATED_ONLY, ...(pure ? [NO_BUILTINS] : [])];
  const allowImportNames = ['createHash', 'createPrivateKey', 'createPublicKey', 'Hash', 'KeyObject', 'verify', 'X509Certificate'];
  const paths = pure ? { 'node:crypto': { allowImportNames, message: 'The folder is pure: no randomness.' } } : {};
  const noRestrictedImports = { level: 'error', options: { paths, patterns } };
  const noRestrictedGlobals = pure ? { noRestrictedGlobals: { level: 'error', options: { deniedGlobals: IMPURE_GLOBALS } } } : {};
  return {
    includes: [includes, '!**/*.test.ts'],
    linter: { rules: { style: { noRestrictedImports, ...noRestrictedGlobals } } },
    ...(pure ? { plugins: ['./scripts/lint/pure.grit'] } : {}),
  };
}

/** What a file may not import by its way up to src/: folders that its own may not, and anything outside src/. */
function upward(folder: string, depth: number): Pattern {
  const up = '../'.repeat(depth);
  const allowed = MAY_IMPORT[folder]!;
  const list = allowed.length === 0 ? 'nothing else of src/' : allowed.includes('*') ? 'all folders of src/' : allowed.join(', ');
  return {
    // The last two are ways round: down into a folder and up again.
    group: [`${up}**`, ...allowed.map((name) => `!${up}${name}/**`), `${up}../**`, `${up}*/../**`, './**/../**'],
    message: `src/${folder} may import ${list} (scripts/layers.ts): pass the thing in, or move it down.`,
  };
}

function layers() {
  const unknown = {
    group: ['../**'],
    message: 'This folder has no place in the layers: name it in scripts/layers.ts, with what it may import.',
  };
  const files = (folder: string, depth: number) => `src/${folder}/${'*/'.repeat(depth - folder.split('/').length)}*.ts`;
  return [
    override('src/**', unknown, false),
    ...Object.keys(MAY_IMPORT).flatMap((folder) =>
      DEPTHS.map((depth) => override(files(folder, depth), upward(folder, depth), PURE.includes(folder))),
    ),
    ...PURE.filter((folder) => folder.includes('/')).flatMap((folder) =>
      DEPTHS.filter((depth) => depth >= folder.split('/').length).map((depth) =>
        override(files(folder, depth), upward(folder.split('/')[0]!, depth), true),
      ),
    ),
  ];
}

const file = join(import.meta.dirname, '../biome.layers.json');
const wanted = `{ "overrides": [\n${layers()
  .map((each) => JSON.stringify(each))
  .join(',\n')}\n] }\n`;
if (!process.argv.includes('--check')) writeFileSync(file, wanted);
else if (readFileSync(file, 'utf8') !== wanted) {
  console.error('biome.layers.json is not what scripts/layers.ts says: run node scripts/layers.ts');
  process.exitCode = 1;
}
