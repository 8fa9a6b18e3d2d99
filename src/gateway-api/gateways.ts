/** The Gateways of Istio's API that those of the Kubernetes Gateway API stand for: one for each listener, as Istio's controller has it. */

import { derive, type Locate } from '../api/derived.ts';
import {
  DEFAULT_CLASS,
  GATEWAY_NAME_LABEL,
  ISTIO_CONTROLLER,
  PROXY_NAMESPACE_ANNOTATION,
  SALLYPORT_CONTROLLER,
} from '../api/gateway-api/common.ts';
import type { KubernetesListener, ResourceOf } from '../api/index.ts';
import type { PathStep } from '../api/resource.ts';
import { table } from '../lib/table.ts';
import { serviceOfHost } from './hosts.ts';
import { reportStraySets, setsOf, withSets } from './listener-sets.ts';
import { kindsOf, type Standing, serverOf } from './listeners.ts';
import { type Context, DERIVED_SUFFIX, type KubernetesGateway, type ListenerOwner, type ListenerProblem, type RouteKind } from './model.ts';
import { namespacesAllowed } from './namespaces.ts';

/** A listener, and who may attach routes to it. */
export interface AttachableListener {
  /** Whose proxies serve it. */
  readonly gateway: KubernetesGateway;
  readonly owner: ListenerOwner;
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
  readonly sets: readonly ListenerSetOutcome[];
  /** Those that name it, and that it does not take. */
  readonly refusedSets: readonly ResourceOf<'ListenerSet'>[];
}

/** What became of a ListenerSet beside a Gateway of ours. */
export interface ListenerSetOutcome {
  readonly set: ResourceOf<'ListenerSet'>;
  readonly listeners: readonly ListenerOutcome[];
}

interface DerivedGateways {
  readonly resources: readonly ResourceOf<'Gateway' | 'Service'>[];
  /** By `listenersKey`; those of other controllers' Gateways are not among them. */
  readonly listeners: ReadonlyMap<string, readonly ServedListener[]>;
  /** Of every Gateway that `listeners` has. */
  readonly outcomes: readonly GatewayOutcome[];
}

/** Names of classes that go without saying. */
const OWN_CLASSES = [DEFAULT_CLASS, 'istio', 'istio-remote'];
const CONTROLLERS = [SALLYPORT_CONTROLLER, ISTIO_CONTROLLER];

/** Gateways of an Istio installation, known by their label where the files do not have their Service. */
const INSTALLED: Readonly<Record<string, string>> = table({
  'istio-egressgateway': 'egressgateway',
  'istio-ingressgateway': 'ingressgateway',
});

/** The key of the listeners that are written in an object. */
export function listenersKey(kind: string, namespace: string, name: string): string {
  return `${kind === 'ListenerSet' ? 'set ' : ''}${namespace}/${name}`;
}

export function deriveGateways(context: Context): DerivedGateways {
  const resources: ResourceOf<'Gateway' | 'Service'>[] = [];
  const listeners = new Map<string, ServedListener[]>();
  const outcomes: GatewayOutcome[] = [];
  for (const gateway of context.objects.list('KubernetesGateway')) {
    if (!isOurs(context, gateway)) continue;
    const { namespace, name } = gateway.metadata;
    const managed = isManaged(gateway);
    const proxies = managed ? [{ namespace, selector: { [GATEWAY_NAME_LABEL]: name } }] : addressed(context, gateway);
    const { sets, refusedSets } = setsOf(context, gateway);
    if (managed) resources.push(...managedService(context, gateway, sets));
    if (gateway.spec.tls?.backend?.clientCertificateRef) {
      const path = ['spec', 'tls', 'backend', 'clientCertificateRef'];
      context.report('SP0014', gateway, path, 'no certificate is shown to backends: use a DestinationRule with tls.mode MUTUAL.');
    }
    const earlier: KubernetesListener[] = [];
    const derived = (owner: ListenerOwner) => {
      const found = deriveListeners(context, { gateway, owner, proxies, earlier });
      const { kind, metadata } = owner;
      listeners.set(listenersKey(kind, metadata.namespace, metadata.name), found.served);
      resources.push(...found.resources);
      return found.outcomes;
    };
    // Its own have precedence, then those of older sets.
    const own = derived(gateway);
    outcomes.push({ gateway, managed, listeners: own, sets: sets.map((set) => ({ set, listeners: derived(set) })), refusedSets });
  }
  reportStraySets(context);
  return { resources, listeners, outcomes };
}

interface Listening extends Standing {
  readonly proxies: readonly Proxies[];
  /** Those of `owner` come to them. */
  readonly earlier: KubernetesListener[];
}

function deriveListeners(context: Context, { gateway, owner, proxies, earlier }: Listening) {
  const resources: ResourceOf<'Gateway'>[] = [];
  const served: ServedListener[] = [];
  const { namespace, name } = owner.metadata;
  const outcomes = owner.spec.listeners.map((listener, index): ListenerOutcome => {
    const attachable = {
      gateway,
      owner,
      listener,
      kinds: kindsOf(context, owner, listener, index),
      namespaces: namespacesAllowed(context, namespace, listener.allowedRoutes.namespaces),
    };
    const found = serverOf(context, { gateway, owner, earlier }, listener, index);
    if ('problem' in found) return { ...attachable, problem: found.problem };
    earlier.push(listener);
    const base = `${name}-${DERIVED_SUFFIX}-${owner.kind === 'ListenerSet' ? 'set-' : ''}${listener.name}`;
    proxies.forEach(({ namespace: home, selector }, at) => {
      const own = at === 0 ? base : `${base}-${at + 1}`;
      const withServer = (name: string, server: object) => {
        const annotations = { [PROXY_NAMESPACE_ANNOTATION]: home };
        return derive(owner, { kind: 'Gateway', name, spec: { selector, servers: [server] }, annotations, locate: locateIn(owner, index) });
      };
      resources.push(withServer(own, found.server));
      const withHosts = (suffix: string, hosts: readonly string[]) => withServer(`${own}-${suffix}`, { ...found.server, hosts });
      served.push({ ...attachable, internalName: `${namespace}/${own}`, withHosts });
    });
    return { ...attachable, problem: undefined };
  });
  return { resources, served, outcomes };
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
function managedService(
  { objects }: Context,
  gateway: KubernetesGateway,
  sets: readonly ResourceOf<'ListenerSet'>[],
): ResourceOf<'Service'>[] {
  const { name, namespace } = gateway.metadata;
  const own = `${name}-${gateway.spec.gatewayClassName}`;
  if (objects.get('Service', namespace, own)) return [];
  const selector = { [GATEWAY_NAME_LABEL]: name };
  const ports = new Map(withSets(gateway, sets).map((listener) => [listener.port, listener] as const));
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

/** `spec.servers[0]` is the listener. */
function locateIn(owner: ListenerOwner, index: number): Locate {
  const listener = ['spec', 'listeners', index];
  const field: Readonly<Record<string, readonly PathStep[]>> = {
    port: ['port'],
    hosts: owner.spec.listeners[index]?.hostname ? ['hostname'] : [],
    tls: ['tls'],
  };
  return ([top, list, , name]) => {
    if (top !== 'spec') return { resource: owner, path: top === undefined ? [] : [top] };
    if (list !== 'servers') return { resource: owner, path: ['spec', owner.kind === 'ListenerSet' ? 'parentRef' : 'addresses'] };
    return { resource: owner, path: [...listener, ...(field[String(name)] ?? [])] };
  };
}
