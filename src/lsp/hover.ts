/** What is said of the place under the pointer: the field, and what applies to the host or the workload that stands there. */
import type { Description, Subject } from '../prove/describe.ts';
import type { Configuration } from './configuration.ts';
import type { Cursor } from './cursor.ts';
import { fieldMarkdown, kindOf } from './fields.ts';
import { nameOfCursor } from './names.ts';

/** Of each section. */
const MOST_LINES = 5;

/** Markdown; undefined where there is nothing to say. */
export function hoverAt(cursor: Cursor, namespace: string, configuration: Configuration | undefined): string | undefined {
  const isKey = cursor.at === 'key';
  const path = isKey ? [...cursor.path, cursor.word] : cursor.path;
  const field = fieldMarkdown(cursor, path);
  const subject = isKey ? undefined : subjectAt(cursor, namespace);
  const description = subject && configuration?.describe(subject);
  const parts = [field, description && descriptionMarkdown(description)].filter((part) => part !== undefined);
  return parts.length > 0 ? parts.join('\n\n') : undefined;
}

const WORKLOADS: ReadonlySet<string> = new Set(['Deployment', 'Pod', 'WorkloadEntry']);

function subjectAt(cursor: Cursor, namespace: string): Subject | undefined {
  const kind = kindOf(cursor);
  const isName = cursor.path.join('.') === 'metadata.name';
  if (kind && isName && WORKLOADS.has(kind)) return { kind: 'workload', name: `${cursor.namespace || namespace}/${cursor.word}` };
  const name = nameOfCursor(cursor, kind, namespace);
  return name?.role === 'host' ? { kind: 'host', name: name.name } : undefined;
}

function descriptionMarkdown({ subject, sections }: Description): string {
  const parts = sections
    .filter(({ lines }) => lines.length > 0)
    .map(({ heading, lines }) => {
      const shown = lines.slice(0, MOST_LINES).map((line) => `- ${plain(line)}`);
      const more = lines.length > MOST_LINES ? [`- and ${lines.length - MOST_LINES} more`] : [];
      return [`${heading}:`, '', ...shown, ...more].join('\n');
    });
  return [`**${plain(subject)}**`, ...parts].join('\n\n');
}

/** Text of files is no Markdown: it could hold links and pictures. */
function plain(text: string): string {
  return text.replace(/[\\`*_{}[\]<>#|!~&]/g, '\\$&').replace(/\s+/g, ' ');
}
