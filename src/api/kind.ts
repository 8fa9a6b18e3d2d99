import type { PathStep, Resource } from './resource.ts';
import type { Infer, Schema } from './schema.ts';

/** What a rule reports; the path is from the root of the object. */
export interface RuleIssue {
  readonly path: readonly PathStep[];
  readonly message: string;
  /** Error by default: the object is not in force. */
  readonly level?: 'Error' | 'Warning';
  readonly at?: 'key' | 'value';
}

/** Checks what a schema can't say: what Istio's admission webhook refuses or warns of. */
export type Rules<Spec> = (resource: Resource<string, Spec>, report: (issue: RuleIssue) => void) => void;

export interface KindInfo<S extends Schema<unknown> = Schema<unknown>> {
  /** `kind` in documents, where it differs from the name that resources have it under: two groups have a Gateway. */
  readonly name?: string;
  /** API group, empty for Kubernetes' core. */
  readonly group: string;
  readonly versions: readonly string[];
  readonly namespaced: boolean;
  readonly schema: S;
  /** True where the API has no `spec`: the schema's fields stand at the top of the document. */
  readonly flat: boolean;
  readonly status?: Schema<unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: the rules of each kind take their own spec; the registry can't name it.
  readonly rules?: Rules<any>;
}

export function kind<S extends Schema<unknown>>(
  group: string,
  versions: readonly string[],
  schema: S,
  more: { name?: string; cluster?: boolean; flat?: boolean; status?: Schema<unknown>; rules?: Rules<Infer<S>> } = {},
): KindInfo<S> {
  const { name, status, rules } = more;
  return {
    ...(name !== undefined && { name }),
    group,
    versions,
    schema,
    namespaced: !more.cluster,
    flat: more.flat ?? false,
    status,
    rules,
  };
}
