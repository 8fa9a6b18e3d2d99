/** LIST, page by page (`limit` and `continue` of the Kubernetes API). */
import { setTimeout as delay } from 'node:timers/promises';
import { isMapping } from '../../api/decode.ts';
import { SallyportError } from '../../lib/errors.ts';
import type { ApiClient } from './client.ts';
import { ApiError, isStatus, mayPass } from './errors.ts';

/** Objects of a page: what client-go's tools ask for. */
const PAGE = 500;
/** A list whose pages expire so often before they are read will never come to an end. */
const MOST_STARTS = 3;
const MOST_TRIES = 5;
const FIRST_PAUSE_MS = 250;
const MOST_PAUSE_MS = 10_000;

export interface ListOptions {
  readonly signal?: AbortSignal | undefined;
  /** e.g. `fieldSelector`. */
  readonly query?: Readonly<Record<string, string>>;
  /** Objects of a page. */
  readonly limit?: number;
  /** Waits so many ms. */
  readonly pause?: (ms: number) => Promise<unknown>;
}

/** Who takes the objects of a list. */
export interface ListSink {
  object(value: Record<string, unknown>): void;
  /** The list begins anew: what came before does not count. */
  restarted(): void;
}

/**
 * Gives each object as it comes; returns the resource version of the list, from which a watch goes on.
 * A page that has expired (410) starts the list anew.
 * @throws ApiError, SallyportError
 */
export async function listObjects(client: ApiClient, path: string, take: ListSink, options: ListOptions = {}): Promise<string> {
  const { query = {}, limit = PAGE } = options;
  let next = '';
  for (let starts = 1; ; ) {
    const parameters = new URLSearchParams({ ...query, limit: String(limit), ...(next !== '' && { continue: next }) });
    let page: Page;
    try {
      page = pageOf(await getPatiently(client, `${path}?${parameters}`, options), path);
    } catch (error) {
      if (!isStatus(error, 410) || next === '' || starts >= MOST_STARTS) throw error;
      starts++;
      next = '';
      take.restarted();
      continue;
    }
    for (const item of page.items) take.object(item);
    if (page.next === '') return page.resourceVersion;
    next = page.next;
  }
}

interface Page {
  readonly items: readonly Record<string, unknown>[];
  readonly next: string;
  readonly resourceVersion: string;
}

/** An answer that is no list must not pass for an empty one. @throws SallyportError `cluster-answer-invalid` */
function pageOf(answer: unknown, path: string): Page {
  const metadata = isMapping(answer) && isMapping(answer.metadata) ? answer.metadata : undefined;
  const items = isMapping(answer) ? (answer.items ?? (metadata?.resourceVersion !== undefined ? [] : undefined)) : undefined;
  if (!metadata || typeof metadata.resourceVersion !== 'string' || !Array.isArray(items) || !items.every(isMapping))
    throw new SallyportError('cluster-answer-invalid', `${path} answered what is no list of objects`);
  return { items, next: typeof metadata.continue === 'string' ? metadata.continue : '', resourceVersion: metadata.resourceVersion };
}

/** A GET that is made again where the server is busy, or could not be reached. @throws as `ApiClient.get` */
export async function getPatiently(client: ApiClient, path: string, { signal, pause = delay }: ListOptions = {}): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    try {
      return await client.get(path, signal);
    } catch (error) {
      if (!mayPass(error) || tries >= MOST_TRIES || signal?.aborted) throw error;
      const asked = error instanceof ApiError ? error.retryAfterMs : undefined;
      await pause(Math.min(asked ?? FIRST_PAUSE_MS * 2 ** (tries - 1), MOST_PAUSE_MS));
    }
  }
}
