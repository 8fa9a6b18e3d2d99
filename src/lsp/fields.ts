/** What the schemas say of a place in a document: which fields there are, which values, and what they mean. */
import { kindOfDocument } from '../api/documents.ts';
import { fieldText } from '../api/field-texts.ts';
import { KINDS, type Kind, type KindInfo } from '../api/index.ts';
import { objectMeta } from '../api/metadata.ts';
import type { PathStep } from '../api/resource.ts';
import { any, enumeration, type Field, type Node, object } from '../api/schema.ts';
import type { DocumentHead } from './cursor.ts';

const ALL = Object.entries(KINDS) as readonly (readonly [Kind, KindInfo])[];

/** What documents call a kind, and the versions of the API that have it. */
function written([kind, { name = kind, group, versions }]: (typeof ALL)[number]) {
  return { name, apiVersions: versions.map((version) => (group ? `${group}/${version}` : version)) };
}

/** The kinds of an apiVersion; without one all of them. */
export function kindNames(apiVersion: string): string[] {
  const all = ALL.map(written);
  const named = all.filter(({ apiVersions }) => apiVersions.includes(apiVersion));
  return [...new Set((named.length > 0 ? named : all).map(({ name }) => name))];
}

/** The apiVersions of a kind, the present one first; without a kind all of them. */
export function apiVersions(kind: string): string[] {
  const all = ALL.map(written);
  const named = all.filter(({ name }) => name === kind);
  return [...new Set((named.length > 0 ? named : all).flatMap(({ apiVersions }) => apiVersions))];
}

/** The kind of a document that is being written: where it has no apiVersion yet, the first of that name. */
export function kindOf({ kind, apiVersion }: DocumentHead): Kind | undefined {
  return kindOfDocument(kind, apiVersion) ?? (apiVersion === '' ? ALL.find((entry) => written(entry).name === kind)?.[0] : undefined);
}

/** The whole of a document. */
function rootOf(head: DocumentHead): Node {
  const kind = kindOf(head);
  const info: KindInfo | undefined = kind && KINDS[kind];
  const top = {
    apiVersion: enumeration(...apiVersions(head.kind)),
    kind: enumeration(...kindNames(head.apiVersion)),
    metadata: objectMeta,
    ...(info?.status && { status: info.status }),
  };
  if (info?.flat && info.schema.node.type === 'object') {
    const root = object(top).node;
    return root.type === 'object' ? { ...root, fields: new Map([...root.fields, ...info.schema.node.fields]) } : root;
  }
  return object({ ...top, spec: info ? { ...info.schema, required: false } : any() }).node;
}

/** The field at a path of the document; undefined where the schema has none. */
export function fieldAt(head: DocumentHead, path: readonly PathStep[]): Field | undefined {
  let field: Field | undefined = { node: rootOf(head), required: true, fallback: undefined };
  for (const step of path) {
    const node: Node | undefined = field?.node;
    if (node?.type === 'object' && typeof step === 'string') field = node.fields.get(step) ?? node.old.get(step);
    else if (node?.type === 'map' && typeof step === 'string') field = { node: node.value, required: false, fallback: undefined };
    else if (node?.type === 'list' && typeof step === 'number') field = { node: node.item, required: false, fallback: undefined };
    else return undefined;
  }
  return field;
}

/** The values that a scalar may have, where they can be listed. */
export function valuesOf(node: Node): readonly string[] {
  if (node.type === 'enum') return node.values;
  return node.type === 'boolean' ? ['true', 'false'] : [];
}

/** In a few words. */
export function typeText(node: Node): string {
  switch (node.type) {
    case 'enum':
      return node.values.length > 20 ? 'one of a list of names' : `one of ${node.values.join(', ')}`;
    case 'integer':
      return `whole number, ${node.minimum} to ${node.maximum}`;
    case 'duration':
      return 'duration such as 1.5s, 10ms or 1h30m';
    case 'intOrString':
      return 'port number or name';
    case 'bytes':
      return 'base64';
    case 'boolean':
      return 'true or false';
    case 'list':
      return `list of: ${typeText(node.item)}`;
    case 'map':
      return `mapping of names to: ${typeText(node.value)}`;
    case 'any':
      return 'any value';
    default:
      return node.type;
  }
}

/** Of the field at a path, as Markdown; undefined where the schema has none. */
export function fieldMarkdown(head: DocumentHead, path: readonly PathStep[]): string | undefined {
  const field = fieldAt(head, path);
  if (!field || path.length === 0) return undefined;
  const facts = [typeText(field.node)];
  const { fallback } = field;
  if (field.required) facts.push('required');
  if (['string', 'number', 'boolean'].includes(typeof fallback) && fallback !== '')
    facts.push(`without it: ${field.node.type === 'duration' ? `${fallback} ms` : fallback}`);
  const parent = fieldAt(head, path.slice(0, -1))?.node;
  const name = path.at(-1);
  if (parent?.type === 'object' && typeof name === 'string') {
    if (parent.old.has(name)) facts.push('deprecated');
    const group = parent.atMostOne.find((names) => names.includes(name));
    if (group) facts.push(`at most one of ${group.join(', ')}`);
  }
  const kind = kindOf(head);
  const text = kind && fieldText(kind, path);
  const written = path
    .map((step) => (typeof step === 'number' ? '[]' : step))
    .join('.')
    .replaceAll('.[]', '[]');
  return [`**${written}**: ${facts.join('; ')}`, ...(text ? [text] : [])].join('\n\n');
}
