/** What serves a listener, or why it is not served. */
import type { KubernetesListener } from '../api/index.ts';
import type { PathStep } from '../api/resource.ts';
import { table } from '../lib/table.ts';
import { granted } from './backends.ts';
import type { Context, KubernetesGateway, ListenerOwner, ListenerProblem, RouteKind } from './model.ts';
import { namespacesAllowed } from './namespaces.ts';

const PROTOCOLS = ['HTTP', 'HTTPS', 'TLS', 'TCP'];

interface Refused {
  readonly problem: ListenerProblem;
}

/** Where a listener stands. */
export interface Standing {
  readonly gateway: KubernetesGateway;
  readonly owner: ListenerOwner;
  /** Listeners of the Gateway that have precedence. */
  readonly earlier: readonly KubernetesListener[];
}

/** A server as an Istio Gateway writes it; or why, with a finding, the listener can't be served. */
export function serverOf(
  context: Context,
  { gateway, owner, earlier }: Standing,
  listener: KubernetesListener,
  index: number,
): Refused | { readonly server: object } {
  const path = ['spec', 'listeners', index];
  const refuse: Refuse = (reason, field, message) => {
    context.report('SP0014', owner, [...path, ...field], `${message} The listener ${listener.name} is not served until then.`);
    return { problem: { condition: CONDITIONS[reason] ?? 'ResolvedRefs', reason, message } };
  };
  const rival = owner.kind === 'ListenerSet' && conflict(listener, earlier);
  if (rival) return refuse(...rival);
  const { protocol, port, hostname = '*' } = listener;
  if (!PROTOCOLS.includes(protocol))
    return refuse('UnsupportedProtocol', ['protocol'], `listeners of ${protocol} are not served: use ${PROTOCOLS.join(', ')}.`);
  const tls = tlsOf(context, gateway, owner, listener, refuse);
  if (tls && 'problem' in tls) return tls as Refused;
  const allowed = namespacesAllowed(context, owner.metadata.namespace, listener.allowedRoutes.namespaces);
  // ~ is no namespace: the server is there and has no routes.
  const owners = allowed === undefined ? ['*'] : allowed.size > 0 ? [...allowed].sort() : ['~'];
  return {
    server: {
      port: { number: port, protocol, name: 'default' },
      hosts: owners.map((owner) => `${owner}/${hostname}`),
      ...(tls && { tls }),
    },
  };
}

const TERMINATE_MODE = 'gateway.istio.io/tls-terminate-mode';

type Refuse = (reason: string, field: readonly PathStep[], message: string) => Refused;

/** Of reasons that concern the listener itself, not what it refers to. */
const CONDITIONS: Readonly<Record<string, ListenerProblem['condition']>> = table({
  UnsupportedProtocol: 'Accepted',
  UnsupportedValue: 'Accepted',
  HostnameConflict: 'Conflicted',
  ProtocolConflict: 'Conflicted',
});

/** Why a listener of a set cannot stand beside those that have precedence. */
function conflict(
  { protocol, port, hostname }: KubernetesListener,
  earlier: readonly KubernetesListener[],
): [reason: string, field: readonly PathStep[], message: string] | undefined {
  const there = earlier.filter((each) => each.port === port);
  const other = there.find((each) => each.protocol !== protocol && !(isTls(each) && isTls({ protocol })));
  if (other) return ['ProtocolConflict', ['protocol'], `port ${port} of the Gateway has listeners of ${other.protocol} already.`];
  if (there.some((each) => each.hostname === hostname || protocol === 'TCP'))
    return ['HostnameConflict', ['hostname'], `port ${port} of the Gateway has a listener for ${hostname ?? 'all hosts'} already.`];
  return undefined;
}

function isTls({ protocol }: Pick<KubernetesListener, 'protocol'>): boolean {
  return protocol === 'HTTPS' || protocol === 'TLS';
}

function tlsOf(
  context: Context,
  gateway: KubernetesGateway,
  from: ListenerOwner,
  listener: KubernetesListener,
  refuse: Refuse,
): object | Refused | undefined {
  const { tls, protocol } = listener;
  if (!isTls(listener)) return undefined;
  if (!tls) return refuse('InvalidCertificateRef', [], `a listener of ${protocol} needs tls with certificateRefs.`);
  if (tls.mode === 'Passthrough') return { mode: 'PASSTHROUGH' };
  const wanted = tls.options[TERMINATE_MODE];
  if (wanted === 'ISTIO_MUTUAL') return { mode: 'ISTIO_MUTUAL' };
  if (wanted !== undefined && wanted !== 'SIMPLE')
    return refuse('UnsupportedValue', ['tls', 'options', TERMINATE_MODE], `${wanted} is not served: state CAs in spec.tls.frontend.`);
  const names: string[] = [];
  for (const [index, ref] of tls.certificateRefs.entries()) {
    const path = ['tls', 'certificateRefs', index];
    if (ref.group !== '' || ref.kind !== 'Secret')
      return refuse('InvalidCertificateRef', path, `${ref.kind} holds no certificate: name a Secret.`);
    const owner = ref.namespace ?? from.metadata.namespace;
    if (owner !== from.metadata.namespace && !granted(context, from, { group: '', kind: 'Secret', namespace: owner, name: ref.name }))
      return refuse(
        'RefNotPermitted',
        path,
        `Secret ${owner}/${ref.name} is in another namespace, which has no ReferenceGrant for this ${from.kind === 'ListenerSet' ? 'ListenerSet' : 'Gateway'}: add one there.`,
      );
    names.push(`kubernetes-gateway://${owner}/${ref.name}`);
  }
  if (names.length === 0) return refuse('InvalidCertificateRef', ['tls'], 'it names no certificate: add certificateRefs.');
  if (names.length > 2)
    return refuse('InvalidCertificateRef', ['tls', 'certificateRefs'], 'at most two certificates (an RSA and an ECDSA one) are served.');
  const credentials = names.length === 1 ? { credentialName: names[0] } : { credentialNames: names };
  const validation = validationOf(gateway, listener);
  if (!validation) return { mode: 'SIMPLE', ...credentials };
  const authority = clientAuthority(context, gateway, validation, refuse);
  if (typeof authority !== 'string') return authority;
  if (validation.mode !== 'AllowValidOnly')
    return refuse('UnsupportedValue', [], `client certificates in mode ${validation.mode} are not served: use AllowValidOnly.`);
  return { mode: 'MUTUAL', ...credentials, caCertCredentialName: authority };
}

/** By what client certificates are verified at a listener; undefined: they are not asked for. */
export function validationOf(gateway: KubernetesGateway, listener: KubernetesListener) {
  const { frontend } = gateway.spec.tls ?? {};
  return (frontend?.perPort.find(({ port }) => port === listener.port)?.tls ?? frontend?.default)?.validation;
}

/** The name of its credential. */
function clientAuthority(
  context: Context,
  gateway: KubernetesGateway,
  { caCertificateRefs }: NonNullable<ReturnType<typeof validationOf>>,
  refuse: Refuse,
): string | Refused {
  const [authority, ...more] = caCertificateRefs;
  const refuseListener = (reason: string, message: string): Refused => ({
    problem: { ...refuse(reason, [], message).problem, accepted: NO_AUTHORITY },
  });
  const one = 'client certificates are verified by one ConfigMap or Secret: name one in spec.tls.frontend.';
  if (!authority || more.length > 0) return refuseListener('InvalidCACertificateRef', one);
  const { group, kind, name, namespace = gateway.metadata.namespace } = authority;
  if (group !== '' || (kind !== 'ConfigMap' && kind !== 'Secret')) return refuseListener('InvalidCACertificateKind', one);
  if (namespace !== gateway.metadata.namespace && !granted(context, gateway, { group, kind, namespace, name }))
    return refuseListener(
      'RefNotPermitted',
      `${kind} ${namespace}/${name} is in another namespace, which has no ReferenceGrant for this Gateway: add one there.`,
    );
  return `${kind === 'ConfigMap' ? 'configmap' : 'kubernetes-gateway'}://${namespace}/${name}`;
}

/** Why a listener is not accepted whose clients cannot be verified. */
export const NO_AUTHORITY = 'NoValidCACertificate';

/** The kinds of routes that a listener takes. */
export function kindsOf(context: Context, owner: ListenerOwner, listener: KubernetesListener, index: number): RouteKind[] {
  const possible = possibleKinds(listener);
  const { kinds } = listener.allowedRoutes;
  if (kinds.length === 0) return possible;
  kinds.forEach(({ kind }, at) => {
    if ((possible as string[]).includes(kind)) return;
    const path = ['spec', 'listeners', index, 'allowedRoutes', 'kinds', at];
    context.report('SP0014', owner, path, `a listener of ${listener.protocol} takes no ${kind}, only ${possible.join(', ')}.`);
  });
  return possible.filter((kind) => kinds.some((each) => each.kind === kind));
}

function possibleKinds({ protocol, tls }: KubernetesListener): RouteKind[] {
  if (protocol === 'TCP') return ['TCPRoute'];
  if (protocol === 'TLS') return tls?.mode === 'Passthrough' ? ['TLSRoute'] : ['TLSRoute', 'TCPRoute'];
  return ['HTTPRoute', 'GRPCRoute'];
}
