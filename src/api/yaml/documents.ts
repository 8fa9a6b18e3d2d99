/**
 * Cuts a file into YAML documents before parsing, so that a document that does not parse costs only itself. A line that starts with `---`
 * or `...` ends a document wherever it stands (YAML 1.2, section 9.1.2), also inside a block scalar.
 */
import { lineAt, lineStarts } from '../../lib/line-starts.ts';

export interface Chunk {
  readonly text: string;
  /** Offset of `text` in the file. */
  readonly start: number;
}

const MARKER = /^(?:---|\.\.\.)(?=[ \t\r\n]|$)/gm;
const BLANK = /^(?:[ \t]*(?:#.*|%.*)?(?:\r?\n|$))*$/;

export function splitDocuments(text: string): Chunk[] {
  const chunks: Chunk[] = [];
  const add = (start: number, end: number) => {
    const part = text.slice(start, end);
    if (!BLANK.test(part)) chunks.push({ text: part, start });
  };
  let start = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  MARKER.lastIndex = start;
  for (let match = MARKER.exec(text); match; match = MARKER.exec(text)) {
    add(start, match.index);
    start = match.index + 3;
  }
  add(start, text.length);
  return chunks;
}

/** Turns offsets of a text into lines and columns, both from 1. */
export class LineIndex {
  readonly text: string;
  #starts: number[] | undefined;

  constructor(text: string) {
    this.text = text;
  }

  at(offset: number): { line: number; column: number } {
    this.#starts ??= lineStarts(this.text);
    const line = lineAt(this.#starts, offset);
    return { line: line + 1, column: offset - this.#starts[line]! + 1 };
  }
}
