import { any, type Infer, int32, list, map, object, required, string } from './schema.ts';

/** Kubernetes' ObjectMeta. */
export const objectMeta = object({
  name: required(string({ minLength: 1, maxLength: 253, pattern: /^[a-z0-9A-Z]([-a-z0-9A-Z_.:]*[a-z0-9A-Z])?$/ })),
  namespace: string({ maxLength: 63, pattern: /^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$/ }),
  labels: map(string()),
  annotations: map(string()),
  creationTimestamp: string(),
  generateName: string(),
  deletionTimestamp: string(),
  deletionGracePeriodSeconds: int32(),
  finalizers: list(string()),
  generation: int32(),
  managedFields: any(),
  ownerReferences: any(),
  resourceVersion: string(),
  selfLink: string(),
  uid: string(),
});
export type ObjectMeta = Infer<typeof objectMeta>;
