/** Access logs that go to a service by gRPC (ALS), as Istio has them (envoy/extensions/access_loggers/grpc/v3/als.proto). */
import { create } from '@bufbuild/protobuf';
import type { ExtensionProvider } from '../api/extension-provider.ts';
import { providerService } from '../registry/provider-service.ts';
import { ApiVersion } from '../xds/gen/envoy/config/core/v3/config_source_pb.js';
import {
  CommonGrpcAccessLogConfigSchema,
  HttpGrpcAccessLogConfigSchema,
  TcpGrpcAccessLogConfigSchema,
} from '../xds/gen/envoy/extensions/access_loggers/grpc/v3/als_pb.js';
import type { Mesh } from './model.ts';
import { outboundClusterName } from './names.ts';
import { typedConfig } from './proto.ts';
import type { Scope } from './scope.ts';

type Provider = NonNullable<ExtensionProvider['envoyTcpAls']>;
type HttpProvider = NonNullable<ExtensionProvider['envoyHttpAls']>;

/** Plain data: it stands in the configuration. */
export type LogService = { readonly hostname: string } & (
  | { readonly kind: 'http'; readonly provider: HttpProvider }
  | { readonly kind: 'tcp'; readonly provider: Provider }
);

/** What Istio's metadata exchange leaves, which it logs where the provider names nothing. */
const PEERS = ['upstream_peer', 'downstream_peer'];

/** Undefined for a provider of another type. A text says why the service cannot be reached. */
export function logService({ envoyHttpAls, envoyTcpAls }: ExtensionProvider, mesh: Mesh, scope: Scope): LogService | string | undefined {
  const provider = envoyHttpAls ?? envoyTcpAls;
  if (!provider) return undefined;
  const service = providerService(mesh.registry, provider.service, provider.port);
  if (typeof service === 'string') return service;
  const { hostname } = service;
  if (!scope.serviceFor(hostname)) return `this proxy does not see service ${provider.service} (exportTo, or the egress of its Sidecar)`;
  return envoyHttpAls ? { kind: 'http', hostname, provider: envoyHttpAls } : { kind: 'tcp', hostname, provider };
}

/** The logger, under the names that Istio gives it. */
export function serviceLog(service: LogService) {
  const { hostname, provider, kind } = service;
  const { port, logName, filterStateObjectsToLog: objects } = provider;
  const commonConfig = create(CommonGrpcAccessLogConfigSchema, {
    logName: logName || `${kind}_envoy_accesslog`,
    grpcService: {
      targetSpecifier: { case: 'envoyGrpc', value: { clusterName: outboundClusterName(hostname, port), authority: hostname } },
    },
    transportApiVersion: ApiVersion.V3,
    filterStateObjectsToLog: objects.length > 0 ? [...objects] : PEERS,
  });
  if (service.kind === 'tcp')
    return { name: 'envoy.tcp_grpc_access_log', configType: typedConfig(TcpGrpcAccessLogConfigSchema, { commonConfig }) };
  const { additionalRequestHeadersToLog, additionalResponseHeadersToLog, additionalResponseTrailersToLog } = service.provider;
  return {
    name: 'envoy.access_loggers.http_grpc',
    configType: typedConfig(HttpGrpcAccessLogConfigSchema, {
      commonConfig,
      additionalRequestHeadersToLog: [...additionalRequestHeadersToLog],
      additionalResponseHeadersToLog: [...additionalResponseHeadersToLog],
      additionalResponseTrailersToLog: [...additionalResponseTrailersToLog],
    }),
  };
}
