/**
 * The folder in which the running Sallyports of this user have their sockets. It depends on nothing but who the user is: each finds those of all the others,
 * and a contained command can be kept from all of them, whatever environment each was started with.
 */
import { lstatSync, mkdirSync } from 'node:fs';
import { codeOf, messageOf, SallyportError } from './errors.ts';

/** Where it is, whether or not there is one. */
export function privateFolder(uid = process.getuid?.() ?? 0): string {
  return `/tmp/sallyport-${uid}`;
}

/** The folder, made if it is not there. Throws `folder-unusable` if it is not this user's own and closed to others. */
export function openPrivateFolder(folder = privateFolder(), uid = process.getuid?.() ?? 0): string {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') throw new SallyportError('folder-unusable', `${folder} cannot be made: ${messageOf(cause)}`, { cause });
  }
  const stat = lstatSync(folder);
  if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o077) !== 0)
    throw new SallyportError('folder-unusable', `${folder} is not a folder of this user alone (mode 0700): remove it`);
  return folder;
}
