/** What the parts that treat a call as HTTP share. */
import type { Destined } from '../http/credentials.ts';
import type { Head } from '../http/head.ts';
import { HeaderMap } from '../http/header-map.ts';
import { prepareResponse } from '../http/response.ts';
import type { CompiledRoute } from '../http/routes/route.ts';
import type { Call } from './call.ts';
import type { HopContext } from './hop-options.ts';
import { directionOf, type Manager } from './manager.ts';

/** A change of a response's head. */
export type Mark = (headers: HeaderMap) => void;

/** Random integers of the two workings of a request, and when they happen, in milliseconds since the epoch. */
export const WORKINGS = [
  { random: 0, at: 0 },
  { random: 0x1234_5678_9abc, at: 1_700_000_000_000 },
] as const;
/** Stands for `date`, whose value is of no account. */
const DATE = 'Thu, 01 Jan 1970 00:00:00 GMT';

/** Of a request that could not be read. */
export const NO_HEADERS = new HeaderMap();

export interface HttpHop extends HopContext {
  readonly manager: Manager;
  /** The call as the second working of it has it: from elsewhere, where it stands for others. */
  readonly otherCall: Call;
  /** Where the request may go with the credentials that it gets. */
  readonly injected?: Destined | undefined;
}

/** What the connection manager and its filters do to every response, after the route. */
export function passBack(
  { recorder, manager, listener }: HttpHop,
  head: Head | undefined,
  route: CompiledRoute | undefined,
  marks: readonly Mark[],
): void {
  recorder.changes.push((response) => {
    prepareResponse(response, head?.headers ?? NO_HEADERS, route, manager.options, directionOf(listener), DATE, undefined);
    for (const mark of marks.toReversed()) response.configured(() => mark(response));
  });
}
