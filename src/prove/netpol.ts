/** `netpol`: the NetworkPolicies that hold a workload which goes round its sidecar, and what they can't do. */
import { egressPoliciesFor } from '../kube/egress-policies.ts';
import { type Labels, labelsText, matchesLabels } from '../lib/labels.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Mesh } from '../translate/model.ts';
import { EXEMPT, podsOnNodes } from './bypassing.ts';
import { clusterServers } from './cluster-servers.ts';
import type { SimulatedFiles } from './simulated.ts';

export interface WrittenPolicies {
  readonly policies: readonly object[];
  /** What whoever applies them should know, a sentence each. */
  readonly notes: readonly string[];
}

/** The policies under which nothing but the gateways leaves the cluster. They leave the namespaces alone that are exempt. */
export function policiesFor({ mesh, proxies, bare }: SimulatedFiles, exempt: readonly string[] = EXEMPT): WrittenPolicies {
  const { snapshot } = mesh;
  const all = new Set([
    ...proxies.map(({ namespace }) => namespace),
    ...bare.map(({ identity }) => identity.namespace),
    ...snapshot.list('Namespace').map(({ metadata }) => metadata.name),
  ]);
  const namespaces = [...all].filter((name) => !exempt.includes(name)).sort();
  const gateways = selectorsOf(mesh, proxies);
  const servers = clusterServers(mesh);
  const policies = egressPoliciesFor({ namespaces, gateways, servers });
  return {
    policies,
    notes: [...gatewayNotes(gateways), ...serverNotes(servers), ...nodeNotes(mesh, namespaces), ...exemptNotes(exempt, all)],
  };
}

interface Selected {
  readonly namespace: string;
  readonly selector: Labels;
}

/**
 * What selects each gateway's pods, today's and those of its next rollout: the selectors of the Gateways and Services that choose them. A pod's own
 * labels would do for the pod alone, as pod-template-hash is one.
 */
function selectorsOf({ snapshot, registry }: Mesh, proxies: readonly ProxyIdentity[]): Selected[] {
  const gateways = snapshot.list('Gateway').map(({ spec }) => spec.selector);
  const services = registry.services.filter((service) => service.registry === 'Kubernetes');
  const found = new Map<string, Selected>();
  for (const { type, namespace, labels } of proxies) {
    if (type !== 'router') continue;
    const own = services.filter((service) => service.namespace === namespace).map(({ selector }) => selector);
    const fitting = [...gateways, ...own].filter((selector) => matchesLabels(selector, labels));
    const entries = fitting.flatMap((selector) => Object.entries(selector)).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    const selector = Object.fromEntries(entries);
    found.set(`${namespace} ${JSON.stringify(selector)}`, { namespace, selector });
  }
  return [...found.keys()].sort().map((key) => found.get(key)!);
}

function gatewayNotes(gateways: readonly Selected[]): string[] {
  if (gateways.length === 0) return ['No gateway is known, so nothing leaves the cluster.'];
  const text = gateways.map(({ namespace, selector }) => `${namespace} with ${labelsText(selector)}`).join('; ');
  return [`Leaves the cluster: each pod of ${text}. Who may make such pods there may leave.`];
}

function serverNotes(servers: ReturnType<typeof clusterServers>): string[] {
  if (!servers.some(({ what }) => what === 'the API server'))
    return [
      'Where the API server is, what was read does not say: workloads that call it, controllers among them, would be cut off from it. Read the cluster (--kube), or add the EndpointSlice of the Service default/kubernetes.',
    ];
  const listed = Map.groupBy(servers, ({ what }) => what);
  const text = [...listed].map(([what, own]) => `${what} (${[...new Set(own.map(({ ip, port }) => `${ip} port ${port}`))].join(', ')})`);
  return [`Reached as before, being no pods that a policy selects: ${text.join(', ')}. Write them anew when these addresses change.`];
}

const LEVEL = 'pod-security.kubernetes.io/enforce';

/** What no NetworkPolicy can do. */
function nodeNotes({ snapshot }: Mesh, namespaces: readonly string[]): string[] {
  const there = podsOnNodes(snapshot.list('Pod').filter(({ metadata }) => namespaces.includes(metadata.namespace)));
  const labels = new Map(snapshot.list('Namespace').map(({ metadata }) => [metadata.name, metadata.labels]));
  const open = namespaces.filter((name) => !['baseline', 'restricted'].includes(labels.get(name)?.[LEVEL] ?? ''));
  const mend = open.length > 0 ? ` Refuse such pods: label ${LEVEL}=baseline is missing from ${open.join(', ')}.` : '';
  const now = there.length > 0 ? ` Now: ${there.join(', ')}.` : '';
  return [`Not closed: no NetworkPolicy holds a node itself, nor a pod on its network (hostNetwork).${now}${mend}`];
}

function exemptNotes(exempt: readonly string[], all: ReadonlySet<string>): string[] {
  const there = exempt.filter((name) => all.has(name));
  return there.length === 0
    ? []
    : [`Not closed: ${there.join(', ')} (--exempt). What is there may leave, and may pass on what others send to it.`];
}
