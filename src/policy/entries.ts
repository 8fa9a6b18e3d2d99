/** What EgressPolicies allow, host by host and port by port, each with the callers and requests that it is for. */

import type { BindMode } from '../api/bind.ts';
import { type EgressPolicy, endOf } from '../api/egress-policy.ts';
import type { ResourceOf } from '../api/index.ts';
import { hostCovers, plainHost } from '../lib/hostname.ts';
import type { Caller, Protocol, Requests } from './plan.ts';
import { portsOf } from './ports.ts';
import { clientCertificate, secretRules } from './secrets.ts';

export type Policy = ResourceOf<'EgressPolicy'>;

/** How calls to a port of a host leave: of one port it is the same for all callers. */
export interface Manner {
  readonly protocol: Protocol;
  readonly through: 'direct' | 'gateway';
  readonly originate: number | undefined;
  /** What the gateway shows to servers that ask: `NAMESPACE/NAME` of a Secret. */
  readonly certificate: string | undefined;
  readonly bind: BindMode | undefined;
  /** The forward proxy that is asked, `host:port`; `direct`: none, and not the mesh's either. */
  readonly proxy: string | undefined;
}

export interface Entry extends Manner {
  readonly policy: Policy;
  readonly host: string;
  readonly port: number;
  readonly callers: readonly Caller[];
  readonly only: readonly Requests[] | undefined;
  /** What the gateway puts into its requests, as the annotation has it. */
  readonly credentials: readonly object[];
}

export function callersOf({ metadata, spec }: Policy): readonly Caller[] {
  if (spec.from.length === 0) return [{ namespace: metadata.namespace, labels: {}, serviceAccounts: [] }];
  return spec.from.map(({ namespace, labels, serviceAccounts }) => ({
    namespace: namespace || metadata.namespace,
    labels,
    serviceAccounts,
  }));
}

/** When the policy ends, ms since the epoch. */
export function endOfPolicy({ expires }: EgressPolicy): number {
  return expires === undefined ? Number.POSITIVE_INFINITY : endOf(expires)!;
}

/** When the policy begins, ms since the epoch. */
export function startOfPolicy({ starts }: EgressPolicy): number {
  return starts === undefined ? Number.NEGATIVE_INFINITY : Date.parse(starts);
}

export function entriesOf(policy: Policy): Entry[] {
  const { to, through, proxy, tls, bind } = policy.spec;
  const callers = callersOf(policy);
  return to.flatMap((destination) =>
    destination.hosts.flatMap((written) => {
      const host = plainHost(written);
      const stated = tls?.originate ? { ...destination, protocol: 'HTTP' as const } : destination;
      const credentials = secretRules(policy, destination);
      return portsOf(host, stated).map(({ port, protocol, only }) => ({
        policy,
        host,
        port,
        protocol,
        through: through === 'gateway' ? ('gateway' as const) : ('direct' as const),
        originate: tls?.originate ? tls.port : undefined,
        certificate: clientCertificate(policy),
        bind: bind ?? 'enforce',
        proxy: through === 'direct' ? through : proxy,
        callers,
        only,
        credentials,
      }));
    }),
  );
}

/** In what two entries for one port of one host differ that can not differ, as a clause; undefined where they go together. */
export function disagreement(one: Entry, other: Entry): string | undefined {
  if (!hostCovers(one.host, other.host) && !hostCovers(other.host, one.host)) return undefined;
  if (one.host === other.host && one.bind !== other.bind) return `bind ${other.bind ?? 'unset'} there, ${one.bind ?? 'unset'} here`;
  const oneWay = one.host === other.host || one.proxy === 'direct' || other.proxy === 'direct';
  if (oneWay && one.proxy !== other.proxy) return `${proxyText(other)} there, ${proxyText(one)} here`;
  if (one.port !== other.port) return undefined;
  if (one.protocol !== other.protocol) return `protocol ${other.protocol} there, ${one.protocol} here`;
  if (one.through !== other.through) return `through ${other.through} there, ${one.through} here`;
  if (one.originate !== other.originate) return `tls ${tlsText(other)} there, ${tlsText(one)} here`;
  if (one.certificate !== other.certificate)
    return `client certificate ${other.certificate ?? 'unset'} there, ${one.certificate ?? 'unset'} here`;
  if (one.policy !== other.policy && JSON.stringify(one.credentials) !== JSON.stringify(other.credentials))
    return `credentials ${credentialsText(other)} there, ${credentialsText(one)} here: what is put into calls to a host goes into those of all its callers`;
  if (one.through === 'gateway' && isByIdentity(one) !== isByIdentity(other) && (isByLabels(one) || isByLabels(other)))
    return 'labels, which the sidecar judges, beside serviceAccounts, which the gateway does';
  return undefined;
}

function proxyText({ proxy }: Manner): string {
  return proxy === 'direct' ? 'through direct' : `proxy ${proxy ?? 'unset'}`;
}

function tlsText({ originate }: Manner): string {
  return originate === undefined ? 'not originated' : `originated to port ${originate}`;
}

function credentialsText({ policy, credentials }: Entry): string {
  return credentials.length > 0 ? `of namespace ${policy.metadata.namespace}` : 'unset';
}

function isByIdentity({ callers }: Entry): boolean {
  return callers.some(({ serviceAccounts }) => serviceAccounts.length > 0);
}

function isByLabels({ callers }: Entry): boolean {
  return callers.some(({ labels }) => Object.keys(labels).length > 0);
}
