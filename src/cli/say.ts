/** What commands that run for long say on stderr. */

import { eventText, newsText } from '../control/event-text.ts';
import { unfollowed, type Via, type ViaOptions } from '../control/local/via.ts';
import type { ControlEvent } from '../control/report.ts';
import type { EngineHost } from '../engine/contract.ts';
import { lineReader } from '../lib/line-reader.ts';
import type { Logger } from '../lib/logger.ts';
import { paintFor } from './colours.ts';
import { printError } from './print.ts';

export function say(text: string): void {
  printError(`sallyport: ${text}\n`);
}

/** Everything, whatever its level: who writes it chooses. */
export const log: Logger = (_level, message) => say(message);

/** This process, for the engines in it. */
export const engineHost: EngineHost = {
  log,
  environment: process.env,
  quit: () => process.kill(process.pid, 'SIGTERM'),
};

/** The same, for proxies that leave as `--via` says. */
export function engineHostFor(via: Via | undefined): EngineHost & Pick<Via, 'adjust'> {
  return { ...engineHost, environment: { ...process.env, ...via?.environment }, adjust: via?.adjust ?? ((config) => config) };
}

/** Of a proxy that the environment names. */
export function sayUnfollowed(options: Pick<ViaOptions, 'via'>): void {
  const name = unfollowed(options, process.env);
  if (name) say(`${name} names a proxy, which is not followed: --via env leaves through it`);
}

/** Says what a control plane tells of; what to do about a proxy that ended is the caller's. */
export function sayEvent(event: Exclude<ControlEvent, { readonly kind: 'ended' }>): void {
  if (event.kind === 'findings') printError(newsText(event, paintFor(process.stderr), lineReader()));
  else say(eventText(event));
}

/** The same, for `serve`. */
export function sayOrEnd(ended: (error: unknown) => void): (event: ControlEvent) => void {
  return (event) => (event.kind === 'ended' ? ended(event.error) : sayEvent(event));
}
