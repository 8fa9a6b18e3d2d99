/** Where the keys of JSON Web Tokens are, for rules that do not hold them. */
import type { JwtRule } from '../../api/request-authentication.ts';
import type { Snapshot } from '../../config/snapshot.ts';

/** Where keys are to be fetched. */
export interface KeySource {
  /** The same for rules that share keys. */
  readonly id: string;
  /** Undefined: the issuer's discovery document (OpenID Connect Discovery 1.0) says where. */
  readonly uri: string | undefined;
  readonly issuer: string;
  /** For the whole of one attempt, ms. */
  readonly timeoutMs: number;
}

/** What came of fetching: the key set's text, or why there is none. */
export type FetchedKeys = { readonly jwks: string } | { readonly problem: string };

/** By the source's id; a source that is not in it has not answered yet. */
export type KeySets = ReadonlyMap<string, FetchedKeys>;

/** As Istio's. */
const TIMEOUT_MS = 5_000;

/** Undefined for a rule that holds its keys. */
export function keySourceOf({ jwks, jwksUri, issuer, timeout }: JwtRule): KeySource | undefined {
  if (jwks) return undefined;
  return { id: jwksUri ?? `issuer ${issuer}`, uri: jwksUri, issuer, timeoutMs: timeout ?? TIMEOUT_MS };
}

/** Every source that some rule names, each once; of several timeouts the longest. */
export function keySourcesIn(snapshot: Snapshot): readonly KeySource[] {
  const found = new Map<string, KeySource>();
  for (const { spec } of snapshot.list('RequestAuthentication')) {
    for (const source of spec.jwtRules.map(keySourceOf)) {
      if (source && (found.get(source.id)?.timeoutMs ?? 0) < source.timeoutMs) found.set(source.id, source);
    }
  }
  return [...found.values()];
}
