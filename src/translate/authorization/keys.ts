/** The keys that verify JSON Web Tokens: written in the rule, or fetched by the control plane, which gives them to translation. */
import type { ResourceOf } from '../../api/index.ts';
import type { JwtRule } from '../../api/request-authentication.ts';
import { originOf, resourceText } from '../../api/resource.ts';
import { STAND_IN_KEY_ID } from '../../xds/names.ts';
import type { TranslateContext } from '../context.ts';
import { keySourceOf } from './key-sources.ts';

/**
 * Stands for keys that are not there: what it is asked about is refused, as Istio does it. Nobody can sign for it: x is the SHA-256 of "the keys of these
 * tokens have not been fetched 0", so that the point was not made from a private key.
 */
export const STAND_IN_KEYS = JSON.stringify({
  keys: [
    {
      kid: STAND_IN_KEY_ID,
      kty: 'EC',
      crv: 'P-256',
      x: 'lu9cXGZWr4rH6AYRkmIZNL9C3pJdIouUcwW9rL_2ECw',
      y: 'kt8xYVvsGN3xJqg2J8E8OVxzI2SR-mtrsjPKWsOSqgs',
    },
  ],
});

/** The key set for the filter. Where nobody fetches (questions on files) there is the stand-in, which simulation knows. */
export function keysOf(rule: JwtRule, origin: ResourceOf<'RequestAuthentication'>, { mesh, report }: TranslateContext): string {
  const source = keySourceOf(rule);
  if (!source) return rule.jwks ?? '';
  const fetched = mesh.keys?.get(source.id);
  if (!fetched) return STAND_IN_KEYS;
  if ('jwks' in fetched) return fetched.jwks;
  const message = `${resourceText(origin)}: there are no keys for tokens of ${rule.issuer || 'any issuer'}: ${fetched.problem}. Its tokens are refused until there are; it is tried again.`;
  report({ code: 'SP1024', level: 'Error', message, origin: originOf(origin), position: origin.source.position() });
  return STAND_IN_KEYS;
}
