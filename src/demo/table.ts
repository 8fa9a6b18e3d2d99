/** The demonstration's table. */
import type { Paint } from '../report/paint.ts';
import type { Example } from './calls.ts';
import type { Result } from './client.ts';
import type { DemoResult, Row } from './run.ts';

const HEAD = ['call', 'outcome', 'path', 'why'] as const;

export function exampleText({ name, about }: Example, rows: readonly Row[], paint: Paint): string {
  const cells = rows.map(({ call, result, answered, way }) => [
    `${call.name}: ${call.get ?? `${call.send} ${call.redis}`}${call.serverName ? ` (${call.serverName})` : ''}`,
    outcome(result, answered),
    answered ? way.path.join(' → ') : `${way.path.join(' → ')} ✗`,
    way.because,
  ]);
  const widths = HEAD.map((head, column) => Math.max(head.length, ...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd();
  const lines = rows.flatMap(({ answered, problems }, index) => [
    `  ${paint(problems.length > 0 ? 'red' : answered ? 'green' : 'yellow', line(cells[index]!))}`,
    ...problems.map((problem) => `    ${paint('red', `NOT AS STATED: ${problem}`)}`),
  ]);
  return [`${paint('bold', name)}: ${about}`, `  ${paint('dim', line(HEAD))}`, ...lines, '', ''].join('\n');
}

function outcome({ status, text }: Result, answered: boolean): string {
  if (answered) return status > 0 ? String(status) : text;
  return status > 0 ? `refused, ${status}` : 'refused, closed';
}

export function demoVerdict({ examples, calls, differing }: DemoResult, seconds: number, paint: Paint): string {
  const stated = differing === 0 ? paint('green', 'all as stated') : paint('red', `${differing} not as stated`);
  return `${examples} examples, ${calls} calls, ${stated}, ${seconds.toFixed(1)} s\n`;
}
