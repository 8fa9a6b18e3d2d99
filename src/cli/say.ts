/** What commands that run for long say on stderr. */

import type { ControlEvent } from '../control/report.ts';
import type { EngineHost } from '../engine/contract.ts';
import { messageOf } from '../lib/errors.ts';
import { few } from '../lib/few.ts';
import { lineReader } from '../lib/line-reader.ts';
import type { Logger } from '../lib/logger.ts';
import { originText } from '../lib/origin.ts';
import { findingText } from '../report/findings.ts';
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

/** Says what a control plane tells of; what to do about a proxy that ended is the caller's. */
export function sayEvent(event: Exclude<ControlEvent, { readonly kind: 'ended' }>): void {
  switch (event.kind) {
    case 'findings': {
      const paint = paintFor(process.stderr);
      const readLine = lineReader();
      for (const finding of event.fresh) printError(findingText(finding, paint, readLine));
      for (const { code, origin } of event.mended) printError(`${paint('green', 'mended')} [${code}] ${originText(origin)}\n`);
      return;
    }
    case 'withheld': {
      const { type, namespace, name } = event.proxy;
      say(
        `${type} ${namespace}/${name} is connected without a certificate: private keys (${few(event.secrets)}) are served over --xds-tls alone, and what needs them refuses traffic`,
      );
      return;
    }
    case 'unauthenticated':
      say(`a client at ${event.address} is refused: ${event.reason}`);
      return;
    case 'not-admitted':
      say(`${event.object} is refused: ${event.reason}`);
      return;
    case 'in-force': {
      const { proxies, errors } = event;
      const stand =
        errors > 0 ? `, apart from what ${errors} error${errors === 1 ? '' : 's'} of the files concern${errors === 1 ? 's' : ''}` : '';
      say(`reloaded: what was read is in force with ${proxies} ${proxies === 1 ? 'proxy' : 'proxies'}${stand}`);
      return;
    }
    case 'not-kept':
      say(`what this controller keeps in its cluster is not up to date: ${messageOf(event.error)}. It is tried again`);
      return;
    case 'failed':
      say(`this change could not be brought into force: ${messageOf(event.error)}`);
  }
}

/** The same, for `serve`. */
export function sayOrEnd(ended: (error: unknown) => void): (event: ControlEvent) => void {
  return (event) => (event.kind === 'ended' ? ended(event.error) : sayEvent(event));
}
