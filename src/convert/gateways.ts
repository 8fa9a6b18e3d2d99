/** Gateways of Istio's API as Gateways of the Kubernetes Gateway API: a listener for each server and host. */

import type { ResourceOf, Server, ServerTlsSettings } from '../api/index.ts';
import type { PathStep } from '../api/resource.ts';
import { matchesLabels } from '../lib/labels.ts';
import { isHttp, parseProtocol } from '../registry/protocol.ts';
import { type ConvertInput, isHostname, label, type Made, type Maker, Problems } from './model.ts';

export type Gateway = ResourceOf<'Gateway'>;

export interface ConvertedGateway {
  readonly problems: Problems;
  /** Of the pods that serve it. */
  readonly proxyNamespace: string | undefined;
  /** Of the Kubernetes Gateway: it is in the namespace of its pods, as nothing serves it elsewhere. */
  readonly namespace: string;
  readonly name: string;
  make(maker: Maker): readonly Made[];
}

/** The Service whose pods a selector picks. */
interface ServiceName {
  readonly name: string;
  readonly namespace: string;
}

export function convertGateway(input: ConvertInput, gateway: Gateway): ConvertedGateway {
  const problems = new Problems(gateway);
  const service = serviceOf(input, gateway);
  if (!service) {
    problems.add(
      ['spec', 'selector'],
      'a Kubernetes Gateway names a Service whose pods serve it, and no Service has exactly the pods that this selector picks',
    );
  }
  const names = new Set<string>();
  const listeners: object[] = [];
  const moved = service !== undefined && service.namespace !== gateway.metadata.namespace;
  const own = moved ? gateway.metadata.namespace : undefined;
  gateway.spec.servers.forEach((server, index) => {
    listeners.push(...listenersOf(server, ['spec', 'servers', index], { problems, names, own }));
  });
  if (listeners.length > 64)
    problems.add(
      ['spec', 'servers'],
      `a Kubernetes Gateway has at most 64 listeners, one for each host, and this needs ${listeners.length}`,
    );
  const namespace = moved ? service.namespace : gateway.metadata.namespace;
  const name = moved ? `${gateway.metadata.namespace}-${gateway.metadata.name}` : gateway.metadata.name;
  return {
    problems,
    proxyNamespace: service?.namespace,
    namespace,
    name,
    make(maker) {
      const spec = {
        gatewayClassName: 'istio',
        addresses: [{ type: 'Hostname', value: `${service?.name}.${service?.namespace}.svc.cluster.local` }],
        listeners,
      };
      return [maker.make('Gateway', namespace, name, spec)];
    },
  };
}

/** A Service with the pods of the selector, as far as is known. */
function serviceOf({ registry }: ConvertInput, { spec }: Gateway): ServiceName | undefined {
  if (Object.keys(spec.selector).length === 0) return undefined;
  const pods = registry.workloads.filter(({ labels }) => matchesLabels(spec.selector, labels));
  const found = registry.services.find(
    ({ namespace, selector, registry: from }) =>
      from === 'Kubernetes' &&
      Object.keys(selector).length > 0 &&
      // The Service and the Gateway must select the same pods.
      matchesLabels(spec.selector, selector) &&
      pods.every((pod) => pod.namespace === namespace && matchesLabels(selector, pod.labels)),
  );
  return found && { name: found.resource.metadata.name, namespace: found.namespace };
}

interface Building {
  readonly problems: Problems;
  readonly names: Set<string>;
  /** The namespace that `.` means in hosts of servers, if it is not the namespace of the listeners. */
  readonly own: string | undefined;
}

function listenersOf(server: Server, path: readonly PathStep[], building: Building): object[] {
  const { problems, names, own } = building;
  if (server.bind) problems.add([...path, 'bind'], 'a listener has no address of its own');
  if (server.defaultEndpoint) problems.add([...path, 'defaultEndpoint'], 'a listener has no default endpoint');
  const protocol = protocolOf(server);
  if (!protocol) {
    problems.add([...path, 'port', 'protocol'], `there are no listeners of ${server.port.protocol}`);
    return [];
  }
  const hosts = hostsOf(server, path, protocol, { problems, own });
  const tls = protocol === 'HTTPS' || protocol === 'TLS' ? tlsOf(server.tls, [...path, 'tls'], building) : undefined;
  if (server.tls?.httpsRedirect)
    problems.add(
      [...path, 'tls', 'httpsRedirect'],
      'a redirect to HTTPS of a whole listener needs a route of its own: write an HTTPRoute with a RequestRedirect',
    );
  if (hosts.length > 1 && server.tls && server.tls.mode !== 'PASSTHROUGH')
    problems.add([...path, 'hosts'], 'a listener has one host, and on a connection for one host requests for the others would be refused');
  return hosts.map(({ host, namespaces }, index) => {
    const base = label(server.port.name);
    let name = hosts.length > 1 ? `${base}-${index + 1}` : base;
    for (let count = 2; names.has(name); count++) name = `${base}-${index + 1}-${count}`;
    names.add(name);
    return {
      name,
      port: server.port.number,
      protocol,
      ...(host !== '*' && { hostname: host }),
      ...(tls && { tls }),
      allowedRoutes: { namespaces },
    };
  });
}

type ListenerProtocol = 'HTTP' | 'HTTPS' | 'TLS' | 'TCP';

export function protocolOf({ port, tls }: Server): ListenerProtocol | undefined {
  const protocol = parseProtocol(port.protocol);
  if (isHttp(protocol)) return 'HTTP';
  if (protocol === 'HTTPS') return tls?.mode === 'PASSTHROUGH' ? 'TLS' : 'HTTPS';
  return protocol === 'TLS' || protocol === 'TCP' ? protocol : undefined;
}

interface ListenerHost {
  readonly host: string;
  readonly namespaces: object;
}

function hostsOf(
  server: Server,
  path: readonly PathStep[],
  protocol: ListenerProtocol,
  { problems, own }: Pick<Building, 'problems' | 'own'>,
): ListenerHost[] {
  const owners = new Map<string, Set<string>>();
  server.hosts.forEach((written, index) => {
    const slash = written.indexOf('/');
    const stated = slash < 0 ? '*' : written.slice(0, slash);
    const owner = stated === '.' ? (own ?? stated) : stated;
    // Bytes name no host.
    const host = protocol === 'TCP' ? '*' : written.slice(slash + 1).toLowerCase();
    if (host !== '*' && !isHostname(host)) problems.add([...path, 'hosts', index], `"${host}" is no hostname of a listener`);
    owners.set(host, (owners.get(host) ?? new Set()).add(owner));
  });
  return [...owners].map(([host, set]) => ({ host, namespaces: namespacesOf(set) }));
}

function namespacesOf(owners: ReadonlySet<string>): object {
  if (owners.has('*')) return { from: 'All' };
  if (owners.size === 1 && owners.has('.')) return { from: 'Same' };
  const values = [...owners].sort();
  return { from: 'Selector', selector: { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values }] } };
}

const TLS_FIELDS = [
  'serverCertificate',
  'privateKey',
  'caCertificates',
  'caCrl',
  'caCertCredentialName',
  'insecureSkipVerify',
] as const satisfies readonly (keyof ServerTlsSettings)[];
const TLS_LISTS = [
  'credentialNames',
  'tlsCertificates',
  'subjectAltNames',
  'verifyCertificateSpki',
  'verifyCertificateHash',
  'cipherSuites',
  'ecdhCurves',
] as const satisfies readonly (keyof ServerTlsSettings)[];

function tlsOf(tls: ServerTlsSettings | undefined, path: readonly PathStep[], { problems }: Building): object {
  if (!tls) return {};
  for (const field of TLS_FIELDS) if (tls[field]) problems.add([...path, field], `a listener has no ${field}`);
  for (const field of TLS_LISTS) if (tls[field].length > 0) problems.add([...path, field], `a listener has no ${field}`);
  for (const field of ['minProtocolVersion', 'maxProtocolVersion'] as const)
    if (tls[field] !== 'TLS_AUTO') problems.add([...path, field], `a listener has no ${field}`);
  switch (tls.mode) {
    case 'PASSTHROUGH':
      return { mode: 'Passthrough' };
    case 'ISTIO_MUTUAL':
      return { mode: 'Terminate', options: { 'gateway.istio.io/tls-terminate-mode': 'ISTIO_MUTUAL' } };
    case 'SIMPLE': {
      if (!tls.credentialName) return {};
      return { mode: 'Terminate', certificateRefs: [{ name: tls.credentialName }] };
    }
    default:
      problems.add([...path, 'mode'], `a listener has no mode ${tls.mode}`);
      return {};
  }
}
