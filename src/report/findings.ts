/** Findings look the same wherever they are printed. */

import { type Finding, formatPosition, isInFile, type Level, type Position } from '../lib/finding.ts';
import { findingJson, sortFindings } from '../lib/finding-form.ts';
import type { ReadLine } from '../lib/line-reader.ts';
import { originText } from '../lib/origin.ts';
import type { Paint, Style } from './paint.ts';

export type Output = 'text' | 'json' | 'yaml';

const STYLES: Readonly<Record<Level, Style>> = { Error: 'red', Warning: 'yellow', Info: 'cyan' };

/** The text form: what and where, the message, and the line of the source with the place underlined. */
export function findingText(finding: Finding, paint: Paint, readLine: ReadLine): string {
  const { code, level, message, origin, position } = finding;
  const head = `${paint([STYLES[level], 'bold'], level)} ${paint('bold', `[${code}]`)} ${originText(origin)}${position ? paint('dim', ` (${formatPosition(position)})`) : ''}`;
  const excerpt = position && isInFile(position) ? excerptOf(position, level, paint, readLine) : '';
  return `${head}\n  ${message.replaceAll('\n', '\n  ')}\n${excerpt}`;
}

function excerptOf(position: Position, level: Level, paint: Paint, readLine: ReadLine): string {
  const line = readLine(position)?.replaceAll('\t', ' ');
  if (line === undefined || position.column > line.length + 1) return '';
  const shown = line.length > 160 ? `${line.slice(0, 160)}…` : line;
  const marked = /^\S*/.exec(shown.slice(position.column - 1))![0].length || 1;
  const number = String(position.line);
  const gutter = ' '.repeat(number.length);
  return (
    `  ${paint('dim', `${number} |`)} ${shown}\n` +
    `  ${paint('dim', `${gutter} |`)} ${' '.repeat(position.column - 1)}${paint(STYLES[level], '^'.repeat(marked))}\n`
  );
}

export interface FindingsForm {
  readonly output: Output;
  readonly paint: Paint;
  /** For the excerpts of text. */
  readonly readLine: ReadLine;
  /** Of one code at most so many are shown in text, and the others counted; `all` says how to see them. All of them by default. */
  readonly brief?: { readonly most: number; readonly all: string };
}

/** All findings in the form asked for. */
export async function findingsText(findings: readonly Finding[], { output, paint, readLine, brief }: FindingsForm): Promise<string> {
  const sorted = sortFindings(findings);
  if (output === 'json') return `${JSON.stringify(sorted.map(findingJson), undefined, 2)}\n`;
  if (output === 'yaml') return (await import('yaml')).stringify(sorted.map(findingJson));
  const { shown, left } = brief ? withoutRepetition(sorted, brief.most) : { shown: sorted, left: [] };
  const texts = shown.map((finding) => findingText(finding, paint, readLine));
  return [...texts, ...left.map((repeated) => repetitionText(repeated, brief!.all, paint))].join('\n');
}

/** How many of one code may be left out: to be told of two more costs as much as to see them. */
const FEW = 2;

/** The findings to show, and by code those that only repeat what others say. */
function withoutRepetition(sorted: readonly Finding[], most: number): { shown: Finding[]; left: Finding[][] } {
  const byCode = Map.groupBy(sorted, ({ code, level }) => `${level} ${code}`);
  const left = [...byCode.values()].filter(({ length }) => length > most + FEW).map((list) => list.slice(most));
  const hidden = new Set(left.flat());
  return { shown: sorted.filter((finding) => !hidden.has(finding)), left };
}

function repetitionText(repeated: readonly Finding[], all: string, paint: Paint): string {
  const { level, code } = repeated[0]!;
  const names = [...new Set(repeated.map(({ origin }) => originText(origin)))];
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return `${paint([STYLES[level], 'bold'], level)} ${paint('bold', `[${code}]`)} ${repeated.length} more like these (${all}): ${names.slice(0, 3).join(', ')}${more}\n`;
}
