/** `typed_per_filter_config` of a route and its parents: the nearest entry, decoded once. */
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { SallyportError } from '../../lib/errors.ts';
import { FilterConfigSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { typeNameOf, unpack } from '../../xds/unpack.ts';

export type FilterConfigs = Readonly<Record<string, Any>> | undefined;

/** Decoded entries by the Any they came from. */
const decoded = new WeakMap<Any, { readonly type: string; readonly value: unknown }>();

/** The first level that has an entry for the filter decides; levels go from the most specific to the least. */
export function filterConfig<Desc extends DescMessage>(
  levels: readonly FilterConfigs[],
  filter: string,
  schema: Desc,
): MessageShape<Desc> | 'disabled' | undefined {
  for (const level of levels) {
    const entry = level?.[filter];
    if (entry) return decode(entry, filter, schema);
  }
  return undefined;
}

/** Whether the first level that has an entry for the filter enables it, as every entry does that does not say otherwise; undefined where none has one. */
export function enablesFilter(levels: readonly FilterConfigs[], filter: string): boolean | undefined {
  const entry = levels.find((level) => level?.[filter])?.[filter];
  if (!entry || typeNameOf(entry) !== FilterConfigSchema.typeName) return entry && true;
  return !unpack(entry, FilterConfigSchema, `typed_per_filter_config "${filter}"`).disabled;
}

function decode<Desc extends DescMessage>(entry: Any, filter: string, schema: Desc): MessageShape<Desc> | 'disabled' | undefined {
  const known = decoded.get(entry);
  if (known?.type === schema.typeName) return known.value as MessageShape<Desc> | 'disabled' | undefined;
  const value = read(entry, filter, schema);
  decoded.set(entry, { type: schema.typeName, value });
  return value;
}

function read<Desc extends DescMessage>(entry: Any, filter: string, schema: Desc): MessageShape<Desc> | 'disabled' | undefined {
  const where = `typed_per_filter_config "${filter}"`;
  const type = typeNameOf(entry);
  if (type === FilterConfigSchema.typeName) {
    const { disabled, config } = unpack(entry, FilterConfigSchema, where);
    // An empty one enables the filter as it stands.
    return disabled ? 'disabled' : config?.typeUrl ? read(config, filter, schema) : undefined;
  }
  if (type !== schema.typeName) throw new SallyportError('xds-type-mismatch', `${where} is a ${entry.typeUrl}, not a ${schema.typeName}`);
  return unpack(entry, schema, where);
}
