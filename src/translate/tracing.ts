/** Who traces a proxy's requests: Telemetry of the root namespace, then of its own, then of its labels, over the default provider of MeshConfig; as Istio merges. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ExtensionProvider } from '../api/extension-provider.ts';
import type { MeshConfig, ResourceOf } from '../api/index.ts';
import { originOf, resourceText } from '../api/resource.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { providerService } from '../registry/provider-service.ts';
import type { CustomTagSchema } from '../xds/gen/envoy/type/tracing/v3/custom_tag_pb.js';
import { nodeJson } from '../xds/node.ts';
import type { LogMode, Mesh } from './model.ts';
import type { Notes } from './notes.ts';
import type { Scope } from './scope.ts';
import { applicableTelemetry } from './telemetry.ts';

type Telemetry = ResourceOf<'Telemetry'>;
type Entry = Telemetry['spec']['tracing'][number];
type Provider = NonNullable<ExtensionProvider['opentelemetry']>;
type Tag = MessageInitShape<typeof CustomTagSchema>;

/** Plain data: it stands in the configuration. */
export interface ChosenTracing {
  readonly provider: Provider;
  readonly hostname: string;
  readonly serviceName: string;
  /** Calls to servers have spans of their own. */
  readonly upstreamSpans: boolean;
  /** Percent of the requests that nobody has decided about. */
  readonly sampling: number;
  readonly byRequestId: boolean;
  readonly tags: readonly Tag[];
}

/** What is traced of a proxy's calls: `off` where nobody traces, undefined where nobody sends spans. */
export type Tracing = Readonly<Record<LogMode, ChosenTracing | 'off' | undefined>>;

/** Undefined where Telemetry and MeshConfig say nothing of it. */
export function tracingOf(proxy: ProxyIdentity, { mesh, scope, report }: TracingContext): Tracing | undefined {
  const { config, snapshot } = mesh;
  const entries = applicableTelemetry(proxy, snapshot.list('Telemetry'), config.rootNamespace).flatMap((by) =>
    by.spec.tracing.map((entry) => ({ by, entry })),
  );
  if (entries.length === 0 && !config.defaultProviders?.tracing?.length) return undefined;
  const of = (mode: LogMode) => chosenTracing(merged(entries, config, mode), proxy, { mesh, scope, report });
  return { CLIENT: of('CLIENT'), SERVER: of('SERVER') };
}

interface TracingContext {
  readonly mesh: Mesh;
  readonly scope: Scope;
  readonly report: Notes['report'];
}

interface Merged {
  readonly provider: string | undefined;
  /** Who named it. */
  readonly by: Telemetry | undefined;
  readonly said: Partial<Entry>;
}

function merged(entries: readonly { readonly by: Telemetry; readonly entry: Entry }[], config: MeshConfig, mode: LogMode): Merged {
  let provider = config.defaultProviders?.tracing?.[0];
  let by = entries.at(-1)?.by;
  let said: Partial<Entry> = {};
  for (const { by: telemetry, entry } of entries) {
    const { match, providers, customTags, ...others } = entry;
    if (match && match.mode !== 'CLIENT_AND_SERVER' && match.mode !== mode) continue;
    if (providers[0]) {
      provider = providers[0].name;
      by = telemetry;
    }
    const given = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined));
    said = { ...said, ...given, ...(Object.keys(customTags).length > 0 && { customTags }) };
  }
  return { provider, by, said };
}

/** `off` where no request is traced, not even by those that pass a trace on; undefined where the provider is none that is understood here. */
function chosenTracing(chosen: Merged, proxy: ProxyIdentity, { mesh, scope, report }: TracingContext): ChosenTracing | 'off' | undefined {
  const { provider: name, by, said } = chosen;
  const { config } = mesh;
  const tell = (what: string) => {
    if (!by) return;
    report({
      code: 'SP1010',
      level: 'Warning',
      message: `${resourceText(by)} ${what}.`,
      origin: originOf(by),
      position: by.source.position(),
    });
  };
  if (name === undefined || said.disableSpanReporting) return 'off';
  const found = config.extensionProviders.find((each) => each.name.toLowerCase() === name.toLowerCase());
  if (!found) {
    tell(`names tracing provider ${name}, which extensionProviders of the MeshConfig do not have: no span is sent`);
    return 'off';
  }
  const provider = found.opentelemetry;
  if (!provider || provider.dynatraceSampler) {
    const why = provider ? 'has a sampler of Dynatrace' : 'is none of type opentelemetry';
    tell(`names tracing provider ${name}, which ${why}: no span is sent. Collectors of OpenTelemetry take what others send, too`);
    return undefined;
  }
  const problem = providerProblem(provider) ?? unreachable(provider, mesh, scope);
  if (problem !== undefined) {
    tell(`names tracing provider ${name}, which can't be reached: ${problem}. No span is sent`);
    return 'off';
  }
  if (said.disableContextPropagation) tell('sets disableContextPropagation, which has no effect here: the trace is passed on');
  const service = providerService(mesh.registry, provider.service, provider.port);
  return {
    provider,
    hostname: typeof service === 'string' ? '' : service.hostname,
    serviceName: nodeJson(proxy).cluster,
    upstreamSpans: proxy.type === 'router',
    sampling: said.randomSamplingPercentage ?? (config.defaultConfig.tracing?.sampling || DEFAULT_SAMPLING),
    byRequestId: said.useRequestIdForTraceSampling ?? true,
    tags: tagsOf(said, proxy, config, tell),
  };
}

/** Percent, as Istio's. */
export const DEFAULT_SAMPLING = 1;

function providerProblem({ http, grpc }: Provider): string | undefined {
  const variable = [...(http?.headers ?? []), ...(grpc?.initialMetadata ?? [])].find(({ envName }) => envName);
  return variable && `its header ${variable.name} is to come from the environment, which is not read here: give it a value`;
}

function unreachable({ service: text, port }: Provider, { registry }: Mesh, scope: Scope): string | undefined {
  const service = providerService(registry, text, port);
  if (typeof service === 'string') return service;
  return scope.serviceFor(service.hostname)
    ? undefined
    : `this proxy does not see service ${text} (exportTo, or the egress of its Sidecar)`;
}

function tagsOf(said: Partial<Entry>, proxy: ProxyIdentity, config: MeshConfig, tell: (what: string) => void): readonly Tag[] {
  const given: Readonly<Record<string, TagValue>> = said.customTags ?? config.defaultConfig.tracing?.customTags ?? {};
  const own = Object.entries(given).flatMap(([tag, value]) => {
    if (value.formatter) tell(`sets the tag ${tag} by a formatter, which is not done here: it is not set`);
    return customTag(tag, value) ?? [];
  });
  const tags = [...((said.enableIstioTags ?? true) ? istioTags(proxy) : []), ...own];
  return tags.sort((a, b) => (a.tag! < b.tag! ? -1 : 1));
}

/** As Telemetry and, less strictly, the defaults of the mesh have it. */
interface TagValue {
  readonly literal?: { readonly value?: string | undefined } | undefined;
  readonly environment?: { readonly name?: string | undefined; readonly defaultValue?: string | undefined } | undefined;
  readonly header?: { readonly name?: string | undefined; readonly defaultValue?: string | undefined } | undefined;
  readonly formatter?: object | undefined;
}

/** Undefined for one that is incomplete, which Envoy would refuse. */
function customTag(tag: string, { literal, environment, header }: TagValue): Tag | undefined {
  if (literal?.value) return { tag, type: { case: 'literal', value: { value: literal.value } } };
  if (environment)
    return { tag, type: { case: 'environment', value: { name: environment.name, defaultValue: environment.defaultValue ?? '' } } };
  if (header?.name) return { tag, type: { case: 'requestHeader', value: { name: header.name, defaultValue: header.defaultValue ?? '' } } };
  return undefined;
}

/** What Istio tells of the proxy with each span, and of policies that are tried out. */
function istioTags(proxy: ProxyIdentity): Tag[] {
  const { metadata } = nodeJson(proxy);
  const literal = (tag: string, value: string): Tag => ({ tag, type: { case: 'literal', value: { value } } });
  const noted = (tag: string, key: string): Tag => ({
    tag,
    type: {
      case: 'metadata',
      value: {
        kind: { kind: { case: 'request', value: {} } },
        metadataKey: { key: 'envoy.filters.http.rbac', path: [{ segment: { case: 'key', value: key } }] },
      },
    },
  });
  return [
    literal('istio.canonical_revision', proxy.labels['service.istio.io/canonical-revision'] || 'latest'),
    literal('istio.canonical_service', proxy.labels['service.istio.io/canonical-name'] || 'unknown'),
    literal('istio.mesh_id', String(metadata.MESH_ID)),
    literal('istio.namespace', proxy.namespace),
    literal('istio.cluster_id', String(metadata.CLUSTER_ID)),
    ...(['allow', 'deny'] as const).flatMap((action) => [
      noted(`istio.authorization.dry_run.${action}_policy.name`, `istio_dry_run_${action}_shadow_effective_policy_id`),
      noted(`istio.authorization.dry_run.${action}_policy.result`, `istio_dry_run_${action}_shadow_engine_result`),
    ]),
  ];
}
