/** What might allow a refused call: resources to add, or a port to add to one that is there. Whether they do is for `allow.ts` to prove. */
import type { ResourceOf } from '../api/index.ts';
import { originOf } from '../api/resource.ts';
import { declaredHost, hostOf, slug } from '../learn/hosts.ts';
import type { Observed } from '../learn/observed.ts';
import { type EgressGateway, propose, proposeDirect } from '../learn/propose.ts';
import { hostCovers } from '../lib/hostname.ts';
import { isIp } from '../lib/ip.ts';
import { matchesLabels } from '../lib/labels.ts';
import { originText } from '../lib/origin.ts';
import type { CallTarget } from '../simulate/call.ts';
import { gatewaysOf } from './inside.ts';
import { takenBy } from './learned-beside.ts';
import { located } from './origins.ts';
import type { SimulatedFiles } from './simulated.ts';

/** A port that a ServiceEntry lacks. */
export interface PortAdded {
  readonly entry: ResourceOf<'ServiceEntry'>;
  readonly port: { readonly number: number; readonly name: string; readonly protocol: string };
}

export interface Candidate {
  readonly added: readonly object[];
  /** The namespaces whose workloads see any of it; undefined for all. What gateways see is not in it. */
  readonly seenIn: ReadonlySet<string> | undefined;
  readonly port?: PortAdded | undefined;
}

/** The name that a call is for: by Host, SNI, or what it connects to. */
export function calledHost({ host, payload }: CallTarget): string {
  return hostOf(payload.http?.authority ?? '') || payload.tls?.serverName?.toLowerCase() || hostOf(host);
}

/** The egress gateway that the mesh uses: one that VirtualServices lead sidecars to, or else the one of an Istio installation if Gateways select it. */
export function egressInUse(files: SimulatedFiles): EgressGateway | undefined {
  const { snapshot, registry } = files.mesh;
  const isGateway = gatewaysOf(files);
  const gateways = registry.services.filter(
    ({ registry: kind, hostname }) => kind === 'Kubernetes' && isGateway(`outbound|0||${hostname}`),
  );
  const routes = snapshot
    .list('VirtualService')
    .flatMap(({ spec: { http, tls, tcp } }) =>
      [...http, ...tls, ...tcp].flatMap(({ route }) => route.map(({ destination }) => destination.host)),
    );
  const selectors = snapshot.list('Gateway').map(({ spec }) => spec.selector);
  const selectorOf = ({ selector }: (typeof gateways)[number]) =>
    selectors.find((labels) => matchesLabels(labels, selector) || matchesLabels(selector, labels));
  const isNamed = ({ hostname }: (typeof gateways)[number]) => routes.some((host) => hostname === host || hostname.startsWith(`${host}.`));
  const used =
    gateways.find((service) => isNamed(service) && selectorOf(service)) ??
    gateways.find((service) => service.hostname.startsWith('istio-egressgateway.') && selectorOf(service));
  if (!used) return undefined;
  return { host: used.hostname, namespace: used.namespace, selector: selectorOf(used) ?? used.selector };
}

/** The best first. `to` is the address that the client resolved the name to itself. */
export function candidatesFor(
  files: SimulatedFiles,
  target: CallTarget,
  { namespace, to }: { readonly namespace: string; readonly to: string | undefined },
): Candidate[] {
  const { snapshot, registry } = files.mesh;
  const observed = observedIn(target, to);
  const { host, port, protocol } = observed;
  const declared = registry.lookup(declaredHost(host), namespace);
  const hasPort = declared?.ports.some(({ number }) => number === port) ?? false;
  const entry = snapshot.list('ServiceEntry').find(
    // What a policy has made is not for anybody to change.
    ({ spec, metadata, derivedFrom }) =>
      !derivedFrom && spec.hosts.includes(declaredHost(host)) && metadata.namespace === declared?.namespace,
  );
  const missing: PortAdded | undefined =
    entry && !hasPort ? { entry, port: { number: port, name: `${protocol.toLowerCase()}-${port}`, protocol } } : undefined;
  const taken = takenBy(snapshot);
  const egress = egressInUse(files);
  const seenIn = missing ? undefined : new Set([namespace]);
  if (!egress) {
    const [serviceEntry, virtualService] = proposeDirect(observed, { namespace, taken });
    if (hasPort) return [{ added: [virtualService], seenIn }];
    if (missing) {
      return [
        { added: [], port: missing, seenIn },
        { added: [virtualService], port: missing, seenIn },
      ];
    }
    return [
      { added: [serviceEntry], seenIn },
      { added: [serviceEntry, virtualService], seenIn },
    ];
  }
  const through = (servedBy?: string): Candidate => {
    const all = propose([observed], {
      namespace,
      wildcardAfter: Number.POSITIVE_INFINITY,
      taken,
      callers: () => [namespace],
      egress,
      gatewayName: `egress-${slug(host)}`,
      ...(servedBy !== undefined && { servedBy }),
    }).map(({ resource }) => resource);
    const added = all.filter((resource) => !declared || kindOf(resource) !== 'ServiceEntry');
    return { added, port: missing, seenIn };
  };
  return [through(), ...(protocol === 'TCP' ? [] : serving(files, declaredHost(host), protocol, egress)).map(through)];
}

export function kindOf(resource: object): string {
  return (resource as { readonly kind: string }).kind;
}

/** The Gateways at which calls to a host arrive that are led to the egress gateway, as `namespace/name`. */
function serving({ mesh: { snapshot } }: SimulatedFiles, host: string, protocol: 'HTTP' | 'TLS', { selector }: EgressGateway): string[] {
  const number = protocol === 'HTTP' ? 80 : 443;
  return snapshot
    .list('Gateway')
    .filter(({ spec }) => matchesLabels(spec.selector, selector) && matchesLabels(selector, spec.selector))
    .filter(({ spec }) =>
      spec.servers.some(
        ({ port, hosts }) =>
          port.number === number &&
          port.protocol === protocol &&
          hosts.some((served) => hostCovers(served.slice(served.indexOf('/') + 1), host)),
      ),
    )
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

/** What an access log would have said of the call, had it been let through. */
function observedIn(target: CallTarget, to: string | undefined): Observed {
  const { port, payload } = target;
  const protocol = payload.tls ? (payload.tls.serverName ? 'TLS' : 'TCP') : payload.http ? 'HTTP' : 'TCP';
  const host = payload.tls && !payload.tls.serverName ? hostOf(target.host) : calledHost(target);
  const addresses = to !== undefined && !isIp(host) ? [to] : [];
  return { host, port, protocol, originatedAt: undefined, addresses, clients: undefined, count: 1, lastSeen: '' };
}

/** A candidate as text to apply: what is added as YAML, and what changes as a comment above it. */
export function portText({ entry, port }: PortAdded, { mesh: { snapshot } }: SimulatedFiles): string {
  const { number, name, protocol } = port;
  const origin = located(originOf(entry), snapshot);
  return `# To spec.ports of ${originText(origin)}:\n#   - { number: ${number}, name: ${name}, protocol: ${protocol} }\n`;
}
