import type { Kind, MeshConfig, ResourceOf } from '../api/index.ts';
import { originOf, type PathStep, type Resource } from '../api/resource.ts';
import type { MeshNetworksResource } from '../config/mesh-networks.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding, Mend } from '../lib/finding.ts';
import { HostIndex } from '../lib/host-index.ts';
import { fullHostname } from '../lib/hostname.ts';
import { type Labels, matchesLabels } from '../lib/labels.ts';
import { once } from '../lib/once.ts';
import { originText } from '../lib/origin.ts';
import { Suggestions } from '../lib/spelling.ts';
import { type Caller, destinationRuleLookup } from '../registry/destination-rules.ts';
import type { Registry, Service } from '../registry/model.ts';
import { type Code, MESSAGES } from './messages.ts';

/** What analyzers read: all resources at one moment, invalid ones included, and what is derived from them. */
export interface AnalysisInput {
  readonly snapshot: Snapshot;
  readonly registry: Registry;
  readonly mesh: MeshConfig;
  /** Milliseconds since the epoch: certificates are judged by it. */
  readonly now: number;
  readonly meshNetworks?: MeshNetworksResource | undefined;
  /** The objects of the mesh's other clusters, by their names. */
  readonly remoteClusters?: ReadonlyMap<string, Snapshot> | undefined;
}

/** Labels that a selector can meet: those of a Pod or of a Deployment's template. */
export interface Selectable {
  readonly namespace: string;
  readonly labels: Labels;
  readonly resource: Resource;
}

/** A host that a server of a Gateway serves, as it is written. */
interface GatewayServer {
  readonly gateway: ResourceOf<'Gateway'>;
  readonly index: number;
  readonly written: string;
}

/** Handed to each analyzer: the input, indexes over it, and the one way to report. */
export interface Context extends AnalysisInput {
  readonly remoteClusters: ReadonlyMap<string, Snapshot>;
  /** All objects of a kind, the invalid ones too, oldest first. */
  of<K extends Kind>(kind: K): readonly ResourceOf<K>[];
  find<K extends Kind>(kind: K, namespace: string, name: string): ResourceOf<K> | undefined;
  /** Pods and the templates of Deployments. */
  readonly pods: readonly Selectable[];
  /** Services by host name; the VirtualServices by each of their hosts, in full. */
  readonly services: HostIndex<Service>;
  readonly routedHosts: HostIndex<{ readonly virtualService: ResourceOf<'VirtualService'>; readonly index: number }>;
  /** Gateway servers by each of their hosts, with the `namespace/` prefix taken off. */
  readonly gatewayServers: HostIndex<GatewayServer>;
  /** DestinationRules by host name, in full. */
  readonly destinationRules: HostIndex<ResourceOf<'DestinationRule'>>;
  /** The DestinationRule that a workload follows when it calls a service. */
  ruleFor(caller: Caller, service: Service): ResourceOf<'DestinationRule'> | undefined;
  /** What the host of a service or the name of a Gateway was probably meant to be. */
  readonly nearService: Suggestions;
  readonly nearGateway: Suggestions;
  /** The workloads that a selector picks, in any namespace; all of them for an empty one. Kept by selector. */
  select(selector: Labels): readonly Selectable[];
  /** As `select`, in one namespace. */
  selectIn(namespace: string, selector: Labels): readonly Selectable[];
  /** Whether an object that is not in force declares the host, in full: what is wrong with it is a finding of its own. */
  isBroken(host: string): boolean;
  /** Whether hints are asked for: what is right but could be narrower or encrypted. */
  readonly hints: boolean;
  /**
   * Reports at `path` (from the document's root, e.g. `['spec', 'hosts', 0]`). The same finding is kept once. `mend` is a change of the value there, and is
   * left out where the value stands in quotes.
   */
  report(code: Code, resource: Resource, path: readonly PathStep[], message: string, mend?: Mend): void;
}

/** One that takes long over a large configuration goes in steps, for whoever has something else to do in between. */
export type Analyzer = ((context: Context) => void) | ((context: Context) => Generator<void>);

export interface CreatedContext {
  readonly context: Context;
  /** Into which `report` writes. */
  readonly findings: Finding[];
  /** The kind whose objects were asked for last: what an analyzer that broke was reading. */
  reading(): string | undefined;
}

/** Builds the context. Its indexes are made when first asked for. */
export function createContext(input: AnalysisInput, options: { readonly hints: boolean }): CreatedContext {
  const byKind = new Map<string, Resource[]>();
  const byName = new Map<string, Map<string, Resource>>();
  for (const resource of input.snapshot.all() as readonly Resource[]) {
    if (concernsNothing(resource)) continue;
    const list = byKind.get(resource.kind);
    if (list) list.push(resource);
    else byKind.set(resource.kind, [resource]);
  }
  const findings: Finding[] = [];
  const seen = new Set<string>();
  let reading: string | undefined;
  const of = <K extends Kind>(kind: K) => {
    reading = kind;
    return (byKind.get(kind) ?? []) as unknown as readonly ResourceOf<K>[];
  };
  const pods = once(() => selectables(of));
  const services = once(() => serviceIndex(input.registry));
  const routedHosts = once(() => routeIndex(of('VirtualService')));
  const gatewayServers = once(() => serverIndex(of('Gateway')));
  const destinationRules = once(() => ruleIndex(of('DestinationRule')));
  const nearService = once(() => new Suggestions(input.registry.services.map(({ hostname }) => hostname)));
  const nearGateway = once(() => new Suggestions(of('Gateway').map(({ metadata }) => metadata.name)));
  const broken = once(() => brokenHosts(of));
  const podsIn = once(() => Map.groupBy(pods(), ({ namespace }) => namespace));
  const selections = new Map<string, readonly Selectable[]>();
  const select = (key: string, from: () => readonly Selectable[], selector: Labels) => {
    let selected = selections.get(key);
    if (!selected) {
      selected = from().filter((pod) => matchesLabels(selector, pod.labels));
      selections.set(key, selected);
    }
    return selected;
  };
  const ruleSource = { snapshot: input.snapshot, config: input.mesh };
  const lookups = new WeakMap<Caller, ReturnType<typeof destinationRuleLookup>>();
  const context: Context = {
    ...input,
    remoteClusters: input.remoteClusters ?? new Map(),
    of,
    find: <K extends Kind>(kind: K, namespace: string, name: string) => {
      let names = byName.get(kind);
      if (!names) {
        names = new Map((byKind.get(kind) ?? []).map((resource) => [`${resource.metadata.namespace}/${resource.metadata.name}`, resource]));
        byName.set(kind, names);
      }
      return names.get(`${namespace}/${name}`) as ResourceOf<K> | undefined;
    },
    get pods() {
      return pods();
    },
    get services() {
      return services();
    },
    get routedHosts() {
      return routedHosts();
    },
    get gatewayServers() {
      return gatewayServers();
    },
    get destinationRules() {
      return destinationRules();
    },
    ruleFor(caller, service) {
      let lookup = lookups.get(caller);
      if (!lookup) {
        lookup = destinationRuleLookup(ruleSource, caller);
        lookups.set(caller, lookup);
      }
      return lookup(service);
    },
    get nearService() {
      return nearService();
    },
    get nearGateway() {
      return nearGateway();
    },
    select: (selector) => select(formatSelector(selector), pods, selector),
    selectIn: (namespace, selector) => select(`${namespace}/${formatSelector(selector)}`, () => podsIn().get(namespace) ?? [], selector),
    isBroken: (host) => broken().has(host),
    hints: options.hints,
    report(code, resource, path, message, mend) {
      const origin = originOf(resource);
      const key = `${code}\0${originText(origin)}\0${path.join('/')}\0${message}`;
      if (seen.has(key)) return;
      seen.add(key);
      findings.push({
        code,
        level: MESSAGES[code].level,
        message,
        origin,
        position: resource.source.position(path),
        ...(mend && resource.source.isPlain?.(path) && { mend }),
      });
    },
  };
  return { context, findings, reading: () => reading };
}

/** Whether an object says of no host what it says: an error already, beside which there is nothing to judge. */
function concernsNothing({ valid, spec }: Resource): boolean {
  if (valid) return false;
  const { host, hosts } = spec as { readonly host?: unknown; readonly hosts?: unknown };
  return host === '' || (Array.isArray(hosts) && hosts.length === 0);
}

function serverIndex(gateways: readonly ResourceOf<'Gateway'>[]): Context['gatewayServers'] {
  const servers: Context['gatewayServers'] = new HostIndex();
  for (const gateway of gateways) {
    for (const [index, { hosts }] of gateway.spec.servers.entries()) {
      for (const written of hosts) servers.add(written.slice(written.indexOf('/') + 1).toLowerCase(), { gateway, index, written });
    }
  }
  return servers;
}

function ruleIndex(rules: readonly ResourceOf<'DestinationRule'>[]): Context['destinationRules'] {
  const index: Context['destinationRules'] = new HostIndex();
  for (const rule of rules) index.add(fullHostname(rule.spec.host, rule.metadata.namespace).toLowerCase(), rule);
  return index;
}

function serviceIndex({ services }: Registry): HostIndex<Service> {
  const index = new HostIndex<Service>();
  for (const service of services) index.add(service.hostname, service);
  return index;
}

function routeIndex(virtualServices: readonly ResourceOf<'VirtualService'>[]): Context['routedHosts'] {
  const routes: Context['routedHosts'] = new HostIndex();
  for (const virtualService of virtualServices) {
    const { namespace } = virtualService.metadata;
    for (const [index, host] of virtualService.spec.hosts.entries())
      routes.add(fullHostname(host, namespace).toLowerCase(), { virtualService, index });
  }
  return routes;
}

/** Hosts of ServiceEntries and Services that are not in force. */
function brokenHosts(of: Context['of']): ReadonlySet<string> {
  const hosts = new Set<string>();
  for (const { valid, spec } of of('ServiceEntry')) if (!valid) for (const host of spec.hosts ?? []) hosts.add(host.toLowerCase());
  for (const { valid, metadata } of of('Service')) if (!valid) hosts.add(fullHostname(metadata.name, metadata.namespace));
  return hosts;
}

function selectables(of: Context['of']): Selectable[] {
  const pods: Selectable[] = of('Pod').map((pod) => ({ namespace: pod.metadata.namespace, labels: pod.metadata.labels, resource: pod }));
  for (const deployment of of('Deployment')) {
    const labels = deployment.spec.template?.metadata?.labels;
    if (labels) pods.push({ namespace: deployment.metadata.namespace, labels, resource: deployment });
  }
  return pods;
}

/** A policy that picks the workloads that it holds for. */
export interface SelectingPolicy {
  readonly metadata: { readonly namespace: string };
  readonly spec: { readonly selector?: { readonly matchLabels: Labels } | undefined };
}

/** The workloads that a policy holds for by its selector: those of its namespace, and for one of the root namespace those of all. */
export function selectedBy(context: Context, { metadata: { namespace }, spec }: SelectingPolicy): readonly Selectable[] {
  const labels = spec.selector?.matchLabels ?? {};
  return namespace === context.mesh.rootNamespace ? context.select(labels) : context.selectIn(namespace, labels);
}

/** `a=b,c=d` sorted by key, as kubectl prints a selector. */
export function formatSelector(selector: Labels): string {
  return Object.keys(selector)
    .sort()
    .map((key) => `${key}=${selector[key]}`)
    .join(',');
}
