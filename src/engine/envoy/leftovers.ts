/**
 * The folders in which Envoy's bootstrap and sockets lie. Each says whose it is; one whose owner is gone (SIGKILL, a crash) is removed by whoever starts next,
 * after the Envoys that still run from it have been ended.
 */
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PREFIX = 'sallyport-envoy-';
const OWNER = 'owner';

/** A folder of this process's own in `parent`, readable by this user alone. */
export function claimFolder(parent: string): string {
  const folder = mkdtempSync(join(parent, PREFIX));
  writeFileSync(join(folder, OWNER), JSON.stringify({ pid: process.pid, started: startOf(process.pid) }), { mode: 0o600 });
  return folder;
}

/** Removes what processes of this user left in `parent`; returns the folders. */
export function clearLeftovers(parent: string): string[] {
  const cleared: string[] = [];
  for (const name of readdirSync(parent)) {
    const folder = join(parent, name);
    if (!name.startsWith(PREFIX) || !isOurs(folder) || !isAbandoned(folder)) continue;
    for (const pid of runningFrom(folder)) endProcess(pid);
    rmSync(folder, { recursive: true, force: true });
    cleared.push(folder);
  }
  return cleared;
}

/** A folder that somebody else has put there is none of ours, whatever it says. */
function isOurs(folder: string): boolean {
  try {
    const stat = lstatSync(folder);
    return stat.isDirectory() && stat.uid === process.getuid?.();
  } catch {
    return false;
  }
}

/** Without a readable owner it may be just being made. */
function isAbandoned(folder: string): boolean {
  try {
    const { pid, started } = JSON.parse(readFileSync(join(folder, OWNER), 'utf8')) as { pid?: unknown; started?: unknown };
    return typeof pid === 'number' && !(isAlive(pid) && startOf(pid) === started);
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** When the process began, as /proc counts it: a number is given to another process some day. Null where there is no /proc. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name may have spaces and parentheses in it; field 22 is the twentieth after it (proc_pid_stat(5)).
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

/** Processes whose arguments name a file in the folder. */
function runningFrom(folder: string): number[] {
  const found: number[] = [];
  for (const name of list('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const argv = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      if (argv.some((argument) => argument.startsWith(`${folder}/`))) found.push(Number(name));
    } catch {
      // It went away meanwhile, or is not ours to see.
    }
  }
  return found;
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It went away by itself.
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
