import { policyTargets, positiveDuration } from './common.ts';
import { boolean, enumeration, type Infer, list, object, required, string, withDefault } from './schema.ts';

const uri = () => string({ minLength: 1, maxLength: 2048, pattern: /^https?:\/\// });
const name = () => string({ minLength: 1 });

const jwtRule = object(
  {
    issuer: withDefault(name(), ''),
    audiences: list(name()),
    jwksUri: uri(),
    jwks: string(),
    fromHeaders: list(object({ name: required(name()), prefix: string() })),
    fromParams: list(name()),
    fromCookies: list(name()),
    outputPayloadToHeader: string(),
    forwardOriginalToken: boolean(),
    outputClaimToHeaders: list(
      object({ header: required(string({ minLength: 1, pattern: /^[-_A-Za-z0-9]+$/ })), claim: required(name()) }),
    ),
    timeout: positiveDuration(),
    spaceDelimitedClaims: list(name(), { maxItems: 64 }),
    presence: withDefault(enumeration('OPTIONAL', 'REQUIRED'), 'OPTIONAL'),
  },
  {
    old: { jwks_uri: uri() },
    normalise: (value, old) => {
      value.jwksUri ??= old.jwks_uri;
    },
  },
);
export type JwtRule = Infer<typeof jwtRule>;

/** Which JSON Web Tokens a workload accepts. */
export const requestAuthentication = object({ ...policyTargets, jwtRules: list(jwtRule, { maxItems: 4096 }) });
export type RequestAuthentication = Infer<typeof requestAuthentication>;
