/** Files of documents, with proxies in the pods that they make; what makes none stays as it is written. */
import { type CreateNodeOptions, type DocumentOptions, type ParseOptions, parseDocument, type SchemaOptions, stringify } from 'yaml';
import { splitDocuments } from '../../api/yaml/documents.ts';
import { SallyportError } from '../../lib/errors.ts';
import type { InjectionOptions } from './settings.ts';
import { type InjectedObject, injectObject } from './workloads.ts';

/** As the API server reads it (`0644` is octal, `yes` is true), but that `10:20` is no number of minutes and a date no moment. */
const READ: ParseOptions & DocumentOptions & SchemaOptions = {
  version: '1.1',
  customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || (tag.format !== 'TIME' && !tag.tag.endsWith(':timestamp'))),
};

/** Quotes what readers of either version of YAML would take for something else than a string. */
const WRITTEN: DocumentOptions & SchemaOptions & CreateNodeOptions = {
  version: '1.1',
  aliasDuplicateObjects: false,
  customTags: (tags) => [
    ...tags,
    { tag: 'tag:yaml.org,2002:int', default: true, test: /^[-+]?0o[0-7_]+$/, resolve: (text: string) => text },
  ],
};

export interface InjectedFile {
  /** The file, with nothing but the changed documents written anew. */
  readonly text: string;
  readonly objects: readonly unknown[];
  /** For whoever injects them. */
  readonly notes: readonly string[];
}

/**
 * The documents of a file, with their pods injected.
 * @param file names it in messages
 * @param off nothing is injected
 * @throws SallyportError `injection-invalid` for what is no YAML, and what `injectObject` throws; both name the document
 */
export function injectedFile(file: string, text: string, options: InjectionOptions, off = false): InjectedFile {
  const objects: unknown[] = [];
  const all: string[] = [];
  let result = '';
  let written = 0;
  for (const [index, chunk] of splitDocuments(text).entries()) {
    const { object, changed, notes } = injectedDocument(`${file}, document ${index + 1}`, chunk.text, options, off);
    all.push(...notes);
    objects.push(object);
    if (!changed) continue;
    result += text.slice(written, chunk.start) + (chunk.start > 0 ? '\n' : '') + stringify(object, WRITTEN);
    written = chunk.start + chunk.text.length;
  }
  return { text: result + text.slice(written), objects, notes: all };
}

function injectedDocument(where: string, text: string, options: InjectionOptions, off: boolean): InjectedObject {
  const document = parseDocument(text, READ);
  const problem = document.errors[0];
  if (problem) throw new SallyportError('injection-invalid', `${where}: ${problem.message.split('\n')[0]}`);
  const object: unknown = document.toJS();
  if (off) return { object, changed: false, notes: [] };
  try {
    return injectObject(object, options, () => undefined);
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    throw new SallyportError(error.code, `${where}: ${error.message}`, { cause: error });
  }
}

/** The same as JSON: one object, or a List of them. */
export function injectedJson(objects: readonly unknown[]): string {
  const whole = objects.length === 1 ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects };
  return `${JSON.stringify(whole, undefined, 2)}\n`;
}
