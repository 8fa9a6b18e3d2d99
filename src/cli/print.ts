/** All that commands write: nothing of what they read may steer the terminal. */
import { printable } from '../lib/printable.ts';
import { PAINTED } from './colours.ts';

/** Writes text for people, or JSON, to stdout. */
export function print(text: string): void {
  process.stdout.write(shown(text, process.stdout));
}

/** Writes text for people to stderr. */
export function printError(text: string): void {
  process.stderr.write(shown(text, process.stderr));
}

/** Shows how far a command is, on one line of a terminal's stderr; empty text takes the line away. */
export function printProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${printable(text)}`);
}

/** Writes to stdout what another program reads: as it is, unless that is a terminal. */
export function printData(text: string): void {
  process.stdout.write(process.stdout.isTTY ? printable(text) : text);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
const COLOURS = /(\u001b\[\d+m)/;

/** Colours of ours stay where the stream may take them. */
function shown(text: string, stream: NodeJS.WriteStream): string {
  if (!stream.isTTY && process.env.FORCE_COLOR === undefined) return printable(text);
  const parts = text.split(COLOURS);
  return parts.map((part) => (PAINTED.has(part) ? part : printable(part))).join('');
}
