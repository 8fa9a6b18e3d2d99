/** What a contained command is not to see: whole folders, as of a file alone that could not be promised: one that takes its place is another file. */
import { realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { SallyportError } from '../../lib/errors.ts';
import { privateFolder } from '../../lib/private-folder.ts';
import { resolved, sharedWith } from './folders.ts';

/** A file, whose folder is hidden, or a folder. */
export type HiddenFile = { readonly what: string } & ({ readonly file: string } | { readonly folder: string });

/**
 * The folders that the command finds empty.
 * @throws SallyportError `credential-unhidden` where the command needs the folder as well, `path-not-found`
 */
export function foldersToHide(hidden: readonly HiddenFile[], environment: Readonly<Record<string, string | undefined>>): readonly string[] {
  const needed = neededBy(environment).map(resolved);
  const folders = new Set<string>();
  for (const one of hidden) {
    for (const folder of foldersOf(one)) {
      const shared = sharedWith(folder, needed);
      if (shared !== undefined) throw unhidden(one, folder, shared);
      folders.add(folder);
    }
  }
  return [...folders];
}

/** What an audit is made of: whoever has it writes the audit anew. */
export function auditToHide({ audit, auditKey }: { readonly audit?: string; readonly auditKey?: string }): readonly HiddenFile[] {
  if (audit === undefined) return [];
  const folder = { folder: audit, what: 'the audit' };
  return auditKey === undefined ? [folder] : [folder, { file: auditKey, what: 'the key that signs the audit' }];
}

/** The folder of a file of grants: the command is to grant itself nothing. Rejects with what `openGrants` throws. */
export async function grantsToHide({ grants }: { readonly grants?: string }): Promise<readonly HiddenFile[]> {
  // The private folder is hidden in any case.
  if (grants === undefined || dirname(grants) === privateFolder()) return [];
  const { openGrants } = await import('../grants/grants-file.ts');
  const file = openGrants(grants);
  return [file, realpathSync(file)].map((path) => ({ folder: dirname(resolve(path)), what: 'the file of grants' }));
}

/** A file that is linked, as Kubernetes mounts them, is in two. */
function foldersOf(hidden: HiddenFile): readonly string[] {
  if ('folder' in hidden) return [real(hidden.folder, hidden.what)];
  return [real(dirname(hidden.file), hidden.what), dirname(real(hidden.file, hidden.what))];
}

function unhidden(hidden: HiddenFile, folder: string, shared: string): SallyportError {
  const path = 'file' in hidden ? hidden.file : hidden.folder;
  return new SallyportError(
    'credential-unhidden',
    `${hidden.what}: the folder ${folder} is hidden from the command, as ${'file' in hidden ? 'the value is in it' : 'it must not change it'}, and the command needs ${shared}: move ${path} to a folder of its own.`,
  );
}

/** Paths without which hardly any command does anything. */
function neededBy({ HOME, TMPDIR }: Readonly<Record<string, string | undefined>>): string[] {
  const own = [process.cwd(), process.execPath, tmpdir(), ...[HOME, TMPDIR].flatMap((path) => path || [])];
  return [...own, '/usr/bin', '/bin', '/lib', '/etc/ssl', '/proc', '/dev'];
}

function real(path: string, what: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw new SallyportError('path-not-found', `${what}: there is no ${path}`, { cause });
  }
}
