/** The schemas as JSON Schema (draft 2020-12), for editors. Pure. */
import { allowList } from './allow-list.ts';
import { fieldText } from './field-texts.ts';
import { KINDS, type Kind, type KindInfo } from './index.ts';
import type { PathStep } from './resource.ts';
import type { Field, Node } from './schema.ts';

export type JsonSchema = { readonly [key: string]: unknown };

const METADATA: JsonSchema = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string' },
    namespace: { type: 'string' },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    annotations: { type: 'object', additionalProperties: { type: 'string' } },
  },
};

/** One kind, or all of them: a document is then told by its kind. */
export function jsonSchema(kinds: readonly Kind[] = Object.keys(KINDS) as Kind[]): JsonSchema {
  const documents = kinds.map(documentSchema);
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', ...(documents.length === 1 ? documents[0] : { oneOf: documents }) };
}

/** Of the short list of hosts, which is no object of Kubernetes. */
export function allowListSchema(): JsonSchema {
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'AllowList', ...nodeSchema(allowList.node) };
}

/** Of a kind's `spec`. */
export function specSchema(kind: Kind): JsonSchema {
  return nodeSchema(KINDS[kind].schema.node);
}

function documentSchema(kind: Kind): JsonSchema {
  const { name = kind, group, versions, schema, flat }: KindInfo = KINDS[kind];
  const spec = nodeSchema(schema.node, { path: flat ? [] : ['spec'], textOf: (path) => fieldText(kind, path) });
  const head = {
    apiVersion: { enum: versions.map((version) => (group ? `${group}/${version}` : version)) },
    kind: { const: name },
    metadata: METADATA,
    status: { type: 'object' },
  };
  const properties = flat ? { ...head, ...(spec.properties as JsonSchema) } : { ...head, spec };
  return { title: kind, type: 'object', required: ['apiVersion', 'kind', 'metadata'], properties, additionalProperties: false };
}

/** Where a node stands in its object, and what is said of such a place. */
interface Place {
  readonly path: readonly PathStep[];
  readonly textOf: (path: readonly PathStep[]) => string | undefined;
}

const NOWHERE: Place = { path: [], textOf: () => undefined };

function within({ path, textOf }: Place, step: PathStep): Place {
  return { path: [...path, step], textOf };
}

function nodeSchema(node: Node, place = NOWHERE): JsonSchema {
  switch (node.type) {
    case 'string':
      return defined({ type: 'string', minLength: node.minLength, maxLength: node.maxLength, pattern: node.pattern?.source });
    case 'integer':
    case 'number':
      return defined({ type: node.type, minimum: node.minimum, maximum: node.maximum });
    case 'boolean':
      return { type: 'boolean' };
    case 'enum':
      return { enum: [...node.values, ...Object.keys(node.synonyms ?? {})] };
    case 'duration':
      return { type: 'string', description: 'a duration such as 1.5s, 10ms or 1h30m' };
    case 'intOrString':
      return { type: ['integer', 'string'] };
    case 'bytes':
      return { type: 'string', contentEncoding: 'base64' };
    case 'any':
      return {};
    case 'list':
      return defined({ type: 'array', items: nodeSchema(node.item, within(place, 0)), minItems: node.minItems, maxItems: node.maxItems });
    case 'map':
      return defined({
        type: 'object',
        additionalProperties: nodeSchema(node.value, within(place, '*')),
        maxProperties: node.maxProperties,
      });
    case 'object': {
      const required = [...node.fields].filter(([, field]) => field.required).map(([name]) => name);
      const properties = { ...propertiesOf(node.fields, place), ...deprecatedOf(node.old) };
      return defined({ type: 'object', properties, required: required.length > 0 ? required : undefined, additionalProperties: node.open });
    }
  }
}

function propertiesOf(fields: ReadonlyMap<string, Field>, place: Place): JsonSchema {
  return Object.fromEntries(
    [...fields].map(([name, { node, fallback }]) => {
      const simple = typeof fallback === 'string' || typeof fallback === 'number' || typeof fallback === 'boolean';
      const own = within(place, name);
      const description = place.textOf(own.path);
      return [
        name,
        {
          ...nodeSchema(node, own),
          ...(description !== undefined && { description }),
          ...(simple && node.type !== 'duration' && fallback !== '' ? { default: fallback } : {}),
        },
      ];
    }),
  );
}

function deprecatedOf(fields: ReadonlyMap<string, Field>): JsonSchema {
  return Object.fromEntries([...fields].map(([name, { node }]) => [name, { ...nodeSchema(node), deprecated: true }]));
}

function defined(schema: JsonSchema): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([, value]) => value !== undefined));
}
