/** Text formats: a line or header value from literals and operators. */
import type { FormatContext, Operator, OperatorValue } from './operator.ts';
import { compileOperator } from './operators.ts';
import { parseFormat } from './parse.ts';
import type { FormatRecord } from './record.ts';

export type TextFormatter = (record: FormatRecord) => string;

/** An operator's value in text; `missing` stands for none. */
function valueText(value: OperatorValue, missing: string): string {
  if (typeof value === 'string') return value;
  if (value === undefined) return missing;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Throws as `parseFormat` and `compileOperator` do. With `omitEmpty` a missing value is empty instead of `-`. */
export function compileText(format: string, context: FormatContext, omitEmpty: boolean): TextFormatter {
  const missing = omitEmpty ? '' : '-';
  // Each operator goes with the literal before it: half as many steps a line.
  const literals: string[] = [];
  const operators: Operator[] = [];
  let tail = '';
  for (const part of parseFormat(format)) {
    if (typeof part === 'string') tail = part;
    else {
      literals.push(tail);
      operators.push(compileOperator(part, context));
      tail = '';
    }
  }
  const count = operators.length;
  if (count === 0) return () => tail;
  return (record) => {
    let out = '';
    for (let i = 0; i < count; i++) {
      const value = operators[i]!(record);
      out += literals[i]! + (typeof value === 'string' ? value : valueText(value, missing));
    }
    return out + tail;
  };
}

/** True if the format has no operators, so that its value never changes. */
export function isLiteral(format: string): boolean {
  return parseFormat(format).every((part) => typeof part === 'string');
}
