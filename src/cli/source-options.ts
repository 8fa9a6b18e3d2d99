/** The options that say which configuration a command asks about: files, a cluster, or both. */
import { type Command, Option } from 'commander';
import type { ClusterAccess } from '../config/kubernetes/access.ts';
import { type ClusterOptions, ISTIO_SYSTEM, openAccess } from '../inputs/cluster.ts';
import type { ReadFilesOptions } from '../inputs/files.ts';
import { Reader, type ReaderHost } from '../inputs/reader.ts';
import { SallyportError } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import { lineReader } from '../lib/line-reader.ts';
import { findingsText } from '../report/findings.ts';
import { plain } from '../report/paint.ts';
import { EXIT } from './exit.ts';
import { printError } from './print.ts';
import { say } from './say.ts';

/** The options that say how files are read. */
export interface ReadMeshOptions extends ReadFilesOptions {
  readonly namespace: string;
}

export const NAMESPACE_OPTION = [
  '-n, --namespace <name>',
  'namespace of objects that name none (by default "default"; with --kube the namespace of the context)',
] as const;

export const EMPTY_OPTION = [
  '--allow-empty',
  'take a path that holds no object for an empty configuration, not for a mistake',
  false,
] as const;

const MESH_CONFIG_OPTION = ['--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among what is read, else the defaults)'] as const;

/** The options that say how files are read. */
export function addReadOptions(command: Command): Command {
  return command
    .option(...MESH_CONFIG_OPTION)
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'default')
    .option(...EMPTY_OPTION);
}

/** The same, where they may be those of a cluster. */
export function addSourceOptions(command: Command): Command {
  return addClusterOptions(
    command
      .option(...MESH_CONFIG_OPTION)
      .option(...NAMESPACE_OPTION)
      .option(...EMPTY_OPTION),
  );
}

export function addClusterOptions(command: Command): Command {
  return command
    .option('--kube', 'the cluster of the kubeconfig: alone, or with the files laid over it as if they were applied', false)
    .option('--context <name>', 'with --kube, the context of the kubeconfig in place of the current one')
    .option('--kubeconfig <file>', 'with --kube, the kubeconfig in place of KUBECONFIG and ~/.kube/config')
    .option('--revision <name>', 'with --kube, the revision of Istio whose MeshConfig counts')
    .addOption(new Option('-i, --istio-namespace <name>', 'with --kube, where Istio is installed').default(ISTIO_SYSTEM));
}

/** @throws SallyportError `usage` */
export function demandSource(paths: readonly string[], { kube, context, kubeconfig, revision }: ClusterOptions, how: string): void {
  if (paths.length === 0 && !kube) throw new SallyportError('usage', `say what to read: ${how}, or --kube for a cluster`);
  const left = Object.entries({ context, kubeconfig, revision }).find(([, value]) => value !== undefined);
  if (left && !kube) throw new SallyportError('usage', `--${left[0]} says which cluster is meant: it needs --kube`);
}

/** The access to the cluster that is meant. Rejects with what `openAccess` rejects with. */
export function clusterAccess(options: ClusterOptions): Promise<ClusterAccess> {
  return openAccess(options, say);
}

/** On stderr. */
async function tellFindings(findings: readonly Finding[]): Promise<void> {
  printError(await findingsText(findings, { output: 'text', paint: plain, readLine: lineReader() }));
}

export const readerHost: ReaderHost = {
  tell: tellFindings,
  leftOut: (broken) =>
    say(
      `the answer leaves out what is not valid or can't be read (${broken} ${broken === 1 ? 'error' : 'errors'}), so it does not end with exit code 0`,
    ),
  access: clusterAccess,
};

/**
 * Answers, and sets the exit code: the one that `answer` gives, but never 0 where something that was read is not valid, since it is left out of the
 * answer. What that is goes to stderr as soon as it is read, before the answer.
 */
export async function answerFrom(answer: (reader: Reader) => Promise<number>): Promise<void> {
  const reader = new Reader(readerHost);
  const code = await answer(reader);
  process.exitCode = code === EXIT.fine && !reader.isSound ? EXIT.findings : code;
}
