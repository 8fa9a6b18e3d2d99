/** CustomResourceDefinitions of kinds of our own, from the same description as the decoder's. Pure. */
import { KINDS, type Kind, type KindInfo } from './index.ts';
import { type JsonSchema, specSchema } from './json-schema.ts';

const OURS = { EgressPolicy: { plural: 'egresspolicies', singular: 'egresspolicy', shortNames: ['egp'] } } as const satisfies Partial<
  Record<Kind, object>
>;

export function crdOf(kind: keyof typeof OURS): object {
  const { group, versions, namespaced }: KindInfo = KINDS[kind];
  const { plural, singular, shortNames } = OURS[kind];
  const column = (name: string, jsonPath: string) => ({ name, type: 'string', jsonPath });
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: ['sallyport'] },
      scope: namespaced ? 'Namespaced' : 'Cluster',
      versions: versions.map((name) => ({
        name,
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          column('Accepted', condition('Accepted')),
          column('Compiled', condition('Compiled')),
          column('Through', '.spec.through'),
          column('Expires', '.spec.expires'),
          column('Owner', '.spec.owner'),
          column('Reason', '.spec.reason'),
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: { spec: structural(specSchema(kind)), status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        },
      })),
    },
  };
}

function condition(type: string): string {
  return `.status.conditions[?(@.type=="${type}")].status`;
}

/** As Kubernetes asks for it (structural schemas): each part has a type, and what is not named is not allowed anyhow. */
function structural(schema: JsonSchema): JsonSchema {
  const { additionalProperties, properties, items, ...rest } = schema;
  return {
    ...rest,
    ...('enum' in schema && { type: 'string' }),
    ...(properties !== undefined && {
      properties: Object.fromEntries(
        Object.entries(properties as Record<string, JsonSchema>).map(([name, each]) => [name, structural(each)]),
      ),
    }),
    ...(items !== undefined && { items: structural(items as JsonSchema) }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: structural(additionalProperties as JsonSchema) }),
  };
}
