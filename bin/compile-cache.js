// Where compiled code is kept between starts. Node runs what it finds there, so the folder has to be the user's own: Node's default, below the shared
// temporary folder, is whoever's creates it first.
import { lstatSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * The folder for compiled code, made if it is missing: `sallyport/compile` in `$XDG_CACHE_HOME` or `~/.cache`. Undefined where somebody else could
 * put files there: a part of the path belongs to another user, is a link, or others may write to it. Then nothing is kept.
 * @param {{ XDG_CACHE_HOME?: string | undefined }} env
 * @param {string} home
 * @param {number | undefined} user the effective user's id; undefined where the system has none
 * @returns {string | undefined}
 */
export function ownCacheFolder(env = process.env, home = homedir(), user = process.geteuid?.()) {
  const given = env.XDG_CACHE_HOME;
  const base = given && isAbsolute(given) ? [given] : [home, join(home, '.cache')];
  const root = base.at(-1);
  const folders = [...base, join(root, 'sallyport'), join(root, 'sallyport', 'compile')];
  try {
    if (!isAbsolute(home) && base.length > 1) return undefined;
    return folders.every((folder, depth) => isOwn(folder, user, depth === 0)) ? folders.at(-1) : undefined;
  } catch {
    // A home that cannot be written to is no reason not to start.
    return undefined;
  }
}

/** Makes the folder unless it is there, or has to be. The last two are for their owner alone; those above may be read by others, not written. */
function isOwn(folder, user, mustExist) {
  if (!mustExist) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  return found.isDirectory() && (user === undefined || (found.uid === user && (found.mode & 0o022) === 0));
}
