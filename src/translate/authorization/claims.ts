/** What a verified JSON Web Token says, as the JWT filter notes it. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { MetadataMatcherSchema } from '../../xds/gen/envoy/type/matcher/v3/metadata_pb.js';
import { anyValue, listValue, metadataMatch, regexMatch, type StringMatch, stringMatch, textValue } from './matchers.ts';

export const JWT_FILTER = 'envoy.filters.http.jwt_authn';
/** The key under which the filter notes the claims. */
export const PAYLOAD = 'payload';

type MetadataMatch = MessageInitShape<typeof MetadataMatcherSchema>;

/** A claim that is the value, or a list that holds it; of several names, each is a key within the one before. */
export function claimValue(names: readonly string[], value: string): MetadataMatch {
  const text = textValue(stringMatch(value));
  return metadataMatch(JWT_FILTER, [PAYLOAD, ...names], anyValue([listValue(text), text]));
}

/** `ISSUER/SUBJECT`, with a star at one end: both claims. */
export function requestPrincipal(value: string): MetadataMatch[] {
  const slash = value.lastIndexOf('/');
  const [issuer, subject] = slash < 0 ? [value, undefined] : [value.slice(0, slash), value.slice(slash + 1)];
  return [claim('iss', issuerMatch(value, issuer, subject)), claim('sub', subjectMatch(value, issuer, subject))];
}

const ANYTHING = regexMatch('.+');

function claim(name: string, match: StringMatch): MetadataMatch {
  return metadataMatch(JWT_FILTER, [PAYLOAD, name], textValue(match));
}

function issuerMatch(value: string, issuer: string, subject: string | undefined): StringMatch {
  if (value === '*') return ANYTHING;
  if (value.startsWith('*')) return subject === undefined || issuer === '*' ? ANYTHING : suffix(issuer.slice(1));
  if (value.endsWith('*') && subject === undefined) return stringMatch(value);
  return exact(issuer);
}

function subjectMatch(value: string, issuer: string, subject: string | undefined): StringMatch {
  if (value === '*') return ANYTHING;
  if (value.startsWith('*')) return subject === undefined ? suffix(issuer.slice(1)) : exact(subject);
  if (value.endsWith('*')) return subject === undefined || subject === '*' ? ANYTHING : stringMatch(subject);
  return exact(subject ?? '');
}

function exact(value: string): StringMatch {
  return { matchPattern: { case: 'exact', value } };
}

function suffix(value: string): StringMatch {
  return { matchPattern: { case: 'suffix', value } };
}
