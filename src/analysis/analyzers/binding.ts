import { BIND, bindMode } from '../../api/bind.ts';
import type { Context } from '../context.ts';

/** SP1053: what a binding asks for that stock Envoy does not do. */
export function bindings(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    const mode = bindMode(entry.metadata, context.mesh);
    if (mode === 'off') continue;
    const { hosts, resolution } = entry.spec;
    const addresses = resolution === 'STATIC' ? '' : ', and addresses that are not public are reached where a name leads to them';
    const certificate = mode === 'enforce' ? '; TLS that it originates is held to certificates of the host' : '';
    const path = Object.hasOwn(entry.metadata.annotations, BIND) ? ['metadata', 'annotations', BIND] : ['spec', 'hosts'];
    context.report(
      'SP1053',
      entry,
      path,
      `Calls to ${hosts.join(', ')} are bound to their destination (${mode}) by the embedded engine. Stock Envoy does not compare SNI, Host, port and the address dialled${addresses}${certificate}. Run the proxies that carry these calls on the embedded engine, or do not rely on it there.`,
    );
  }
}
