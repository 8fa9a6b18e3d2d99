/** One WATCH request: the changes of a list, as events. */
import { isMapping } from '../../api/decode.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { table } from '../../lib/table.ts';
import type { ApiClient } from './client.ts';
import { ApiError } from './errors.ts';

export type WatchEvent =
  | { readonly kind: 'changed' | 'deleted'; readonly object: Record<string, unknown>; readonly resourceVersion: string }
  /** Nothing changed up to this version. */
  | { readonly kind: 'bookmark'; readonly resourceVersion: string };

export interface WatchTimes {
  /** The server ends a watch after a random time from this on up to twice as much, s: clients spread over servers anew. */
  readonly lastsS: number;
}

/**
 * The events since `resourceVersion`; ends when the server ends it, as it does now and then.
 * @throws ApiError with status 410 where the version is too old, so that the list has to be read anew; SallyportError
 */
export async function* watchObjects(
  client: ApiClient,
  path: string,
  { resourceVersion, query = {}, lastsS, random = Math.random }: WatchRequest,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent> {
  const timeoutSeconds = String(Math.round(lastsS * (1 + random())));
  const parameters = new URLSearchParams({ ...query, watch: '1', allowWatchBookmarks: 'true', resourceVersion, timeoutSeconds });
  for await (const line of client.lines(`${path}?${parameters}`, signal)) yield eventOf(line, path);
}

export interface WatchRequest extends WatchTimes {
  readonly resourceVersion: string;
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** From 0 on below 1. */
  readonly random?: () => number;
}

const KINDS: Readonly<Record<string, WatchEvent['kind']>> = table({
  ADDED: 'changed',
  MODIFIED: 'changed',
  DELETED: 'deleted',
  BOOKMARK: 'bookmark',
});

function eventOf(line: string, path: string): WatchEvent {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch (cause) {
    throw invalid(path, `a line that is no JSON (${messageOf(cause)})`, cause);
  }
  if (!isMapping(event) || !isMapping(event.object)) throw invalid(path, 'what is no event');
  const { type, object } = event;
  if (type === 'ERROR') {
    const code = typeof object.code === 'number' ? object.code : 500;
    throw new ApiError(code, `the watch of ${path} ended: ${String(object.message ?? object.reason ?? 'no reason given')}`);
  }
  const kind = KINDS[String(type)];
  const resourceVersion = isMapping(object.metadata) ? object.metadata.resourceVersion : undefined;
  if (!kind || typeof resourceVersion !== 'string') throw invalid(path, `an event of the type ${String(type)}`);
  return { kind, object, resourceVersion } as WatchEvent;
}

function invalid(path: string, what: string, cause?: unknown): SallyportError {
  return new SallyportError('cluster-answer-invalid', `the watch of ${path} sent ${what}`, { cause });
}
