/** The Gateways of Istio's API that those of the Kubernetes Gateway API stand for: one for each listener, as Istio's controller has it. */

import {
  DEFAULT_CLASS,
  GATEWAY_NAME_LABEL,
  ISTIO_CONTROLLER,
  PROXY_NAMESPACE_ANNOTATION,
  SALLYPORT_CONTROLLER,
} from '../api/gateway-api/common.ts';
import type { KubernetesListener, ResourceOf } from '../api/index.ts';
import type { PathStep } from '../api/resource.ts';
import { granted } from './backends.ts';
import { derive, type Locate } from './derived.ts';
import { serviceOfHost } from './hosts.ts';
import { type Context, DERIVED_SUFFIX, type RouteKind } from './model.ts';
import { namespacesAllowed } from './namespaces.ts';

type KubernetesGateway = ResourceOf<'KubernetesGateway'>;

/** A listener, and who may attach routes to it. */
export interface AttachableListener {
  readonly gateway: KubernetesGateway;
  readonly listener: KubernetesListener;
  readonly kinds: readonly RouteKind[];
  /** Undefined: all namespaces. */
  readonly namespaces: ReadonlySet<string> | undefined;
}

/** A listener that is served by some proxies. */
export interface ServedListener extends AttachableListener {
  /** `namespace/name` of the derived Gateway. */
  readonly internalName: string;
  /** The server of that Gateway for other hosts: for routes that are told apart by them alone. @param suffix of the Gateway's name */
  withHosts(suffix: string, hosts: readonly string[]): ResourceOf<'Gateway'>;
}

/** Why a listener is not served, as its status says it. */
export interface ListenerProblem {
  readonly condition: 'Accepted' | 'ResolvedRefs';
  /** A `ListenerConditionReason` of the API. */
  readonly reason: string;
  readonly message: string;
}

/** A listener of a Gateway of ours, served or not. */
export interface ListenerOutcome extends AttachableListener {
  readonly problem: ListenerProblem | undefined;
}

/** What became of a Gateway of ours. */
export interface GatewayOutcome {
  readonly gateway: KubernetesGateway;
  /** Whether proxies of its own are deployed for it. */
  readonly managed: boolean;
  readonly listeners: readonly ListenerOutcome[];
}

interface DerivedGateways {
  readonly resources: readonly ResourceOf<'Gateway' | 'Service'>[];
  /** By `namespace/name` of the Kubernetes Gateway; those of other controllers are not among them. */
  readonly listeners: ReadonlyMap<string, readonly ServedListener[]>;
  /** Of every Gateway that `listeners` has. */
  readonly outcomes: readonly GatewayOutcome[];
}

/** Names of classes that go without saying. */
const OWN_CLASSES = [DEFAULT_CLASS, 'istio', 'istio-remote'];
const CONTROLLERS = [SALLYPORT_CONTROLLER, ISTIO_CONTROLLER];

/** Gateways of an Istio installation, known by their label where the files do not have their Service. */
const INSTALLED: Readonly<Record<string, string>> = { 'istio-egressgateway': 'egressgateway', 'istio-ingressgateway': 'ingressgateway' };

export function deriveGateways(context: Context): DerivedGateways {
  const resources: ResourceOf<'Gateway' | 'Service'>[] = [];
  const listeners = new Map<string, ServedListener[]>();
  const outcomes: GatewayOutcome[] = [];
  for (const gateway of context.objects.list('KubernetesGateway')) {
    if (!isOurs(context, gateway)) continue;
    const { namespace, name } = gateway.metadata;
    const served: ServedListener[] = [];
    listeners.set(`${namespace}/${name}`, served);
    const managed = isManaged(gateway);
    const proxies = managed ? [{ namespace, selector: { [GATEWAY_NAME_LABEL]: name } }] : addressed(context, gateway);
    if (managed) resources.push(...managedService(context, gateway));
    if (gateway.spec.tls?.backend?.clientCertificateRef) {
      const path = ['spec', 'tls', 'backend', 'clientCertificateRef'];
      context.report('SP0014', gateway, path, 'no certificate is shown to backends: use a DestinationRule with tls.mode MUTUAL.');
    }
    const all = gateway.spec.listeners.map((listener, index): ListenerOutcome => {
      const attachable = {
        gateway,
        listener,
        kinds: kindsOf(context, gateway, listener, index),
        namespaces: namespacesAllowed(context, namespace, listener.allowedRoutes.namespaces),
      };
      const found = serverOf(context, gateway, listener, index);
      if ('problem' in found) return { ...attachable, problem: found.problem };
      const base = `${name}-${DERIVED_SUFFIX}-${listener.name}`;
      proxies.forEach(({ namespace: home, selector }, at) => {
        const own = at === 0 ? base : `${base}-${at + 1}`;
        const withServer = (name: string, server: object) => {
          const annotations = { [PROXY_NAMESPACE_ANNOTATION]: home };
          return derive(gateway, {
            kind: 'Gateway',
            name,
            spec: { selector, servers: [server] },
            annotations,
            locate: locateIn(gateway, index),
          });
        };
        resources.push(withServer(own, found.server));
        const withHosts = (suffix: string, hosts: readonly string[]) => withServer(`${own}-${suffix}`, { ...found.server, hosts });
        served.push({ ...attachable, internalName: `${namespace}/${own}`, withHosts });
      });
      return { ...attachable, problem: undefined };
    });
    outcomes.push({ gateway, managed, listeners: all });
  }
  return { resources, listeners, outcomes };
}

function isOurs({ objects }: Context, { spec }: KubernetesGateway): boolean {
  const declared = objects.list('GatewayClass').find(({ metadata }) => metadata.name === spec.gatewayClassName);
  if (declared) return CONTROLLERS.includes(declared.spec.controllerName);
  return !objects.complete && OWN_CLASSES.includes(spec.gatewayClassName);
}

/** Istio deploys proxies of its own, unless an address names a Service that has them. */
export function isManaged({ spec }: KubernetesGateway): boolean {
  return spec.addresses.length === 0 || (spec.addresses.length === 1 && spec.addresses[0]!.type === 'IPAddress');
}

/** Which pods serve a Gateway. */
interface Proxies {
  readonly namespace: string;
  readonly selector: Readonly<Record<string, string>>;
}

/** Those behind the Services that the addresses name. */
function addressed(context: Context, gateway: KubernetesGateway): Proxies[] {
  return gateway.spec.addresses.flatMap(({ type, value = '' }, index) => {
    const path = ['spec', 'addresses', index];
    if (type !== 'Hostname') {
      context.report('SP0014', gateway, path, `an address of type ${type} is not served here: use Hostname with the name of a Service.`);
      return [];
    }
    const named = serviceOfHost(value, gateway.metadata.namespace);
    if (named && named.namespace !== gateway.metadata.namespace) {
      const message = `Service ${named.namespace}/${named.name} is in another namespace, and the proxies of a Gateway are those of its own, as in Istio: nothing serves this Gateway. Put it in ${named.namespace}.`;
      context.report('SP0014', gateway, [...path, 'value'], message);
      return [];
    }
    const service = named && context.objects.get('Service', named.namespace, named.name);
    const selector = service ? service.spec.selector : installedSelector(named?.name);
    if (named && Object.keys(selector).length > 0) return [{ namespace: named.namespace, selector }];
    const message = `${value} is no Service whose pods could serve this Gateway, so nothing serves it: name a Service with a selector.`;
    context.report('SP0014', gateway, [...path, 'value'], message);
    return [];
  });
}

function installedSelector(name: string | undefined): Readonly<Record<string, string>> {
  const istio = name === undefined ? undefined : INSTALLED[name];
  return istio === undefined ? {} : { istio };
}

/** The Service that Istio creates beside the proxies that it deploys; none where the files have it. */
function managedService({ objects }: Context, gateway: KubernetesGateway): ResourceOf<'Service'>[] {
  const { name, namespace } = gateway.metadata;
  const own = `${name}-${gateway.spec.gatewayClassName}`;
  if (objects.get('Service', namespace, own)) return [];
  const selector = { [GATEWAY_NAME_LABEL]: name };
  const ports = new Map(gateway.spec.listeners.map((listener) => [listener.port, listener] as const));
  const spec = {
    selector,
    ports: [...ports.values()].map(({ name: portName, port, protocol }) => ({
      name: portName,
      port,
      protocol: 'TCP',
      appProtocol: protocol.toLowerCase(),
    })),
  };
  return [derive(gateway, { kind: 'Service', name: own, spec, labels: selector })];
}

const PROTOCOLS = ['HTTP', 'HTTPS', 'TLS', 'TCP'];

interface Refused {
  readonly problem: ListenerProblem;
}

/** A server as an Istio Gateway writes it; or why, with a finding, the listener can't be served. */
function serverOf(
  context: Context,
  gateway: KubernetesGateway,
  listener: KubernetesListener,
  index: number,
): Refused | { readonly server: object } {
  const path = ['spec', 'listeners', index];
  const refuse: Refuse = (reason, field, message) => {
    context.report('SP0014', gateway, [...path, ...field], `${message} The listener ${listener.name} is not served until then.`);
    return { problem: { condition: OF_ACCEPTANCE.has(reason) ? 'Accepted' : 'ResolvedRefs', reason, message } };
  };
  const { protocol, port, hostname = '*' } = listener;
  if (!PROTOCOLS.includes(protocol))
    return refuse('UnsupportedProtocol', ['protocol'], `listeners of ${protocol} are not served: use ${PROTOCOLS.join(', ')}.`);
  const tls = tlsOf(context, gateway, listener, refuse);
  if (tls && 'problem' in tls) return tls as Refused;
  const allowed = namespacesAllowed(context, gateway.metadata.namespace, listener.allowedRoutes.namespaces);
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

/** Reasons that concern the listener itself, not what it refers to. */
const OF_ACCEPTANCE: ReadonlySet<string> = new Set(['UnsupportedProtocol', 'UnsupportedValue']);

function tlsOf(context: Context, gateway: KubernetesGateway, listener: KubernetesListener, refuse: Refuse): object | Refused | undefined {
  const { tls, protocol } = listener;
  if (protocol !== 'HTTPS' && protocol !== 'TLS') return undefined;
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
    const owner = ref.namespace ?? gateway.metadata.namespace;
    if (owner !== gateway.metadata.namespace && !granted(context, gateway, { group: '', kind: 'Secret', namespace: owner, name: ref.name }))
      return refuse(
        'RefNotPermitted',
        path,
        `Secret ${owner}/${ref.name} is in another namespace, which has no ReferenceGrant for this Gateway: add one there.`,
      );
    names.push(`kubernetes-gateway://${owner}/${ref.name}`);
  }
  if (names.length === 0) return refuse('InvalidCertificateRef', ['tls'], 'it names no certificate: add certificateRefs.');
  if (names.length > 2)
    return refuse('InvalidCertificateRef', ['tls', 'certificateRefs'], 'at most two certificates (an RSA and an ECDSA one) are served.');
  const credentials = names.length === 1 ? { credentialName: names[0] } : { credentialNames: names };
  const { frontend } = gateway.spec.tls ?? {};
  const validation = (frontend?.perPort.find(({ port }) => port === listener.port)?.tls ?? frontend?.default)?.validation;
  if (!validation) return { mode: 'SIMPLE', ...credentials };
  const [authority, ...more] = validation.caCertificateRefs;
  const simple =
    authority && more.length === 0 && authority.group === '' && (authority.kind === 'ConfigMap' || authority.kind === 'Secret');
  if (!simple || (authority.namespace ?? gateway.metadata.namespace) !== gateway.metadata.namespace)
    return refuse(
      'InvalidCACertificateRef',
      [],
      'client certificates are verified by one ConfigMap or Secret of the Gateway’s namespace: name one in spec.tls.frontend.',
    );
  if (validation.mode !== 'AllowValidOnly')
    return refuse('UnsupportedValue', [], `client certificates in mode ${validation.mode} are not served: use AllowValidOnly.`);
  const scheme = authority.kind === 'ConfigMap' ? 'configmap' : 'kubernetes-gateway';
  return {
    mode: 'MUTUAL',
    ...credentials,
    caCertCredentialName: `${scheme}://${gateway.metadata.namespace}/${authority.name}`,
  };
}

/** The kinds of routes that a listener takes. */
function kindsOf(context: Context, gateway: KubernetesGateway, listener: KubernetesListener, index: number): RouteKind[] {
  const possible = possibleKinds(listener);
  const { kinds } = listener.allowedRoutes;
  if (kinds.length === 0) return possible;
  kinds.forEach(({ kind }, at) => {
    if ((possible as string[]).includes(kind)) return;
    const path = ['spec', 'listeners', index, 'allowedRoutes', 'kinds', at];
    context.report('SP0014', gateway, path, `a listener of ${listener.protocol} takes no ${kind}, only ${possible.join(', ')}.`);
  });
  return possible.filter((kind) => kinds.some((each) => each.kind === kind));
}

function possibleKinds({ protocol, tls }: KubernetesListener): RouteKind[] {
  if (protocol === 'TCP') return ['TCPRoute'];
  if (protocol === 'TLS') return tls?.mode === 'Passthrough' ? ['TLSRoute'] : ['TLSRoute', 'TCPRoute'];
  return ['HTTPRoute', 'GRPCRoute'];
}

/** `spec.servers[0]` is the listener. */
function locateIn(gateway: KubernetesGateway, index: number): Locate {
  const listener = ['spec', 'listeners', index];
  const field: Readonly<Record<string, readonly PathStep[]>> = {
    port: ['port'],
    hosts: gateway.spec.listeners[index]?.hostname ? ['hostname'] : [],
    tls: ['tls'],
  };
  return ([top, list, , name]) => {
    if (top !== 'spec') return { resource: gateway, path: top === undefined ? [] : [top] };
    if (list !== 'servers') return { resource: gateway, path: ['spec', 'addresses'] };
    return { resource: gateway, path: [...listener, ...(field[String(name)] ?? [])] };
  };
}
