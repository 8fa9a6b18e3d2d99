/** Puts the HTTP connection manager and what it stands on together. A module of its own, as it and its types are loaded only where a listener needs them. */
import type { Any } from '@bufbuild/protobuf/wkt';
import { compileNetworkExtAuthz, type NetworkExtAuthz } from '../http/ext-authz/network.ts';
import type { CredentialSource } from '../lib/contained.ts';
import { ExtAuthzSchema } from '../xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js';
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { STATS_FILTER } from '../xds/istio-stats.ts';
import { typeNameOf, unpack } from '../xds/unpack.ts';
import { withAccessTokens } from './http/access-tokens.ts';
import { createHttpConnectionManager, type RouteSource } from './http/manager.ts';
import { createHttpPools } from './http/pool/pools.ts';
import { SideExchange } from './http/side-exchange.ts';
import type { ChainContext } from './listener/chain.ts';
import type { Ask } from './listener/guard.ts';
import type { Log } from './log.ts';
import type { SharedTokens } from './shared-tokens.ts';
import type { Sinks } from './sinks.ts';
import { countConnections } from './stats/index.ts';
import { Tracers } from './tracing/tracer.ts';
import type { ClusterManager, ConnectionHandler } from './types.ts';

export interface HttpFactoryDeps {
  readonly clusters: ClusterManager;
  readonly routes: RouteSource;
  readonly sinks: Sinks;
  /** 0 ≤ n < 2^53. */
  readonly random: () => number;
  readonly now: () => number;
  readonly log: Log;
  readonly credentials?: CredentialSource | undefined;
  readonly admits?: (() => boolean) | undefined;
  readonly tokens: SharedTokens;
}

export interface HttpFactory {
  create(config: Any, context: ChainContext): ConnectionHandler;
  authorizer(config: Any, where: string): NetworkExtAuthz;
  readonly ask: Ask;
  close(): void;
}

export function createHttpFactory(deps: HttpFactoryDeps): HttpFactory {
  const pools = createHttpPools(deps.clusters, deps.now);
  const ask: Ask = (call, done) => new SideExchange({ clusters: deps.clusters, pools }, call, done).start();
  const { clusters, now, log } = deps;
  const credentials = deps.credentials && withAccessTokens({ values: deps.credentials, clusters, ask, now, log });
  const { registry, formatContext, spanTags } = deps.sinks;
  const tracers = new Tracers({ ask, registry, environment: formatContext.environment, always: spanTags });
  return {
    create(any, context) {
      const config = unpack(any, HttpConnectionManagerSchema, context.where);
      const manager = createHttpConnectionManager(config, {
        clusters: deps.clusters,
        routes: deps.routes,
        pools,
        sink: deps.sinks.create('http', config.accessLog, config.statPrefix, context.direction, statsFilterOf(config)),
        random: deps.random,
        now: deps.now,
        timeOrigin: performance.timeOrigin,
        direction: context.direction,
        logger: { warn: (message) => deps.log('warn', message) },
        credentials,
        admits: deps.admits,
        serviceCluster: deps.sinks.serviceCluster,
        tokens: deps.tokens,
        tracer: (options) => tracers.tracer(options, context.direction),
      });
      return countConnections(deps.sinks.registry, config.statPrefix, manager);
    },
    authorizer: (any, where) => compileNetworkExtAuthz(unpack(any, ExtAuthzSchema, where), where),
    ask,
    close: () => {
      tracers.close();
      pools.close();
    },
  };
}

function statsFilterOf({ httpFilters }: HttpConnectionManager): Any | undefined {
  return httpFilters
    .map(({ configType }) => (configType.case === 'typedConfig' ? configType.value : undefined))
    .find((any) => typeNameOf(any) === STATS_FILTER);
}
