/** Resources of files or of a revision, or dumps of proxies, as a console shows them: read once. */
import { analyzeFiles } from '../analysis/files.ts';
import { readDump } from '../inputs/dump.ts';
import { type ReadFilesOptions, readFiles, readMeshConfig, type Tell } from '../inputs/files.ts';
import { isRevision, readRevision } from '../inputs/revision.ts';
import type { DumpsShown, MeshShown, Moment } from './subject.ts';

/**
 * @param paths files and folders, or one revision. Rejects with what reading throws.
 * @param edit whether files may be changed from the console; they are read again then
 */
export async function readShown(paths: readonly string[], options: ReadFilesOptions, tell: Tell, edit = false): Promise<MeshShown> {
  let version = 1;
  let moment = await readMoment(paths, options, tell, version);
  const edited = async () => {
    version++;
    moment = await readMoment(paths, { ...options, allowEmpty: true }, async () => undefined, version);
  };
  const { meshConfig, namespace } = options;
  return { kind: 'files', paths, meshConfig, namespace, flows: undefined, now: () => moment, ...(edit && { edited }) };
}

async function readMoment(paths: readonly string[], options: ReadFilesOptions, tell: Tell, version: number): Promise<Moment> {
  const [first = ''] = paths;
  const snapshot = isRevision(first) ? await readRevision(first, options, tell) : await readFiles(paths, options, tell);
  const { config, findings: also } = readMeshConfig(snapshot, options);
  const findings = analyzeFiles({ snapshot, mesh: config, defaultGateways: true, now: Date.now() }, { also });
  return { version: String(version), snapshot, config, findings, proxies: [], running: [] };
}

export async function readDumps(paths: readonly string[]): Promise<DumpsShown> {
  const dumps = [];
  for (const path of paths) dumps.push({ name: path, dump: (await readDump(path)).dump });
  return { kind: 'dump', paths, dumps };
}
