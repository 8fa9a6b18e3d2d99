/** Tables for people. */
import type { Table } from '../xds/config-dump/table.ts';

/** A table as text: columns padded with spaces; the last one is not. */
export function tableText({ columns, rows, empty }: Omit<Table, 'resources'>): string {
  if (rows.length === 0) return `${empty}\n`;
  const all = [columns, ...rows];
  const widths = columns.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]! + 5)))
          .join('')
          .trimEnd()}\n`,
    )
    .join('');
}
