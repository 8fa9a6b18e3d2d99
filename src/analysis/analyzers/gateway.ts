import type { ResourceOf } from '../../api/index.ts';
import { hostsOverlap } from '../../lib/hostname.ts';
import { type Context, formatSelector, matchesLabels, type Selectable } from '../context.ts';

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
  for (const gateway of context.of('Gateway')) {
    if (!selectsByLabels(gateway)) continue;
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
    const exposed = exposedPorts(context, pods);
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

/** TCP ports of the Services over these pods. */
function exposedPorts(context: Context, pods: readonly Selectable[]): Set<number> {
  const ports = new Set<number>();
  for (const pod of pods) {
    for (const service of context.of('Service')) {
      const selector = service.spec.selector ?? {};
      if (service.metadata.namespace !== pod.namespace || Object.keys(selector).length === 0 || !matchesLabels(selector, pod.labels))
        continue;
      for (const port of service.spec.ports ?? []) if ((port.protocol ?? 'TCP') === 'TCP') ports.add(port.port);
    }
  }
  return ports;
}

/** IST0145: two Gateways that select the same pods serve one host on one port (and one bind address). */
export function conflictingGateways(context: Context): void {
  const gateways = context.of('Gateway').filter(selectsByLabels);
  const podsOf = new Map(gateways.map((gateway) => [gateway, new Set(gatewayPods(context, gateway))]));
  const byPort = new Map<string, { gateway: Gateway; index: number; hosts: readonly string[] }[]>();
  for (const gateway of gateways) {
    for (const [index, server] of gateway.spec.servers.entries()) {
      const key = `${server.port.number}/${server.bind ?? ''}`;
      const list = byPort.get(key) ?? [];
      list.push({ gateway, index, hosts: server.hosts });
      byPort.set(key, list);
    }
  }
  for (const servers of byPort.values()) {
    if (servers.length < 2) continue;
    for (const { gateway, index, hosts } of servers) {
      const others = servers.filter(
        (other) =>
          other.gateway !== gateway &&
          overlap(podsOf.get(gateway)!, podsOf.get(other.gateway)!) &&
          hosts.some((host) => other.hosts.some((o) => serverHostsOverlap(host, gateway, o, other.gateway))),
      );
      if (others.length === 0) continue;
      const names = [...new Set(others.map((other) => `${other.gateway.metadata.namespace}/${other.gateway.metadata.name}`))].sort();
      context.report(
        'IST0145',
        gateway,
        ['spec', 'servers', index, 'hosts'],
        `Conflict with gateways ${names.join(', ')}: they select the same pods (${formatSelector(gateway.spec.selector)}) and serve an overlapping host on port ${gateway.spec.servers[index]!.port.number}. The oldest Gateway's settings win and the other's are lost. Serve each host in one Gateway.`,
      );
    }
  }
}

function overlap<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): boolean {
  for (const item of a) if (b.has(item)) return true;
  return false;
}

function serverHostsOverlap(a: string, gatewayA: Gateway, b: string, gatewayB: Gateway): boolean {
  const [namespaceA, hostA] = splitServerHost(a, gatewayA);
  const [namespaceB, hostB] = splitServerHost(b, gatewayB);
  if (namespaceA !== '*' && namespaceB !== '*' && namespaceA !== namespaceB) return false;
  return hostA === hostB || (hostA !== '*' && hostB !== '*' && hostsOverlap(hostA, hostB));
}

function splitServerHost(host: string, gateway: Gateway): [namespace: string, host: string] {
  const slash = host.indexOf('/');
  if (slash < 0) return ['*', host.toLowerCase()];
  const namespace = host.slice(0, slash);
  return [namespace === '.' ? gateway.metadata.namespace : namespace, host.slice(slash + 1).toLowerCase()];
}

/** IST0138: servers for different hosts on the same pods share a certificate. */
export function gatewayCertificates(context: Context): void {
  const gateways = context.of('Gateway');
  const uses = new Map<string, { gateway: Gateway; index: number }[]>();
  for (const gateway of gateways) {
    for (const [index, server] of gateway.spec.servers.entries()) {
      const certificate = server.tls?.credentialName || server.tls?.serverCertificate;
      if (!certificate || server.tls?.mode === 'PASSTHROUGH') continue;
      const key = `${formatSelector(gateway.spec.selector)}\0${certificate}`;
      uses.set(key, [...(uses.get(key) ?? []), { gateway, index }]);
    }
  }
  for (const [key, users] of uses) {
    const distinct = [...new Set(users.map(({ gateway }) => gateway))];
    if (distinct.length < 2) continue;
    const certificate = key.slice(key.indexOf('\0') + 1);
    for (const { gateway, index } of users) {
      const others = distinct.filter((other) => other !== gateway).map((other) => `${other.metadata.namespace}/${other.metadata.name}`);
      context.report(
        'IST0138',
        gateway,
        ['spec', 'servers', index, 'tls'],
        `Duplicate certificate ${certificate}, also used by ${others.sort().join(', ')} on the same pods. A browser that has an HTTP/2 connection to one host reuses it for the other and gets 404. Serve the hosts in one Gateway, or give each a certificate of its own.`,
      );
    }
  }
}
