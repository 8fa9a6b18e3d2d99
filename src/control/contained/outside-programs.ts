/** Programs that `run` starts outside of the sandbox: the contained command must not choose what they do. */
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve, sep } from 'node:path';
import { SallyportError } from '../../lib/errors.ts';
import type { Allowed } from '../../policy/allow.ts';

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
 * The folders in which the command is to write nothing: those of the program and of files that its arguments name, as far as this user may write there.
 * @throws SallyportError `program-unprotected` where the command has to write there
 */
export function foldersToKeep(programs: readonly OutsideProgram[], environment: Environment): readonly string[] {
  const needed = [process.cwd(), tmpdir(), environment.HOME, environment.TMPDIR].flatMap((path) => (path ? [real(path)] : []));
  const folders = new Set<string>();
  for (const { words, what } of programs) {
    for (const file of words.flatMap((word, i) => fileOf(word, i === 0, environment))) {
      for (const folder of new Set([real(dirname(file)), dirname(real(file))]).values()) {
        if (!mayWrite(folder)) continue;
        const shared = needed.find((path) => path === folder || path.startsWith(folder === sep ? sep : folder + sep));
        if (shared !== undefined) throw unprotected(what, file, folder, shared);
        folders.add(folder);
      }
    }
  }
  return [...folders];
}

function unprotected(what: string, file: string, folder: string, shared: string): SallyportError {
  return new SallyportError(
    'program-unprotected',
    `${what}: ${file} runs outside of the sandbox, so the command must not change it, and the command needs to write to ${shared}, which is in ${folder}: move it to a folder of its own.`,
  );
}

/** The file that a word names, if it names one. */
function fileOf(word: string, isProgram: boolean, { PATH = '' }: Environment): string[] {
  const places = isProgram && !word.includes('/') ? PATH.split(delimiter).map((folder) => join(folder, word)) : [resolve(word)];
  const found = word && places.find((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  return found ? [found] : [];
}

function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}
