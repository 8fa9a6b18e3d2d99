/** Programs that `run` starts outside of the sandbox: the contained command must not choose what they do. */
import { accessSync, constants, existsSync, lstatSync, readlinkSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join, resolve, sep } from 'node:path';
import { SallyportError } from '../../lib/errors.ts';
import type { Allowed } from '../../policy/allow.ts';
import { foldersAbove } from '../../sandbox/hidden.ts';
import { resolved, sharedWith } from './folders.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface OutsideProgram {
  /** With its arguments. */
  readonly words: readonly string[];
  /** For messages. */
  readonly what: string;
}

/** Those that credentials come from, and what signs the audit. */
export function outsidePrograms({
  allowed,
  signs,
}: {
  readonly allowed: readonly Allowed[];
  readonly signs?: string | undefined;
}): readonly OutsideProgram[] {
  const credentials = allowed
    .flatMap(({ injections = [] }) => injections)
    .flatMap(({ name, from: { command } }) => (command ? [{ words: command, what: `credential ${name}` }] : []));
  return signs === undefined ? credentials : [...credentials, { words: wordsOf(signs), what: 'the command that signs the audit' }];
}

/** Of a shell's command, as far as its files are concerned. */
function wordsOf(command: string): string[] {
  return command.split(/[\s;|&<>()"']+/).filter(Boolean);
}

/**
 * The folders in which the command is to write nothing: those that decide what the program is, and files that its arguments name, as far as this user may
 * change that.
 * @throws SallyportError `program-unprotected` where the command has to write there
 */
export function foldersToKeep(programs: readonly OutsideProgram[], environment: Environment): readonly string[] {
  const needed = [process.cwd(), tmpdir(), environment.HOME, environment.TMPDIR].flatMap((path) => (path ? [resolved(path)] : []));
  const folders = new Set<string>();
  for (const { words, what } of programs) {
    for (const { file, before } of words.flatMap((word, i) => fileOf(word, i === 0, environment))) {
      for (const folder of [...before, ...foldersOnTheWay(file)]) {
        if (![resolved(file), folder, ...foldersAbove(folder)].some(mayWrite)) continue;
        const shared = existsSync(folder) ? sharedWith(folder, needed) : folder;
        if (shared !== undefined) throw unprotected(what, file, folder, shared);
        folders.add(folder);
      }
    }
  }
  return [...folders];
}

/**
 * The PATH for programs that run outside, which start others by it: without folders that the command may change, unless they are kept. Root may change all.
 * @param kept as `foldersToKeep` has them
 */
export function pathOutside({ PATH = '' }: Environment, kept: readonly string[]): string {
  if (process.getuid?.() === 0) return PATH;
  const isFixed = (folder: string) => {
    const real = resolved(folder);
    const links = [...linksTo(folder)].map((link) => dirname(link));
    return kept.includes(real) || ![real, ...links].some((each) => [each, ...foldersAbove(each)].some(mayWrite));
  };
  const folders = PATH.split(delimiter).filter((folder) => folder.startsWith(sep) && isFixed(folder));
  return folders.join(delimiter);
}

/** The folder of a file, and those of all links by which it is found. Links of the root itself cannot be kept from root. */
function foldersOnTheWay(file: string): ReadonlySet<string> {
  const folders = new Set([dirname(resolved(file)), ...[...linksTo(file)].map((link) => dirname(link))]);
  folders.delete(sep);
  return folders;
}

/** Where they stand, without links in their folders. */
function linksTo(path: string, found = new Set<string>()): ReadonlySet<string> {
  for (const part of [...foldersAbove(path), path]) {
    const folder = resolved(dirname(part));
    const place = join(folder, basename(part));
    if (found.has(place) || !isLink(place)) continue;
    found.add(place);
    linksTo(resolve(folder, readlinkSync(place)), found);
  }
  return found;
}

/** Where this user may not look, the command may change nothing either. */
function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

function unprotected(what: string, file: string, folder: string, shared: string): SallyportError {
  return new SallyportError(
    'program-unprotected',
    `${what}: ${file} runs outside of the sandbox, so the command must not change it, and the command needs to write to ${shared}${shared === folder ? '' : `, which is in ${folder}`}: move it to a folder of its own, and name it by its path.`,
  );
}

interface Named {
  readonly file: string;
  /** Folders in which it is looked for before that. */
  readonly before: readonly string[];
}

/** The file that a word names, if it names one. */
function fileOf(word: string, isProgram: boolean, { PATH = '' }: Environment): Named[] {
  const searched = isProgram && !word.includes('/') ? PATH.split(delimiter).map((folder) => resolve(folder)) : undefined;
  const places = searched?.map((folder) => join(folder, word)) ?? [resolve(word)];
  const at = word === '' ? -1 : places.findIndex((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  return at < 0 ? [] : [{ file: places[at]!, before: searched?.slice(0, at).map(resolved) ?? [] }];
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
