/** ProxyConfig of MeshConfig as it is written. */
import { defaultConfig } from './default-config.ts';
import type { Infer, Node } from './schema.ts';

/** What differs from the defaults, in JSON's form: durations as `5s`. */
export function proxyConfigJson(config: Infer<typeof defaultConfig>): Record<string, unknown> {
  return written(defaultConfig.node, config) as Record<string, unknown>;
}

function written(node: Node, value: unknown): unknown {
  switch (node.type) {
    case 'duration':
      return `${(value as number) / 1000}s`;
    case 'list':
      return (value as readonly unknown[]).map((item) => written(node.item, item));
    case 'map':
      return Object.fromEntries(Object.entries(value as object).map(([name, each]) => [name, written(node.value, each)]));
    case 'object': {
      const fields = Object.entries(value as object).flatMap(([name, each]) => {
        const field = node.fields.get(name);
        return field && each !== undefined && each !== field.fallback && !isEmpty(each) ? [[name, written(field.node, each)]] : [];
      });
      return Object.fromEntries(fields);
    }
    default:
      return value;
  }
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
