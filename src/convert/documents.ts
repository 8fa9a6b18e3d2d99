/** The documents of a configuration as they were written, so that what is not converted can be printed as it stands. */
import { kindOfDocument } from '../api/documents.ts';
import type { Resource } from '../api/resource.ts';
import { splitDocuments } from '../api/yaml/documents.ts';
import { parseYaml } from '../api/yaml/parse.ts';

/** A document of a file, or an item of a List in one. */
export interface WrittenObject {
  /** `Kind namespace/name` as `Resource` has them; undefined for what is no object of the API. */
  readonly key: string | undefined;
  readonly value: Readonly<Record<string, unknown>>;
}

export interface WrittenDocument {
  /** Without the line `---`. */
  readonly text: string;
  readonly objects: readonly WrittenObject[];
  /** True where the document is a List. */
  readonly list: boolean;
}

export function keyOf({ kind, metadata }: Pick<Resource, 'kind' | 'metadata'>): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`;
}

/** The documents of a text. `namespace` is that of objects which name none. */
export function documentsOf(text: string, namespace: string): WrittenDocument[] {
  return splitDocuments(text).map((chunk) => {
    const parsed = parseYaml(chunk.text);
    const value = 'value' in parsed ? parsed.value : undefined;
    if (!isObject(value)) return { text: chunk.text, objects: [], list: false };
    const list = typeof value.kind === 'string' && value.kind.endsWith('List') && Array.isArray(value.items);
    const items = list ? (value.items as unknown[]).filter(isObject) : [value];
    return { text: chunk.text, objects: items.map((item) => ({ key: keyOfWritten(item, namespace), value: item })), list };
  });
}

function keyOfWritten(value: Readonly<Record<string, unknown>>, namespace: string): string | undefined {
  const { apiVersion, kind, metadata } = value;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string' || !isObject(metadata)) return undefined;
  const known = kindOfDocument(kind, apiVersion);
  return (
    known &&
    `${known} ${typeof metadata.namespace === 'string' && metadata.namespace ? metadata.namespace : namespace}/${String(metadata.name)}`
  );
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
