import { boolean, type Infer, list, object, string, withDefault } from '../schema.ts';

/** Mostly its name and annotations are read, and which versions the API server answers. */
export const customResourceDefinition = object(
  {
    group: withDefault(string(), ''),
    names: object({ kind: withDefault(string(), '') }, { open: true }),
    scope: string(),
    versions: list(object({ name: withDefault(string(), ''), served: boolean() }, { open: true })),
  },
  { open: true },
);
export type CustomResourceDefinition = Infer<typeof customResourceDefinition>;
