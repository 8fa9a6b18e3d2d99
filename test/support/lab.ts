/** The lab that stands beside the repository, as far as tests use what it builds. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const SHARED = join(import.meta.dirname, '../../../shared');

/** Where the lab puts Debian's programs and those that it builds; undefined where there is no lab. */
export function labFolders(): readonly [root: string, bin: string] | undefined {
  if (!existsSync(join(SHARED, 'kube/env.sh'))) return undefined;
  const command = '. "$1/kube/env.sh" && printf "%s\\n%s" "$ROOT" "$BIN"';
  const [root, bin] = execFileSync('bash', ['-c', command, 'bash', SHARED], { encoding: 'utf8' }).split('\n');
  return [root!, bin!];
}

/** The path at which the lab builds a program, whether or not it is there. */
export function labBinary(name: string): string | undefined {
  const folders = labFolders();
  return folders && join(folders[1], name);
}

/** The `skip` option of tests that need what the lab builds; where it was built for the tests, its absence is an error. */
export function needed(isThere: boolean, reason: string): string | false {
  if (isThere) return false;
  if (process.env.SALLYPORT_KUBE_TESTS === 'required') throw new Error(reason);
  return reason;
}
