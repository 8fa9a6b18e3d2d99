/** How a terminal takes what is typed (termios(3)), by system calls: a program that does so would be looked for in folders in which the command may write. */
import { calls, must } from './system.ts';

const TCSANOW = 0;
const TCOON = 1;
/** Of the C libraries of Linux: 60 bytes, and some to spare. */
const SIZE = 128;
/** Where the flags and the characters stand. */
const PLACE = { input: 0, output: 4, local: 12, characters: 17 } as const;
/** As on every architecture but a few old ones: BRKINT, ICRNL, IXON; that the text is UTF-8 stays as it is. */
const INPUT = 0o2402;
const UTF8 = 0o40000;
/** OPOST, ONLCR. */
const OUTPUT = 0o5;
/** ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHOCTL, ECHOKE, IEXTEN. */
const LOCAL = 0o105073;
/** Ctrl-C, Ctrl-\, delete, Ctrl-U, Ctrl-D, one at a time, Ctrl-Q, Ctrl-S, Ctrl-Z, nothing, Ctrl-R, Ctrl-O, Ctrl-W, Ctrl-V. */
const CHARACTERS = [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0];

/**
 * Puts the terminal of an open file into its usual mode: by lines, with what is typed shown. What has held up its output (Ctrl-S) does no longer.
 * @returns what puts it back. Throws `sandbox-unavailable`.
 */
export function usualMode(fd: number): () => void {
  const { tcgetattr, tcsetattr, tcflow } = calls();
  const before = Buffer.alloc(SIZE);
  must(tcgetattr(fd, before), "the terminal's mode cannot be read");
  must(tcflow(fd, TCOON), 'the terminal cannot be written to');
  must(tcsetattr(fd, TCSANOW, usual(before)), "the terminal's mode cannot be set");
  return () => void tcsetattr(fd, TCSANOW, before);
}

function usual(before: Buffer): Buffer {
  const mode = Buffer.from(before);
  const { input, output, local, characters } = PLACE;
  mode.writeUInt32LE(INPUT | (before.readUInt32LE(input) & UTF8), input);
  mode.writeUInt32LE(OUTPUT, output);
  mode.writeUInt32LE(LOCAL, local);
  mode.set(CHARACTERS, characters);
  return mode;
}
