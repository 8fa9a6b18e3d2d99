/** What a control plane tells of, as text. */
import { messageOf } from '../lib/errors.ts';
import { few } from '../lib/few.ts';
import type { ReadLine } from '../lib/line-reader.ts';
import { originText } from '../lib/origin.ts';
import { findingText } from '../report/findings.ts';
import type { Paint } from '../report/paint.ts';
import type { ControlEvent } from './report.ts';

/** What is found, and what no longer is. */
export function newsText(
  { fresh, mended }: Pick<Extract<ControlEvent, { readonly kind: 'findings' }>, 'fresh' | 'mended'>,
  paint: Paint,
  readLine: ReadLine,
): string {
  const lines = mended.map(({ code, origin }) => `${paint('green', 'mended')} [${code}] ${originText(origin)}\n`);
  return [...fresh.map((finding) => findingText(finding, paint, readLine)), ...lines].join('');
}

/** Any other event, as one line. */
export function eventText(event: Exclude<ControlEvent, { readonly kind: 'ended' | 'findings' }>): string {
  switch (event.kind) {
    case 'withheld': {
      const { type, namespace, name } = event.proxy;
      return `${type} ${namespace}/${name} is connected without a certificate: private keys (${few(event.secrets)}) are served over --xds-tls alone, and what needs them refuses traffic`;
    }
    case 'unauthenticated':
      return `a client at ${event.address} is refused: ${event.reason}`;
    case 'not-admitted':
      return `${event.object} is refused: ${event.reason}`;
    case 'in-force': {
      const { proxies, errors } = event;
      const stand =
        errors > 0 ? `, apart from what ${errors} error${errors === 1 ? '' : 's'} of the files concern${errors === 1 ? 's' : ''}` : '';
      return `reloaded: what was read is in force with ${proxies} ${proxies === 1 ? 'proxy' : 'proxies'}${stand}`;
    }
    case 'not-kept':
      return `what this controller keeps in its cluster is not up to date: ${messageOf(event.error)}. It is tried again`;
    case 'failed':
      return `this change could not be brought into force: ${messageOf(event.error)}`;
  }
}

/** The same of a controller, where what is published is in force when clients have acknowledged it. */
export function servedText({ proxies }: Pick<Extract<ControlEvent, { readonly kind: 'in-force' }>, 'proxies'>): string {
  return `reloaded: what was read is served to ${proxies} ${proxies === 1 ? 'proxy' : 'proxies'}`;
}
