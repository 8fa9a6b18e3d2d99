/**
 * One policy, and calls with what becomes of them: the same in `run` (captured and by its proxy), in `up`, on a stock Envoy and in `explain`. What differs by
 * choice is listed here with its reason, and told in docs/compatibility.md.
 */

/** Who decides: each makes every call that it can be asked to make. */
export const EVALUATORS = ['run captured', 'run proxy', 'up captured', 'up proxy', 'envoy', 'explain'] as const;
export type Evaluator = (typeof EVALUATORS)[number];

export type Verdict = 'reached' | 'refused';

export interface Call {
  readonly name: string;
  readonly kind: 'http' | 'tls' | 'tcp';
  /** What the client connects to: a name that it looks up, or an address. */
  readonly host: string;
  readonly port: number;
  readonly method?: string;
  readonly path?: string;
  /** A plain request in CONNECT, where there is a proxy to ask. */
  readonly tunnel?: boolean;
  /** Host of the request, where it is not what the client connects to. */
  readonly authority?: string;
  /** Server name in TLS, where it is not what the client connects to; empty for none. */
  readonly sni?: string;
  readonly verdict: Verdict;
}

/** The outside world: names and their addresses. */
export const NAMES: Readonly<Record<string, string>> = {
  'plain.example': '11.0.0.10',
  'sub.plain.example': '11.0.0.10',
  'other.example': '11.0.0.20',
  'wild.example': '11.0.0.20',
  'a.wild.example': '11.0.0.20',
  'a.b.wild.example': '11.0.0.20',
  'ported.example': '11.0.0.30',
  'rest.example': '11.0.0.30',
  'ended.example': '11.0.0.30',
  'db.example': '11.0.0.30',
  'near.example': '10.7.0.1',
  'far.example': '10.8.0.1',
  'six.example': '2a0e:1::10',
  'gated.example': '11.0.0.60',
  'sub.gated.example': '11.0.0.60',
  'straight.example': '11.0.0.60',
  'lapsed.example': '11.0.0.60',
};
export const ADDRESSES = [...new Set([...Object.values(NAMES), '11.0.0.40', '11.0.0.50', '169.254.169.254'])];
/** Where each of them serves. */
export const PORTS = { http: [80, 8080], tls: [443], tcp: [5432, 5433] } as const;

export const LIST = `
allow:
- { host: plain.example }
- { host: "*.wild.example" }
- { host: ported.example, protocol: HTTP, ports: [8080] }
- { host: rest.example, protocol: HTTP, ports: [80], methods: [GET], paths: [/v1/*] }
- { host: ended.example, until: "2020-01-01" }
- { host: db.example, protocol: TCP, ports: [5432] }
- { host: 11.0.0.40, protocol: TCP, ports: [5432] }
- { host: six.example }
- { host: far.example }
`;
/** Policies beside the list: calls that go through the egress gateway, calls that go round any proxy, and one that has ended. */
export const POLICIES = `
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: { name: gated }
spec:
  to:
  - { hosts: [gated.example], protocol: HTTP, ports: [80], methods: [GET], paths: [/v1/*] }
  - { hosts: [gated.example], protocol: TLS, ports: [443] }
  through: gateway
---
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: { name: straight }
spec:
  to: [{ hosts: [straight.example], protocol: HTTP, ports: [80] }]
  through: direct
---
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: { name: lapsed }
spec:
  to: [{ hosts: [lapsed.example], protocol: HTTP, ports: [80] }]
  through: gateway
  expires: "2020-01-01"
`;
/** What a list cannot say: where a name may lead to private addresses. */
export const ALLOWED = ['near.example=10.7.0.0/16', 'tcp://11.0.0.50:5433'];

const http = (name: string, host: string, verdict: Verdict, more: Partial<Call> = {}): Call => ({
  name,
  kind: 'http',
  host,
  port: 80,
  verdict,
  ...more,
});
const tls = (name: string, host: string, verdict: Verdict, more: Partial<Call> = {}): Call => ({
  name,
  kind: 'tls',
  host,
  port: 443,
  verdict,
  ...more,
});
const tcp = (name: string, host: string, port: number, verdict: Verdict): Call => ({ name, kind: 'tcp', host, port, verdict });

export const CALLS: readonly Call[] = [
  http('an allowed host', 'plain.example', 'reached'),
  http('another port of it', 'plain.example', 'refused', { port: 8080 }),
  http('another host', 'other.example', 'refused'),
  http('a name below', 'sub.plain.example', 'refused'),
  http('its address', '11.0.0.10', 'refused'),
  http('an allowed host, Host of another', 'plain.example', 'refused', { authority: 'other.example' }),
  http('an allowed host, Host of one that is allowed less', 'plain.example', 'refused', { authority: 'rest.example', path: '/v2' }),
  http('HTTP in a tunnel', 'plain.example', 'reached', { tunnel: true }),
  http('HTTP in a tunnel, Host of another', 'plain.example', 'refused', { tunnel: true, authority: 'other.example' }),
  http('HTTP in a tunnel to another host, Host of an allowed one', 'other.example', 'refused', {
    tunnel: true,
    authority: 'plain.example',
  }),
  http('HTTP in a tunnel, another path', 'rest.example', 'refused', { tunnel: true, path: '/v2' }),
  http('another host, Host of an allowed one', 'other.example', 'refused', { authority: 'plain.example' }),
  http('below a wildcard', 'a.wild.example', 'reached'),
  http('the name that a wildcard stands below', 'wild.example', 'refused'),
  http('a port of its own', 'ported.example', 'reached', { port: 8080 }),
  http('port 80 of a host with another port', 'ported.example', 'refused'),
  http('method and path', 'rest.example', 'reached', { path: '/v1/x' }),
  http('another method', 'rest.example', 'refused', { path: '/v1/x', method: 'POST' }),
  http('another path', 'rest.example', 'refused', { path: '/v2' }),
  http('a path that hides dot segments', 'rest.example', 'refused', { path: '/v1/..%2fv2' }),
  http('an entry that has ended', 'ended.example', 'refused'),
  http('private addresses in a range that is declared', 'near.example', 'reached'),
  http('private addresses that are not declared', 'far.example', 'refused'),
  http('addresses of metadata', '169.254.169.254', 'refused'),
  http('IPv6', 'six.example', 'reached'),
  http('an address of IPv6', '2a0e:1::10', 'refused'),
  http('plain HTTP to a port of TLS', 'plain.example', 'refused', { port: 443 }),
  http('through the gateway', 'gated.example', 'reached', { path: '/v1/x' }),
  http('through the gateway, another path', 'gated.example', 'refused', { path: '/v2' }),
  http('through the gateway, another method', 'gated.example', 'refused', { path: '/v1/x', method: 'POST' }),
  http('through the gateway, another port', 'gated.example', 'refused', { path: '/v1/x', port: 8080 }),
  http('a name below one that goes through the gateway', 'sub.gated.example', 'refused', { path: '/v1/x' }),
  http('past the gateway', 'straight.example', 'reached'),
  http('past the gateway, Host of one that goes through it', 'straight.example', 'refused', {
    tunnel: true,
    authority: 'gated.example',
    path: '/v2',
  }),
  http('a policy that has ended', 'lapsed.example', 'refused'),
  tls('TLS through the gateway', 'gated.example', 'reached'),
  tls('TLS through the gateway, server name of another', 'gated.example', 'refused', { sni: 'plain.example' }),
  tls('TLS to a host whose policy is for HTTP', 'straight.example', 'refused'),
  tls('an allowed host in TLS', 'plain.example', 'reached'),
  tls('another host in TLS', 'other.example', 'refused'),
  tls('a name below in TLS', 'sub.plain.example', 'refused'),
  tls('below a wildcard in TLS', 'a.wild.example', 'reached'),
  tls('two names below a wildcard', 'a.b.wild.example', 'reached'),
  tls('the name that a wildcard stands below, in TLS', 'wild.example', 'refused'),
  tls('TLS without a server name', 'plain.example', 'refused', { sni: '' }),
  tls('an allowed host, server name of another', 'plain.example', 'refused', { sni: 'other.example' }),
  tls('an allowed host, server name of another allowed one', 'plain.example', 'refused', { sni: 'a.wild.example' }),
  tls('another host, server name of an allowed one', 'other.example', 'refused', { sni: 'plain.example' }),
  tls('its address, server name of the host', '11.0.0.10', 'refused', { sni: 'plain.example' }),
  tls('IPv6 in TLS', 'six.example', 'reached'),
  tls('an entry that has ended, in TLS', 'ended.example', 'refused'),
  tls('TLS to a port of HTTP', 'ported.example', 'refused', { port: 8080 }),
  tcp('TCP', 'db.example', 5432, 'reached'),
  tcp('another port by TCP', 'db.example', 5433, 'refused'),
  tcp('an allowed address', '11.0.0.40', 5432, 'reached'),
  tcp('an address allowed by an option', '11.0.0.50', 5433, 'reached'),
  tcp('another port of an allowed address', '11.0.0.40', 5433, 'refused'),
  tcp('another address', '11.0.0.20', 5432, 'refused'),
];

export interface Difference {
  readonly calls: readonly string[];
  readonly evaluators: readonly Evaluator[];
  readonly reason: string;
}

/** Each is in docs/compatibility.md, too. One that no longer occurs is an error. */
export const DIFFERENCES: readonly Difference[] = [
  {
    calls: ['an allowed host, Host of another', 'an allowed host, Host of one that is allowed less'],
    evaluators: ['run proxy', 'up proxy'],
    reason:
      'A request in absolute form is for the host of its target: its Host is ignored, and the server gets the other (RFC 9112, section 3.2.2).',
  },
  {
    calls: ['a path that hides dot segments', 'its address, server name of the host'],
    evaluators: ['envoy'],
    reason:
      'Binding a call to its destination (sallyport.dev/bind) is no part of Envoy: it goes by the path as it is written, and by the server name.',
  },
  {
    calls: ['private addresses that are not declared'],
    evaluators: ['envoy'],
    reason: 'Envoy connects to whatever address a name leads to.',
  },
  {
    calls: ['private addresses that are not declared'],
    evaluators: ['explain'],
    reason: 'It looks no names up: where they lead is not in the resources.',
  },
];
