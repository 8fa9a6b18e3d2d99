// The import-direction rule of docs/ARCHITECTURE.md: which folder of src/ may import which, and what the pure ones must not touch.
// `node scripts/check-imports.ts [FOLDER]` prints each violation as `file:line: what is wrong and what to do`; exits 1 if there is one.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { blankOut, importsOf } from './source-text.ts';

/** A folder of src/ and the folders that it may import, itself aside. What is not here may not import, or be imported. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  api: ['lib'],
  'gateway-api': ['lib', 'api'],
  config: ['lib', 'api', 'gateway-api'],
  registry: ['lib', 'api', 'config'],
  xds: ['lib'],
  http: ['lib', 'xds'],
  analysis: ['lib', 'api', 'config', 'registry', 'xds'],
  translate: ['lib', 'api', 'config', 'registry', 'xds'],
  simulate: ['lib', 'xds', 'http'],
  learn: ['lib', 'api'],
  convert: ['lib', 'api', 'config', 'registry'],
  prove: ['lib', 'api', 'config', 'registry', 'translate', 'xds', 'http', 'simulate', 'learn', 'convert', 'kube'],
  proxy: ['lib', 'xds', 'http'],
  ca: ['lib', 'xds'],
  kube: ['lib', 'api', 'config'],
  admin: ['lib', 'xds', 'http', 'proxy'],
  engine: ['lib', 'xds', 'http', 'proxy', 'admin'],
  sandbox: ['lib'],
  control: ['lib', 'api', 'config', 'registry', 'analysis', 'translate', 'xds', 'learn', 'prove', 'engine', 'proxy'],
  cli: [
    'lib',
    'api',
    'gateway-api',
    'config',
    'registry',
    'xds',
    'http',
    'analysis',
    'translate',
    'simulate',
    'learn',
    'convert',
    'prove',
    'proxy',
    'ca',
    'kube',
    'admin',
    'engine',
    'sandbox',
    'control',
  ],
};

/** Folders without I/O, clock, randomness or process: the same input gives the same output. */
const PURE = [
  'api',
  'gateway-api',
  'registry',
  'analysis',
  'translate',
  'simulate',
  'learn',
  'convert',
  'xds/match',
  'http',
  'prove',
  'xds/config-dump',
];

/** Of Node's modules, what a pure folder may take: names, or undefined for all of the module. */
const PURE_BUILTINS: Readonly<Record<string, readonly string[] | undefined>> = {
  'node:buffer': undefined,
  'node:crypto': ['createHash', 'createPrivateKey', 'createPublicKey', 'X509Certificate'],
  'node:net': ['isIP', 'isIPv4', 'isIPv6'],
  'node:path/posix': undefined,
  'node:util': ['isDeepStrictEqual'],
};

/** Globals that a pure folder may not name, and what to do instead. */
const IMPURE_GLOBALS: readonly (readonly [RegExp, string])[] = [
  [/(?<![.\w$])Date\s*\.\s*now\b/, 'take the time as a parameter'],
  [/(?<![.\w$])new\s+Date\s*(?:\(\s*\)|(?![\s(\w$]))/, 'take the time as a parameter'],
  [/(?<![.\w$])performance\s*\.\s*now\b/, 'take the time as a parameter'],
  [/(?<![.\w$])Math\s*\.\s*random\b/, 'take the source of randomness as a parameter'],
  [/(?<![.\w$])crypto\s*\.\s*(?:randomUUID|getRandomValues)\b/, 'take the source of randomness as a parameter'],
  [/(?<![.\w$])process\s*(?:\.|\[)/, 'take what it needs of the process as a parameter'],
  [/(?<![.\w$])console\s*\./, 'return what is to be said'],
  [/(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\s*\(/, 'leave waiting to the caller'],
  [/(?<![.\w$])fetch\s*\(/, 'take the content as a parameter'],
];

export interface Violation {
  /** Relative to the folder that holds src/. */
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

function within(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** Checks one file. `path` is relative to src/, with slashes. Unit tests (`x.test.ts`) wire what they need: only product code is bound. */
export function checkSource(path: string, source: string): Violation[] {
  const violations: Violation[] = [];
  const file = `src/${path}`;
  const report = (line: number, message: string) => violations.push({ file, line, message });
  const folder = path.includes('/') ? path.slice(0, path.indexOf('/')) : '';
  const allowed = MAY_IMPORT[folder];
  if (allowed === undefined) {
    report(
      1,
      `folder src/${folder} has no place in the layering: name it in MAY_IMPORT of scripts/check-imports.ts, with what it may import`,
    );
    return violations;
  }
  const pure = PURE.find((each) => within(path, each));
  for (const { specifier, line, names } of importsOf(source)) {
    if (specifier.startsWith('.')) {
      const target = relative('/src', resolve('/src', dirname(path), specifier))
        .split(sep)
        .join('/');
      const other = target.slice(0, target.indexOf('/'));
      if (target.startsWith('..')) {
        report(line, `imports ${specifier}, which is outside src/: product code stands alone`);
      } else if (target.endsWith('.test.ts')) {
        report(line, `imports the unit test ${specifier}: move what both need to a module of its own`);
      } else if (other !== folder && !allowed.includes(other)) {
        const list = allowed.length === 0 ? 'nothing else of src/' : allowed.join(', ');
        report(line, `${folder} must not import ${other} (${specifier}); it may import ${list}. Pass the thing in, or move it down`);
      } else if (specifier.endsWith('.js') && !specifier.includes('/gen/')) {
        report(line, `import ${specifier.replace(/\.js$/, '.ts')}: sources run as they are, only generated code ends in .js`);
      }
    } else if (pure !== undefined && (specifier.startsWith('node:') || !/^[@a-z]/.test(specifier))) {
      if (!(specifier in PURE_BUILTINS)) {
        report(line, `${pure} is pure and must not import ${specifier}: pass what it gives in as a parameter`);
      } else {
        const only = PURE_BUILTINS[specifier];
        const wrong = only === undefined ? [] : names.filter((name) => !only.includes(name));
        if (wrong.length > 0) report(line, `${pure} is pure: of ${specifier} it may import ${only!.join(', ')}, not ${wrong.join(', ')}`);
      }
    }
  }
  if (pure !== undefined) {
    const lines = blankOut(source).split('\n');
    for (const [index, text] of lines.entries()) {
      for (const [pattern, advice] of IMPURE_GLOBALS) {
        const hit = pattern.exec(text);
        if (hit !== null) report(index + 1, `${pure} is pure and must not use ${hit[0].trim()}: ${advice}`);
      }
    }
  }
  return violations;
}

/** Checks every source below `root`/src, generated code aside. */
export function checkTree(root: string): { files: number; violations: Violation[] } {
  const src = join(root, 'src');
  const paths = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map((path) => path.split(sep).join('/'))
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts') && !path.endsWith('.test.ts') && !within(path, 'xds/gen'))
    .sort();
  return { files: paths.length, violations: paths.flatMap((path) => checkSource(path, readFileSync(join(src, path), 'utf8'))) };
}

if (import.meta.main) {
  const root = process.argv[2] ?? dirname(dirname(fileURLToPath(import.meta.url)));
  const { files, violations } = checkTree(root);
  for (const { file, line, message } of violations) console.error(`${file}:${line}: ${message}`);
  console.log(`check-imports: ${files} files, ${violations.length} violations`);
  process.exitCode = violations.length === 0 && files > 0 ? 0 : 1;
}
