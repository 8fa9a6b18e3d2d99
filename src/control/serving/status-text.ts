/** The streams of a controller as text. */
import { tableText } from '../../report/table.ts';
import type { StreamJson } from './status.ts';

const TYPES = ['CDS', 'EDS', 'LDS', 'RDS', 'SDS', 'NDS'];

/** A row for each stream, and below the table what was refused. */
export function streamsText(streams: readonly StreamJson[]): string {
  const rows = streams.map(({ proxy, type, peer, protocol, proven, xds }) => [
    proxy,
    type,
    ...TYPES.map((name) => xds[name]?.state ?? 'NOT SENT'),
    protocol === 'delta' ? 'incremental' : 'state of the world',
    `${peer}${proven ? ' (proven)' : ''}`,
  ]);
  const table = tableText({ columns: ['PROXY', 'TYPE', ...TYPES, 'PROTOCOL', 'CLIENT'], rows, empty: 'No proxy is connected.' });
  const refused = nacks(streams).map(({ proxy, type, message }) => `${proxy}: ${type} refused: ${message.trimEnd()}\n`);
  return refused.length > 0 ? `${table}\n${refused.join('')}` : table;
}

/** What proxies refused, and why. */
export function nacks(streams: readonly StreamJson[]) {
  return streams.flatMap(({ proxy, xds }) =>
    Object.entries(xds).flatMap(([type, { state, message = '' }]) => (state === 'NACK' ? [{ proxy, type, message }] : [])),
  );
}
