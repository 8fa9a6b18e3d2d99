/** One side of a comparison: files, or a revision of a git repository. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { decodeDocuments } from '../api/documents.ts';
import { loadMeshConfig } from '../config/mesh-config.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { Store } from '../config/store.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import { type SimulatedFiles, simulateFiles } from '../prove/simulated.ts';
import { type ReadMeshOptions, readSnapshot, tellFindings } from './read-mesh.ts';

export interface Side {
  readonly files: SimulatedFiles;
  /** About the MeshConfig. */
  readonly findings: readonly Finding[];
}

/** The mesh of a path or of `git:REV[:PATH]`. Rejects with `usage`, `git-failed`, `path-not-found`. */
export async function readSide(spec: string, options: ReadMeshOptions): Promise<Side> {
  const snapshot = spec.startsWith('git:') ? await fromGit(spec, options.namespace) : await readSnapshot([spec], options);
  const { config, findings } = loadMeshConfig(snapshot, options.meshConfig);
  return { files: simulateFiles(snapshot, config), findings };
}

/** The mesh that another one is compared with. What is wrong with a MeshConfig of its own goes to stderr; one that both share was reported already. */
export async function loadSide(spec: string, options: ReadMeshOptions): Promise<SimulatedFiles> {
  const { files, findings } = await readSide(spec, options);
  if (options.meshConfig === undefined) await tellFindings(findings);
  return files;
}

const git = promisify(execFile);

/** The resources of a revision, read from the object store: the work tree is not touched. */
async function fromGit(spec: string, namespace: string): Promise<Snapshot> {
  const [, revision, path = '.'] = /^git:([^:]+)(?::(.+))?$/.exec(spec) ?? [];
  if (revision === undefined || revision.startsWith('-'))
    throw new SallyportError('usage', `"${spec}" is no revision: write git:REV or git:REV:PATH`);
  const run = async (...args: string[]) => {
    try {
      return (await git('git', args, { maxBuffer: 1 << 28 })).stdout;
    } catch (error) {
      throw new SallyportError('git-failed', `cannot read ${spec}: ${messageOf(error).split('\n').at(-2) ?? messageOf(error)}`, {
        cause: error,
      });
    }
  };
  const store = new Store();
  const names = (await run('ls-tree', '-r', '-z', '--name-only', revision, '--', path))
    .split('\0')
    .filter((name) => /\.(ya?ml|json)$/.test(name));
  for (const name of names)
    store.set(`${revision}:${name}`, decodeDocuments(await run('show', `${revision}:./${name}`), `${revision}:${name}`, { namespace }));
  return store.snapshot();
}
