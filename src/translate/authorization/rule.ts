/**
 * A rule of an AuthorizationPolicy as a policy of Envoy's RBAC: its sources and the conditions on them are principals, its operations and the conditions on
 * the connection's destination are permissions.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationRule,
  AuthorizationSource,
} from '../../api/authorization-policy.ts';
import { SPIFFE } from '../../lib/spiffe.ts';
import { type PermissionSchema, type Policy, PolicySchema, type PrincipalSchema } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.js';
import { UriTemplateMatchConfigSchema } from '../../xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js';
import { typedConfig } from '../proto.ts';
import { claimValue, requestPrincipal } from './claims.ts';
import {
  anyValue,
  headerValue,
  listValue,
  metadataMatch,
  pseudoHeader,
  quoted,
  rangeMatch,
  regexMatch,
  type StringMatch,
  stringMatch,
  textValue,
} from './matchers.ts';

type Permission = MessageInitShape<typeof PermissionSchema>;
type Principal = MessageInitShape<typeof PrincipalSchema>;

/** What one field of a rule asks for. */
interface Field<T> {
  readonly values: readonly string[];
  readonly notValues: readonly string[];
  /** Whether connections that are not HTTP have nothing to compare with it. */
  readonly httpOnly: boolean;
  match(value: string): T;
}

export interface RuleContext {
  /** Of the policy: service accounts without a namespace are of it. */
  readonly namespace: string;
  /** Trust domains that stand for the mesh's own in principals. */
  readonly trustDomains: readonly string[];
  readonly tcp: boolean;
  /** A rule that denies more, or allows less, than was asked for is safe: without HTTP, fields that only HTTP has are left out of the former, and the latter are left out whole. */
  readonly widens: boolean;
}

/** Undefined for a rule that can't hold here: one that asks TCP for what only HTTP has. */
export function rbacPolicy(rule: AuthorizationRule, context: RuleContext): Policy | undefined {
  const conditions = rule.when.map((condition) => conditionField(condition, context));
  const onPermission = conditions.flatMap((each) => (each.of === 'permission' ? [each.field] : []));
  const onPrincipal = conditions.flatMap((each) => (each.of === 'principal' ? [each.field] : []));
  const operations = rule.to.length > 0 ? rule.to.map(({ operation }) => operation) : [undefined];
  const sources = rule.from.length > 0 ? rule.from.map(({ source }) => source) : [undefined];
  const permissions = operations.map((operation) => conjunction([...operationFields(operation), ...onPermission], context, PERMISSION));
  const principals = sources.map((source) => conjunction([...sourceFields(source, context), ...onPrincipal], context, PRINCIPAL));
  const complete = <T>(list: readonly (T | undefined)[]): list is readonly T[] => !list.includes(undefined);
  if (!complete(permissions) || !complete(principals)) return undefined;
  return create(PolicySchema, { permissions: [...permissions], principals: [...principals] });
}

/** Nothing matches it: of a policy without rules. */
export function neverPolicy(): Policy {
  return create(PolicySchema, { permissions: [PERMISSION.not(PERMISSION.any)], principals: [PRINCIPAL.not(PRINCIPAL.any)] });
}

interface Algebra<T> {
  readonly any: T;
  and(list: T[]): T;
  or(list: T[]): T;
  not(one: T): T;
}

const PERMISSION: Algebra<Permission> = {
  any: { rule: { case: 'any', value: true } },
  and: (rules) => ({ rule: { case: 'andRules', value: { rules } } }),
  or: (rules) => ({ rule: { case: 'orRules', value: { rules } } }),
  not: (value) => ({ rule: { case: 'notRule', value } as Permission['rule'] & { case: 'notRule' } }),
};

const PRINCIPAL: Algebra<Principal> = {
  any: { identifier: { case: 'any', value: true } },
  and: (ids) => ({ identifier: { case: 'andIds', value: { ids } } }),
  or: (ids) => ({ identifier: { case: 'orIds', value: { ids } } }),
  not: (value) => ({ identifier: { case: 'notId', value } as Principal['identifier'] & { case: 'notId' } }),
};

/** All fields hold; undefined where one can't. */
function conjunction<T>(fields: readonly Field<T>[], { tcp, widens }: RuleContext, algebra: Algebra<T>): T | undefined {
  const parts: T[] = [];
  for (const { values, notValues, httpOnly, match } of fields) {
    if (tcp && httpOnly && values.length + notValues.length > 0) {
      if (widens) continue;
      return undefined;
    }
    if (values.length > 0) parts.push(algebra.or(values.map(match)));
    if (notValues.length > 0) parts.push(algebra.not(algebra.or(notValues.map(match))));
  }
  return algebra.and(parts.length > 0 ? parts : [algebra.any]);
}

function operationFields(operation: AuthorizationOperation | undefined): Field<Permission>[] {
  if (!operation) return [];
  const { hosts, notHosts, methods, notMethods, paths, notPaths, ports, notPorts } = operation;
  return [
    { values: hosts, notValues: notHosts, httpOnly: true, match: (value) => header(pseudoHeader(':authority', value)) },
    { values: methods, notValues: notMethods, httpOnly: true, match: (value) => header(pseudoHeader(':method', value)) },
    { values: paths, notValues: notPaths, httpOnly: true, match: path },
    { values: ports, notValues: notPorts, httpOnly: false, match: port },
  ];
}

function header(value: ReturnType<typeof headerValue>): Permission {
  return { rule: { case: 'header', value } };
}

function port(value: string): Permission {
  return { rule: { case: 'destinationPort', value: Number(value) } };
}

function path(value: string): Permission {
  if (!value.includes('{')) return { rule: { case: 'urlPath', value: { rule: { case: 'path', value: stringMatch(value) } } } };
  const pathTemplate = value.replaceAll('{**}', '**').replaceAll('{*}', '*');
  const config = typedConfig(UriTemplateMatchConfigSchema, { pathTemplate }).value;
  return { rule: { case: 'uriTemplate', value: { name: 'envoy.path.match.uri_template.uri_template_matcher', typedConfig: config } } };
}

function sourceFields(source: AuthorizationSource | undefined, context: RuleContext): Field<Principal>[] {
  if (!source) return [];
  const field = (name: SourceField, match: (value: string) => Principal, httpOnly = false): Field<Principal> => ({
    values: source[name],
    notValues: source[NEGATION[name]],
    httpOnly,
    match,
  });
  const principals = field('principals', (value) => authenticated(stringMatch(value, SPIFFE)));
  return [
    { ...principals, values: withAliases(principals.values, context), notValues: withAliases(principals.notValues, context) },
    field('requestPrincipals', (value) => identified(requestPrincipal(value)), true),
    field('namespaces', (value) => authenticated(namespace(value))),
    field('serviceAccounts', (value) => authenticated(serviceAccount(value, context.namespace))),
    field('trustDomains', (value) => authenticated(trustDomain(value))),
    field('remoteIpBlocks', (value) => ({ identifier: { case: 'remoteIp', value: rangeMatch(value) } })),
    field('ipBlocks', (value) => ({ identifier: { case: 'directRemoteIp', value: rangeMatch(value) } })),
  ];
}

const NEGATION = {
  principals: 'notPrincipals',
  requestPrincipals: 'notRequestPrincipals',
  namespaces: 'notNamespaces',
  serviceAccounts: 'notServiceAccounts',
  trustDomains: 'notTrustDomains',
  remoteIpBlocks: 'notRemoteIpBlocks',
  ipBlocks: 'notIpBlocks',
} as const;
type SourceField = keyof typeof NEGATION;

type ConditionField =
  | { readonly of: 'permission'; readonly field: Field<Permission> }
  | { readonly of: 'principal'; readonly field: Field<Principal> };

/** Validation has found the key to be one of those. */
function conditionField({ key, values, notValues }: AuthorizationCondition, context: RuleContext): ConditionField {
  const permission = (match: (value: string) => Permission): ConditionField => ({
    of: 'permission',
    field: { values, notValues, httpOnly: false, match },
  });
  const principal = (match: (value: string) => Principal, httpOnly = false): ConditionField => ({
    of: 'principal',
    field: { values, notValues, httpOnly, match },
  });
  switch (key) {
    case 'destination.ip':
      return permission((value) => ({ rule: { case: 'destinationIp', value: rangeMatch(value) } }));
    case 'destination.port':
      return permission(port);
    case 'connection.sni':
      return permission((value) => ({ rule: { case: 'requestedServerName', value: stringMatch(value) } }));
    case 'source.ip':
      return principal((value) => ({ identifier: { case: 'directRemoteIp', value: rangeMatch(value) } }));
    case 'remote.ip':
      return principal((value) => ({ identifier: { case: 'remoteIp', value: rangeMatch(value) } }));
    case 'source.namespace':
      return principal((value) => authenticated(namespace(value)));
    case 'source.serviceAccount':
      return principal((value) => authenticated(serviceAccount(value, context.namespace)));
    case 'source.trustDomain':
      return principal((value) => authenticated(trustDomain(value)));
    case 'source.principal': {
      const matched = principal((value) => authenticated(stringMatch(value, SPIFFE)));
      const aliased = { values: withAliases(values, context), notValues: withAliases(notValues, context) };
      return { ...matched, field: { ...matched.field, ...aliased } } as ConditionField;
    }
    case 'request.auth.principal':
      return principal((value) => identified(requestPrincipal(value)), true);
    case 'request.auth.audiences':
      return principal((value) => identified([claimValue(['aud'], value)]), true);
    case 'request.auth.presenter':
      return principal((value) => identified([claimValue(['azp'], value)]), true);
  }
  if (key.startsWith('request.auth.claims')) {
    const claim = [...key.matchAll(/\[([^\]]+)\]/g)].map(([, name]) => name!);
    return principal((value) => identified([claimValue(claim, value)]), true);
  }
  if (key.startsWith('request.headers[')) {
    const name = key.slice('request.headers['.length, -1);
    return principal((value) => ({ identifier: { case: 'header', value: headerValue(name, value) } }), true);
  }
  const [filter = '', name = ''] = key.slice('experimental.'.length, -1).split(/\[(.*)/s);
  return permission((value) => ({ rule: { case: 'metadata', value: metadataMatch(filter, [name], filterValue(value)) } }));
}

/** `[value]`: a list that holds it. */
function filterValue(value: string) {
  const inList = value.startsWith('[') && value.endsWith(']');
  return inList ? listValue(textValue(stringMatch(value.slice(1, -1)))) : anyValue([textValue(stringMatch(value))]);
}

function authenticated(principalName: StringMatch): Principal {
  return { identifier: { case: 'authenticated', value: { principalName } } };
}

function identified(claims: readonly ReturnType<typeof claimValue>[]): Principal {
  const ids = claims.map((value): Principal => ({ identifier: { case: 'metadata', value } }));
  return ids.length === 1 ? ids[0]! : PRINCIPAL.and(ids);
}

function namespace(value: string): StringMatch {
  return regexMatch(`.*/ns/${value.split('*').map(quoted).join('.*')}/.*`);
}

/** `NAME` or `NAMESPACE/NAME`. */
function serviceAccount(value: string, own: string): StringMatch {
  const slash = value.indexOf('/');
  const [ns, name] = slash < 0 ? [own, value] : [value.slice(0, slash), value.slice(slash + 1)];
  return regexMatch(`${SPIFFE}.+/ns/${quoted(ns)}/(.+/|)sa/${quoted(name)}(/.+)?`);
}

function trustDomain(value: string): StringMatch {
  return regexMatch(`${SPIFFE}${value.split('*').map(quoted).join('[^/]*')}/.*`);
}

/** A principal of the mesh's trust domain, or of one of its aliases, stands for that of each of them. */
function withAliases(values: readonly string[], { trustDomains }: RuleContext): string[] {
  const all = values.flatMap((value) => {
    const slash = value.indexOf('/');
    const domain = value.slice(0, slash);
    const aliased = trustDomains.map((each) => `${each}${value.slice(slash)}`);
    if (slash > 0 && (trustDomains.includes(domain) || domain === 'cluster.local')) return aliased;
    return slash > 0 && endsSome(domain, trustDomains) ? [value, ...aliased] : [value];
  });
  return [...new Set(all)];
}

/** `*-domain` stands for those that end so. */
function endsSome(domain: string, trustDomains: readonly string[]): boolean {
  return domain.startsWith('*') && domain.length > 1 && trustDomains.some((each) => each.endsWith(domain.slice(1)));
}
