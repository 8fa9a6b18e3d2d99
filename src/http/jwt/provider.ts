/** One issuer of tokens: where its tokens stand in a request, what they must be, and what is made of them. */

import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { Recent } from '../../lib/recent.ts';
import type { JwtProvider } from '../../xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import type { Head } from '../head.ts';
import type { HeaderMap } from '../header-map.ts';
import { fieldBytes } from '../outgoing-problem.ts';
import { isOfKeys, isStandIn, readKeys, signatureProblem } from './keys.ts';
import { readToken, type Token } from './token.ts';

export const MISSING = 'Jwt is missing';
export const UNKNOWN_ISSUER = 'Jwt issuer is not configured';
export const WRONG_AUDIENCE = 'Audiences in Jwt are not allowed';

/** Tokens that are remembered as signed by a provider's keys, the ones used last, none longer than so many characters. */
const MOST_TOKENS = 500;
const LONGEST_KEPT = 4096;

export interface Accepted {
  /** By the key under which the filter notes them; undefined where nobody asks for it. */
  readonly metadata: JsonObject | undefined;
  /** Whether the route is to be chosen again, by what the token says. */
  readonly reroutes: boolean;
  /** What of the request changes: the token that is not passed on, and fields that are made of its claims. Undefined where nothing does. */
  readonly edit: ((headers: HeaderMap) => void) | undefined;
}

export interface Provider {
  /** Fields that only this filter may make. */
  readonly ownFields: readonly string[];
  /** @param now ms since the epoch. A text says why there is no valid token. */
  verify(head: Head, now: number): Accepted | string;
  /** Whose tokens nobody can judge here: the keys are fetched, and have not been. Undefined for keys that are known. */
  readonly unknownKeys: string | undefined;
}

/** Whether the request brings a token that is right in all that does not take its issuer's keys. */
export function judgedByKeys(provider: Provider, head: Head, now: number): boolean {
  const outcome = provider.verify(head, now);
  return typeof outcome === 'string' && isOfKeys(outcome);
}

interface Signed {
  readonly token: Token;
  /** The field in which it came. */
  readonly field: string | undefined;
  readonly accepted: Accepted;
}

interface Found {
  readonly text: string;
  /** The field to be taken away with it; undefined for other places. */
  readonly field: string | undefined;
}

/** Throws `xds-unsupported`; `where` names the provider. */
export function compileProvider(config: JwtProvider, where: string): Provider {
  const { jwksSourceSpecifier: source, subjects, maxLifetime, headerInMetadata, failedStatusInMetadata } = config;
  if (source.case !== 'localJwks' || (source.value.specifier.case !== 'inlineString' && source.value.specifier.case !== 'inlineBytes'))
    return unsupported(`${where}.${source.case ?? 'jwks'}`, 'not supported; give local_jwks inline');
  if (subjects) unsupported(`${where}.subjects`, 'not supported');
  if (maxLifetime) unsupported(`${where}.max_lifetime`, 'not supported');
  if (headerInMetadata || failedStatusInMetadata) unsupported(`${where}.header_in_metadata`, 'not supported');
  const { value } = source.value.specifier;
  const keys = readKeys(typeof value === 'string' ? value : Buffer.from(value).toString('utf8'));
  const skewMs = (config.clockSkewSeconds || 60) * 1000;
  const audiences = new Set(config.audiences.map(plainAudience));
  const problem = (token: Token, now: number): string | undefined => {
    const { iss, exp, nbf } = token.claims;
    if (config.issuer !== '' && iss !== config.issuer) return UNKNOWN_ISSUER;
    if (config.requireExpiration && exp === undefined) return 'Jwt is expired';
    if (typeof nbf === 'number' && now + skewMs < nbf * 1000) return 'Jwt not yet valid';
    if (typeof exp === 'number' && now > exp * 1000 + skewMs) return 'Jwt is expired';
    const named = [token.claims.aud ?? []].flat().map((each) => plainAudience(String(each)));
    return audiences.size > 0 && !named.some((each) => audiences.has(each)) ? WRONG_AUDIENCE : undefined;
  };
  // A client sends the same token with each request: it is read, and its signature verified, once. What time decides is asked each time.
  const signed = new Recent<string, Signed>(MOST_TOKENS);
  return {
    ownFields: [config.forwardPayloadHeader, ...config.claimToHeaders.map(({ headerName }) => headerName)]
      .filter((name) => name !== '')
      .map((name) => name.toLowerCase()),
    unknownKeys: isStandIn(keys) ? config.issuer || 'any issuer' : undefined,
    verify(head, now) {
      let why = MISSING;
      for (const { text, field } of tokensIn(head, config)) {
        const known = signed.peek(text);
        const token = known ? known.token : readToken(text);
        if (typeof token === 'string') {
          why = token;
          continue;
        }
        const wrong = problem(token, now) ?? (known ? undefined : signatureProblem(token, keys));
        if (wrong === undefined) {
          const made = known && known.field === field ? known.accepted : accepted(config, token, field);
          if (text.length <= LONGEST_KEPT) signed.get(text, () => ({ token, field, accepted: made }));
          return made;
        }
        why = wrong;
      }
      return why;
    },
  };
}

const DEFAULT_PLACES = { fromHeaders: [{ name: 'authorization', valuePrefix: 'Bearer ' }], fromParams: ['access_token'], fromCookies: [] };

function* tokensIn({ headers, path }: Head, config: JwtProvider): Generator<Found> {
  const { fromHeaders, fromParams, fromCookies } = config;
  const places = fromHeaders.length + fromParams.length + fromCookies.length > 0 ? config : DEFAULT_PLACES;
  for (const { name, valuePrefix } of places.fromHeaders) {
    const field = name.toLowerCase();
    // A field that comes several times is one list, which is no token.
    const value = headers.all(field).join(',');
    const at = value.indexOf(valuePrefix);
    if (at >= 0 && headers.has(field)) yield { text: value.slice(at + valuePrefix.length).trim(), field };
  }
  const query = path.includes('?') ? new URLSearchParams(path.slice(path.indexOf('?') + 1)) : undefined;
  for (const name of places.fromParams) {
    const value = query?.get(name) ?? undefined;
    if (value !== undefined) yield { text: value, field: undefined };
  }
  if (places.fromCookies.length === 0) return;
  const cookies = headers.all('cookie').flatMap((line) => line.split(';'));
  for (const name of places.fromCookies) {
    const value = cookies.map((each) => each.trim()).find((each) => each.startsWith(`${name}=`));
    if (value !== undefined) yield { text: value.slice(name.length + 1).replace(/^"(.*)"$/, '$1'), field: undefined };
  }
}

/** The scheme and a slash at the end make no difference. */
function plainAudience(text: string): string {
  return text.replace(/^https?:\/\//, '').replace(/\/$/, '');
}

function accepted(config: JwtProvider, { claims, payload }: Token, field: string | undefined): Accepted {
  const { payloadInMetadata, normalizePayloadInMetadata, forward, forwardPayloadHeader, claimToHeaders, clearRouteCache } = config;
  const fields = claimToHeaders.flatMap(({ headerName, claimName }) => {
    const value = claimAt(claims, claimName);
    return value === undefined || value === null ? [] : [[headerName.toLowerCase(), fieldBytes(claimText(value))] as const];
  });
  const spaced = normalizePayloadInMetadata?.spaceDelimitedClaims ?? [];
  const removes = forward ? undefined : field;
  const changes = forwardPayloadHeader !== '' || fields.length > 0 || removes !== undefined;
  return {
    metadata: payloadInMetadata === '' ? undefined : { [payloadInMetadata]: withLists(claims, spaced) },
    reroutes: clearRouteCache && (fields.length > 0 || payloadInMetadata !== ''),
    edit: !changes
      ? undefined
      : (headers) => {
          if (forwardPayloadHeader !== '') {
            const padding = config.padForwardPayloadHeader ? '='.repeat((4 - (payload.length % 4)) % 4) : '';
            headers.set(forwardPayloadHeader.toLowerCase(), `${payload}${padding}`);
          }
          for (const [name, value] of fields) headers.set(name, value);
          if (removes !== undefined) headers.remove(removes);
        },
  };
}

function withLists(claims: JsonObject, names: readonly string[]): JsonObject {
  const lists = names.flatMap((name) => {
    const value = claims[name];
    return typeof value === 'string' ? [[name, value.split(' ').filter((each) => each !== '')] as const] : [];
  });
  return { ...claims, ...Object.fromEntries(lists) };
}

/** `a.b`: the claim of that name, or b within a. */
function claimAt(claims: JsonObject, name: string): JsonValue | undefined {
  if (Object.hasOwn(claims, name)) return claims[name];
  let at: JsonValue | undefined = claims;
  for (const key of name.split('.')) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

function claimText(value: JsonValue): string {
  return typeof value === 'object' ? Buffer.from(JSON.stringify(value)).toString('base64') : String(value);
}
