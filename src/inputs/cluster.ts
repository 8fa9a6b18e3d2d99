/** A cluster, read once for an answer, and files laid over it. */
import { homedir } from 'node:os';
import type { ClusterAccess } from '../config/kubernetes/access.ts';
import type { ClusterObjects } from '../config/kubernetes/cluster-objects.ts';
import type { Snapshot } from '../config/snapshot.ts';

export const ISTIO_SYSTEM = 'istio-system';

/** Which cluster is read, and what of it. */
export interface ClusterOptions {
  /** Whether one is meant at all. */
  readonly kube?: boolean;
  /** Of the kubeconfig; undefined for its current one. */
  readonly context?: string;
  readonly kubeconfig?: string;
  /** Of the control plane whose MeshConfig counts. */
  readonly revision?: string;
  readonly istioNamespace?: string;
  /** Where it is said, this namespace and Istio's are enough where not all may be read. */
  readonly namespace?: string;
  readonly meshConfig?: string;
}

/** The access to the cluster that is meant, by this process's environment. Rejects with what `findCluster` throws. @param warn what whoever asked has to know */
export async function openAccess({ context, kubeconfig }: ClusterOptions, warn: (text: string) => void): Promise<ClusterAccess> {
  const { findCluster } = await import('../config/kubernetes/find-cluster.ts');
  const environment = process.env;
  const home = environment.HOME ?? homedir();
  const access = findCluster({ context, kubeconfig, environment, home, interactive: process.stdin.isTTY === true, now: Date.now });
  if (access.tls.insecure)
    warn(
      `WARNING: ${access.server.href} is not verified (insecure-skip-tls-verify): whoever is on the way there can answer in its place, and read the credentials`,
    );
  return access;
}

/** A cluster as it was read. */
export interface LiveCluster {
  readonly snapshot: Snapshot;
  /** The namespace of objects in files that name none. */
  readonly namespace: string;
  /** What it would hold with these files applied. May be asked once. */
  with(files: Snapshot): Snapshot;
}

/** Rejects with what `readCluster` throws. */
export async function readLiveCluster(access: ClusterAccess, options: ClusterOptions): Promise<LiveCluster> {
  const { readCluster } = await import('../config/kubernetes/read-cluster.ts');
  const { revision, meshConfig, istioNamespace = ISTIO_SYSTEM } = options;
  const namespaces = options.namespace === undefined ? [] : [...new Set([options.namespace, istioNamespace])];
  const objects: ClusterObjects = await readCluster(access, { istioNamespace, revision, meshConfig, namespaces });
  return {
    snapshot: objects.snapshot(),
    namespace: options.namespace ?? access.namespace ?? 'default',
    with: (files) => {
      objects.layOver(files);
      return objects.snapshot();
    },
  };
}
