/** Several files as they stood at one moment. */
import { statSync } from 'node:fs';
import { readNeededText } from './regular-file.ts';

/** So often it is read again while somebody writes. */
const ATTEMPTS = 5;

/**
 * Reads files that belong together, of which one names others. Whoever replaces one after the other is not seen between two of them: what was replaced while it was
 * read is read again. `torn`: it was so each time.
 * @param read is called again for another reading, and reads all by what it is given, which throws `file-unreadable`
 */
export function readAtOnce<T>(read: (readText: (path: string) => string) => T): { readonly value: T; readonly torn: boolean } {
  for (let attempt = 1; ; attempt++) {
    const stamps = new Map<string, string | undefined>();
    const value = read((path) => {
      if (!stamps.has(path)) stamps.set(path, stampOf(path));
      return readNeededText(path);
    });
    const torn = [...stamps].some(([path, stamp]) => stampOf(path) !== stamp);
    if (!torn || attempt === ATTEMPTS) return { value, torn };
  }
}

/** Another one whenever a file is written or replaced; undefined for none. */
function stampOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
}
