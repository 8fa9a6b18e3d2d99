/** Changes that mend a finding by themselves: as a diff, and written to the file where that is allowed. */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { originOf } from '../api/resource.ts';
import { isUnder, STDIN } from '../config/scan.ts';
import { isRevision } from '../inputs/revision.ts';
import { SallyportError } from '../lib/errors.ts';
import type { Finding, Position } from '../lib/finding.ts';
import { originText } from '../lib/origin.ts';
import { checkRegular, readRegularFile } from '../lib/regular-file.ts';
import type { MeshShown, Moment } from './subject.ts';
import { mayBeSecret } from './views.ts';

/** By what a browser names a finding. */
export interface FindingKey {
  readonly code: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A file before and after the change. */
export interface MendedFile {
  readonly finding: Finding & { readonly position: Position };
  readonly file: string;
  readonly before: string;
  readonly after: string;
  /** Of what was read: it is written over nothing else. */
  readonly digest: string;
  /** As `git apply` takes it in the folder that is shown. */
  readonly patch: string;
}

/** Lines of a diff before and behind the one that changes. */
const CONTEXT = 3;
const BOM = '\ufeff';

/** Throws `no-such-finding`, `no-mend`, `changed`, or what reading throws. */
export function mendedFile({ paths, now }: MeshShown, key: FindingKey): MendedFile {
  if (paths.some(isRevision)) throw new SallyportError('no-mend', 'a revision is what it is: its files are not there to be changed');
  const finding = findingOf(now(), key);
  const { position, mend } = finding;
  const { file } = position;
  if (!mend) throw new SallyportError('no-mend', 'no change is known that mends it by itself');
  if (!isOfResources(now(), file)) throw new SallyportError('no-mend', `no resource that is shown was read from ${file}`);
  const before = textIn(file);
  const lines = before.split('\n');
  const line = lines[position.line - 1] ?? '';
  const start = position.column - 1 + (position.line === 1 && before.startsWith(BOM) ? 1 : 0);
  if (!line.startsWith(mend.from, start))
    throw new SallyportError('changed', `${file} has changed since it was read: it is read again first`);
  const [from, to] = documentAround(lines, position.line - 1);
  if (mayBeSecret(lines.slice(from, to).join('\n'))) throw new SallyportError('no-mend', 'it is in a Secret, which is not shown');
  const changed = line.slice(0, start) + mend.to + line.slice(start + mend.from.length);
  const after = lines.with(position.line - 1, changed).join('\n');
  return {
    finding,
    file,
    before,
    after,
    digest: digestOf(before),
    patch: patchOf(nameOf(paths, file), lines, changed, position.line - 1, from, to),
  };
}

/** Bytes that are no UTF-8 would not be written back as they were. Throws `no-mend`. */
function textIn(file: string): string {
  const bytes = readRegularFile(file);
  if (!isUtf8(bytes)) throw new SallyportError('no-mend', `${file} is not UTF-8`);
  return bytes.toString('utf8');
}

function findingOf({ findings }: Moment, { code, file, line, column }: FindingKey): Finding & { readonly position: Position } {
  const found = findings.find(
    ({ code: own, position }) => own === code && position?.file === file && position.line === line && position.column === column,
  );
  if (!found?.position) throw new SallyportError('no-such-finding', 'there is no such finding any more');
  return { ...found, position: found.position };
}

function isOfResources({ snapshot, findings }: Moment, file: string): boolean {
  const origins = new Set(findings.filter(({ position }) => position?.file === file).map(({ origin }) => originText(origin)));
  return snapshot.all().some((resource) => resource.source.file === file && origins.has(originText(originOf(resource))));
}

/** The lines of the document in which a line stands: those of others are not shown beside it, as they may be a Secret's. */
function documentAround(lines: readonly string[], line: number): [from: number, to: number] {
  const isMarker = (text: string) => /^(?:---|\.\.\.)(?=\s|$)/.test(text);
  const from = lines.findLastIndex((text, i) => i < line && isMarker(text)) + 1;
  const to = lines.findIndex((text, i) => i > line && isMarker(text));
  return [from, to < 0 ? lines.length : to];
}

function patchOf(name: string, lines: readonly string[], changed: string, at: number, from: number, to: number): string {
  const start = Math.max(from, at - CONTEXT);
  // What is behind the last line break is no line.
  const end = Math.min(to, at + CONTEXT + 1, lines.at(-1) === '' ? lines.length - 1 : lines.length);
  const written = (mark: string, text: string, i: number) =>
    `${mark}${text}\n${i === lines.length - 1 ? '\\ No newline at end of file\n' : ''}`;
  const body = lines
    .slice(start, end)
    .map((text, i) => (start + i === at ? written('-', text, at) + written('+', changed, at) : written(' ', text, start + i)));
  const size = end - start;
  const head = `diff --git a/${name} b/${name}\n--- a/${name}\n+++ b/${name}\n@@ -${start + 1},${size} +${start + 1},${size} @@\n`;
  return head + body.join('');
}

/** The file as it is called below what is shown. */
function nameOf(paths: readonly string[], file: string): string {
  const root = rootOf(paths, resolve(file), resolve);
  return root === undefined || root === resolve(file) ? relative(dirname(file), file) : relative(root, resolve(file));
}

function rootOf(paths: readonly string[], file: string, real: (path: string) => string): string | undefined {
  return paths
    .filter((path) => path !== STDIN)
    .map((path) => real(path))
    .find((path) => isUnder(file, path));
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Writes the change that was shown, if the file still is what the change was made of and lies, links resolved, under the paths that are shown.
 * The file is replaced at once: whoever reads it has the one or the other. Throws `changed`, `outside`, `not-writable`, and what `mendedFile` throws.
 */
export function writeMend(shown: MeshShown, key: FindingKey, digest: string): MendedFile {
  const mended = mendedFile(shown, key);
  const real = realpathSync(mended.file);
  if (rootOf(shown.paths, real, realpathSync) === undefined)
    throw new SallyportError('outside', `${mended.file} leads to ${real}, which is not under what is shown: it is not written`);
  if (mended.digest !== digest)
    throw new SallyportError('changed', `${mended.file} has changed since the change was shown: look at it again`);
  replace(real, mended.after, mended.digest);
  return mended;
}

/** A file can be replaced wherever its folder can be written; that it may itself not be written is respected, also by root. */
function checkWritable(file: string, { mode }: Stats): void {
  if ((mode & 0o222) !== 0 && isWritable(file)) return;
  throw new SallyportError('not-writable', `${file} may not be written (mode ${(mode & 0o777).toString(8)}): it is left as it is`);
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function replace(file: string, text: string, digest: string): void {
  const stats = statSync(file);
  checkRegular(file, stats);
  checkWritable(file, stats);
  const beside = join(dirname(file), `.sallyport-${process.pid}-${digest.slice(0, 16)}`);
  const fd = openSync(beside, 'wx', 0o600);
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
    closeSync(fd);
    const own = statSync(beside);
    if (own.uid !== stats.uid || own.gid !== stats.gid) chownSync(beside, stats.uid, stats.gid);
    chmodSync(beside, stats.mode & 0o777);
    if (digestOf(textIn(file)) !== digest) throw new SallyportError('changed', `${file} is being changed: look at it again`);
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}
