/** What may be written at a place: fields and values of the schemas, and names of the workspace. */
import type { CompletionItem, CompletionItemKind } from 'vscode-languageserver-protocol';
import { fieldText } from '../api/field-texts.ts';
import type { PathStep } from '../api/resource.ts';
import type { Node, ObjectNode } from '../api/schema.ts';
import { fullHostname } from '../lib/hostname.ts';
import type { Cursor } from './cursor.ts';
import { fieldAt, kindOf, typeText, valuesOf } from './fields.ts';
import { type Names, type Role, roleAt } from './names.ts';
import type { TextLines } from './text.ts';

/** The protocol's numbers. */
const KIND = { field: 5, reference: 18, value: 12 } as const satisfies Record<string, CompletionItemKind>;
const DEPRECATED = 1;

/** A client filters them by what was written; more than these nobody looks through. */
const MOST = 1000;

/** @param namespace of objects that name none @param names undefined where the file belongs to no configuration */
export function completionsAt(cursor: Cursor, lines: TextLines, namespace: string, names: Names | undefined): CompletionItem[] {
  const range = lines.range(cursor.start, cursor.end);
  return proposals(cursor, lines, namespace, names)
    .slice(0, MOST)
    .map(({ text, ...item }) => ({ ...item, filterText: item.label, textEdit: { range, newText: text } }));
}

interface Proposal extends Pick<CompletionItem, 'label' | 'kind' | 'detail' | 'documentation' | 'tags'> {
  readonly text: string;
}

function proposals(cursor: Cursor, lines: TextLines, namespace: string, names: Names | undefined): Proposal[] {
  const node = fieldAt(cursor, cursor.path)?.node;
  if (cursor.at !== 'value' && node?.type === 'object') return fieldsOf(node, cursor, lines);
  if (cursor.at === 'key' || !node) return [];
  const quote = /^["']/.exec(lines.text.slice(cursor.start, cursor.end))?.[0] ?? '';
  const values = [...valuesOf(node).map((label) => ({ label, kind: KIND.value })), ...namesAt(cursor, namespace, names)];
  return values.map((value) => ({ ...value, text: quote ? `${quote}${value.label}${quote}` : scalar(value.label) }));
}

/** As it is written in YAML: `*` would begin an alias. */
function scalar(label: string): string {
  return /^[\w./~|-]+$/.test(label) && label !== '~' ? label : JSON.stringify(label);
}

function fieldsOf(node: ObjectNode, cursor: Cursor, lines: TextLines): Proposal[] {
  const kind = kindOf(cursor);
  const hasColon = /^\s*:/.test(lines.text.slice(cursor.end, cursor.end + 20));
  const proposal = (name: string, own: Node, more: Pick<Proposal, 'tags'>): Proposal[] => {
    if (name !== cursor.word && cursor.siblings.has(name)) return [];
    const text = kind && fieldText(kind, [...cursor.path, name]);
    const behind = hasColon ? '' : isNested(own) ? ':' : ': ';
    return [
      { label: name, kind: KIND.field, detail: typeText(own), ...(text && { documentation: text }), text: `${name}${behind}`, ...more },
    ];
  };
  return [
    ...[...node.fields].flatMap(([name, field]) => proposal(name, field.node, {})),
    ...[...node.old].flatMap(([name, field]) => proposal(name, field.node, { tags: [DEPRECATED] })),
  ];
}

function isNested({ type }: Node): boolean {
  return type === 'object' || type === 'list' || type === 'map';
}

const DETAIL: Readonly<Record<Role, string>> = {
  host: 'host of this configuration',
  gateway: 'Gateway of this configuration',
  subset: 'subset of the host',
  namespace: 'namespace of this configuration',
  secret: 'Secret of this configuration',
};

function namesAt(cursor: Cursor, fallback: string, names: Names | undefined): Omit<Proposal, 'text'>[] {
  const kind = kindOf(cursor);
  const found = kind && roleAt(kind, cursor.path);
  if (!found || !names || (found.declares && found.role !== 'host')) return [];
  const namespace = cursor.namespace || fallback;
  return written(found.role, names, namespace, cursor).map((label) => ({ label, kind: KIND.reference, detail: DETAIL[found.role] }));
}

/** The names as an object of the namespace writes them. */
function written(role: Role, names: Names, namespace: string, { path, siblings }: Cursor): string[] {
  const all = names.all(role);
  switch (role) {
    case 'gateway':
      return ['mesh', ...all.map((name) => inNamespace(name, namespace))];
    case 'secret':
      return all.filter((name) => name.startsWith(`${namespace}/`)).map((name) => inNamespace(name, namespace));
    case 'subset': {
      const host = `${fullHostname(siblings.get('host') ?? '', namespace).toLowerCase()}|`;
      return all.filter((name) => name.startsWith(host)).map((name) => name.slice(host.length));
    }
    case 'namespace':
      return isExport(path) ? ['.', '*', ...all] : all;
    case 'host':
      return path.includes('egress') ? all.flatMap((name) => [`*/${name}`, `./${name}`]) : all;
  }
}

function isExport(path: readonly PathStep[]): boolean {
  return path.includes('exportTo');
}

function inNamespace(name: string, namespace: string): string {
  return name.startsWith(`${namespace}/`) ? name.slice(namespace.length + 1) : name;
}
