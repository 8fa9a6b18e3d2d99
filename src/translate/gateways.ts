/** The Gateways that select a router, put together: which servers share a listener, and which of them lose to others. */

import { PROXY_NAMESPACE_ANNOTATION } from '../api/gateway-api/common.ts';
import type { ResourceOf, Server } from '../api/index.ts';
import { isOfGatewayApi, originOf, resourceText } from '../api/resource.ts';
import { matchesLabels } from '../lib/labels.ts';
import { isHttp, parseProtocol } from '../registry/protocol.ts';
import type { ProxyInMesh, TranslateContext } from './context.ts';

type GatewayResource = ResourceOf<'Gateway'>;

/**
 * How a server treats connections: plain HTTP, HTTPS that is terminated, TLS that is terminated for bytes inside, TLS that passes, TLS that passes to
 * the cluster that the SNI names, bytes, or the mesh's mutual TLS.
 */
type ServerKind = 'http' | 'https' | 'tls' | 'passthrough' | 'auto-passthrough' | 'tcp';

export interface GatewayServer {
  readonly gateway: GatewayResource;
  /** `namespace/name`. */
  readonly gatewayName: string;
  readonly server: Server;
  readonly kind: ServerKind;
  /** `host` or `namespace/host`, in lower case. */
  readonly hosts: readonly string[];
  /** The hosts alone: what the SNI has to be. Empty for servers without TLS. */
  readonly serverNames: readonly string[];
  /** The port that is bound. */
  readonly port: number;
  /** Empty for every address. */
  readonly bind: string;
  /** Of servers that speak HTTP: the name of their route configuration. */
  readonly routeName: string;
}

/** Servers that share a socket, in the order of their Gateways' age. */
export interface GatewayPort {
  readonly port: number;
  readonly bind: string;
  readonly servers: GatewayServer[];
}

export function gatewayPorts(context: TranslateContext): GatewayPort[] {
  const ports = new Map<string, GatewayPort>();
  for (const gateway of gatewaysOf(context)) {
    for (const server of gateway.spec.servers) {
      if (isOfGatewayApi(gateway) && !hasServicePort(context, server.port.number)) continue;
      const entry = gatewayServer(context, gateway, server);
      const key = `${entry.bind}_${entry.port}`;
      const shared = ports.get(key) ?? { port: entry.port, bind: entry.bind, servers: [] };
      const conflict = conflictWith(shared.servers, entry);
      if (conflict) {
        reportConflict(context, entry, conflict);
        continue;
      }
      shared.servers.push(entry);
      ports.set(key, shared);
    }
  }
  return [...ports.values()];
}

/** Those of every namespace whose selector the proxy's labels satisfy, oldest first. An empty selector is satisfied by every router. */
export function gatewaysOf({ proxy, mesh }: ProxyInMesh): GatewayResource[] {
  return mesh.snapshot
    .list('Gateway')
    .filter((gateway) => matchesLabels(gateway.spec.selector, proxy.labels) && isServedFrom(gateway, proxy.namespace));
}

/** Those of the Kubernetes Gateway API are served by the proxies behind one Service. */
function isServedFrom(gateway: GatewayResource, namespace: string): boolean {
  return !isOfGatewayApi(gateway) || gateway.metadata.annotations[PROXY_NAMESPACE_ANNOTATION] === namespace;
}

function gatewayServer(context: TranslateContext, gateway: GatewayResource, server: Server): GatewayServer {
  const { namespace, name } = gateway.metadata;
  const kind = serverKind(server);
  const port = boundPort(context, server.port.number);
  const bind = server.bind === '0.0.0.0' ? '' : (server.bind ?? '');
  const hosts = server.hosts.map((host) => qualifiedHost(host.toLowerCase(), namespace));
  const suffix = bind ? `.${bind}` : '';
  const routeName =
    kind === 'http'
      ? `http.${port}${suffix}`
      : kind === 'https'
        ? `https.${server.port.number}.${server.port.name}.${name}.${namespace}${suffix}`
        : '';
  const serverNames = kind === 'http' || kind === 'tcp' ? [] : [...new Set(hosts.map((host) => host.slice(host.indexOf('/') + 1)))].sort();
  return { gateway, gatewayName: `${namespace}/${name}`, server, kind, hosts, serverNames, port, bind, routeName };
}

function serverKind({ port, tls }: Server): ServerKind {
  const protocol = parseProtocol(port.protocol);
  if (isHttp(protocol)) return 'http';
  if (!tls) return 'tcp';
  switch (tls.mode) {
    case 'PASSTHROUGH':
      return 'passthrough';
    case 'AUTO_PASSTHROUGH':
      return 'auto-passthrough';
    default:
      return protocol === 'HTTPS' ? 'https' : 'tls';
  }
}

/** A listener of the Kubernetes Gateway API is on a port of its Service, or there is none, as in Istio; without any Service there is nothing to go by. */
function hasServicePort({ mesh, proxy }: TranslateContext, number: number): boolean {
  const served = mesh.registry.servicesOf(proxy);
  return served.length === 0 || served.some(({ port }) => port.number === number);
}

/** The port of a Service over the proxy is bound as its target port; one that no Service has is bound as it is. */
function boundPort({ mesh, proxy }: TranslateContext, number: number): number {
  return mesh.registry.servicesOf(proxy).find(({ port }) => port.number === number)?.endpointPort ?? number;
}

/** `./host` means the Gateway's namespace, a star in place of it any. */
function qualifiedHost(host: string, namespace: string): string {
  const slash = host.indexOf('/');
  if (slash < 0) return host;
  const [owner, name] = [host.slice(0, slash), host.slice(slash + 1)];
  if (owner === '*') return name;
  return `${owner === '.' ? namespace : owner}/${name}`;
}

/** The older server for whose sake this one can't be served; plain HTTP may come after TLS on one port, but not before it. */
function conflictWith(others: readonly GatewayServer[], entry: GatewayServer): GatewayServer | undefined {
  const isPlain = (each: GatewayServer) => each.kind === 'http' || each.kind === 'tcp';
  if (!isPlain(entry)) {
    const first = others[0];
    if (first && isPlain(first)) return first;
    return others.find((other) => !isPlain(other) && other.hosts.some((host) => entry.hosts.includes(host)));
  }
  const plain = others.find(isPlain);
  return plain && (entry.kind === 'tcp' || plain.kind === 'tcp') ? plain : undefined;
}

function reportConflict({ report }: TranslateContext, lost: GatewayServer, kept: GatewayServer): void {
  const { port } = lost.server;
  const older = resourceText(kept.gateway);
  const because =
    kept.serverNames.length > 0 && lost.serverNames.length > 0
      ? `${older} is older and serves ${lost.hosts.filter((host) => kept.hosts.includes(host)).join(', ')} on the same port`
      : `${older} is older and has ${kept.server.port.protocol} on the same port, which can't be shared`;
  report({
    code: 'IST0145',
    level: 'Error',
    message: `server ${port.name || port.number} (${port.protocol}, port ${port.number}) is not served: ${because}. Use another port or other hosts.`,
    origin: originOf(lost.gateway),
    position: lost.gateway.source.position(['spec', 'servers', lost.gateway.spec.servers.indexOf(lost.server)]),
  });
}
