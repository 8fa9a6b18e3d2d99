/** What is said of the place under the pointer: the field, and what applies to the host or the workload that stands there. */
import type { Description, Subject } from '../prove/describe.ts';
import type { Configuration } from './configuration.ts';
import type { Cursor } from './cursor.ts';
import { fieldMarkdown, kindOf } from './fields.ts';
import { nameOfCursor } from './names.ts';

/** Of each section. */
const MOST_LINES = 5;
/** Of an object. */
const MOST_HOSTS = 3;

/** Markdown; undefined where there is nothing to say. */
export function hoverAt(cursor: Cursor, namespace: string, configuration: Configuration | undefined): string | undefined {
  const isKey = cursor.at === 'key';
  const path = isKey ? [...cursor.path, cursor.word] : cursor.path;
  const field = fieldMarkdown(cursor, path);
  const subjects = isKey || !configuration ? [] : subjectsAt(cursor, namespace, configuration);
  const descriptions = subjects.flatMap((subject) => configuration?.describe(subject) ?? []);
  const parts = [field, ...descriptions.map(descriptionMarkdown)].filter((part) => part !== undefined);
  return parts.length > 0 ? parts.join('\n\n') : undefined;
}

const WORKLOADS: ReadonlySet<string> = new Set(['Deployment', 'Pod', 'WorkloadEntry']);

/** What stands there; at an object's kind and name, what the object is about. */
function subjectsAt(cursor: Cursor, fallback: string, { names }: Configuration): Subject[] {
  const kind = kindOf(cursor);
  if (!kind) return [];
  const namespace = cursor.namespace || fallback;
  if (['kind', 'metadata.name'].includes(cursor.path.join('.'))) {
    if (WORKLOADS.has(kind)) return [{ kind: 'workload', name: `${namespace}/${cursor.name}` }];
    const hosts = names.hostsOf(kind, namespace, cursor.name).slice(0, MOST_HOSTS);
    return hosts.map((name) => ({ kind: 'host', name }));
  }
  const name = nameOfCursor(cursor, kind, fallback);
  return name?.role === 'host' ? [{ kind: 'host', name: name.name }] : [];
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
