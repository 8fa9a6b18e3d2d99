import { formatPath } from '../../api/decode.ts';
import { refusedHosts, refusedServerNames } from '../../api/webhook.ts';
import type { Context } from '../context.ts';

/** IST0106 for what Istio's webhook refuses while its control plane serves it. */
export function refusedObjects(context: Context): void {
  for (const entry of context.of('ServiceEntry'))
    for (const { path, why } of refusedHosts(entry)) context.report('IST0106', entry, path, `${formatPath(path)}: ${why}`);
  for (const virtualService of context.of('VirtualService'))
    for (const { path, why } of refusedServerNames(virtualService))
      context.report('IST0106', virtualService, path, `${formatPath(path)}: ${why}`);
}
