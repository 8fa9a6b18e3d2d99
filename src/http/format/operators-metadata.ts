/** Command operators that read metadata: `NAMESPACE:KEY:KEY`. */
import { SallyportError } from '../../lib/errors.ts';
import { table } from '../../lib/table.ts';
import type { OperatorFactory, OperatorValue } from './operator.ts';
import type { FormatRecord } from './record.ts';

type Metadata = Readonly<Record<string, unknown>> | undefined;

/** What stands at a path of metadata; undefined where there is nothing. */
export function metadataAt(metadata: Metadata, path: readonly string[]): OperatorValue {
  let value: unknown = metadata;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    value = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
  }
  return value === null ? undefined : (value as OperatorValue);
}

const reader =
  (read: (record: FormatRecord) => Metadata): OperatorFactory =>
  (args) => {
    const path = (args ?? '').split(':');
    if (path[0] === '')
      throw new SallyportError('xds-invalid', 'format string: a metadata operator needs the name of a filter in parentheses');
    return (record) => metadataAt(read(record), path);
  };

const SOURCES: Readonly<Record<string, (record: FormatRecord) => Metadata>> = table({
  DYNAMIC: (record) => record.dynamicMetadata,
  CLUSTER: (record) => record.clusterMetadata,
  ROUTE: (record) => record.routeMetadata,
});

export const METADATA_OPERATORS: Readonly<Record<string, OperatorFactory>> = table({
  DYNAMIC_METADATA: reader((record) => record.dynamicMetadata),
  CLUSTER_METADATA: reader((record) => record.clusterMetadata),
  UPSTREAM_METADATA: reader(() => undefined),
  /** `TYPE:NAMESPACE:KEY`. */
  METADATA: (args, context) => {
    const [type = '', ...rest] = (args ?? '').split(':');
    const source = SOURCES[type] ?? (['UPSTREAM_HOST', 'LISTENER', 'VIRTUAL_HOST'].includes(type) ? () => undefined : undefined);
    if (!source) throw new SallyportError('xds-unsupported', `format string: %METADATA(${args})%: the type "${type}" is not known`);
    return reader(source)(rest.join(':'), context);
  },
  /** `KEY` or `KEY:PLAIN|TYPED`. */
  FILTER_STATE: (args) => {
    const [key = ''] = (args ?? '').split(':');
    return (record) => record.filterState?.get(key);
  },
  UPSTREAM_FILTER_STATE: () => () => undefined,
});
