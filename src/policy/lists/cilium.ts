/** `egress` of CiliumNetworkPolicies with `toFQDNs`. Pure. */
import { parseAllDocuments } from 'yaml';
import { isMapping } from '../../api/decode.ts';
import type { ConvertedDestination, ConvertedList, ConvertedPolicy } from './forms.ts';
import { grouped, objectName, problemOf } from './read.ts';

export function readCilium(text: string): ConvertedList {
  const left: string[] = [];
  const objects = parseAllDocuments(text).map((document) => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS() as unknown;
  });
  const denying = objects.filter(isMapping).find(deniesOutside);
  const policies = objects.flatMap((object): ConvertedPolicy[] => {
    if (!isMapping(object)) return [];
    if (denying) {
      const { name = 'policy' } = isMapping(denying.metadata) ? denying.metadata : {};
      left.push(
        `${String(object.kind)}: what egressDeny of ${String(name)} takes away of it is not known, and policies deny nothing: carry over what is allowed besides without it.`,
      );
      return [];
    }
    if (object.kind !== 'CiliumNetworkPolicy' && object.kind !== 'CiliumClusterwideNetworkPolicy') {
      left.push(`${String(object.kind)}: it is no CiliumNetworkPolicy.`);
      return [];
    }
    return policyOf(object, left);
  });
  if (objects.every((object) => !isMapping(object))) throw new Error('it holds no object');
  return { policies, left };
}

/** Denials count before what any policy allows. Those of endpoints and Services take away nothing outside the cluster. */
function deniesOutside({ spec, specs }: Record<string, unknown>): boolean {
  const rules = [spec, ...(Array.isArray(specs) ? specs : [])].filter(isMapping);
  return rules.some(
    ({ egressDeny }) =>
      egressDeny !== undefined &&
      !(
        Array.isArray(egressDeny) &&
        egressDeny.every((one) => isMapping(one) && (one.toEndpoints !== undefined || one.toServices !== undefined) && !reachesOut(one))
      ),
  );
}

function reachesOut(denial: Record<string, unknown>): boolean {
  return Object.keys(denial).some((key) => !['toEndpoints', 'toServices', 'toPorts', 'icmps'].includes(key));
}

function policyOf({ kind, metadata, spec, specs }: Record<string, unknown>, left: string[]): ConvertedPolicy[] {
  const { name = 'policy', namespace = 'default' } = isMapping(metadata) ? (metadata as Record<string, string>) : {};
  if (kind === 'CiliumClusterwideNetworkPolicy') {
    left.push(`${name}: it is for all namespaces, and an EgressPolicy for those that it names: write one for each.`);
    return [];
  }
  const rules = [...(isMapping(spec) ? [spec] : []), ...(Array.isArray(specs) ? specs.filter(isMapping) : [])];
  return rules.flatMap((rule, index): ConvertedPolicy[] => {
    const where = rules.length > 1 ? `${name} (specs[${index}])` : name;
    const from = callers(rule.endpointSelector, where, left);
    const to = (Array.isArray(rule.egress) ? rule.egress : []).flatMap((egress, at) =>
      destinations(egress, `${where}: egress[${at}]`, left),
    );
    if (!from || to.length === 0) return [];
    const suffix = rules.length > 1 ? `-${index}` : '';
    return [
      {
        name: `${objectName(name)}${suffix}`,
        namespace,
        ...(from.length > 0 && { from }),
        to: grouped(to),
        reason: `from CiliumNetworkPolicy ${namespace}/${name}`,
      },
    ];
  });
}

/** Undefined where they can not be told. */
function callers(selector: unknown, where: string, left: string[]): object[] | undefined {
  if (!isMapping(selector)) {
    left.push(`${where}: it has no endpointSelector.`);
    return undefined;
  }
  if (Array.isArray(selector.matchExpressions) && selector.matchExpressions.length > 0) {
    left.push(`${where}: endpointSelector.matchExpressions: callers are told by equal labels alone, so this rule is left out.`);
    return undefined;
  }
  const labels = isMapping(selector.matchLabels) ? Object.entries(selector.matchLabels) : [];
  const plain = labels.map(([key, value]) => [key.replace(/^(?:any|k8s):/, ''), String(value)] as const);
  const special = plain.find(([key]) => key.startsWith('io.kubernetes.') || key.startsWith('io.cilium.') || key.startsWith('reserved:'));
  if (special) {
    left.push(`${where}: endpointSelector: ${special[0]} is no label of a pod, so this rule is left out.`);
    return undefined;
  }
  return plain.length > 0 ? [{ labels: Object.fromEntries(plain) }] : [];
}

function destinations(egress: unknown, where: string, left: string[]): ConvertedDestination[] {
  if (!isMapping(egress)) return [];
  const { toFQDNs, toPorts, ...others } = egress;
  if (!Array.isArray(toFQDNs)) {
    left.push(
      `${where}: it has no toFQDNs (but ${Object.keys(egress).join(', ')}): calls inside the cluster and to DNS are no egress here, others are left out.`,
    );
    return [];
  }
  if (Object.keys(others).length > 0) {
    left.push(`${where}: ${Object.keys(others).join(', ')} beside toFQDNs narrows it, so it is left out.`);
    return [];
  }
  const ports = portsOf(toPorts, where, left);
  if (!ports) return [];
  return toFQDNs.flatMap((entry): ConvertedDestination[] => {
    const { matchName, matchPattern } = isMapping(entry) ? entry : {};
    const host = String(matchName ?? matchPattern ?? '')
      .toLowerCase()
      .replace(/\.$/, '');
    // `*` stands there for part of a label, and `*.` for exactly one; here for whole labels, one or more.
    if (matchPattern !== undefined && host.includes('*')) {
      left.push(
        `${where}: matchPattern ${String(matchPattern)}: there * stays within one label, and here it takes all below: name the hosts, or write the wildcard yourself.`,
      );
      return [];
    }
    const problem = problemOf(host, ports);
    if (problem !== undefined) left.push(`${where}: ${host || 'an entry without matchName'}: ${problem}.`);
    return problem === undefined ? [{ hosts: [host], ...ports }] : [];
  });
}

/** Undefined where what is allowed is not known to be carried over whole. */
function portsOf(toPorts: unknown, where: string, left: string[]): Omit<ConvertedDestination, 'hosts'> | undefined {
  if (toPorts === undefined) {
    left.push(`${where}: all ports are allowed there; here those for HTTP and HTTPS (80, 443).`);
    return {};
  }
  const rules = Array.isArray(toPorts) ? toPorts.filter(isMapping) : [];
  const more = rules.flatMap((rule) => Object.keys(rule)).find((key) => key !== 'ports');
  if (more !== undefined) {
    left.push(`${where}: toPorts.${more}: what is said of single requests or connections is not carried over, so it is left out.`);
    return undefined;
  }
  const ports = rules.flatMap(({ ports: list }) => (Array.isArray(list) ? list.filter(isMapping) : []));
  const wrong = ports.find(
    ({ port, protocol, endPort }) =>
      !/^\d{1,5}$/.test(String(port)) || (protocol !== undefined && protocol !== 'TCP') || endPort !== undefined,
  );
  if (wrong || ports.length === 0) {
    left.push(
      `${where}: toPorts: only TCP ports by number are carried over${wrong ? `, not ${JSON.stringify(wrong)}` : ''}, so it is left out.`,
    );
    return undefined;
  }
  return { ports: ports.map(({ port }) => Number(port)) };
}
