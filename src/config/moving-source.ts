import type { PathStep, Source, SourceParts } from '../api/resource.ts';
import type { Position } from '../lib/finding.ts';

/**
 * Where an object stands now. When something above it in its file is edited, an object moves without saying anything else: it stays the same
 * object, of which nothing is derived or translated again, and its positions are those of the newest reading. So whoever keeps a finding beside
 * an object asks for the position when the finding is read, not when it is made.
 */
export class MovingSource implements Source {
  readonly file: string;
  #newest: Source;

  constructor(source: Source) {
    this.file = source.file;
    this.#newest = source;
  }

  /** @param source of the same object in the same file, read later */
  follow(source: Source): void {
    this.#newest = source;
  }

  position(path?: readonly PathStep[], within?: { readonly line: number; readonly column: number }): Position {
    return this.#newest.position(path, within);
  }

  isPlain(path: readonly PathStep[], at?: 'value' | 'key'): boolean {
    return this.#newest.isPlain?.(path, at) ?? false;
  }

  keyPosition(path: readonly PathStep[]): Position {
    return this.#newest.keyPosition(path);
  }

  parts(): SourceParts | undefined {
    return this.#newest.parts?.();
  }
}
