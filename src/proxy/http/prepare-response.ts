/** What happens to every response head before the client gets it, local replies included. */
import type { HeaderMap } from '../../http/header-map.ts';
import type { Exchange } from './exchange.ts';

export function prepareResponse(exchange: Exchange, headers: HeaderMap): void {
  const { core, route } = exchange;
  const { options } = core;
  if (!headers.has('date')) headers.append('date', core.date());
  switch (options.serverHeader) {
    case 'overwrite':
      headers.set('server', options.serverName);
      break;
    case 'append-if-absent':
      if (!headers.has('server')) headers.append('server', options.serverName);
      break;
    case 'pass-through':
      break;
  }
  if (options.via !== '') {
    const via = headers.get('via');
    headers.set('via', via === undefined ? options.via : `${via}, ${options.via}`);
  }
  if (options.alwaysSetRequestIdInResponse) {
    const id = exchange.headers.get('x-request-id');
    if (id !== undefined) headers.set('x-request-id', id);
  }
  if (exchange.hashCookie !== undefined) headers.append('set-cookie', exchange.hashCookie);
  if (!options.decorates) return;
  // Towards the mesh the operation goes with the request, towards the client it comes back with the response.
  if (core.deps.direction === 'outbound') headers.remove('x-envoy-decorator-operation');
  else if (route && route.decoratorOperation !== '' && route.config?.decorator?.propagate !== false) {
    headers.set('x-envoy-decorator-operation', route.decoratorOperation);
  }
}
