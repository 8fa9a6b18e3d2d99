/** What analysis, decoding and translation report. Printed the same everywhere. */
import type { Origin } from './origin.ts';

export type Level = 'Error' | 'Warning' | 'Info';

/** A place in a file; line and column count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
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
}

/** `file:line:column`, as every output prints it. */
export function formatPosition(position: Position): string {
  return `${position.file}:${position.line}:${position.column}`;
}
