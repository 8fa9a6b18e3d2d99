/** An extension provider of MeshConfig that authorizes, as the configuration of Envoy's ext_authz filters. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ExtensionProvider } from '../../api/extension-provider.ts';
import { providerService } from '../../registry/provider-service.ts';
import { ApiVersion } from '../../xds/gen/envoy/config/core/v3/config_source_pb.js';
import type { ExtAuthzSchema as HttpExtAuthzSchema } from '../../xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import type { ExtAuthzSchema as NetworkExtAuthzSchema } from '../../xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js';
import type { MetadataMatcherSchema } from '../../xds/gen/envoy/type/matcher/v3/metadata_pb.js';
import type { ListStringMatcherSchema } from '../../xds/gen/envoy/type/matcher/v3/string_pb.js';
import { StatusCode } from '../../xds/gen/envoy/type/v3/http_status_pb.js';
import { externalPrefix } from '../../xds/policy-names.ts';
import type { TranslateContext } from '../context.ts';
import { outboundClusterName } from '../names.ts';
import { toDuration } from '../proto.ts';
import { metadataMatch, textValue } from './matchers.ts';

export interface Authorizer {
  readonly http: MessageInitShape<typeof HttpExtAuthzSchema>;
  /** Undefined for one that is asked over HTTP: it can be told of requests only. */
  readonly network: MessageInitShape<typeof NetworkExtAuthzSchema> | undefined;
}

type HttpProvider = NonNullable<ExtensionProvider['envoyExtAuthzHttp']>;
type GrpcProvider = NonNullable<ExtensionProvider['envoyExtAuthzGrpc']>;

/** As Istio's, ms. */
const TIMEOUT_MS = 600_000;

/** A text says why nobody can be asked. */
export function authorizerOf(context: TranslateContext, name: string): Authorizer | string {
  const named = context.mesh.config.extensionProviders.filter((each) => each.name === name);
  const [provider] = named;
  if (!provider) return 'extensionProviders of the MeshConfig have none of that name';
  if (named.length > 1) return `extensionProviders of the MeshConfig have ${named.length} of that name`;
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))
    return 'its name is not made of at most 63 lower-case letters, digits and inner dashes';
  const { envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc } = provider;
  const settings = http ?? grpc;
  if (!settings) return 'it is no authorizer: it has neither envoyExtAuthzHttp nor envoyExtAuthzGrpc';
  const problem = statusProblem(settings) ?? bodyProblem(settings) ?? (http && httpProblem(http));
  if (problem !== undefined) return problem;
  const target = targetOf(context, settings);
  if (typeof target === 'string') return target;
  return http ? overHttp(name, http, target) : overGrpc(name, grpc!, target);
}

interface Target {
  readonly hostname: string;
  readonly cluster: string;
}

function targetOf({ mesh, scope }: TranslateContext, { service: text, port }: HttpProvider | GrpcProvider): Target | string {
  const service = providerService(mesh.registry, text, port);
  if (typeof service === 'string') return service;
  const { hostname } = service;
  if (!scope.serviceFor(hostname)) return `this proxy does not see service ${text} (exportTo, or the egress of its Sidecar)`;
  return { hostname, cluster: outboundClusterName(hostname, port) };
}

function statusProblem({ statusOnError }: HttpProvider | GrpcProvider): string | undefined {
  if (!statusOnError || StatusCode[Number(statusOnError)] !== undefined) return undefined;
  return `its statusOnError, ${statusOnError}, is no status that Envoy knows`;
}

function bodyProblem({ includeRequestBodyInCheck: body }: HttpProvider | GrpcProvider): string | undefined {
  return body && !body.maxRequestBytes ? 'its includeRequestBodyInCheck has no maxRequestBytes above 0' : undefined;
}

function httpProblem(provider: HttpProvider): string | undefined {
  if (provider.pathPrefix && !provider.pathPrefix.startsWith('/')) return `its pathPrefix, ${provider.pathPrefix}, does not begin with /`;
  const lists = [
    'includeRequestHeadersInCheck',
    'headersToUpstreamOnAllow',
    'headersToDownstreamOnDeny',
    'headersToDownstreamOnAllow',
  ] as const;
  const wild = lists.find((list) => provider[list].includes('*'));
  return wild && `its ${wild} holds a star alone, which matches nothing: say a prefix or a suffix`;
}

function common({ statusOnError, failOpen, includeRequestBodyInCheck: body, clearRouteCache }: HttpProvider | GrpcProvider, name: string) {
  return {
    transportApiVersion: ApiVersion.V3,
    statusOnError: statusOnError ? { code: Number(statusOnError) as StatusCode } : undefined,
    failureModeAllow: failOpen ?? false,
    clearRouteCache: clearRouteCache ?? false,
    filterEnabledMetadata: notedFor(name, 'envoy.filters.http.rbac'),
    withRequestBody: body && {
      maxRequestBytes: body.maxRequestBytes ?? 0,
      allowPartialMessage: body.allowPartialMessage ?? false,
      packAsBytes: body.packAsBytes ?? false,
    },
  };
}

/** Whether a rule of this provider's was noted. */
function notedFor(name: string, filter: string): MessageInitShape<typeof MetadataMatcherSchema> {
  const prefix = textValue({ matchPattern: { case: 'prefix', value: externalPrefix(name) } });
  return metadataMatch(filter, ['istio_ext_authz_shadow_effective_policy_id'], prefix);
}

function overHttp(name: string, provider: HttpProvider, { hostname, cluster }: Target): Authorizer {
  const added = Object.entries(provider.includeAdditionalHeadersInCheck).sort(([a], [b]) => (a < b ? -1 : 1));
  const { headersToUpstreamOnAllow: upstream, headersToDownstreamOnDeny: deny, headersToDownstreamOnAllow: allow } = provider;
  const answers = upstream.length + deny.length + allow.length > 0;
  const http: Authorizer['http'] = {
    ...common(provider, name),
    allowedHeaders: headers(provider.includeRequestHeadersInCheck),
    services: {
      case: 'httpService',
      value: {
        pathPrefix: provider.pathPrefix ?? '',
        serverUri: {
          uri: `http://${hostname}`,
          httpUpstreamType: { case: 'cluster', value: cluster },
          timeout: toDuration(provider.timeout ?? TIMEOUT_MS),
        },
        authorizationRequest: added.length > 0 ? { headersToAdd: added.map(([key, value]) => ({ key, value })) } : undefined,
        authorizationResponse: answers
          ? {
              allowedUpstreamHeaders: headers(upstream),
              allowedClientHeaders: headers(deny),
              allowedClientHeadersOnSuccess: headers(allow),
            }
          : undefined,
      },
    },
  };
  return { http, network: undefined };
}

/** Names of headers, with a star at one end for any that end or begin so. */
function headers(names: readonly string[]): MessageInitShape<typeof ListStringMatcherSchema> | undefined {
  if (names.length === 0) return undefined;
  const patterns = names.map((name) => {
    const ignoreCase = true;
    if (name.startsWith('*')) return { ignoreCase, matchPattern: { case: 'suffix', value: name.slice(1) } } as const;
    if (name.endsWith('*')) return { ignoreCase, matchPattern: { case: 'prefix', value: name.slice(0, -1) } } as const;
    return { ignoreCase, matchPattern: { case: 'exact', value: name } } as const;
  });
  return { patterns };
}

function overGrpc(name: string, provider: GrpcProvider, { hostname, cluster }: Target): Authorizer {
  const grpcService = {
    targetSpecifier: { case: 'envoyGrpc', value: { clusterName: cluster, authority: hostname } },
    timeout: toDuration(provider.timeout ?? TIMEOUT_MS),
  } as const;
  return {
    http: { ...common(provider, name), services: { case: 'grpcService', value: grpcService } },
    network: {
      statPrefix: 'tcp.',
      failureModeAllow: provider.failOpen ?? false,
      transportApiVersion: ApiVersion.V3,
      grpcService,
      filterEnabledMetadata: notedFor(name, 'envoy.filters.network.rbac'),
    },
  };
}
