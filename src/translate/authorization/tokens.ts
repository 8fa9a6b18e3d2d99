/** RequestAuthentications as Envoy's filter for JSON Web Tokens. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { ResourceOf } from '../../api/index.ts';
import type { JwtRule } from '../../api/request-authentication.ts';
import {
  JwtAuthenticationSchema,
  type JwtProviderSchema,
  type JwtRequirementSchema,
} from '../../xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import {
  type HttpFilter,
  HttpFilterSchema,
} from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { TranslateContext } from '../context.ts';
import { typedConfig } from '../proto.ts';
import { JWT_FILTER, PAYLOAD } from './claims.ts';
import { keysOf } from './keys.ts';
import { selects } from './selection.ts';

/** The RequestAuthentications with rules that hold for the proxy, oldest first. */
export function requestAuthentications(context: TranslateContext): ResourceOf<'RequestAuthentication'>[] {
  return context.mesh.snapshot.list('RequestAuthentication').filter((each) => each.spec.jwtRules.length > 0 && selects(context, each));
}

type Requirement = MessageInitShape<typeof JwtRequirementSchema>;

/** None where no token is asked for. */
export function tokenFilters(context: TranslateContext): HttpFilter[] {
  const rules = requestAuthentications(context)
    .flatMap((policy) => policy.spec.jwtRules.map((rule) => ({ rule, policy })))
    .sort(({ rule: a }, { rule: b }) => (a.issuer < b.issuer ? -1 : a.issuer > b.issuer ? 1 : 0));
  if (rules.length === 0) return [];
  const named = rules.map(({ rule, policy }, index) => ({ name: `origins-${index}`, rule, jwks: keysOf(rule, policy, context) }));
  const own = named.map(({ name }): Requirement => ({ requiresType: { case: 'providerName', value: name } }));
  const each = named.map(({ rule }, index) => (rule.presence === 'REQUIRED' ? own[index]! : anyOf([own[index]!, MISSING])));
  // A token at a place where several look for theirs is of one issuer alone: one that takes it is enough.
  const requires =
    each.length === 1
      ? each[0]!
      : anyOf([...(named.some(isRequired) ? [] : own), { requiresType: { case: 'requiresAll', value: { requirements: each } } }]);
  const config = create(JwtAuthenticationSchema, {
    providers: Object.fromEntries(named.map(({ name, rule, jwks }) => [name, provider(rule, jwks, context.proxy.type === 'router')])),
    rules: [{ match: { pathSpecifier: { case: 'prefix', value: '/' } }, requirementType: { case: 'requires', value: requires } }],
    bypassCorsPreflight: true,
  });
  return [create(HttpFilterSchema, { name: JWT_FILTER, configType: typedConfig(JwtAuthenticationSchema, config) })];
}

const MISSING: Requirement = { requiresType: { case: 'allowMissing', value: {} } };

function isRequired({ rule }: { readonly rule: JwtRule }): boolean {
  return rule.presence === 'REQUIRED';
}

function anyOf(requirements: Requirement[]): Requirement {
  return { requiresType: { case: 'requiresAny', value: { requirements } } };
}

/** Claims that are lists in one string. */
const SPACED = ['scope', 'permission'];

/** @param reroutes whether routes may be chosen by what the token says; Istio has it so at gateways alone */
function provider(rule: JwtRule, jwks: string, reroutes: boolean): MessageInitShape<typeof JwtProviderSchema> {
  return {
    issuer: rule.issuer,
    audiences: [...rule.audiences],
    jwksSourceSpecifier: { case: 'localJwks', value: { specifier: { case: 'inlineString', value: jwks } } },
    forward: rule.forwardOriginalToken ?? false,
    forwardPayloadHeader: rule.outputPayloadToHeader ?? '',
    payloadInMetadata: PAYLOAD,
    normalizePayloadInMetadata: { spaceDelimitedClaims: [...new Set([...SPACED, ...rule.spaceDelimitedClaims])] },
    fromHeaders: rule.fromHeaders.map(({ name, prefix }) => ({ name, valuePrefix: prefix ?? '' })),
    fromParams: [...rule.fromParams],
    fromCookies: [...rule.fromCookies],
    clearRouteCache: reroutes,
    claimToHeaders: rule.outputClaimToHeaders.map(({ header, claim }) => ({ headerName: header, claimName: claim })),
  };
}
