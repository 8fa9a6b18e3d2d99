/** Splits a format string into literals and command operators: `%NAME(ARGUMENTS):LENGTH%`; `%%` is a percent sign. */
import { SallyportError } from '../../lib/errors.ts';

export interface Command {
  readonly name: string;
  /** What stands in the parentheses, or undefined without any. */
  readonly args: string | undefined;
  /** Most characters of the output, or undefined. */
  readonly maxLength: number | undefined;
}

/** Command or literal text; literals are never empty and never adjacent. */
type FormatPart = string | Command;

const NAME = /[A-Z0-9_]+/y;
const TAIL = /(?::(\d+))?%/y;

/** Throws `xds-invalid` for a percent sign that starts no command. */
export function parseFormat(format: string): FormatPart[] {
  const parts: FormatPart[] = [];
  let literal = '';
  const flush = () => {
    if (literal) parts.push(literal);
    literal = '';
  };
  let i = 0;
  while (i < format.length) {
    const percent = format.indexOf('%', i);
    if (percent < 0) {
      literal += format.slice(i);
      break;
    }
    literal += format.slice(i, percent);
    if (format[percent + 1] === '%') {
      literal += '%';
      i = percent + 2;
      continue;
    }
    const { command, end } = parseCommand(format, percent + 1);
    flush();
    parts.push(command);
    i = end;
  }
  flush();
  return parts;
}

function parseCommand(format: string, start: number): { command: Command; end: number } {
  NAME.lastIndex = start;
  const name = NAME.exec(format)?.[0];
  if (name === undefined) throw invalid(format, start - 1);
  let i = start + name.length;
  let args: string | undefined;
  if (format[i] === '(') {
    // Arguments may hold percent signs and parentheses (START_TIME): they end at the first `)` that the operator's end follows.
    for (let close = format.indexOf(')', i); ; close = format.indexOf(')', close + 1)) {
      if (close < 0) throw invalid(format, start - 1);
      TAIL.lastIndex = close + 1;
      if (!TAIL.test(format)) continue;
      args = format.slice(i + 1, close);
      i = close + 1;
      break;
    }
  }
  TAIL.lastIndex = i;
  const tail = TAIL.exec(format);
  if (!tail) throw invalid(format, start - 1);
  return { command: { name, args, maxLength: tail[1] === undefined ? undefined : Number(tail[1]) }, end: TAIL.lastIndex };
}

function invalid(format: string, at: number): SallyportError {
  return new SallyportError(
    'xds-invalid',
    `format string: the "%" at character ${at + 1} starts no command operator (write "%%" for a percent sign): ${format}`,
  );
}
