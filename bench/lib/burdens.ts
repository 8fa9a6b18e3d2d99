/** What a route or a listener may ask for beside passing requests on: each is measured against the same listener without it. */
import { generateKeyPairSync, sign } from 'node:crypto';

export interface Burden {
  readonly name: string;
  /** Fields of the route that requests take, beside its match; `route` adds to its action. */
  readonly route?: { readonly route?: object; readonly [field: string]: unknown };
  /** Virtual hosts that stand beside the one that requests are for, each with a route of its own. */
  readonly otherHosts?: number;
  /** Filters before the router. */
  readonly filters?: readonly object[];
  /** What requests have to have to be let through. */
  readonly requestHeaders?: readonly string[];
}

const FILTERS = 'type.googleapis.com/envoy.extensions.filters.http';

const header = (key: string, value: string, append_action: string) => ({ header: { key, value }, append_action });

function headerOperations(): Burden['route'] {
  const set = 'OVERWRITE_IF_EXISTS_OR_ADD';
  const add = 'APPEND_IF_EXISTS_OR_ADD';
  return {
    request_headers_to_add: [header('x-team', 'payments', set), header('x-zone', 'a', set), header('x-hop', 'gateway', add)],
    request_headers_to_remove: ['x-debug', 'x-internal'],
    response_headers_to_add: [header('x-served-by', 'egress', set), header('cache-control', 'no-store', set), header('via', 'egress', add)],
    response_headers_to_remove: ['server', 'x-powered-by'],
  };
}

/** Twenty policies of which the last lets requests through. */
function rbac(): object {
  const policy = (path: string) => ({
    permissions: [
      { and_rules: { rules: [{ url_path: { path: { prefix: path } } }, { header: { name: ':method', string_match: { exact: 'GET' } } }] } },
    ],
    principals: [{ remote_ip: { address_prefix: '127.0.0.0', prefix_len: 8 } }],
  });
  const policies = Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => [`ns[shop]-policy[p${i}]`, policy(i === 19 ? '/' : `/team-${i}/`)]),
  );
  return { name: 'envoy.filters.http.rbac', typed_config: { '@type': `${FILTERS}.rbac.v3.RBAC`, rules: { action: 'ALLOW', policies } } };
}

/** A token that holds for a day, by an RSA key of 2048 bits. */
function jwt(): Required<Pick<Burden, 'filters' | 'requestHeaders'>> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: 'https://issuer.test', sub: 'bench', exp: Math.floor(Date.now() / 1000) + 86_400 };
  const signed = `${part({ alg: 'RS256', kid: 'bench', typ: 'JWT' })}.${part(claims)}`;
  const token = `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
  const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'RS256', use: 'sig' }];
  const provider = { issuer: claims.iss, forward: true, local_jwks: { inline_string: JSON.stringify({ keys }) } };
  const typed_config = {
    '@type': `${FILTERS}.jwt_authn.v3.JwtAuthentication`,
    providers: { bench: provider },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'bench' } }],
  };
  return { filters: [{ name: 'envoy.filters.http.jwt_authn', typed_config }], requestHeaders: [`authorization: Bearer ${token}`] };
}

export const BURDENS: readonly Burden[] = [
  { name: 'nothing more' },
  { name: 'retries', route: { route: { retry_policy: { retry_on: 'connect-failure,refused-stream,unavailable', num_retries: 2 } } } },
  { name: 'ten header operations', route: headerOperations() },
  { name: 'RBAC of twenty policies', filters: [rbac()] },
  { name: 'JWT, RS256', ...jwt() },
  { name: '10,000 virtual hosts', otherHosts: 10_000 },
];
