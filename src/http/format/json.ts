/** JSON formats: an object whose strings are formats. A string that is one operator keeps its value's type; a missing value is null. */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { FormatContext } from './contract.ts';
import { compileOperator } from './operators.ts';
import { parseFormat } from './parse.ts';
import type { FormatRecord } from './record.ts';
import { compileText } from './text.ts';

export interface JsonFormatOptions {
  /** Leaves out what has no value, instead of null. */
  readonly omitEmpty: boolean;
  readonly sortProperties: boolean;
}

/** JSON text of one value, or undefined where it is left out. */
type Part = (record: FormatRecord) => string | undefined;

/** One line of JSON, without the line's end. */
export function compileJson(format: JsonObject, context: FormatContext, options: JsonFormatOptions): (record: FormatRecord) => string {
  const part = compileObject(format, context, options);
  return (record) => part(record) ?? '{}';
}

function compileValue(value: JsonValue, context: FormatContext, options: JsonFormatOptions): Part {
  if (typeof value === 'string') return compileString(value, context, options);
  if (Array.isArray(value)) return compileArray(value, context, options);
  if (typeof value === 'object' && value !== null) return compileObject(value, context, options);
  const text = value === null && options.omitEmpty ? undefined : JSON.stringify(value);
  return () => text;
}

function compileString(format: string, context: FormatContext, options: JsonFormatOptions): Part {
  const parts = parseFormat(format);
  const [only] = parts;
  if (parts.length === 1 && typeof only === 'object') {
    const operator = compileOperator(only, context);
    return (record) => {
      const value = operator(record);
      return value === undefined ? (options.omitEmpty ? undefined : 'null') : JSON.stringify(value);
    };
  }
  const text = compileText(format, context, options.omitEmpty);
  return (record) => JSON.stringify(text(record));
}

function compileArray(values: readonly JsonValue[], context: FormatContext, options: JsonFormatOptions): Part {
  const parts = values.map((value) => compileValue(value, context, options));
  return (record) => `[${parts.flatMap((part) => part(record) ?? []).join(',')}]`;
}

function compileObject(object: JsonObject, context: FormatContext, options: JsonFormatOptions): Part {
  const keys = Object.keys(object);
  if (options.sortProperties) keys.sort();
  const names = keys.map((key) => `${JSON.stringify(key)}:`);
  const parts = keys.map((key) => compileValue(object[key]!, context, options));
  return (record) => {
    let out = '';
    for (let i = 0; i < parts.length; i++) {
      const value = parts[i]!(record);
      if (value !== undefined) out += (out ? ',' : '') + names[i]! + value;
    }
    return `{${out}}`;
  };
}
