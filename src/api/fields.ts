import { KINDS, type Kind } from './index.ts';
import { meshConfig } from './mesh-config.ts';
import type { Field, Node } from './schema.ts';

/** A field of a kind, as documentation lists it. */
export interface FieldInfo {
  /** Dotted, from the `spec` (or from the top of kinds without one); `[]` after lists, `*` for the keys of maps: `http[].match[].headers.*.exact`. */
  readonly path: string;
  readonly type: Node['type'];
  readonly required: boolean;
  /** A former spelling that still decodes. */
  readonly deprecated: boolean;
}

/** Every field of a kind, parents before their children, in the order of the schema. */
export function fieldsOf(kind: Kind | 'MeshConfig'): readonly FieldInfo[] {
  const out: FieldInfo[] = [];
  visit(kind === 'MeshConfig' ? meshConfig.node : KINDS[kind].schema.node, '', out, false);
  return out;
}

function visit(node: Node, path: string, out: FieldInfo[], deprecated: boolean): void {
  switch (node.type) {
    case 'list':
      visit(node.item, `${path}[]`, out, deprecated);
      return;
    case 'map':
      visit(node.value, path ? `${path}.*` : '*', out, deprecated);
      return;
    case 'object':
      for (const [name, field] of node.fields) add(name, field, deprecated);
      for (const [name, field] of node.old) add(name, field, true);
      return;
    default:
      return;
  }

  function add(name: string, field: Field, old: boolean): void {
    const child = path ? `${path}.${name}` : name;
    out.push({ path: child, type: field.node.type, required: field.required, deprecated: old });
    visit(field.node, child, out, old);
  }
}
