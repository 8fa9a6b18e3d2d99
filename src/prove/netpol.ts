/** `netpol`: the policies that hold a workload which goes round its sidecar, as Kubernetes, Cilium or Calico have them, and what they can't do. */
import { calicoPoliciesFor } from '../kube/calico-policies.ts';
import { ciliumPoliciesFor, type DeclaredServer } from '../kube/cilium-policies.ts';
import { egressPoliciesFor } from '../kube/egress-policies.ts';
import { type Labels, labelsText, matchesLabels } from '../lib/labels.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Mesh } from '../translate/model.ts';
import { EXEMPT, podsOnNodes } from './bypassing.ts';
import { callersOf } from './callers.ts';
import { clusterServers } from './cluster-servers.ts';
import { declaredServers } from './declared-servers.ts';
import type { SimulatedFiles } from './simulated.ts';

export interface WrittenPolicies {
  readonly policies: readonly object[];
  /** What whoever applies them should know, a sentence each. */
  readonly notes: readonly string[];
}

/** Whose policies are written. */
export const POLICY_FORMS = ['kubernetes', 'cilium', 'calico'] as const;
export type PolicyForm = (typeof POLICY_FORMS)[number];

/** The policies under which nothing but the gateways leaves the cluster. They leave the namespaces alone that are exempt. */
export function policiesFor(files: SimulatedFiles, exempt: readonly string[] = EXEMPT, form: PolicyForm = 'kubernetes'): WrittenPolicies {
  const { mesh, proxies, bare } = files;
  const { snapshot } = mesh;
  const all = new Set([
    ...[...proxies, ...callersOf(files)].map(({ namespace }) => namespace),
    ...bare.map(({ identity }) => identity.namespace),
    ...snapshot.list('Namespace').map(({ metadata }) => metadata.name),
  ]);
  const namespaces = [...all].filter((name) => !exempt.includes(name)).sort();
  const gateways = selectorsOf(mesh, proxies);
  const servers = clusterServers(mesh);
  const declared = form === 'cilium' && gateways.length > 0 ? declaredServers(mesh, servers) : [];
  const policies =
    form === 'cilium'
      ? ciliumPoliciesFor({ exempt, gateways, servers, declared })
      : form === 'calico'
        ? calicoPoliciesFor({ exempt, gateways, servers })
        : egressPoliciesFor({ namespaces, gateways, servers });
  return {
    policies,
    notes: [
      ...gatewayNotes(gateways),
      ...formNotes(form, declared),
      ...serverNotes(servers, form),
      ...nodeNotes(mesh, namespaces),
      ...exemptNotes(exempt, all),
    ],
  };
}

/** What is otherwise than with NetworkPolicies. */
function formNotes(form: PolicyForm, declared: readonly DeclaredServer[]): string[] {
  if (form === 'kubernetes') return [];
  const later = 'Namespaces that are made later are held, too.';
  if (form === 'calico')
    return [
      later,
      'Names are not among what Calico (open source) knows of a destination, so that gateways reach every address. Apply them through its API server, or by calicoctl.',
      `They come behind Kubernetes' NetworkPolicies: what one of these allows stays allowed.`,
    ];
  const wildcards = [...new Set(declared.map(({ host }) => host).filter((host) => host.startsWith('*')))];
  return [
    later,
    'Gateways reach what is declared outside, at its ports, and nothing else there. Write the policies anew when that changes.',
    'What a gateway calls by name it has to look up in the cluster, whose answers tell Cilium the addresses; another name at the same address gets through.',
    ...(wildcards.length > 0
      ? [
          `Said in part: ${wildcards.join(', ')}. In Cilium a wildcard stands for one label, and * alone for every address outside: deeper names are refused until somebody adds them.`,
        ]
      : []),
  ];
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

function serverNotes(servers: ReturnType<typeof clusterServers>, form: PolicyForm): string[] {
  if (!servers.some(({ what }) => what === 'the API server'))
    return [
      'Where the API server is, what was read does not say: workloads that call it, controllers among them, would be cut off from it. Read the cluster (--kube), or add the EndpointSlice of the Service default/kubernetes.',
    ];
  const listed = Map.groupBy(servers, ({ what }) => what);
  const text = [...listed].map(([what, own]) => `${what} (${[...new Set(own.map(({ ip, port }) => `${ip} port ${port}`))].join(', ')})`);
  return [
    `Reached as before, being no pods that a policy selects: ${text.join(', ')}. ${form === 'kubernetes' ? 'Write them anew when these addresses change.' : 'The API server is followed; write the policies anew when other addresses change.'}`,
  ];
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
