/**
 * What NetworkPolicies say, as policies of Cilium, which say more: they hold in namespaces that are made later, follow the API server, and of gateways name
 * the hosts that are declared. Pure. Fields: docs.cilium.io, "Network Policy".
 */
import { parseRange } from '../lib/ip.ts';
import type { ClusterServer, EgressPoliciesInput } from './egress-policies.ts';

/** Somewhere outside that is declared: a name, `*.name`, `*`, or an address or range. */
export interface DeclaredServer {
  readonly host: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

export interface CiliumPoliciesInput extends Omit<EgressPoliciesInput, 'namespaces'> {
  /** Namespaces that are left as they are. */
  readonly exempt: readonly string[];
  readonly declared: readonly DeclaredServer[];
}

const NAMESPACE = 'k8s:io.kubernetes.pod.namespace';
const ANY_POD = { matchExpressions: [{ key: NAMESPACE, operator: 'Exists' }] };
/** Name servers in pods. What gateways look up has to pass Cilium's own, which learns the addresses of names. */
const DNS_PODS = { matchLabels: { [NAMESPACE]: 'kube-system' } };
const EVERY_NAME = { dns: [{ matchPattern: '*' }] };
/** Addresses of nodes are these, and are not matched by a range. */
const NODES = ['host', 'remote-node'];
/** As many ports a rule may have. */
const MOST_PORTS = 40;

export function ciliumPoliciesFor({ exempt, gateways, servers, declared }: CiliumPoliciesInput): object[] {
  const others = exempt.length > 0 ? [{ key: NAMESPACE, operator: 'NotIn', values: [...exempt] }] : [];
  const within = {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumClusterwideNetworkPolicy',
    metadata: { name: 'egress-within-the-cluster' },
    spec: {
      // What is in no namespace are Cilium's own endpoints.
      endpointSelector: { matchExpressions: [...ANY_POD.matchExpressions, ...others] },
      egress: [{ toEndpoints: [ANY_POD] }, ...serverRules(servers)],
    },
  };
  const outside = declaredRules(declared);
  const names = nameRules(servers);
  return [
    within,
    ...gateways.map(({ namespace, selector }, i) => ({
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNetworkPolicy',
      metadata: { name: gateways.length > 1 ? `egress-gateway-leaves-${i + 1}` : 'egress-gateway-leaves', namespace },
      spec: { endpointSelector: { matchLabels: selector }, egress: [...names, ...outside] },
    })),
  ];
}

interface Port {
  readonly port: number;
  readonly protocol: string;
}

const toPorts = (ports: readonly Port[], rules?: object) => [
  { ports: ports.map(({ port, protocol }) => ({ port: String(port), protocol })), ...(rules && { rules }) },
];
const rangeOf = (ip: string) => `${ip}/${parseRange(ip)!.length}`;

/** The API server wherever it is; others on nodes, or at the addresses where they are. */
function serverRules(servers: readonly ClusterServer[]): object[] {
  const api = servers.filter(({ what }) => what === 'the API server');
  const others = servers.filter(({ what }) => what !== 'the API server');
  const ports = [...new Map(api.map((each) => [each.port, each])).values()];
  return [...(api.length > 0 ? [{ toEntities: ['kube-apiserver'], toPorts: toPorts(ports) }] : []), ...addressRules(others)];
}

function addressRules(servers: readonly ClusterServer[], rules?: object): object[] {
  return [...Map.groupBy(servers, ({ ip }) => ip)].flatMap(([ip, own]) => [
    { toEntities: NODES, toPorts: toPorts(own, rules) },
    { toCIDR: [rangeOf(ip)], toPorts: toPorts(own, rules) },
  ]);
}

function nameRules(servers: readonly ClusterServer[]): object[] {
  const ports = [{ port: 53, protocol: 'ANY' }];
  const elsewhere = servers.filter(({ what }) => what === 'DNS');
  return [{ toEndpoints: [DNS_PODS], toPorts: toPorts(ports, EVERY_NAME) }, ...addressRules(elsewhere, EVERY_NAME)];
}

/** Hosts with the same ports share a rule. */
function declaredRules(declared: readonly DeclaredServer[]): object[] {
  const byHost = Map.groupBy(declared, ({ host }) => host);
  const alike = Map.groupBy(byHost, ([, own]) => JSON.stringify(own.map(({ port, protocol }) => ({ port, protocol }))));
  return [...alike].flatMap(([key, group]) => {
    const hosts = group.map(([host]) => host);
    return inParts(JSON.parse(key) as Port[], MOST_PORTS).flatMap((ports) =>
      destinations(hosts).map((each) => ({ ...each, toPorts: toPorts(ports) })),
    );
  });
}

function destinations(hosts: readonly string[]): object[] {
  const ranges = hosts.filter((host) => parseRange(host) !== undefined);
  const names = hosts.filter((host) => host !== '*' && !ranges.includes(host));
  return [
    ...(names.length > 0 ? [{ toFQDNs: names.map((name) => (name.startsWith('*') ? { matchPattern: name } : { matchName: name })) }] : []),
    ...(ranges.length > 0 ? [{ toCIDR: ranges.map((each) => (each.includes('/') ? each : rangeOf(each))) }] : []),
    ...(hosts.includes('*') ? [{ toEntities: ['world'] }] : []),
  ];
}

function inParts<T>(all: readonly T[], most: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / most) }, (_, i) => all.slice(i * most, (i + 1) * most));
}
