// Builds the console's pages. By esbuild, which builds the rest as well: what vite has beyond it (a development server, plugins) these pages don't need.
import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

const source = join(dirname(dirname(fileURLToPath(import.meta.url))), 'ui');

/** Into this folder. What is not needed for the first view is in chunks of its own. */
export async function buildPages(folder) {
  await esbuild.build({
    entryPoints: [join(source, 'main.tsx'), join(source, 'main.css')],
    outdir: folder,
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: ['chrome123', 'firefox121', 'safari17.5'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'eof',
    logLevel: 'warning',
  });
  for (const name of ['index.html', 'icon.svg']) copyFileSync(join(source, name), join(folder, name));
}
