/**
 * Credentials that a proxy puts into requests on their way out (`metadata.filter_metadata.sallyport.credentials` of a virtual host). What stands there says which
 * credential goes where, never its value. Pure: traffic and simulation ask the same.
 */
import type { JsonValue } from '@bufbuild/protobuf';
import type { TokenSettings } from '../../lib/contained.ts';
import type { Metadata } from '../gen/envoy/config/core/v3/base_pb.js';
import { SALLYPORT_METADATA } from '../names.ts';

/** One credential, and the requests that get it. */
export interface CredentialRule {
  /** By which whoever holds the value knows it. */
  readonly name: string;
  readonly place: 'header' | 'query' | 'signature';
  /** Of the header, in lower case, or of the parameter; of a signature, the header that it stands in. */
  readonly key: string;
  readonly scheme: '' | 'Bearer' | 'Basic';
  /** Of `Basic`. */
  readonly user: string;
  /** Of a signature (AWS Signature Version 4): what it is for, and whether bodies may be left unsigned, as they leave in TLS. */
  readonly signing: { readonly region: string; readonly service: string; readonly unsigned: boolean } | undefined;
  /** It goes by clusters of EgressPolicies alone, in TLS wherever they lead. */
  readonly policy: boolean;
  /** The value is an access token that is asked for. */
  readonly token: TokenSettings | undefined;
  /** What stands for the value in requests of the client; undefined: nothing does. */
  readonly placeholder: string | undefined;
  /** Empty: any. */
  readonly methods: readonly string[];
  /** As they are, or with `*` at their end; empty: any. */
  readonly paths: readonly string[];
}

/** `broken`: something stands there that is not understood, and nothing may be sent. */
type Read = readonly CredentialRule[] | 'broken';

const NONE: readonly CredentialRule[] = [];
const known = new WeakMap<Metadata, Read>();

/** Whether EgressPolicies alone say where a cluster leads, and that TLS does. */
export function isOfPolicies(metadata: Metadata | undefined): boolean {
  return metadata?.filterMetadata[SALLYPORT_METADATA]?.policy === true;
}

export function credentialRules(metadata: Metadata | undefined): Read {
  if (!metadata) return NONE;
  let rules = known.get(metadata);
  if (rules === undefined) {
    rules = readRules(metadata.filterMetadata[SALLYPORT_METADATA]?.credentials);
    known.set(metadata, rules);
  }
  return rules;
}

/** Of what an annotation or metadata holds. */
export function readRules(json: JsonValue | undefined): Read {
  if (json === undefined) return NONE;
  if (!Array.isArray(json)) return 'broken';
  const rules = json.map(readRule);
  return rules.every((rule) => rule !== undefined) ? rules : 'broken';
}

/** A field's name (RFC 9110 §5.1), in lower case. */
const FIELD = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

function readRule(json: JsonValue): CredentialRule | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
  const { name, header, query, sigv4, token: asked, scheme = '', user = '', placeholder, methods = [], paths = [], policy = false } = json;
  if (typeof name !== 'string' || typeof user !== 'string' || !isTexts(methods) || !isTexts(paths)) return undefined;
  if (typeof policy !== 'boolean') return undefined;
  if (scheme !== '' && scheme !== 'Bearer' && scheme !== 'Basic') return undefined;
  if (placeholder !== undefined && typeof placeholder !== 'string') return undefined;
  const signing = sigv4 === undefined ? undefined : readSigning(sigv4);
  const token = asked === undefined ? undefined : readToken(asked);
  if (asked !== undefined && (!token || signing)) return undefined;
  const rest = { name, scheme, user, placeholder, methods, paths, signing, token, policy } as const;
  if (sigv4 !== undefined)
    return signing && header === undefined && query === undefined && scheme === ''
      ? { ...rest, place: 'signature', key: 'authorization' }
      : undefined;
  if (typeof header === 'string' && query === undefined && FIELD.test(header)) return { ...rest, place: 'header', key: header };
  if (typeof query === 'string' && header === undefined && query !== '' && scheme === '') return { ...rest, place: 'query', key: query };
  return undefined;
}

function readSigning(json: JsonValue): CredentialRule['signing'] {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
  const { region, service, unsigned = false } = json;
  if (typeof region !== 'string' || typeof service !== 'string' || typeof unsigned !== 'boolean') return undefined;
  return SCOPE.test(region) && SCOPE.test(service) ? { region, service, unsigned } : undefined;
}

function readToken(json: JsonValue): TokenSettings | undefined {
  if (!isObject(json)) return undefined;
  const { endpoint, cluster, scopes, parameters, authentication } = json;
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint) || !endpoint.startsWith('https://') || typeof cluster !== 'string')
    return undefined;
  if (!isTexts(scopes) || !isObject(parameters) || !isTexts(Object.values(parameters))) return undefined;
  if (authentication !== 'basic' && authentication !== 'body') return undefined;
  return { endpoint, cluster, scopes, parameters: parameters as Record<string, string>, authentication };
}

function isObject(json: JsonValue | undefined): json is { [key: string]: JsonValue } {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** As regions and services are named, so that none is taken for more of the scope than it is. */
const SCOPE = /^[a-z0-9-]+$/;

function isTexts(json: JsonValue | undefined): json is string[] {
  return Array.isArray(json) && json.every((each) => typeof each === 'string');
}

/** Where the credential goes, as a clause. */
export function placeText({ place, key, scheme, signing }: CredentialRule): string {
  if (signing) return `header ${key} (AWS Signature Version 4 for ${signing.service} in ${signing.region})`;
  return place === 'query' ? `query parameter ${key}` : `header ${key}${scheme ? ` (${scheme})` : ''}`;
}
