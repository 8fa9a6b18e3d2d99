/**
 * What NetworkPolicies say, as policies of Calico (open source), which say more: they hold in namespaces that are made later, and follow the API server's
 * Service. Pure. Fields: docs.tigera.io, GlobalNetworkPolicy and NetworkPolicy of projectcalico.org/v3.
 */
import { parseRange } from '../lib/ip.ts';
import type { Labels } from '../lib/labels.ts';
import type { ClusterServer, EgressPoliciesInput } from './egress-policies.ts';

export interface CalicoPoliciesInput extends Omit<EgressPoliciesInput, 'namespaces'> {
  /** Namespaces that are left as they are. */
  readonly exempt: readonly string[];
}

/** Behind Kubernetes' NetworkPolicies (1000): what these allow beyond stays allowed, as beside a NetworkPolicy. */
const ORDER = 2000;
/** A namespace's name, which Calico gives it as a label. */
const NAME = 'projectcalico.org/name';

export function calicoPoliciesFor({ exempt, gateways, servers }: CalicoPoliciesInput): object[] {
  const within = {
    apiVersion: 'projectcalico.org/v3',
    kind: 'GlobalNetworkPolicy',
    metadata: { name: 'egress-within-the-cluster' },
    spec: {
      order: ORDER,
      // With it pods alone are meant, and no host endpoints.
      namespaceSelector: exempt.length > 0 ? `${NAME} not in { ${exempt.map((each) => `'${each}'`).join(', ')} }` : 'all()',
      types: ['Egress'],
      egress: [{ action: 'Allow', destination: { namespaceSelector: 'all()' } }, ...serverRules(servers)],
    },
  };
  return [
    within,
    ...gateways.map(({ namespace, selector }, i) => ({
      apiVersion: 'projectcalico.org/v3',
      kind: 'NetworkPolicy',
      metadata: { name: gateways.length > 1 ? `egress-gateway-leaves-${i + 1}` : 'egress-gateway-leaves', namespace },
      spec: { order: ORDER, selector: selectorText(selector), types: ['Egress'], egress: [{ action: 'Allow' }] },
    })),
  ];
}

function serverRules(servers: readonly ClusterServer[]): object[] {
  const isApi = ({ what }: ClusterServer) => what === 'the API server';
  const api = servers.some(isApi) ? [{ action: 'Allow', destination: { services: { name: 'kubernetes', namespace: 'default' } } }] : [];
  const others = servers.filter((server) => !isApi(server));
  const rules = [...Map.groupBy(others, ({ ip, protocol }) => `${ip} ${protocol}`).values()].map((own) => ({
    action: 'Allow',
    protocol: own[0]!.protocol,
    destination: { nets: [`${own[0]!.ip}/${parseRange(own[0]!.ip)!.length}`], ports: own.map(({ port }) => port) },
  }));
  return [...api, ...rules];
}

/** Labels as Kubernetes has them hold no quotes. */
function selectorText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name} == '${value}'`)
    .join(' && ');
}
