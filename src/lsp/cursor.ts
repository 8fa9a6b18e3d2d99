/**
 * What stands at a place of a text that is being written, and so need not be YAML: read line by line, by indentation. Of a mapping in brackets it
 * reads one line. What it does not understand it leaves alone.
 */
import type { PathStep } from '../api/resource.ts';

export interface Cursor extends DocumentHead {
  /** Of the mapping in which the key stands, or of the value. */
  readonly path: readonly PathStep[];
  /** `open`: a word without a colon, which is the value at `path` or will be a key in it. */
  readonly at: 'key' | 'value' | 'open';
  /** The whole word, without quotes. */
  readonly word: string;
  /** Its offsets in the text. */
  readonly start: number;
  readonly end: number;
  /** The other keys of the mapping, with what stands behind them. */
  readonly siblings: ReadonlyMap<string, string>;
}

/** What a document says of itself. Empty where it does not. */
export interface DocumentHead {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
}

/** Longer documents are left alone: each key pressed reads the document. */
const LONGEST_DOCUMENT = 1024 * 1024;
/** Nobody writes longer lines by hand: of one no more is read. */
const LONGEST_LINE = 2000;
const MARKER = /^(?:---|\.\.\.)(?=\s|$)/;

export function cursorAt(text: string, offset: number): Cursor | undefined {
  const document = documentAt(text, offset);
  if (!document || document.text.trimStart().startsWith('{')) return undefined;
  const lines = document.text.split('\n').map((line) => line.slice(0, LONGEST_LINE).replace(/\r$/, ''));
  const before = document.text.slice(0, offset - document.start);
  const index = before.split('\n').length - 1;
  const lineStart = document.start + before.lastIndexOf('\n') + 1;
  const spot = offset - lineStart < LONGEST_LINE ? spotIn(lines, index, offset - lineStart) : undefined;
  if (!spot) return undefined;
  const { path, at, start, end, siblings } = spot;
  const word = unquoted(lines[index]!.slice(start, end));
  return { ...headOf(lines), path, at, word, start: lineStart + start, end: lineStart + end, siblings };
}

function documentAt(text: string, offset: number): { readonly text: string; readonly start: number } | undefined {
  let start = text.lastIndexOf('\n', offset - 1) + 1;
  while (start > 0 && !MARKER.test(text.slice(start, start + 4)) && offset - start < LONGEST_DOCUMENT)
    start = text.lastIndexOf('\n', start - 2) + 1;
  if (MARKER.test(text.slice(start, start + 4))) {
    const next = text.indexOf('\n', start) + 1;
    if (next === 0 || next > offset) return undefined;
    start = next;
  }
  let end = text.indexOf('\n', offset);
  while (end >= 0 && !MARKER.test(text.slice(end + 1, end + 5)) && end - start < LONGEST_DOCUMENT) end = text.indexOf('\n', end + 1);
  const found = text.slice(start, end < 0 ? undefined : end);
  return found.length > LONGEST_DOCUMENT ? undefined : { text: found, start };
}

/** A dash or a key, and the column at which it stands. */
interface Mark {
  readonly column: number;
  /** Undefined: a dash. */
  readonly key?: string;
  /** Columns of the end of the key, and of its value. */
  readonly keyEnd: number;
  readonly value: number;
}

function marksOf(line: string): Mark[] {
  const marks: Mark[] = [];
  let at = gapEnd(line, 0);
  while (line[at] === '-' && (at + 1 === line.length || line[at + 1] === ' ')) {
    marks.push({ column: at, keyEnd: at, value: at });
    at = gapEnd(line, at + 1);
  }
  const key = keyAt(line, at);
  if (key) marks.push(key);
  return marks;
}

function keyAt(line: string, column: number): Mark | undefined {
  const first = line[column];
  if (first === undefined || '#{[|>&*!%@`'.includes(first)) return undefined;
  let keyEnd: number;
  if (first === '"' || first === "'") {
    const close = line.indexOf(first, column + 1);
    if (close < 0) return undefined;
    keyEnd = close + 1;
  } else {
    const colon = line.slice(column).search(/\s*:(?:\s|$)/);
    if (colon < 0) return undefined;
    keyEnd = column + colon;
  }
  const colon = gapEnd(line, keyEnd);
  if (line[colon] !== ':' || (colon + 1 < line.length && line[colon + 1] !== ' ')) return undefined;
  const key = unquoted(line.slice(column, keyEnd));
  return key.includes(' #') ? undefined : { column, key, keyEnd, value: gapEnd(line, colon + 1) };
}

interface Spot extends Pick<Cursor, 'path' | 'at' | 'siblings'> {
  /** Columns. */
  readonly start: number;
  readonly end: number;
}

function spotIn(lines: readonly string[], index: number, column: number): Spot | undefined {
  const line = lines[index]!;
  if (isComment(line, column)) return undefined;
  const marks = marksOf(line);
  const key = marks.at(-1)?.key === undefined ? undefined : marks.at(-1)!;
  const dashes = key ? marks.slice(0, -1) : marks;
  if (!key) {
    const content = dashes.length > 0 ? gapEnd(line, dashes.at(-1)!.column + 1) : gapEnd(line, 0);
    const isBlank = content >= line.length;
    const start = isBlank ? column : content;
    const path = pathTo(lines, index, start, dashes);
    if (!path || column < start) return undefined;
    if (line[start] === '[' || line[start] === '{') return flowSpot(line, start, column, path);
    return { path, at: 'open', start, end: isBlank ? column : valueEnd(line, start), siblings: siblingsOf(lines, index, start) };
  }
  const path = pathTo(lines, index, key.column, dashes);
  if (!path || column < key.column) return undefined;
  const siblings = siblingsOf(lines, index, key.column);
  if (column <= key.keyEnd) return { path, at: 'key', start: key.column, end: key.keyEnd, siblings };
  const own = [...path, key.key!];
  const first = line[key.value];
  if (column < key.value && first !== undefined) return undefined;
  if (first === '{' || first === '[') return flowSpot(line, key.value, column, own);
  if (first === '|' || first === '>' || first === '&' || first === '*') return undefined;
  const start = first === undefined ? column : key.value;
  return { path: own, at: 'value', start, end: first === undefined ? column : valueEnd(line, start), siblings };
}

/** The way from the document's root to the mapping or list whose member stands at the column; undefined inside of a block of text. */
function pathTo(lines: readonly string[], from: number, column: number, dashes: readonly Mark[]): PathStep[] | undefined {
  const steps: PathStep[] = [];
  let at = column;
  /** The column of the dash of the item in which the place is. */
  let dash: number | undefined;
  const take = (mark: Mark): boolean => {
    if (mark.key === undefined) {
      if (mark.column === dash) steps[0] = Number(steps[0]) + 1;
      else if (dash === undefined ? mark.column < at : mark.column < dash && steps.length > 0 && mark.column < at) {
        steps.unshift(0);
        dash = mark.column;
        at = mark.column;
      }
    } else if (dash === undefined ? mark.column < at : mark.column <= dash) {
      steps.unshift(mark.key);
      at = mark.column;
      dash = undefined;
    }
    return at > 0 || dash !== undefined;
  };
  for (const mark of dashes.toReversed()) take(mark);
  for (let index = from - 1; index >= 0 && (at > 0 || dash !== undefined); index--) {
    const line = lines[index]!;
    const marks = marksOf(line);
    for (const mark of marks.toReversed()) {
      const known = steps.length;
      if (!take(mark)) break;
      if (steps.length > known && mark.key !== undefined && /[|>]/.test(line[mark.value] ?? '')) return undefined;
    }
  }
  return steps;
}

/** The keys of the mapping whose keys stand at the column, but for the line itself. */
function siblingsOf(lines: readonly string[], index: number, column: number): Map<string, string> {
  const found = new Map<string, string>();
  /** False where the mapping begins or ends. */
  const take = (at: number, upward: boolean): boolean => {
    const line = lines[at]!;
    const marks = marksOf(line);
    const own = marks.find((mark) => mark.column === column && mark.key !== undefined);
    const outer = marks.some((mark) => mark.column < column);
    if (own && (upward || !outer)) found.set(own.key!, unquoted(line.slice(own.value, valueEnd(line, own.value))));
    return !outer;
  };
  const begins = marksOf(lines[index]!).some((mark) => mark.column < column);
  for (let at = index - 1; !begins && at >= 0 && take(at, true); at--);
  for (let at = index + 1; at < lines.length && take(at, false); at++);
  return found;
}

/** One level of brackets. */
interface Level {
  readonly open: '{' | '[';
  index: number;
  key: string | undefined;
  readonly entries: Map<string, string>;
}

function flowSpot(line: string, from: number, column: number, base: readonly PathStep[]): Spot | undefined {
  const levels: Level[] = [];
  let start = from;
  let at = from;
  while (at < column) {
    const char = line[at]!;
    const level = levels.at(-1);
    if (char === '"' || char === "'") {
      const close = line.indexOf(char, at + 1);
      if (close < 0 || close >= column) break;
      at = close + 1;
      continue;
    }
    if (char === '{' || char === '[') levels.push({ open: char, index: 0, key: undefined, entries: new Map() });
    else if (char === '}' || char === ']') levels.pop();
    else if (char === ',' && level) {
      if (level.key !== undefined) level.entries.set(level.key, unquoted(line.slice(start, at).trim()));
      level.index++;
      level.key = undefined;
    } else if (char === ':' && level?.open === '{' && level.key === undefined && /\s|^$/.test(line[at + 1] ?? ''))
      level.key = unquoted(line.slice(start, at).trim());
    else {
      at++;
      continue;
    }
    start = gapEnd(line, at + 1);
    at++;
  }
  const inner = levels.at(-1);
  if (!inner || levels.length > 50) return undefined;
  start = Math.min(start, column);
  const path = [
    ...base,
    ...levels.flatMap(({ open, index, key }): PathStep[] => (open === '[' ? [index] : key === undefined ? [] : [key])),
  ];
  const end = Math.max(column, start + line.slice(start).search(/\s*(?:[,}\]]|:(?:\s|$)|$)/));
  if (inner.open === '[') return { path, at: 'open', start, end, siblings: new Map() };
  readAhead(line, end, inner);
  return { path, at: inner.key === undefined ? 'key' : 'value', start, end, siblings: inner.entries };
}

/** The entries of the mapping that stand behind the place, as far as they are simple. */
function readAhead(line: string, from: number, { entries }: Level): void {
  const rest = /^[^{}[\]]*/.exec(line.slice(from))![0];
  for (const entry of rest.split(',').slice(1)) {
    const match = /^\s*([\w.-]+):\s+(.*?)\s*$/.exec(entry);
    if (match) entries.set(match[1]!, unquoted(match[2]!));
  }
}

function gapEnd(line: string, from: number): number {
  let at = from;
  while (line[at] === ' ') at++;
  return at;
}

function valueEnd(line: string, start: number): number {
  const first = line[start];
  if (first === '"' || first === "'") {
    const close = line.indexOf(first, start + 1);
    return close < 0 ? line.length : close + 1;
  }
  const comment = line.indexOf(' #', start);
  return start + line.slice(start, comment < 0 ? undefined : comment).trimEnd().length;
}

function isComment(line: string, column: number): boolean {
  if (line.trimStart().startsWith('#')) return true;
  const comment = line.indexOf(' #');
  return comment >= 0 && comment < column && !/["']/.test(line.slice(0, comment));
}

function unquoted(word: string): string {
  return word.replace(/^(["'])(.*)\1$/, '$2').replace(/^["']/, '');
}

function headOf(lines: readonly string[]): DocumentHead {
  const top = (name: string) => {
    const line = lines.find((text) => text.startsWith(`${name}:`));
    return line === undefined ? '' : unquoted(line.slice(name.length + 1, valueEnd(line, 0)).trim());
  };
  const begin = lines.findIndex((line) => line.startsWith('metadata:'));
  const metadata: string[] = [];
  for (let at = begin; at >= 0 && at < lines.length && (at === begin || /^(?:\s|#|$)/.test(lines[at]!)); at++) metadata.push(lines[at]!);
  const inMetadata = (name: string) => {
    const pattern = new RegExp(`(?:^|[{,\\s])${name}:\\s+["']?([^\\s,"'}]+)`);
    for (const line of metadata) {
      const found = pattern.exec(line);
      if (found) return found[1]!;
    }
    return '';
  };
  return { apiVersion: top('apiVersion'), kind: top('kind'), name: inMetadata('name'), namespace: inMetadata('namespace') };
}
