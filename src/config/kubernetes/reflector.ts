/** Keeps up with one list: reads it, watches it, and reads it anew where the watch has lost the thread. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiClient } from './client.ts';
import { isStatus, isUnreachable } from './errors.ts';
import { type ListSink, listObjects } from './list.ts';
import { watchObjects } from './watch.ts';

export interface ListedPath {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** Objects of a page. */
  readonly limit?: number | undefined;
}

export interface ReflectorTimes {
  /** ms after which it is tried again: at first, and at most; each is a random time from half of that on. */
  readonly first: number;
  readonly most: number;
  /** See `WatchRequest`. */
  readonly lastsS: number;
}

export const REFLECTOR_TIMES: ReflectorTimes = { first: 500, most: 30_000, lastsS: 300 };

/** Who is told. What it was told before holds until it is told otherwise. */
export interface Reflected extends ListSink {
  /** The list has been told from its beginning (or since `restarted`) to its end: what is not in it is gone. */
  complete(): void;
  changed(object: Record<string, unknown>): void;
  deleted(object: Record<string, unknown>): void;
  /** It is not kept up with just now, and is tried again. */
  failed(error: unknown): void;
  /** It is kept up with from here on, or again. */
  following(): void;
}

/** Runs until it is aborted. A version is where a watch goes on; none means that the list has to be read. */
export async function reflect(
  client: ApiClient,
  what: ListedPath,
  told: Reflected,
  signal: AbortSignal,
  times: ReflectorTimes = REFLECTOR_TIMES,
): Promise<void> {
  let version: string | undefined;
  let pause = times.first;
  while (!signal.aborted) {
    const began = performance.now();
    try {
      if (version === undefined) {
        told.restarted();
        version = await listObjects(client, what.path, told, { ...what, signal });
        told.complete();
      }
      told.following();
      for await (const event of watchObjects(client, what.path, { ...what, resourceVersion: version, lastsS: times.lastsS }, signal)) {
        version = event.resourceVersion;
        if (event.kind !== 'bookmark') told[event.kind](event.object);
      }
    } catch (error) {
      if (signal.aborted) return;
      // A connection that broke off has lost nothing: the next watch goes on where it was. Whatever else went wrong may have hidden an event.
      if (!isUnreachable(error)) version = undefined;
      if (!isStatus(error, 410)) told.failed(error);
    }
    // What ended at once, well or not, is not asked for again and again.
    if (performance.now() - began > times.most) pause = times.first;
    await delay(pause * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
    pause = Math.min(pause * 2, times.most);
  }
}
