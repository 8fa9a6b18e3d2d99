/** The resources of a revision of a git repository, read from its object store: the work tree is not touched. */
import { execFile } from 'node:child_process';
import { posix } from 'node:path';
import { promisify } from 'node:util';
import type { Decoded } from '../api/documents.ts';
import { decodeBytes, unreadable } from '../config/read.ts';
import { isConfigurationFile } from '../config/scan.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { Store } from '../config/store.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { demandAny, type ReadFilesOptions, type Tell } from './files.ts';

/** Whether a side of a comparison is a revision rather than a path. */
export function isRevision(spec: string): boolean {
  return spec.startsWith('git:');
}

/**
 * The same files as of a folder on disk: see `scan`.
 * @param spec `git:REV[:PATH]`
 * @throws SallyportError `usage`, `git-failed`; `path-not-found` if the revision has no such path, `nothing-read` if that holds no object
 */
export async function readRevision(spec: string, options: ReadFilesOptions, tell: Tell): Promise<Snapshot> {
  const [, revision, path = '.'] = /^git:([^:]+)(?::(.+))?$/.exec(spec) ?? [];
  if (revision === undefined || revision.startsWith('-'))
    throw new SallyportError('usage', `"${spec}" is no revision: write git:REV or git:REV:PATH`);
  const tree = new Tree(spec, revision);
  const kind = await tree.kindOf(path);
  if (kind === undefined) throw new SallyportError('path-not-found', `${revision} has no file or folder ${path} (${spec})`);
  const store = new Store();
  for (const entry of await tree.entries(path)) {
    const within = posix.relative(path, entry.name);
    if (kind === 'tree' && within.split('/').some((part) => part.startsWith('.'))) continue;
    const decoded = await decode(tree, entry, kind === 'blob', path, options);
    if (decoded) store.set(`${revision}:${entry.name}`, decoded);
  }
  const snapshot = store.snapshot();
  await demandAny(snapshot, spec, options, tell);
  return snapshot;
}

/** Undefined for what is no file of configuration. */
async function decode(
  tree: Tree,
  { mode, hash, name }: Entry,
  named: boolean,
  path: string,
  options: ReadFilesOptions,
): Promise<Decoded | undefined> {
  const file = `${tree.revision}:${name}`;
  const wanted = named || isConfigurationFile(name);
  if (mode === LINK) {
    const to = posix.join(posix.dirname(name), (await tree.content(hash)).toString('utf8'));
    const kind = await tree.kindOf(to);
    if (!wanted && kind !== 'tree') return undefined;
    // What lies under the path is read in its own place.
    if (kind && !named && isUnder(to, path)) return undefined;
    return unreadable(
      file,
      kind ? `the link leads out of the given path, to ${to}: name a folder that holds both` : 'the link leads nowhere',
    );
  }
  if (mode === SUBMODULE) return unreadable(file, 'it is a submodule, whose files are in another repository');
  return wanted ? decodeBytes(await tree.content(hash), file, options) : undefined;
}

function isUnder(path: string, root: string): boolean {
  const relative = posix.relative(root, path);
  return relative !== '..' && !relative.startsWith('../') && !posix.isAbsolute(relative);
}

const LINK = '120000';
const SUBMODULE = '160000';

interface Entry {
  readonly mode: string;
  readonly hash: string;
  /** Relative to the working directory. */
  readonly name: string;
}

const git = promisify(execFile);

class Tree {
  readonly revision: string;
  readonly #spec: string;

  constructor(spec: string, revision: string) {
    this.#spec = spec;
    this.revision = revision;
  }

  /** `tree` for a folder, `blob` for a file; undefined if there is nothing at the path. */
  async kindOf(path: string): Promise<string | undefined> {
    await this.#run('rev-parse', '--verify', '--quiet', '--end-of-options', `${this.revision}^{tree}`);
    try {
      return (await git('git', ['cat-file', '-t', `${this.revision}:./${posix.normalize(path).replace(/^\.$/, '')}`])).stdout.trim();
    } catch {
      return undefined;
    }
  }

  async entries(path: string): Promise<Entry[]> {
    const listed = (await this.#run('ls-tree', '-r', '-z', this.revision, '--', path)).toString('utf8');
    return listed.split('\0').flatMap((line) => {
      const match = /^(\d+) \w+ (\w+)\t(.*)$/s.exec(line);
      return match ? [{ mode: match[1]!, hash: match[2]!, name: match[3]! }] : [];
    });
  }

  content(hash: string): Promise<Buffer> {
    return this.#run('cat-file', 'blob', hash);
  }

  async #run(...args: string[]): Promise<Buffer> {
    try {
      return (await git('git', args, { maxBuffer: 1 << 28, encoding: 'buffer' })).stdout;
    } catch (cause) {
      const { stderr } = cause as { stderr?: Buffer };
      const said = stderr?.toString('utf8').trim().split('\n').at(-1);
      throw new SallyportError(
        'git-failed',
        `cannot read ${this.#spec}: ${said || `git knows no revision ${this.revision}, or this is no repository (${messageOf(cause)})`}`,
        { cause },
      );
    }
  }
}
