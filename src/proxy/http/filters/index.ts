/** The HTTP filters of a connection manager, by the names and types that xDS knows them by. */
import { SallyportError } from '../../../lib/errors.ts';
import { RouterSchema } from '../../../xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js';
import type { HttpFilter as HttpFilterConfig } from '../../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { typeNameOf, unpack } from '../../../xds/unpack.ts';
import type { HttpFilter } from '../filter.ts';
import type { RouterOptions } from '../router.ts';
import { createCorsFilter } from './cors.ts';
import { createFaultFilter } from './fault.ts';

const ROUTER = 'envoy.extensions.filters.http.router.v3.Router';

/** A filter from its configuration; undefined where it has nothing to do. */
type FilterFactory = (config: HttpFilterConfig, where: string) => HttpFilter | undefined;

const FACTORIES: Readonly<Record<string, FilterFactory>> = {
  'envoy.extensions.filters.http.fault.v3.HTTPFault': createFaultFilter,
  'envoy.extensions.filters.http.cors.v3.Cors': (config) => createCorsFilter(config.name),
  // The cluster resolves the name when it is asked for a host; there is nothing to wait for here.
  'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig': () => undefined,
};

export interface CompiledFilters {
  readonly filters: readonly HttpFilter[];
  readonly router: RouterOptions;
}

/** Throws `xds-unsupported` for a filter that is not known and not optional, `xds-invalid` for a list that does not end with the router. */
export function compileFilters(configs: readonly HttpFilterConfig[], statPrefix: string): CompiledFilters {
  const filters: HttpFilter[] = [];
  let router: RouterOptions | undefined;
  for (const config of configs) {
    const where = `HTTP connection manager "${statPrefix}", filter "${config.name}"`;
    if (router) throw new SallyportError('xds-invalid', `${where}: stands after the router, which must be the last filter`);
    const any = config.configType.case === 'typedConfig' ? config.configType.value : undefined;
    const type = typeNameOf(any);
    if (type === ROUTER) {
      const settings = unpack(any, RouterSchema, where);
      router = { suppressEnvoyHeaders: settings.suppressEnvoyHeaders };
      continue;
    }
    const create = FACTORIES[type];
    if (create && !config.disabled) {
      const filter = create(config, where);
      if (filter) filters.push(filter);
    } else if (!create && !config.isOptional) {
      throw new SallyportError('xds-unsupported', `${where}: ${type || 'a filter without typed_config'} is not supported`);
    }
  }
  if (!router) throw new SallyportError('xds-invalid', `HTTP connection manager "${statPrefix}": the last filter must be the router`);
  return { filters, router };
}
