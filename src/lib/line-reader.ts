/** Lines of files, for the excerpt under what is said of a place in one. */
import type { Position } from './finding.ts';
import { readRegularText } from './regular-file.ts';

/** The line of a position; undefined if it cannot be read. */
export type ReadLine = (position: Position) => string | undefined;

/** Reads lines from disk, each file once. */
export function lineReader(): ReadLine {
  const files = new Map<string, readonly string[]>();
  return ({ file, line }) => {
    let lines = files.get(file);
    if (!lines) {
      try {
        lines = readRegularText(file).split('\n');
      } catch {
        lines = [];
      }
      files.set(file, lines);
    }
    return lines[line - 1];
  };
}
