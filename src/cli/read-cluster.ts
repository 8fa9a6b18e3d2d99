/** The cluster that a command with `--kube` asks about, and files laid over it. */
import { homedir } from 'node:os';
import { type Command, Option } from 'commander';
import type { ClusterAccess } from '../config/kubernetes/access.ts';
import type { ClusterObjects } from '../config/kubernetes/cluster-objects.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { SallyportError } from '../lib/errors.ts';
import { printError } from './print.ts';

export const ISTIO_SYSTEM = 'istio-system';

/** Which cluster, and what of it. */
export interface ClusterOptions {
  readonly kube?: boolean;
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly revision?: string;
  readonly istioNamespace?: string;
  readonly namespace?: string;
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

/** A cluster as it was read. */
export interface LiveCluster {
  readonly snapshot: Snapshot;
  /** The namespace of objects in files that name none. */
  readonly namespace: string;
  /** What it would hold with these files applied. May be asked once. */
  with(files: Snapshot): Snapshot;
}

/** The access to the cluster that is meant. Rejects with what `findCluster` throws. */
export async function clusterAccess({ context, kubeconfig }: ClusterOptions): Promise<ClusterAccess> {
  const { findCluster } = await import('../config/kubernetes/find-cluster.ts');
  const environment = process.env;
  const access = findCluster({
    context,
    kubeconfig,
    environment,
    home: environment.HOME ?? homedir(),
    interactive: process.stdin.isTTY === true,
    now: Date.now,
  });
  if (access.tls.insecure)
    printError(
      `sallyport: WARNING: ${access.server.href} is not verified (insecure-skip-tls-verify): whoever is on the way there can answer in its place, and read the credentials\n`,
    );
  return access;
}

/** Rejects with what `findCluster` and `readCluster` throw. */
export async function readLiveCluster(options: ClusterOptions): Promise<LiveCluster> {
  const { readCluster } = await import('../config/kubernetes/read-cluster.ts');
  const { revision, istioNamespace = ISTIO_SYSTEM } = options;
  const access = await clusterAccess(options);
  const namespaces = options.namespace === undefined ? [] : [...new Set([options.namespace, istioNamespace])];
  const objects: ClusterObjects = await readCluster(access, { istioNamespace, revision, namespaces });
  return {
    snapshot: objects.snapshot(),
    namespace: options.namespace ?? access.namespace ?? 'default',
    with: (files) => {
      objects.layOver(files);
      return objects.snapshot();
    },
  };
}
