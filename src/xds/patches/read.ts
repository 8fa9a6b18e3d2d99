/** What becomes of an EnvoyFilter's patches. */
import type { Message } from '@bufbuild/protobuf';
import { compileRe2, regexProblem } from '../../lib/regex.ts';
import { isPatchable, type PatchValue, patchValue } from './value.ts';

/** As the schema of EnvoyFilters has it. */
export interface StatedPatch {
  readonly applyTo: string;
  readonly match?: {
    readonly context: string;
    readonly proxy?: { readonly proxyVersion?: string; readonly metadata?: Readonly<Record<string, string>> };
    readonly listener?: { readonly listenerFilter?: string; readonly filterChain?: { readonly filter?: NamedFilter } };
  };
  readonly patch?: { readonly operation: string; readonly value?: unknown };
}

interface NamedFilter {
  readonly name?: string;
  readonly subFilter?: { readonly name?: string };
}

/** `elsewhere`: it is for other proxies, and has no effect here, nor would it in Istio. */
export type PatchReading =
  | { readonly kind: 'applied'; readonly value: PatchValue }
  | { readonly kind: 'unapplied' | 'elsewhere'; readonly why: string };

export function readPatch(stated: StatedPatch): PatchReading {
  const elsewhere = whyElsewhere(stated);
  if (elsewhere !== undefined) return { kind: 'elsewhere', why: elsewhere };
  const value = valueOf(stated);
  if (typeof value === 'string') return { kind: 'unapplied', why: value };
  const untyped = merges(stated) || stated.patch?.operation === 'REMOVE' ? undefined : withoutType(value.message);
  return { kind: 'applied', value: untyped === undefined ? value : { ...value, foreign: [...value.foreign, untyped] } };
}

function merges({ patch }: StatedPatch): boolean {
  return patch?.operation === 'MERGE' || patch?.operation === 'MERGE_AND_REPLACE_LIST';
}

/** In these a merged extension takes the place of the one that is there. */
const ROUTING: ReadonlySet<string> = new Set(['ROUTE_CONFIGURATION', 'VIRTUAL_HOST', 'HTTP_ROUTE']);

/** Of a filter that is put in by its name alone: that name. */
function withoutType(message: Message): string | undefined {
  const { name, configType } = message as Message & { name?: string; configType?: { readonly case: string | undefined } };
  return configType && configType.case !== 'typedConfig' ? name : undefined;
}

/** The release of Istio as whose proxies ours stand. */
const ISTIO_VERSION = '1.31.0';

function whyElsewhere(stated: StatedPatch): string | undefined {
  const { match } = stated;
  if (match?.context === 'WAYPOINT') return 'it is for waypoints, of which there are none';
  const old = namedFilters(stated).find((name) => /^envoy\.(?!filters\.)/.test(name));
  if (old !== undefined) return `no filter is called ${old} any more: names begin with envoy.filters`;
  const version = match?.proxy?.proxyVersion;
  if (!version || regexProblem(version) !== undefined || compileRe2(version).matcher(ISTIO_VERSION).find()) return undefined;
  return `it is for proxies of version ${version}, and proxies stand here as Istio's of ${ISTIO_VERSION}`;
}

/** The reason, as text, where it can't be applied. */
function valueOf(stated: StatedPatch): PatchValue | string {
  const { applyTo, match, patch } = stated;
  if (applyTo === 'EXTENSION_CONFIG')
    return 'extensions are not served on their own (ECDS): put the configuration where the extension is used';
  if (applyTo === 'BOOTSTRAP') return 'bootstraps are not patched';
  if (!isPatchable(applyTo) || !patch) return 'it does not say what it patches';
  const unread = match?.proxy?.proxyVersion && regexProblem(match.proxy.proxyVersion);
  if (unread) return `proxyVersion ${match.proxy.proxyVersion} cannot be read (${unread}), so that nobody knows which proxies it is for`;
  const metadata = Object.keys(match?.proxy?.metadata ?? {});
  if (metadata.length > 0) return `the metadata of proxies is not known (${metadata.join(', ')}): select their workloads by labels`;
  const missing = namedFilters(stated).find((name) => ISTIOS_OWN.has(name));
  if (missing !== undefined)
    return `${missing} is a filter of Istio's own proxies, and there is none here: place the patch by the router, or use Telemetry`;
  return patchValue(applyTo, patch.operation === 'REMOVE' ? {} : patch.value, ROUTING.has(applyTo) || !merges(stated));
}

function namedFilters({ match, patch }: StatedPatch): readonly string[] {
  if (patch?.operation === 'ADD' || patch?.operation === 'INSERT_FIRST' || patch?.operation === 'REMOVE') return [];
  const { listenerFilter, filterChain } = match?.listener ?? {};
  return [listenerFilter, filterChain?.filter?.name, filterChain?.filter?.subFilter?.name].filter((name) => name !== undefined);
}

/** What Istio puts into its proxies and we do not: metrics and the exchange of metadata. */
const ISTIOS_OWN: ReadonlySet<string> = new Set([
  'envoy.filters.http.grpc_stats',
  'envoy.filters.network.metadata_exchange',
  'istio.metadata_exchange',
  'istio.stats',
  'istio_authn',
  'istio.workload_discovery',
]);
