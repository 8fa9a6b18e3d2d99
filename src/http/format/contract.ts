/** What a command operator is, and what it may read. */
import type { FormatRecord } from './record.ts';

/** What operators may read beside the record: of the process, fixed when a format is compiled. */
export interface FormatContext {
  readonly hostname: string;
  /** For `%ENVIRONMENT(NAME)%`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Text, or a number or other JSON value; undefined where there is none (`-` in text, null in JSON). */
export type OperatorValue = string | number | boolean | object | undefined;
export type Operator = (record: FormatRecord) => OperatorValue;
export type OperatorFactory = (args: string | undefined, context: FormatContext) => Operator;
