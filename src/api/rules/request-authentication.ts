import type { Rules } from '../kind.ts';
import type { JwtRule, RequestAuthentication } from '../request-authentication.ts';
import type { Path, Report } from './checks.ts';
import { targetsOf } from './targets.ts';

export const requestAuthenticationRules: Rules<RequestAuthentication> = ({ spec }, report) => {
  targetsOf(spec, report);
  spec.jwtRules.forEach((rule, index) => {
    jwtRuleOf(rule, ['spec', 'jwtRules', index], report);
  });
};

function jwtRuleOf(rule: JwtRule, path: Path, report: Report): void {
  if (rule.issuer === '' && !rule.jwksUri) report({ path, message: 'needs an issuer or a jwksUri' });
  if (rule.jwks !== undefined && rule.jwksUri !== undefined)
    report({ path: [...path, 'jwks'], at: 'key', message: 'must not stand beside jwksUri' });
  if (rule.jwksUri !== undefined && !URL.canParse(rule.jwksUri))
    report({ path: [...path, 'jwksUri'], message: `"${rule.jwksUri}" is no URL` });
  if (rule.jwks) {
    const message = jwksProblem(rule.jwks);
    if (message) report({ path: [...path, 'jwks'], message });
  }
}

function jwksProblem(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const keys = typeof value === 'object' && value !== null && 'keys' in value ? value.keys : [value];
    const good = Array.isArray(keys) && keys.every((key: unknown) => typeof key === 'object' && key !== null && 'kty' in key);
    return good ? undefined : 'is no JSON Web Key Set: it needs keys, each with a kty';
  } catch {
    return 'is no JSON';
  }
}
