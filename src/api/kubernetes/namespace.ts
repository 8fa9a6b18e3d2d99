import { type Infer, list, object, string } from '../schema.ts';

export const namespace = object({ finalizers: list(string()) });
export type Namespace = Infer<typeof namespace>;
