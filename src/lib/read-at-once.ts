/** Several files as they stood at one moment. */
import { readNeededText } from './regular-file.ts';

/** So often it is read again while somebody writes. */
const ATTEMPTS = 5;

interface AtOnce<T> {
  readonly value: T;
  /** What was read, by path. */
  readonly texts: ReadonlyMap<string, string>;
  /** Somebody wrote during each reading: the files may be of different moments. */
  readonly torn: boolean;
}

/**
 * Reads files that belong together, of which one names others. Whoever replaces one after the other is not seen between two of them: all must still be the same
 * when the last has been read (times and inodes would not tell, as they are used again within a tick of the clock).
 * @param read reads all by what it is given, which throws `file-unreadable`; called again for another reading
 */
export function readAtOnce<T>(read: (readText: (path: string) => string) => T): AtOnce<T> {
  for (let attempt = 1; ; attempt++) {
    const texts = new Map<string, string>();
    const value = read((path) => {
      const text = readNeededText(path);
      texts.set(path, text);
      return text;
    });
    const torn = [...texts].some(([path, text]) => !stillHolds(path, text));
    if (!torn || attempt === ATTEMPTS) return { value, texts, torn };
  }
}

function stillHolds(path: string, text: string): boolean {
  try {
    return readNeededText(path) === text;
  } catch {
    return false;
  }
}
