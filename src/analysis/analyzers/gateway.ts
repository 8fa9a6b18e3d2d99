import type { Pod, ResourceOf, Server } from '../../api/index.ts';
import type { Resource } from '../../api/resource.ts';
import { matchesLabels } from '../../lib/labels.ts';
import { isHttp, parseProtocol } from '../../registry/protocol.ts';
import { type Context, formatSelector, type Selectable } from '../context.ts';

type Gateway = ResourceOf<'Gateway'>;

/** The workloads that a Gateway's selector picks, in any namespace; all of them for an empty selector. */
export function gatewayPods(context: Context, gateway: Gateway): readonly Selectable[] {
  return context.select(gateway.spec.selector);
}

/** Gateways that Istio generates or that name their Service by a hostname select nothing by labels. */
function selectsByLabels(gateway: Gateway): boolean {
  return Object.keys(gateway.spec.selector).length > 0;
}

/** IST0101 (selector), IST0162: whether the Gateway has pods, and a Service that exposes its servers' ports. */
export function gatewayPorts(context: Context): void {
  const services = Map.groupBy(context.of('Service'), ({ metadata }) => metadata.namespace);
  const exposures = new Map<string, ReadonlySet<number>>();
  for (const gateway of context.of('Gateway')) {
    if (!selectsByLabels(gateway)) {
      if (!gateway.derivedFrom && gateway.valid) {
        context.report(
          'IST0133',
          gateway,
          ['spec'],
          'spec.selector: is empty, so every gateway of the mesh serves these hosts, ingress gateways too; and up, explain and verify have no gateway of their own for it, so that calls led to one end in 503. Write the labels of the gateway that is meant, e.g. istio: egressgateway',
        );
      }
      continue;
    }
    const pods = gatewayPods(context, gateway);
    const selector = formatSelector(gateway.spec.selector);
    if (pods.length === 0) {
      context.report(
        'IST0101',
        gateway,
        ['spec', 'selector'],
        `Referenced selector not found: "${selector}". No workload has these labels, so no proxy serves this Gateway and calls routed to it fail. Deploy the gateway with these labels, or select one that is deployed.`,
      );
      continue;
    }
    const exposed = exposures.get(selector) ?? exposedPorts(services, pods, gateway.spec.selector);
    exposures.set(selector, exposed);
    for (const [i, server] of gateway.spec.servers.entries()) {
      const { number } = server.port;
      if (number === 0 || exposed.has(number)) continue;
      context.report(
        'IST0162',
        gateway,
        ['spec', 'servers', i, 'port', 'number'],
        `The gateway's pods (${selector}) are behind no Service with port ${number}, so nothing reaches this server through a Service. Add port ${number} to the gateway's Service, or use one of ${[...exposed].sort((a, b) => a - b).join(', ') || 'its ports (it has none)'}.`,
      );
    }
  }
}

/** TCP ports of the Services over these pods, and where they lead: a listener there is reached by the Service's port. `services` by namespace. Of one with endpoints written by hand the labels tell. */
function exposedPorts(
  services: ReadonlyMap<string, readonly ResourceOf<'Service'>[]>,
  pods: readonly Selectable[],
  gatewaySelector: Readonly<Record<string, string>>,
): Set<number> {
  const ports = new Set<number>();
  for (const pod of pods) {
    for (const service of services.get(pod.namespace) ?? []) {
      const selector = service.spec.selector ?? {};
      const byHand = Object.keys(selector).length === 0;
      if (byHand ? !matchesLabels(gatewaySelector, service.metadata.labels) : !matchesLabels(selector, pod.labels)) continue;
      for (const { port, protocol, targetPort } of service.spec.ports) {
        if ((protocol ?? 'TCP') !== 'TCP') continue;
        ports.add(port);
        if (typeof targetPort === 'number' && targetPort > 0) ports.add(targetPort);
        if (typeof targetPort === 'string') for (const number of portsNamed(pod, targetPort)) ports.add(number);
      }
    }
  }
  return ports;
}

/** Ports of a workload's containers by their name. */
function portsNamed({ resource }: Selectable, name: string): number[] {
  const pod = resource.kind === 'Pod' ? (resource.spec as Pod) : (resource.spec as ResourceOf<'Deployment'>['spec']).template.spec;
  const ports = pod?.containers.flatMap((container) => container.ports) ?? [];
  return ports.filter((port) => port.name === name).map(({ containerPort }) => containerPort);
}

/** IST0145: two Gateways that select the same pods serve one host on one port (and one bind address). */
export function conflictingGateways(context: Context): void {
  const podsOf = new Map<string, ReadonlySet<Selectable>>();
  const pods = ({ spec: { selector } }: Gateway) => {
    const key = formatSelector(selector);
    const found = podsOf.get(key) ?? new Set(context.select(selector));
    podsOf.set(key, found);
    return found;
  };
  const rivals = rivalIndex(context);
  for (const gateway of context.of('Gateway').filter(selectsByLabels)) {
    for (const [index, server] of gateway.spec.servers.entries()) {
      const others = new Set<Gateway>();
      for (const host of server.hosts) {
        const name = host.slice(host.indexOf('/') + 1).toLowerCase();
        // A wildcard stands beside the names that it covers: the more specific one takes its own.
        for (const other of context.gatewayServers.at(name)) {
          if (other.gateway === gateway || others.has(other.gateway) || !selectsByLabels(other.gateway)) continue;
          if (!sameBind(server, other.gateway.spec.servers[other.index]!)) continue;
          // Of Kubernetes Gateways the routes of all are joined; only their certificates exclude each other.
          if (gateway.derivedFrom && other.gateway.derivedFrom && !server.tls) continue;
          if (sameNamespaces(host, gateway, other.written, other.gateway) && overlap(pods(gateway), pods(other.gateway)))
            others.add(other.gateway);
        }
      }
      if (others.size === 0) {
        reportUntold(context, gateway, index, (each) => rivals(each).filter((other) => overlap(pods(gateway), pods(other))));
        continue;
      }
      const names = [...new Set([...others].map((other) => nameOf(writtenOf(other))))].sort();
      context.report(
        'IST0145',
        gateway,
        ['spec', 'servers', index, 'hosts'],
        `Conflict with gateways ${names.join(', ')}: they select the same pods (${formatSelector(gateway.spec.selector)}) and serve one host on port ${server.port.number}. The oldest Gateway's settings win and the other's are lost. Serve each host in one Gateway.`,
      );
    }
  }
}

/**
 * IST0145 for servers of bytes: whatever hosts they name, nothing tells their connections from those of another plain server on the port, and the older
 * one has the port. (Plain HTTP beside plain HTTP is told apart by the host, TLS by its server name.)
 */
function reportUntold(context: Context, gateway: Gateway, index: number, beside: (server: Server) => readonly Gateway[]): void {
  const server = gateway.spec.servers[index]!;
  if (!isPlain(server)) return;
  const first = gateway.derivedFrom ? -1 : gateway.spec.servers.findIndex((each) => isRival(server, each));
  if (first >= 0 && first < index) {
    const { hosts, port } = gateway.spec.servers[first]!;
    context.report(
      'IST0145',
      gateway,
      ['spec', 'servers', index, 'port', 'number'],
      `Conflict with another server of this Gateway (servers[${first}], protocol ${port.protocol}): on port ${server.port.number} nothing tells their connections apart (bytes name no host). The first takes them all, those for ${server.hosts.join(', ')} too, and leads them to ${hosts.join(', ')} or refuses them. Give this server a port of the gateway of its own: here, in the gateway's Service and in the route that leads there.`,
    );
    return;
  }
  const rivals = beside(server).filter((other) => other !== gateway && !(gateway.derivedFrom && other.derivedFrom));
  const oldest = [gateway, ...rivals].reduce((a, b) => (b.order < a.order ? b : a));
  if (rivals.length === 0) return;
  const names = rivals.map((other) => nameOf(writtenOf(other))).sort();
  const lost =
    oldest === gateway
      ? `those for ${rivals.flatMap(({ spec }) => spec.servers.flatMap((each) => (sameBind(server, each) ? each.hosts : []))).join(', ')}`
      : `those for ${server.hosts.join(', ')}`;
  context.report(
    'IST0145',
    gateway,
    ['spec', 'servers', index, 'port', 'number'],
    `Conflict with gateways ${names.join(', ')}: they select the same pods (${formatSelector(gateway.spec.selector)}), and on port ${server.port.number} nothing tells their connections apart (bytes name no host). ${nameOf(writtenOf(oldest))}, the oldest, takes them all, ${lost} too, and leads them to its own hosts. Give each TCP host a port of the gateway of its own: in the Gateway, in the gateway's Service and in the route that leads there.`,
  );
}

/** Finds the Gateways with a server whose connections nothing tells from those of a given one, oldest first. */
function rivalIndex(context: Context): (server: Server) => readonly Gateway[] {
  const plain = context
    .of('Gateway')
    .filter(selectsByLabels)
    .flatMap((gateway) => gateway.spec.servers.filter(isPlain).map((server) => ({ gateway, server })));
  const byBind = (list: typeof plain) => Map.groupBy(list, ({ server }) => bindKey(server));
  const ofBytes = byBind(plain.filter(({ server }) => isBytes(server)));
  const all = byBind(plain);
  return (server) => {
    const found = (isBytes(server) ? all : ofBytes).get(bindKey(server)) ?? [];
    return [...new Set(found.filter((other) => other.server !== server).map(({ gateway }) => gateway))];
  };
}

function bindKey({ port, bind = '' }: Server): string {
  return `${port.number} ${bind}`;
}

function sameBind(a: Server, b: Server): boolean {
  return bindKey(a) === bindKey(b);
}

/** Whether nothing tells the connections of two servers apart. */
function isRival(a: Server, b: Server): boolean {
  return a !== b && sameBind(a, b) && isPlain(a) && isPlain(b) && (isBytes(a) || isBytes(b));
}

/** Neither ends TLS nor passes it by its server name. */
function isPlain({ port, tls }: Server): boolean {
  return isHttp(parseProtocol(port.protocol)) || !tls;
}

function isBytes({ port, tls }: Server): boolean {
  return !tls && !isHttp(parseProtocol(port.protocol));
}

/** Equal selectors have one set, and select the same pods also where the files have none of them. */
function overlap<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): boolean {
  if (a === b) return true;
  for (const item of a) if (b.has(item)) return true;
  return false;
}

/** Whether there are VirtualServices that both servers take, by the namespaces that stand before their hosts. */
function sameNamespaces(a: string, gatewayA: Gateway, b: string, gatewayB: Gateway): boolean {
  const namespaceA = namespaceOf(a, gatewayA);
  const namespaceB = namespaceOf(b, gatewayB);
  return namespaceA === '*' || namespaceB === '*' || namespaceA === namespaceB;
}

function namespaceOf(host: string, gateway: Gateway): string {
  const slash = host.indexOf('/');
  if (slash < 0) return '*';
  const namespace = host.slice(0, slash);
  return namespace === '.' ? gateway.metadata.namespace : namespace;
}

/** IST0138: servers for different hosts on the same pods share a certificate. */
export function gatewayCertificates(context: Context): void {
  const uses = new Map<string, { readonly gateway: Gateway; readonly index: number }[]>();
  for (const gateway of context.of('Gateway')) {
    for (const [index, { tls }] of gateway.spec.servers.entries()) {
      const certificate = tls?.credentialName || tls?.serverCertificate;
      if (!certificate || tls?.mode === 'PASSTHROUGH') continue;
      const list = uses.get(certificate);
      if (list) list.push({ gateway, index });
      else uses.set(certificate, [{ gateway, index }]);
    }
  }
  for (const [certificate, users] of uses) {
    const groups = Map.groupBy(users, ({ gateway }) => formatSelector(gateway.spec.selector));
    for (const { gateway, index } of users) {
      const others = new Set<string>();
      for (const group of groups.values()) {
        if (!selectTogether(gateway, group[0]!.gateway)) continue;
        for (const { gateway: other } of group) if (writtenOf(other) !== writtenOf(gateway)) others.add(nameOf(writtenOf(other)));
      }
      if (others.size === 0) continue;
      context.report(
        'IST0138',
        gateway,
        ['spec', 'servers', index, 'tls'],
        `Duplicate certificate ${certificate}, also used by ${[...others].sort().join(', ')} on the same pods. A browser that has an HTTP/2 connection to one host reuses it for the other and gets 404. Serve the hosts in one Gateway, or give each a certificate of its own.`,
      );
    }
  }
}

/** What a user wrote: of the Gateways that are made of one Kubernetes Gateway's listeners, that one. */
function writtenOf(gateway: Gateway): Resource {
  return gateway.derivedFrom ?? gateway;
}

function nameOf({ metadata }: Resource): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Whether one selector asks for all that the other does: then what the narrower selects is of both. */
function selectTogether({ spec: { selector: a } }: Gateway, { spec: { selector: b } }: Gateway): boolean {
  return matchesLabels(a, b) || matchesLabels(b, a);
}
