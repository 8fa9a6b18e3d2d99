import { type Infer, object, string } from '../schema.ts';

/** Mostly its name and annotations are read. */
export const customResourceDefinition = object({ group: string(), scope: string() }, { open: true });
export type CustomResourceDefinition = Infer<typeof customResourceDefinition>;
