/** The HTTP filters of a connection manager, by the types that xDS knows them by: the only place that tells filters apart. */
import { EmptySchema, StructSchema } from '@bufbuild/protobuf/wkt';
import { SallyportError } from '../../lib/errors.ts';
import { CompressorSchema } from '../../xds/gen/envoy/extensions/filters/http/compressor/v3/compressor_pb.js';
import { CorsSchema } from '../../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { ExtAuthzSchema } from '../../xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import { HTTPFaultSchema } from '../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { JwtAuthenticationSchema } from '../../xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import { LocalRateLimitSchema } from '../../xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js';
import { RateLimitSchema } from '../../xds/gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js';
import { RBACSchema } from '../../xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { RouterSchema } from '../../xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js';
import type {
  HttpConnectionManager,
  HttpFilter as HttpFilterConfig,
} from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { FilterConfigSchema } from '../../xds/gen/istio/alpn_pb.js';
import { CREDENTIALS_FILTER } from '../../xds/names.ts';
import { OBSERVING_FILTERS } from '../../xds/observing.ts';
import { typeNameOf, unpack, unsupported } from '../../xds/unpack.ts';
import type { ManagerOptions } from '../options.ts';
import { CompressorFilter } from './compressor.ts';
import { CorsFilter } from './cors.ts';
import { CredentialsFilter } from './credentials.ts';
import { EnabledByRoute } from './enabled-by-route.ts';
import { ExtAuthzFilter } from './ext-authz.ts';
import { FaultFilter } from './fault.ts';
import type { HttpFilter } from './filter.ts';
import { JwtAuthnFilter } from './jwt-authn.ts';
import { LocalRateLimitFilter } from './local-rate-limit.ts';
import { RateLimitFilter } from './rate-limit.ts';
import { RbacFilter } from './rbac.ts';
import { RouterFilter } from './router.ts';

/** A filter from its configuration; undefined where it has nothing to do. */
type Compile = (config: HttpFilterConfig, where: string, options: ManagerOptions, context: FilterContext) => HttpFilter | undefined;

/** What of the proxy and of whoever compiles counts for filters. */
export interface FilterContext {
  /** The proxy's own cluster, as its node says. */
  readonly serviceCluster?: string | undefined;
  /** Told of filters that this product does not have, which are then passed over, as in simulation. */
  readonly lacks?: (filter: string) => void;
}

const REGISTRY: ReadonlyMap<string, Compile> = new Map<string, Compile>([
  [HTTPFaultSchema.typeName, (config, where) => new FaultFilter(config.name, unpack(anyOf(config), HTTPFaultSchema, where), where)],
  [
    JwtAuthenticationSchema.typeName,
    (config, where) => new JwtAuthnFilter(config.name, unpack(anyOf(config), JwtAuthenticationSchema, where), where),
  ],
  [ExtAuthzSchema.typeName, (config, where) => new ExtAuthzFilter(config.name, unpack(anyOf(config), ExtAuthzSchema, where), where)],
  [
    LocalRateLimitSchema.typeName,
    (config, where, _, { serviceCluster = '' }) =>
      new LocalRateLimitFilter(config.name, unpack(anyOf(config), LocalRateLimitSchema, where), { where, serviceCluster }),
  ],
  [
    RateLimitSchema.typeName,
    (config, where, _, { serviceCluster = '' }) =>
      new RateLimitFilter(config.name, unpack(anyOf(config), RateLimitSchema, where), { where, serviceCluster }),
  ],
  [RBACSchema.typeName, (config, where) => new RbacFilter(config.name, unpack(anyOf(config), RBACSchema, where), where)],
  [
    CompressorSchema.typeName,
    (config, where, options) => new CompressorFilter(config.name, unpack(anyOf(config), CompressorSchema, where), where, options),
  ],
  [CorsSchema.typeName, ({ name }) => new CorsFilter(name)],
  [EmptySchema.typeName, ({ name }, where) => ownFilter(name, where)],
  [StructSchema.typeName, ({ name }, where) => ownFilter(name, where)],
  // The cluster resolves the name when it is asked for a host; there is nothing to wait for here.
  ['envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig', () => undefined],
  // Read with the connection manager's options.
  [FilterConfigSchema.typeName, () => undefined],
  [RouterSchema.typeName, compileRouter],
]);

/** Ours have names and no types. */
function ownFilter(name: string, where: string): HttpFilter {
  if (name === CREDENTIALS_FILTER) return new CredentialsFilter(name);
  throw new SallyportError('xds-unsupported', `${where}: no filter is called so`);
}

function compileRouter(config: HttpFilterConfig, where: string, { upgrades }: ManagerOptions): HttpFilter {
  const { suppressEnvoyHeaders, upstreamHttpFilters, strictCheckHeaders } = unpack(anyOf(config), RouterSchema, where);
  if (upstreamHttpFilters.length > 0) unsupported(`${where}.upstream_http_filters`, 'not supported');
  if (strictCheckHeaders.length > 0) unsupported(`${where}.strict_check_headers`, 'not supported');
  return new RouterFilter(config.name, { envoyHeaders: !suppressEnvoyHeaders }, upgrades);
}

/** Without `lacks` throws `xds-unsupported` for a filter that this product does not have and that is not optional; `xds-invalid` for a list that does not end with the router. */
export function compileFilters(
  { httpFilters, statPrefix }: HttpConnectionManager,
  options: ManagerOptions,
  context: FilterContext = {},
): readonly HttpFilter[] {
  const { lacks } = context;
  const filters: HttpFilter[] = [];
  for (const config of httpFilters) {
    const where = `HTTP connection manager "${statPrefix}", filter "${config.name}"`;
    if (filters.at(-1)?.router) throw new SallyportError('xds-invalid', `${where}: stands after the router, which must be the last filter`);
    const type = typeNameOf(anyOf(config));
    if (OBSERVING_FILTERS.has(type)) continue;
    const compile = REGISTRY.get(type);
    if (!compile) lacks?.(`${config.name} (${type || withoutType(config)})`);
    if (!compile && !config.isOptional && !lacks) {
      throw new SallyportError('xds-unsupported', `${where}: ${type || withoutType(config)} is not supported`);
    }
    const filter = compile?.(config, where, options, context);
    if (filter) filters.push(config.disabled ? new EnabledByRoute(filter) : filter);
  }
  if (!filters.at(-1)?.router)
    throw new SallyportError('xds-invalid', `HTTP connection manager "${statPrefix}": the last filter must be the router`);
  return filters;
}

function withoutType({ configType }: HttpFilterConfig): string {
  return configType.case === 'configDiscovery' ? 'config_discovery (ECDS)' : 'a filter without typed_config';
}

function anyOf({ configType }: HttpFilterConfig) {
  return configType.case === 'typedConfig' ? configType.value : undefined;
}
