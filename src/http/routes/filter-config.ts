/** `typed_per_filter_config` of a route and its parents: the nearest entry, decoded once. */
import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { type Any, anyIs, anyUnpack } from '@bufbuild/protobuf/wkt';
import { SallyportError } from '../../lib/errors.ts';
import { FilterConfigSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';

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

function decode<Desc extends DescMessage>(entry: Any, filter: string, schema: Desc): MessageShape<Desc> | 'disabled' | undefined {
  const known = decoded.get(entry);
  if (known?.type === schema.typeName) return known.value as MessageShape<Desc> | 'disabled' | undefined;
  const value = unpack(entry, filter, schema);
  decoded.set(entry, { type: schema.typeName, value });
  return value;
}

function unpack<Desc extends DescMessage>(entry: Any, filter: string, schema: Desc): MessageShape<Desc> | 'disabled' | undefined {
  if (anyIs(entry, FilterConfigSchema)) {
    const wrapper = fromBinary(FilterConfigSchema, entry.value);
    return wrapper.disabled ? 'disabled' : wrapper.config && unpack(wrapper.config, filter, schema);
  }
  const message = anyUnpack(entry, schema);
  if (!message)
    throw new SallyportError('xds-type-mismatch', `typed_per_filter_config "${filter}" is a ${entry.typeUrl}, not a ${schema.typeName}`);
  return message;
}
