import { booleanValue, type Infer, list, object } from '../schema.ts';
import { localObjectReference, objectReference } from './common.ts';

export const serviceAccount = object({
  secrets: list(objectReference),
  imagePullSecrets: list(localObjectReference),
  automountServiceAccountToken: booleanValue(),
});
export type ServiceAccount = Infer<typeof serviceAccount>;
