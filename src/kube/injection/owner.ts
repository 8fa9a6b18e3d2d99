/** Who made a pod that comes without its workload: what Kubernetes' controllers write down. */
import type { Fields, Owner, WrittenPod } from './pod.ts';

interface OwnerReference extends Fields {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly controller?: boolean;
}

/** The number at the end of the Job's name is the minute for which a CronJob made it. */
const OF_CRON_JOB = /^(.+)-\d{8,10}$/;

/** The Deployment of a ReplicaSet and the CronJob of a Job are known by how these are named. */
export function ownerOf({ metadata = {} }: WrittenPod, namespace: string): Owner {
  const { name = '', generateName, labels = {} } = metadata;
  const references = metadata.ownerReferences as readonly OwnerReference[] | undefined;
  const controller = generateName ? references?.find((reference) => reference.controller) : undefined;
  if (!controller) return { apiVersion: 'v1', kind: 'Pod', name: name || (generateName ?? '').replace(/-+$/, ''), namespace };
  const { apiVersion, kind } = controller;
  const hash = labels['pod-template-hash'];
  if (kind === 'ReplicaSet' && hash && controller.name.endsWith(`-${hash}`))
    return { apiVersion, kind: 'Deployment', name: controller.name.slice(0, -hash.length - 1), namespace };
  const cronJob = kind === 'Job' ? OF_CRON_JOB.exec(controller.name)?.[1] : undefined;
  if (cronJob !== undefined) return { apiVersion, kind: 'CronJob', name: cronJob, namespace };
  return { apiVersion, kind, name: controller.name, namespace };
}
