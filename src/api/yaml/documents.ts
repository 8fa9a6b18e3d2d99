/**
 * Cuts a file into YAML documents before parsing, so that a document that does not parse costs only itself. A line that starts with `---`
 * or `...` ends a document wherever it stands (YAML 1.2, section 9.1.2), also inside a block scalar.
 */
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
    const starts = this.#starts;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - starts[low]! + 1 };
  }
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
