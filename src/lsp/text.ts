/** A text as the Language Server Protocol counts in it. */
import type { Position, Range } from 'vscode-languageserver-protocol';
import { lineAt, lineStarts } from '../lib/line-starts.ts';

/** Lines end with `\n`, `\r\n` or `\r` and count from 0; characters are UTF-16 code units and count from 0. */
export class TextLines {
  readonly text: string;
  #starts: readonly number[] | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** What lies outside of a line or of the text is taken for its end. */
  offsetAt({ line, character }: Position): number {
    const starts = this.#lines();
    if (line >= starts.length) return this.text.length;
    return Math.min(starts[line]! + character, this.#endOf(line));
  }

  positionAt(offset: number): Position {
    const starts = this.#lines();
    const line = lineAt(starts, offset);
    return { line, character: Math.min(offset, this.#endOf(line)) - starts[line]! };
  }

  range(start: number, end: number): Range {
    return { start: this.positionAt(start), end: this.positionAt(end) };
  }

  /** Where a line ends, without what ends it. */
  #endOf(line: number): number {
    const starts = this.#lines();
    let end = starts[line + 1] ?? this.text.length;
    if (line + 1 < starts.length) end -= this.text.startsWith('\r\n', end - 2) ? 2 : 1;
    return end;
  }

  #lines(): readonly number[] {
    this.#starts ??= startsIn(this.text);
    return this.#starts;
  }

  #fileStarts: readonly number[] | undefined;

  /** The offset of a place as findings have it: lines end with `\n` alone, and both count from 1. */
  offsetOfPlace({ line, column }: { readonly line: number; readonly column: number }): number {
    this.#fileStarts ??= lineStarts(this.text);
    const start = this.#fileStarts[line - 1];
    return start === undefined ? this.text.length : Math.min(start + column - 1, this.text.length);
  }
}

/** As the protocol has lines. */
function startsIn(text: string): number[] {
  const starts = [0];
  for (const match of text.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
  return starts;
}

/** The end of the key or the value that begins at `start`. */
export function wordEnd(text: string, start: number): number {
  const quote = text[start];
  if (quote === '"' || quote === "'") {
    const end = text.indexOf(quote, start + 1);
    const line = lineEnd(text, start);
    return end < 0 || end > line ? line : end + 1;
  }
  const rest = text.slice(start, lineEnd(text, start));
  const key = /^[^\s,:[\]{}]+(?=:(?:\s|$))/.exec(rest);
  if (key) return start + key[0].length;
  return (
    start +
    rest
      .replace(/\s#.*$/, '')
      .replace(/[,}\]].*$/, '')
      .trimEnd().length
  );
}

/** Where the line of `offset` ends, without what ends it. */
export function lineEnd(text: string, offset: number): number {
  const end = text.indexOf('\n', offset);
  if (end < 0) return text.length;
  return text[end - 1] === '\r' && end > offset ? end - 1 : end;
}

export function isBefore(a: Position, b: Position): boolean {
  return a.line < b.line || (a.line === b.line && a.character < b.character);
}
