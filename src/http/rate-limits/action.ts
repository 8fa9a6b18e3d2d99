/** Actions of rate limits: each makes one entry of the descriptor by which requests are counted. As in Envoy, values are taken as written, not as formats. */
import { SallyportError } from '../../lib/errors.ts';
import { formatIp, maskWords, parseIp } from '../../lib/ip.ts';
import {
  type QueryParameterMatcher,
  type RateLimit_Action,
  type RateLimit_Action_MaskedRemoteAddress,
  type RateLimit_Action_MetaData,
  RateLimit_Action_MetaData_Source,
} from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { MetadataKey } from '../../xds/gen/envoy/type/metadata/v3/metadata_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import type { JudgedRequest } from '../filters/filter.ts';
import { valueAt } from '../rbac/value.ts';
import { compileHeaderMatchers, headerReader } from '../routes/header.ts';
import { compileQueryMatchers } from '../routes/query.ts';

export interface DescriptorEntry {
  readonly key: string;
  readonly value: string;
}

/** What descriptors are made of. */
export type DescribedRequest = Pick<JudgedRequest, 'head' | 'route' | 'client' | 'metadata'>;

/** The entry; `none`: the descriptor goes on without one; undefined: there is no descriptor for this request. */
export type ActionEntry = (request: DescribedRequest) => DescriptorEntry | 'none' | undefined;

export interface RateLimitContext {
  /** The proxy's own cluster, as its node says; `source_cluster` names it. */
  readonly serviceCluster: string;
  /** Names what is compiled, for messages. */
  readonly where: string;
}

/** Throws `xds-unsupported` and `xds-invalid`. */
export function compileAction({ actionSpecifier: action }: RateLimit_Action, { serviceCluster, where }: RateLimitContext): ActionEntry {
  switch (action.case) {
    case 'sourceCluster': {
      const entry = { key: 'source_cluster', value: serviceCluster };
      return () => entry;
    }
    case 'destinationCluster':
      return destinationCluster;
    case 'requestHeaders': {
      const { headerName, descriptorKey: key, skipIfAbsent } = action.value;
      const { first } = headerReader(headerName.toLowerCase());
      return ({ head }) => entryOf(key, textOf(first(head)), skipIfAbsent);
    }
    case 'queryParameters': {
      const { queryParameterName: name, descriptorKey: key, skipIfAbsent } = action.value;
      return ({ head }) => entryOf(key, textOf(decodedParameter(head.path, name)), skipIfAbsent);
    }
    case 'remoteAddress':
      return ({ client }) => (parseIp(client.remoteAddress.ip) ? { key: 'remote_address', value: client.remoteAddress.ip } : undefined);
    case 'maskedRemoteAddress':
      return maskedAddress(action.value);
    case 'genericKey': {
      const entry = { key: action.value.descriptorKey || 'generic_key', value: action.value.descriptorValue };
      return () => entry;
    }
    case 'headerValueMatch': {
      const { descriptorKey, descriptorValue, expectMatch = true, headers } = action.value;
      const matches = compileHeaderMatchers(headers);
      if (!matches) throw new SallyportError('xds-invalid', `${where}: header_value_match without headers`);
      const entry = { key: descriptorKey || 'header_match', value: descriptorValue };
      return ({ head }) => (matches(head) === expectMatch ? entry : undefined);
    }
    case 'queryParameterValueMatch': {
      const { descriptorKey, descriptorValue, expectMatch = true, queryParameters } = action.value;
      const matches = compileDecodedQuery(queryParameters, where);
      const entry = { key: descriptorKey || 'query_match', value: descriptorValue };
      return ({ head }) => (matches(head.path) === expectMatch ? entry : undefined);
    }
    case 'metadata':
      return metadataEntry(action.value, where);
    case 'extension':
      return unsupported(where, `the action of extension ${action.value.name} is not supported`);
    default:
      return unsupported(where, `the action ${action.case ?? 'that is not known here'} is not supported`);
  }
}

function destinationCluster({ head, route }: DescribedRequest): DescriptorEntry | undefined {
  const cluster = route?.action.kind === 'forward' ? route.action.choose(head)?.cluster : undefined;
  return cluster === undefined ? undefined : { key: 'destination_cluster', value: cluster };
}

function entryOf(key: string, value: string | undefined, skipIfAbsent: boolean): DescriptorEntry | 'none' | undefined {
  if (value !== undefined) return { key, value };
  return skipIfAbsent ? 'none' : undefined;
}

/** Bytes of a request, a character each, as the text that messages have. */
function textOf(bytes: string | undefined): string | undefined {
  return bytes === undefined || /^[\x20-\x7e]*$/.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
}

function maskedAddress({ v4PrefixMaskLen = 32, v6PrefixMaskLen = 128 }: RateLimit_Action_MaskedRemoteAddress): ActionEntry {
  return ({ client }) => {
    const words = parseIp(client.remoteAddress.ip);
    if (!words) return undefined;
    const length = words.length === 1 ? v4PrefixMaskLen : v6PrefixMaskLen;
    return { key: 'masked_remote_address', value: `${formatIp(maskWords(words, length))}/${length}` };
  };
}

function metadataEntry(config: RateLimit_Action_MetaData, where: string): ActionEntry {
  const { descriptorKey: key, metadataKey, defaultValue, source, skipIfAbsent } = config;
  const read = metadataReader(metadataKey, where);
  const ofRoute = source === RateLimit_Action_MetaData_Source.ROUTE_ENTRY;
  if (!ofRoute && source !== RateLimit_Action_MetaData_Source.DYNAMIC)
    unsupported(where, `the source ${source} of metadata is not supported`);
  return ({ route, metadata }) => {
    const value = read(ofRoute ? route?.metadata?.filterMetadata : metadata);
    const text = typeof value === 'string' && value !== '' ? value : defaultValue;
    return entryOf(key, text || undefined, skipIfAbsent);
  };
}

type Values = Parameters<typeof valueAt>[0];

/** Throws `xds-invalid` where no key is named. */
export function metadataReader(
  config: MetadataKey | undefined,
  where: string,
): (metadata: Readonly<Record<string, Values>> | undefined) => Values {
  if (!config?.key) throw new SallyportError('xds-invalid', `${where}: metadata_key names no key`);
  const path = config.path.map(({ segment }) => segment.value ?? '');
  return (metadata) => valueAt(metadata && Object.hasOwn(metadata, config.key) ? metadata[config.key] : undefined, path);
}

/** Where actions look for parameters, `%20` is a space; `+` is none, and what is no escape stands for itself. */
function decodedQuery(path: string): readonly (readonly [name: string, value: string])[] {
  const start = path.indexOf('?');
  if (start < 0) return [];
  const fragment = path.indexOf('#', start);
  return path
    .slice(start + 1, fragment < 0 ? undefined : fragment)
    .split('&')
    .map((part) => {
      const equals = part.indexOf('=');
      return equals < 0 ? [decoded(part), ''] : [decoded(part.slice(0, equals)), decoded(part.slice(equals + 1))];
    });
}

function decoded(text: string): string {
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function decodedParameter(path: string, name: string): string | undefined {
  return decodedQuery(path).find(([each]) => each === name)?.[1];
}

/** Throws `xds-invalid`. */
function compileDecodedQuery(matchers: readonly QueryParameterMatcher[], where: string): (path: string) => boolean {
  const matches = compileQueryMatchers(matchers, decodedParameter);
  if (!matches) throw new SallyportError('xds-invalid', `${where}: query_parameter_value_match without query_parameters`);
  return matches;
}
