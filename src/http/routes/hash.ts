/** Hash policies of a route: which property of a request picks the endpoint (consistent hashing), combined as Envoy combines them. */
import { SallyportError } from '../../lib/errors.ts';
import type { RouteAction_HashPolicy } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { compileSubstitution } from '../../xds/match/regex.ts';
import type { HashPolicy, RouteRequest } from './model.ts';
import { queryParameter } from './query.ts';
import { xxHash64 } from './xxhash.ts';

/** Throws `xds-unsupported` for filter_state. */
export function compileHashPolicy(config: RouteAction_HashPolicy): HashPolicy | undefined {
  const { terminal, policySpecifier: policy } = config;
  switch (policy.case) {
    case 'header':
      return {
        kind: 'header',
        terminal,
        name: policy.value.headerName.toLowerCase(),
        rewrite: policy.value.regexRewrite && compileSubstitution(policy.value.regexRewrite),
      };
    case 'cookie': {
      const { name, path, ttl, attributes } = policy.value;
      const rest = attributes.map((attribute) => `; ${attribute.name}${attribute.value === '' ? '' : `=${attribute.value}`}`).join('');
      return { kind: 'cookie', terminal, name, path, ttlSeconds: ttl && Number(ttl.seconds), attributes: rest };
    }
    case 'connectionProperties':
      return policy.value.sourceIp ? { kind: 'source-ip', terminal } : undefined;
    case 'queryParameter':
      return { kind: 'query-parameter', terminal, name: policy.value.name };
    case 'filterState':
      throw new SallyportError('xds-unsupported', 'hash policy: filter_state is not supported');
    default:
      throw new SallyportError('xds-invalid', 'hash policy without a policy');
  }
}

export interface HashResult {
  /** 64 bits; undefined if no policy found its property. */
  readonly hash: bigint | undefined;
  /** Value of a `set-cookie` that the response must carry, so that the client comes back with it. */
  readonly setCookie: string | undefined;
}

/**
 * The hash of a request. `sourceIp` is the downstream's address without port. `newCookie` gives the value of a cookie that is to be made (unique to the
 * connection), called only where a policy generates one.
 */
export function hashRequest(policies: readonly HashPolicy[], request: RouteRequest, sourceIp: string, newCookie: () => string): HashResult {
  let hash: bigint | undefined;
  let setCookie: string | undefined;
  for (const policy of policies) {
    let value = policyValue(policy, request, sourceIp);
    if (value === undefined && policy.kind === 'cookie' && policy.ttlSeconds !== undefined) {
      value = newCookie();
      setCookie = cookieText(policy, value);
    }
    if (value !== undefined) {
      const next = xxHash64(value);
      // A rotation, so that the order of the policies counts.
      hash = hash === undefined ? next : BigInt.asUintN(64, (hash << 1n) | (hash >> 63n)) ^ next;
    }
    if (policy.terminal && hash !== undefined) break;
  }
  return { hash, setCookie };
}

function policyValue(policy: HashPolicy, request: RouteRequest, sourceIp: string): string | undefined {
  switch (policy.kind) {
    case 'header': {
      if (policy.name === ':authority' || policy.name === 'host') return request.authority || undefined;
      if (policy.name === ':path') return request.path;
      if (policy.name === ':method') return request.method;
      const values = request.headers.all(policy.name);
      if (values.length === 0) return undefined;
      const { rewrite } = policy;
      return (rewrite ? values.map(rewrite) : values).sort().join('');
    }
    case 'cookie':
      return cookieValue(request.headers.all('cookie'), policy.name);
    case 'source-ip':
      return sourceIp || undefined;
    case 'query-parameter':
      return queryParameter(request.path, policy.name);
  }
}

function cookieValue(headers: readonly string[], name: string): string | undefined {
  for (const pair of headers.flatMap((header) => header.split(';'))) {
    const equals = pair.indexOf('=');
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
    const value = pair.slice(equals + 1).trim();
    return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
  }
  return undefined;
}

function cookieText(policy: HashPolicy & { kind: 'cookie' }, value: string): string {
  const age = policy.ttlSeconds ? `; Max-Age=${policy.ttlSeconds}` : '';
  const path = policy.path ? `; Path=${policy.path}` : '';
  return `${policy.name}="${value}"${age}${path}${policy.attributes}; HttpOnly`;
}
