#!/usr/bin/env node
// Starts the command line. Plain JavaScript that Node 20 reads, so that an old Node can hand over to the one the package pins.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import * as module from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ownCacheFolder } from './compile-cache.js';
import { compiled } from './compiled.js';

const NEEDED = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));

if (Number(process.versions.node.split('.')[0]) >= NEEDED) {
  const cache = ownCacheFolder();
  if (cache !== undefined) module.enableCompileCache?.(cache);
  // Worker threads look here.
  const inUse = module.getCompileCacheDir?.();
  if (inUse !== undefined) process.env.NODE_COMPILE_CACHE ??= inUse;
  const load = (file) => import(pathToFileURL(join(root, file)).href);
  const fromBuild = buildIsCurrent();
  const ofCommand = fromBuild && process.argv[2] === 'proxy' ? compiled(join(root, 'dist/proxy.cjs')) : undefined;
  if (!ofCommand) (await load(fromBuild ? 'dist/quick-resolve.js' : 'src/lib/quick-resolve.ts')).quickenResolution();
  const { main } = ofCommand ?? (await load(fromBuild ? 'dist/main.js' : 'src/cli/main.ts'));
  await main(process.argv.slice(2));
} else {
  const node = pinnedNode();
  if (node) handOver(node);
  else {
    console.error(
      `sallyport needs Node ${NEEDED} or later, and this is ${process.version} (${process.execPath}).\n` +
        'Install it from https://nodejs.org, or put it beside the package: npm install node@24',
    );
    process.exitCode = 3;
  }
}

/** In a clone the sources run if one of them is newer than the build; the generated ones are made with it. */
function buildIsCurrent() {
  const sources = join(root, 'src');
  if (!existsSync(sources)) return true;
  const built = statSync(join(root, 'dist/main.js'), { throwIfNoEntry: false });
  if (!built) return false;
  const unchanged = (folder) =>
    statSync(folder).mtimeMs <= built.mtimeMs &&
    readdirSync(folder, { withFileTypes: true }).every((entry) =>
      entry.isDirectory()
        ? entry.name === 'gen' || unchanged(join(folder, entry.name))
        : statSync(join(folder, entry.name)).mtimeMs <= built.mtimeMs,
    );
  return unchanged(sources);
}

/** The binary of the npm package `node`, if it is installed where this package can see it. */
function pinnedNode() {
  try {
    const binary = join(dirname(module.createRequire(import.meta.url).resolve('node/package.json')), 'bin/node');
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

function handOver(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  // Those of a terminal come to both.
  const ofTerminal = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGWINCH'];
  for (const signal of [...ofTerminal, 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGALRM'])
    process.on(signal, () => {
      if (!ofTerminal.includes(signal) || !isForeground()) child.kill(signal);
    });
  child.on('error', (error) => {
    console.error(`sallyport: cannot run ${node}: ${error.message}`);
    process.exitCode = 3;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}

/** As in src/sandbox/signals.ts: whether the process's group is in the foreground of a terminal. */
function isForeground() {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return group === foreground;
  } catch {
    return process.stdin.isTTY === true;
  }
}
