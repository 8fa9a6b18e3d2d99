import { CORE_SCHEMA, load, mergeTag, YAMLException } from 'js-yaml';
import { messageOf } from '../../lib/errors.ts';
import { LEFT_ALONE, parseFast, type Seen } from './fast.ts';

/**
 * YAML as files of Kubernetes use it: the core schema of YAML 1.2 with merge keys (`<<`); a key given twice is an error. Aliases are limited:
 * a few lines of nested aliases would otherwise stand for millions of values.
 */
const OPTIONS = { schema: CORE_SCHEMA.withTags(mergeTag), maxAliases: 1000, maxDepth: 100 } as const;

/** The complete parser alone, against which the fast one is held. */
export function parseCompletely(text: string): unknown {
  return load(text, OPTIONS);
}

/** `simple`: the fast parser read it. */
type Parsed = { readonly value: unknown; readonly simple: boolean } | { readonly problem: string; readonly offset: number };

/** Parses one document. */
export function parseYaml(text: string, seen?: Seen): Parsed {
  const value = parseFast(text, seen);
  if (value !== LEFT_ALONE) return { value, simple: true };
  try {
    return { value: parseCompletely(text), simple: false };
  } catch (error) {
    if (!(error instanceof YAMLException)) return { problem: messageOf(error), offset: 0 };
    const template = TEMPLATE.exec(text);
    if (template) return { problem: IS_TEMPLATE, offset: template.index + template[0].length - 2 };
    return { problem: explain(error.reason), offset: Math.min(error.mark?.position ?? 0, text.length) };
  }
}

/** A line that is an action of Helm's, or a field whose value begins with one: no YAML, and none of the parser's words would help. */
const TEMPLATE = /^[ \t]*(?:- +)*(?:[\w./-]+: +)?\{\{/m;
const IS_TEMPLATE =
  'this is a template, which becomes YAML when it is rendered: render it first, e.g. helm template CHART | sallyport analyze -';

const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/tab characters/, 'indent with spaces: YAML does not allow tabs there'],
  [/duplicated mapping key/, 'the key stands twice in one mapping: remove or rename one'],
  [/aliases exceeds|maxAliases/i, `more than ${OPTIONS.maxAliases} aliases in one document: write the values out, or split the document`],
  [/nesting exceeded|maxDepth/i, `nested more than ${OPTIONS.maxDepth} levels deep`],
];

function explain(reason: string): string {
  const advice = ADVICE.find(([pattern]) => pattern.test(reason))?.[1];
  return advice ? `${reason}; ${advice}` : reason;
}
