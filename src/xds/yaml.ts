import { createRequire } from 'node:module';
import type { JsonValue } from '@bufbuild/protobuf';
import { messageOf, SallyportError } from '../lib/errors.ts';

/** The JSON value of a YAML or JSON text; throws `bad-yaml` with file, line and column. */
export function parseYamlOrJson(text: string, file: string): JsonValue {
  const json = text.trimStart().startsWith('{') ? parsedJson(text) : undefined;
  if (json !== undefined) return json;
  // Seventy modules, and what is JSON needs none of them.
  const { parse, YAMLParseError } = createRequire(import.meta.url)('yaml') as typeof import('yaml');
  try {
    // 100 aliases are plenty for people; more are an attempt to fill the memory.
    return (parse(text, { maxAliasCount: 100, prettyErrors: true }) ?? null) as JsonValue;
  } catch (error) {
    const place = error instanceof YAMLParseError ? error.linePos?.[0] : undefined;
    const where = place ? `${file}:${place.line}:${place.col}` : file;
    throw new SallyportError('bad-yaml', `${where}: ${messageOf(error).split('\n')[0]}`, { cause: error });
  }
}

/** By the parser that is ten times as fast; undefined for what is not JSON, which YAML's parser then judges. */
function parsedJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}
