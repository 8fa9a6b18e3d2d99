/**
 * Tokens by which workloads show who they are before they have a certificate: those of Kubernetes' service accounts, verified by the keys of their issuer, and
 * local ones, which the CA's owner signs (`local-tokens.ts`). Both say `system:serviceaccount:NAMESPACE:NAME`.
 */
import { type Key, readKeys, signatureProblem } from '../http/jwt/keys.ts';
import { readToken, type Token } from '../http/jwt/token.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { readRegularText } from '../lib/regular-file.ts';
import { LOCAL_ISSUER, localKeys, type TokenIdentity } from './local-tokens.ts';

/** The cluster around, which gives its pods tokens. */
export interface TokenCluster {
  /** The newest. */
  keys(): IssuerKeys;
  /** Why the API server does not take the token (any more): a pod's token ends with the pod. Rejects with `token-not-reviewed` where it does not say. */
  problemOf(token: string, audience: string): Promise<string | undefined>;
}

/** Who signs tokens, and by which public keys. */
export interface IssuerKeys {
  readonly issuer: string;
  readonly keys: readonly Key[];
}

export interface TokenOptions {
  /** Folder of the CA, whose key for local tokens is beside it. */
  readonly ca: string;
  /** File with the keys of Kubernetes' issuer; undefined: only local tokens are taken. */
  readonly jwks: string | undefined;
  readonly audience: string;
  /** Whom Kubernetes' tokens are to be from; undefined: whoever has one of the keys. */
  readonly issuer: string | undefined;
  /** The cluster around, whose tokens are taken where there is no file. */
  readonly cluster?: TokenCluster | undefined;
}

/** Longer than any that there are. */
const MOST_BYTES = 16 * 1024;
/** Clocks of machines differ by so much, as Kubernetes has it. */
const SKEW_MS = 60_000;
const SUBJECT = /^system:serviceaccount:([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)$/;

/**
 * Who is behind a token; files with keys are read each time, so that keys that have gone are not trusted any more.
 * Rejects with `token-refused`, which holds nothing of the token but names, and with `token-not-reviewed`. @param now ms since the epoch
 */
export async function identityOfToken(text: string, options: TokenOptions, now: number): Promise<TokenIdentity> {
  if (text.length > MOST_BYTES) throw refused(`it is longer than ${MOST_BYTES} bytes`);
  const token = readToken(text);
  if (typeof token === 'string') throw refused(token);
  const cluster = clusterOf(token, options);
  const problem =
    claimsProblem(token, options, now) ??
    signatureProblem(token, keysFor(token, options, cluster?.keys())) ??
    (await cluster?.problemOf(text, options.audience));
  if (problem !== undefined) throw refused(problem);
  const [, namespace, serviceAccount] = SUBJECT.exec(String(token.claims.sub)) ?? [];
  if (namespace === undefined || serviceAccount === undefined) throw refused('its subject is no service account of Kubernetes');
  return { namespace, serviceAccount };
}

function claimsProblem({ claims }: Token, { audience }: TokenOptions, now: number): string | undefined {
  const { exp, nbf, aud = [] } = claims;
  if (typeof exp !== 'number') return 'it never expires: it has no "exp"';
  if (now >= exp * 1000 + SKEW_MS) return 'it has expired';
  if (typeof nbf === 'number' && now + SKEW_MS < nbf * 1000) return 'it is not valid yet';
  return [aud].flat().includes(audience) ? undefined : `it is not for the audience "${audience}"`;
}

/** The cluster that has to say whether it takes a token; undefined where files decide. */
function clusterOf({ claims: { iss } }: Token, { jwks, cluster }: TokenOptions): TokenCluster | undefined {
  return iss === LOCAL_ISSUER || jwks !== undefined ? undefined : cluster;
}

function keysFor({ claims: { iss } }: Token, options: TokenOptions, around: IssuerKeys | undefined): readonly Key[] {
  const { ca, jwks, issuer: demanded } = options;
  if (iss === LOCAL_ISSUER) return localKeys(ca);
  const issuer = demanded ?? around?.issuer;
  if (issuer !== undefined && iss !== issuer && (around || jwks !== undefined)) throw refused(`it is not from the issuer "${issuer}"`);
  if (around) return around.keys;
  if (jwks === undefined) throw refused('it is not one of this CA: there are no keys of another issuer (--token-jwks)');
  return jwksIn(jwks);
}

/** Public keys of a JWKS file. Throws `jwks-invalid`. */
export function jwksIn(file: string): readonly Key[] {
  let text: string;
  try {
    text = readRegularText(file);
  } catch (cause) {
    throw new SallyportError('jwks-invalid', `${file} cannot be read: ${messageOf(cause)}`, { cause });
  }
  return publicKeysIn(text, file);
}

/** Public keys of a JWKS. Throws `jwks-invalid`, which says where it is from. */
export function publicKeysIn(text: string, where: string): readonly Key[] {
  // Whoever knows a shared secret could sign with it.
  const keys = readKeys(text).filter(({ kty }) => kty !== 'oct');
  if (keys.length === 0)
    throw new SallyportError('jwks-invalid', `${where} has no public key that can be used: it is to be a JSON Web Key Set`);
  return keys;
}

function refused(why: string): SallyportError {
  return new SallyportError('token-refused', `the token is refused: ${why}`);
}
