/** A pod as it is written: what nobody here reads passes as it is. */

export type Fields = Readonly<Record<string, unknown>>;

export interface Named extends Fields {
  readonly name: string;
}

export interface EnvVar extends Named {
  readonly value?: string;
  readonly valueFrom?: Fields;
}

export interface Container extends Named {
  readonly image?: string;
  readonly args?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly ports?: readonly Fields[];
  readonly volumeMounts?: readonly Fields[];
  readonly lifecycle?: Fields;
}

export interface PodMetadata extends Fields {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface PodSpec extends Fields {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Named[];
  readonly hostNetwork?: boolean;
  readonly serviceAccountName?: string;
}

/** A Pod, or the template of one. */
export interface WrittenPod extends Fields {
  readonly metadata?: PodMetadata;
  readonly spec: PodSpec;
}

/** Who stands behind a pod, for names and telemetry: the workload's own kind where that is known, else the Pod. */
export interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
}

export function allContainers({ containers, initContainers = [] }: PodSpec): readonly Container[] {
  return [...initContainers, ...containers];
}
