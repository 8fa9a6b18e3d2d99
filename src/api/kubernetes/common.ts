import { enumeration, list, map, object, required, string, withDefault } from '../schema.ts';

/** Kubernetes' set-based label selector. */
const labelSelectorRequirement = object({
  key: required(string()),
  operator: required(enumeration('In', 'NotIn', 'Exists', 'DoesNotExist')),
  values: list(string()),
});

/** All of both parts must hold; an empty selector selects everything. */
export const kubernetesLabelSelector = object({ matchLabels: map(string()), matchExpressions: list(labelSelectorRequirement) });

export const objectReference = object({
  kind: string(),
  namespace: string(),
  name: string(),
  uid: string(),
  apiVersion: string(),
  resourceVersion: string(),
  fieldPath: string(),
});

export const localObjectReference = object({ name: withDefault(string(), '') });

export const transportProtocol = withDefault(enumeration('TCP', 'UDP', 'SCTP'), 'TCP');
