/** What calls to a host that is allowed have to look like: of one that was refused all the same, nothing else that is allowed would let it through. */
import { isIP } from 'node:net';
import type { Registry, Service, ServicePort } from '../../registry/model.ts';
import { isHttp } from '../../registry/protocol.ts';
import { isIntercepted } from '../../translate/injection.ts';

/** As a clause, e.g. `it is allowed in HTTP alone, and the call was none`; undefined where nothing declares the port, or any bytes may go there. */
export function allowedAs(registry: Registry, namespace: string, { host, port }: { readonly host: string; readonly port: number }) {
  for (const service of servicesAt(registry, namespace, host)) {
    const declared = service.ports.find(({ number }) => number === port);
    const form = declared && formOf(service, declared);
    const it = service.hostname === host ? 'it' : service.hostname;
    if (form !== undefined) return `${it} is allowed ${form}`;
  }
  return undefined;
}

function formOf(service: Service, { protocol, number }: ServicePort): string | undefined {
  if (isHttp(protocol))
    return isIntercepted(service, number)
      ? 'in HTTP and in TLS that names it (SNI) alone, and the call was neither'
      : 'in HTTP alone, and the call was none';
  return protocol === 'TLS' || protocol === 'HTTPS' ? 'in TLS that names it (SNI) alone, and the call was none' : undefined;
}

function servicesAt(registry: Registry, namespace: string, host: string): readonly Service[] {
  if (isIP(host) > 0)
    return registry.visibleTo(namespace).filter(({ addresses, autoAddresses }) => addresses.includes(host) || autoAddresses.includes(host));
  return patternsOf(host).flatMap((pattern) => registry.lookup(pattern, namespace) ?? []);
}

/** The host, and the wildcards that cover it, the nearest first. */
function patternsOf(host: string): readonly string[] {
  const labels = host.split('.');
  return [host, ...labels.slice(1).map((_, i) => `*.${labels.slice(i + 1).join('.')}`), '*'];
}
