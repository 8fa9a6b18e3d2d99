import { booleanValue, type Infer, map, object, string } from '../schema.ts';

export const configMap = object({ data: map(string()), binaryData: map(string()), immutable: booleanValue() });
export type ConfigMap = Infer<typeof configMap>;
