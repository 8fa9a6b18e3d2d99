// Builds dist/: the command line, its threads, the console's pages and the manual as a few files, with the libraries that are no `dependencies` in them. It starts in two
// thirds of the time of the sources. Runs from npm's `prepare`. With an argument it builds into that folder.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import { buildPages } from './pages.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const folder = process.argv[2] ?? join(root, 'dist');
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

rmSync(folder, { recursive: true, force: true });
const common = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  external: Object.keys(dependencies),
  legalComments: 'eof',
  logLevel: 'warning',
};
await esbuild.build({
  ...common,
  entryPoints: {
    main: join(root, 'src/cli/main.ts'),
    worker: join(root, 'src/proxy/worker.ts'),
    'quick-resolve': join(root, 'src/lib/quick-resolve.ts'),
    'audit-thread': join(root, 'src/audit/thread.ts'),
    'console-thread': join(root, 'src/console/questions/thread.ts'),
  },
  outdir: folder,
  // All in one folder: modules find the worker's entry and the package's root from where they are.
  chunkNames: '[name]-[hash]',
  splitting: true,
  // CommonJS libraries ask for Node's modules with it.
  banner: { js: "import { createRequire as sallyportRequire } from 'node:module'; const require = sallyportRequire(import.meta.url);" },
});
// One small file, which is read before each contained command.
await esbuild.build({ ...common, entryPoints: { 'sandbox-helper': join(root, 'src/sandbox/inside.ts') }, outdir: folder });
// One small file, which is copied onto the nodes of a cluster and starts for each pod there.
await esbuild.build({ ...common, entryPoints: { 'cni-plugin': join(root, 'src/kube/cni/plugin.ts') }, outdir: folder });

// The command that starts in front of traffic, and the code that V8 makes of it in a start.
const proxy = join(folder, 'proxy.cjs');
await esbuild.build({
  ...common,
  format: 'cjs',
  // V8 keeps the text for as long as the process runs: a megabyte of it is blanks and comments.
  minifyWhitespace: true,
  entryPoints: [join(root, 'src/cli/proxy-main.ts')],
  outfile: proxy,
  define: { 'import.meta.url': 'sallyportUrl' },
  banner: { js: "const sallyportUrl = require('node:url').pathToFileURL(require.resolve('./proxy.cjs')).href;" },
});
try {
  execFileSync(process.execPath, [join(root, 'scripts/compile.mjs'), proxy], { stdio: 'pipe', timeout: 60_000, killSignal: 'SIGKILL' });
} catch (error) {
  // It starts without, only later.
  console.warn(`build: the start of sallyport proxy is not compiled: ${error.stderr || error.message}`);
}

await buildPages(join(folder, 'ui'));

const { manualPages } = await import(pathToFileURL(join(folder, 'main.js')).href);
mkdirSync(join(folder, 'man'));
for (const [name, text] of await manualPages()) writeFileSync(join(folder, 'man', name), text);
