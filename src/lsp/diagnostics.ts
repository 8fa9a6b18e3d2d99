/** Findings as an editor shows them. */
import { pathToFileURL } from 'node:url';
import type { Diagnostic, DiagnosticRelatedInformation, Range } from 'vscode-languageserver-protocol';
import { type Finding, isInFile, type Level, type Mend } from '../lib/finding.ts';
import { findingJson } from '../lib/finding-form.ts';
import { PACKAGE_ROOT } from '../lib/package-root.ts';
import { hasAction, isAboutObject } from './templates.ts';
import { lineEnd, type TextLines, wordEnd } from './text.ts';

/** The protocol's levels. */
const SEVERITY: Readonly<Record<Level, 1 | 2 | 3>> = { Error: 1, Warning: 2, Info: 3 };
const INFORMATION = 3;

/** An editor that shows more of one file shows nothing. */
const MOST_OF_A_FILE = 200;
const SOURCE = 'sallyport';

/** A change that mends a finding, with the range that it replaces. */
export interface ShownMend extends Mend {
  readonly range: Range;
}

/** A finding in its file. */
export interface Shown {
  readonly diagnostic: Diagnostic;
  readonly mend?: ShownMend;
}

/** What a file says, if it is known. */
type LinesOf = (file: string) => TextLines | undefined;

/** The files' findings, by file. Files of which nothing is wrong are not in it. */
export function shownByFile(findings: readonly Finding[], lines: LinesOf): Map<string, Shown[]> {
  const files = new Map<string, Shown[]>();
  for (const finding of findings) {
    const file = finding.position?.file;
    if (file === undefined || !isInFile(finding.position!)) continue;
    const shown = shownIn(finding, file, lines);
    if (!shown) continue;
    const known = files.get(file);
    if (known) known.push(shown);
    else files.set(file, [shown]);
  }
  return new Map([...files].map(([file, all]) => [file, withinLimit(all)]));
}

/** Undefined for what is no concern of whoever edits the file: another tool's file, what is right once it is rendered. */
function shownIn(finding: Finding, file: string, lines: LinesOf): Shown | undefined {
  const { code, level, message, position, mend } = finding;
  const text = lines(file);
  if (!text) {
    const start = { line: 0, character: 0 };
    return { diagnostic: { range: { start, end: start }, severity: SEVERITY[level], code, source: SOURCE, message } };
  }
  const offset = text.offsetOfPlace(position!);
  const lineStart = text.text.lastIndexOf('\n', offset - 1) + 1;
  if ((code === 'SP0001' || code === 'SP0005') && !isAboutObject(file, text.text, offset)) return undefined;
  const isTemplate = hasAction(text.text.slice(lineStart, lineEnd(text.text, offset)));
  if (isTemplate && code !== 'SP0001') return undefined;
  const fits = mend !== undefined && text.text.startsWith(mend.from, offset);
  const range = text.range(offset, fits ? offset + mend.from.length : Math.max(offset, wordEnd(text.text, offset)));
  const { documentationUrl = findingsPage(code) } = findingJson(finding);
  const related = relatedTo(finding, lines);
  return {
    diagnostic: {
      range,
      severity: isTemplate ? INFORMATION : SEVERITY[level],
      code,
      codeDescription: { href: documentationUrl },
      source: SOURCE,
      message,
      ...(related.length > 0 && { relatedInformation: related }),
    },
    ...(fits && { mend: { ...mend, range } }),
  };
}

/** The table of findings, in the package. */
function findingsPage(code: string): string {
  return `${new URL('docs/findings/README.md', PACKAGE_ROOT).href}#${code.toLowerCase()}`;
}

/** The places of other objects that the message names. */
function relatedTo({ message, position }: Finding, lines: LinesOf): DiagnosticRelatedInformation[] {
  const places = [...message.matchAll(/(?<file>\/[^\n:()]+):(?<line>\d{1,9}):(?<column>\d{1,9})/g)].slice(0, 10);
  return places.flatMap(({ groups }) => {
    const { file, line, column } = groups as { file: string; line: string; column: string };
    const text = lines(file);
    if (!text || (file === position?.file && Number(line) === position.line)) return [];
    const offset = text.offsetOfPlace({ line: Number(line), column: Number(column) });
    const location = { uri: pathToFileURL(file).href, range: text.range(offset, wordEnd(text.text, offset)) };
    return [{ location, message: 'what the message refers to' }];
  });
}

function withinLimit(all: readonly Shown[]): Shown[] {
  if (all.length <= MOST_OF_A_FILE) return [...all];
  const { diagnostic } = all[MOST_OF_A_FILE]!;
  const message = `${all.length - MOST_OF_A_FILE} findings more in this file: sallyport analyze has all of them`;
  return [...all.slice(0, MOST_OF_A_FILE), { diagnostic: { range: diagnostic.range, severity: INFORMATION, source: SOURCE, message } }];
}
