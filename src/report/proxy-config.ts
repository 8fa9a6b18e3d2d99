/** What `proxy-config` answers, in each of its forms. */
import type { Dump } from '../xds/config-dump/dump.ts';
import type { Filters } from '../xds/config-dump/table.ts';
import { type Kind, tableOf } from '../xds/config-dump/tables.ts';
import { tableText } from './table.ts';

export type ConfigOutput = 'table' | 'json' | 'yaml';

interface ConfigForm {
  readonly output: ConfigOutput;
  readonly filters: Filters;
  /** ms since the epoch */
  readonly now: number;
}

/** All kinds at once are the dump itself, which every command that takes a dump reads. */
export async function configText(kinds: readonly Kind[], dump: Dump, { output, filters, now }: ConfigForm): Promise<string> {
  const tables = () => kinds.map((kind) => tableOf(kind, dump, filters, now));
  if (output === 'table') return tables().map(tableText).join('\n');
  const value = kinds.length > 1 ? dump.dump : tables()[0]!.resources;
  return output === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : (await import('yaml')).stringify(value);
}
