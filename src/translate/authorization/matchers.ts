/** Values of AuthorizationPolicies as Envoy's matchers: `*` alone for anything, at the start for a suffix, at the end for a prefix. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { formatIp, parseRange } from '../../lib/ip.ts';
import { CidrRangeSchema } from '../../xds/gen/envoy/config/core/v3/address_pb.js';
import type { HeaderMatcherSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { MetadataMatcherSchema } from '../../xds/gen/envoy/type/matcher/v3/metadata_pb.js';
import type { StringMatcherSchema } from '../../xds/gen/envoy/type/matcher/v3/string_pb.js';
import type { ValueMatcherSchema } from '../../xds/gen/envoy/type/matcher/v3/value_pb.js';

export type StringMatch = MessageInitShape<typeof StringMatcherSchema>;
export type ValueMatch = MessageInitShape<typeof ValueMatcherSchema>;

/** `prefix` is put before what the value says; a star alone asks for anything that is there. */
export function stringMatch(value: string, prefix = ''): StringMatch {
  if (value === '*') return regexMatch('.+');
  if (value.startsWith('*')) {
    const suffix = value.slice(1);
    return prefix === '' ? { matchPattern: { case: 'suffix', value: suffix } } : regexMatch(`${quoted(prefix)}.*${quoted(suffix)}`);
  }
  if (value.endsWith('*')) return { matchPattern: { case: 'prefix', value: `${prefix}${value.slice(0, -1)}` } };
  return { matchPattern: { case: 'exact', value: `${prefix}${value}` } };
}

export function regexMatch(regex: string): StringMatch {
  return { matchPattern: { case: 'safeRegex', value: { regex } } };
}

/** Text in an expression of RE2. */
export function quoted(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
}

export function pseudoHeader(name: ':authority' | ':method', value: string): MessageInitShape<typeof HeaderMatcherSchema> {
  if (value === '*') return { name, headerMatchSpecifier: { case: 'presentMatch', value: true } };
  const ignoreCase = name === ':authority';
  return { name, headerMatchSpecifier: { case: 'stringMatch', value: { ...stringMatch(value), ignoreCase } } };
}

/** The whole value of a header: of several fields of that name, all of them, joined by commas. */
export function headerValue(name: string, value: string): MessageInitShape<typeof HeaderMatcherSchema> {
  if (value === '*') return { name, headerMatchSpecifier: { case: 'presentMatch', value: true } };
  return { name, headerMatchSpecifier: { case: 'stringMatch', value: stringMatch(value) } };
}

/** The value of a filter's metadata at a path of keys. */
export function metadataMatch(filter: string, keys: readonly string[], value: ValueMatch): MessageInitShape<typeof MetadataMatcherSchema> {
  return { filter, path: keys.map((key) => ({ segment: { case: 'key', value: key } })), value };
}

export function textValue(match: StringMatch): ValueMatch {
  return { matchPattern: { case: 'stringMatch', value: match } };
}

/** A list with a member of that value. */
export function listValue(member: ValueMatch): ValueMatch {
  return { matchPattern: { case: 'listMatch', value: { matchPattern: { case: 'oneOf', value: member } } } };
}

export function anyValue(values: readonly ValueMatch[]): ValueMatch {
  return values.length === 1 ? values[0]! : { matchPattern: { case: 'orMatch', value: { valueMatchers: [...values] } } };
}

/** An address or a CIDR range, which validation has found to be one. */
export function rangeMatch(text: string): MessageInitShape<typeof CidrRangeSchema> {
  const { words, length } = parseRange(text)!;
  return create(CidrRangeSchema, { addressPrefix: formatIp(words), prefixLen: length });
}
