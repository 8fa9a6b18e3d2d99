/** The plugin among the node's: a folder with all that it runs by, and a small program that starts it. */

import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PLUGIN } from './chained.ts';

const EXTENSIONS = 'xtables';
const SCRIPT = 'plugin.mjs';

/** Puts it there, whole or not at all, unless it is there already; older ones go. @param from where the image has it. @param bin the node's folder of plugins */
export function installPlugin(from: string, bin: string): void {
  const all = join(bin, `${PLUGIN}.d`);
  const id = identityOf(from);
  const target = join(all, id);
  if (!existsSync(target)) {
    const half = `${target}.half`;
    rmSync(half, { recursive: true, force: true });
    mkdirSync(half, { recursive: true });
    copyPlugin(from, half);
    renameSync(half, target);
  }
  writeStarter(bin, id);
  for (const other of readdirSync(all)) if (other !== id) rmSync(join(all, other), { recursive: true, force: true });
}

export function removePlugin(bin: string): void {
  rmSync(join(bin, PLUGIN), { force: true });
  rmSync(join(bin, `${PLUGIN}.d`), { recursive: true, force: true });
}

/** What is linked there is a file here; but an extension of iptables asks by which name it was found, and a link is another one than a file. */
function copyPlugin(from: string, to: string): void {
  cpSync(from, to, { recursive: true, dereference: true, filter: (path) => path !== join(from, EXTENSIONS) });
  cpSync(realpathSync(join(from, EXTENSIONS)), join(to, EXTENSIONS), { recursive: true, verbatimSymlinks: true });
}

/** Of what it is made of: other programs have other sizes, and the script's text is small. */
function identityOf(from: string): string {
  const hash = createHash('sha256').update(readFileSync(join(from, SCRIPT)));
  const files = readdirSync(from, { recursive: true, encoding: 'utf8' }).sort();
  for (const file of files) hash.update(`${file} ${statSync(join(from, file)).size}\n`);
  return hash.digest('hex').slice(0, 16);
}

/** With a loader and libraries of its own: a node's may be others, or none. */
function writeStarter(bin: string, id: string): void {
  const path = join(bin, PLUGIN);
  const text = `#!/bin/sh
here=\${0%/*}/${PLUGIN}.d/${id}
exec "$here/ld.so" --library-path "$here/lib" "$here/node" "$here/${SCRIPT}"
`;
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  const half = join(bin, `.${PLUGIN}`);
  writeFileSync(half, text);
  chmodSync(half, 0o755);
  renameSync(half, path);
}
