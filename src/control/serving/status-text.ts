/** The streams of a controller as text. */
import { tableText } from '../../report/table.ts';
import type { StreamJson } from './status.ts';

const TYPES = ['CDS', 'EDS', 'LDS', 'RDS', 'VHDS', 'SDS', 'NDS'];
/** Few have it: the others get route configurations whole. */
const SOME_HAVE = 'VHDS';

/** A row for each stream, and below the table what was refused. */
export function streamsText(streams: readonly StreamJson[]): string {
  const types = TYPES.filter((name) => name !== SOME_HAVE || streams.some(({ xds }) => xds[name]));
  const rows = streams.map(({ proxy, type, peer, protocol, proven, xds }) => [
    proxy,
    type,
    ...types.map((name) => xds[name]?.state ?? (name === SOME_HAVE ? '-' : 'NOT SENT')),
    protocol === 'delta' ? 'incremental' : 'state of the world',
    `${peer}${proven ? ' (proven)' : ''}`,
  ]);
  const table = tableText({ columns: ['PROXY', 'TYPE', ...types, 'PROTOCOL', 'CLIENT'], rows, empty: 'No proxy is connected.' });
  const refused = nacks(streams).map(({ proxy, type, message }) => `${proxy}: ${type} refused: ${message.trimEnd()}\n`);
  return refused.length > 0 ? `${table}\n${refused.join('')}` : table;
}

/** What proxies refused, and why. */
export function nacks(streams: readonly StreamJson[]) {
  return streams.flatMap(({ proxy, xds }) =>
    Object.entries(xds).flatMap(([type, { state, message = '' }]) => (state === 'NACK' ? [{ proxy, type, message }] : [])),
  );
}
