/** What analysis, decoding and translation report. Printed the same everywhere. */
import type { Origin } from './origin.ts';

export type Level = 'Error' | 'Warning' | 'Info';

/** A place in a file; line and column count from 1. What was not read from a file has no lines: both are 0 then, and `file` says what it is. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A change of the file that mends a finding by itself: at the finding's position stands `from`, on one line, and is to be `to`. */
export interface Mend {
  readonly from: string;
  readonly to: string;
}

/** That `to` is to be written in place of `from`; undefined where it is not known what. */
export function inPlaceOf(from: string, to: string | undefined): Mend | undefined {
  return to ? { from, to } : undefined;
}

export interface Finding {
  /** Istio's code where Istio has one (`IST0101`), else our own (`SP1001`). */
  readonly code: string;
  readonly level: Level;
  /** What is wrong, what it does to traffic, and the change that mends it. */
  readonly message: string;
  /** The object that it is about; a file where no object could be decoded. */
  readonly origin: Origin;
  readonly position?: Position;
  /** Where the change is one word for another. */
  readonly mend?: Mend;
}

/** Whether the place is in a file that can be opened. */
export function isInFile(position: Position): boolean {
  return position.line > 0;
}

/** `file:line:column`, as every output prints it. */
export function formatPosition(position: Position): string {
  if (!isInFile(position)) return position.file;
  return `${position.file}:${position.line}:${position.column}`;
}
