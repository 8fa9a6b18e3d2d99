import type { Position } from '../lib/finding.ts';
import type { PathStep, Source, SourceParts } from './resource.ts';
import type { Chunk, LineIndex } from './yaml/documents.ts';
import { locate } from './yaml/locate.ts';
import { Positions } from './yaml/positions.ts';

/** With what a quoted or a block scalar begins, and an alias. */
const NOT_PLAIN = /["'|>*]/;

/** A document of a file. Finds the places of fields when first asked for one. */
export class DocumentSource implements Source {
  readonly file: string;
  readonly #chunk: Chunk;
  readonly #lines: LineIndex;
  readonly #simple: boolean;
  #positions: Positions | undefined;

  /** @param simple whether the fast parser read the document: places in it are found without reading all of it again. */
  constructor(file: string, chunk: Chunk, lines: LineIndex, simple = false) {
    this.file = file;
    this.#chunk = chunk;
    this.#lines = lines;
    this.#simple = simple;
  }

  position(path: readonly PathStep[] = [], within?: { readonly line: number; readonly column: number }): Position {
    if (path.length === 0) return this.at(contentStart(this.#chunk.text));
    const found = this.#simple ? locate(this.#chunk.text, path) : undefined;
    // A simple document has no literal blocks, so `within` has no place in it.
    if (found) return this.at(found.start);
    const { start, indent } = this.#places().value(path);
    const position = this.at(start);
    // Only in a literal block do the lines of the value stand in the file as they are.
    return within && indent !== undefined
      ? { ...position, line: position.line + within.line - 1, column: indent + within.column }
      : position;
  }

  keyPosition(path: readonly PathStep[]): Position {
    const found = this.#simple ? locate(this.#chunk.text, path) : undefined;
    return this.at(found?.key ?? this.#places().key(path));
  }

  isPlain(path: readonly PathStep[], at: 'value' | 'key' = 'value'): boolean {
    const found = this.#simple ? locate(this.#chunk.text, path) : undefined;
    const offset = at === 'key' ? (found?.key ?? this.#places().key(path)) : (found?.start ?? this.#places().value(path).start);
    return !NOT_PLAIN.test(this.#chunk.text.charAt(offset));
  }

  /** The position of an offset into the document's text. */
  at(offset: number): Position {
    return { file: this.file, ...this.#lines.at(this.#chunk.start + offset) };
  }

  parts(): SourceParts {
    const { text, start } = this.#chunk;
    return { file: this.file, text: this.#lines.text, start, end: start + text.length, simple: this.#simple, base: [] };
  }

  #places(): Positions {
    this.#positions ??= new Positions(this.#chunk.text);
    return this.#positions;
  }
}

/** Skips the blank lines and comments before a document's first key. */
function contentStart(text: string): number {
  return /^(?:\s+|#.*)*/.exec(text)![0].length;
}

/** An object within a document, e.g. an item of a List. */
export class NestedSource implements Source {
  readonly file: string;
  readonly #document: Source;
  readonly #base: readonly PathStep[];

  constructor(document: Source, base: readonly PathStep[]) {
    this.file = document.file;
    this.#document = document;
    this.#base = base;
  }

  position(path: readonly PathStep[] = [], within?: { readonly line: number; readonly column: number }): Position {
    return this.#document.position([...this.#base, ...path], within);
  }

  isPlain(path: readonly PathStep[], at?: 'value' | 'key'): boolean {
    return this.#document.isPlain?.([...this.#base, ...path], at) ?? false;
  }

  keyPosition(path: readonly PathStep[]): Position {
    return this.#document.keyPosition([...this.#base, ...path]);
  }

  parts(): SourceParts | undefined {
    const parts = this.#document.parts?.();
    return parts && { ...parts, base: [...parts.base, ...this.#base] };
  }
}

/** A source that finds what the one with these parts finds. @param lines of the text: one for all of a file, as it is as long as the file */
export function sourceOf({ file, text, start, end, simple, base }: SourceParts, lines: LineIndex): Source {
  const document = new DocumentSource(file, { text: text.slice(start, end), start }, lines, simple);
  return base.length === 0 ? document : new NestedSource(document, base);
}
