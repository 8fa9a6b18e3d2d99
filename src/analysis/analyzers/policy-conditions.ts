import type { AuthorizationRule } from '../../api/authorization-policy.ts';
import type { ResourceOf } from '../../api/index.ts';
import type { PathStep } from '../../api/resource.ts';
import { matchesLabels } from '../../lib/labels.ts';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import { once } from '../../lib/once.ts';
import type { Service, ServicePort } from '../../registry/model.ts';
import { type Context, type SelectingPolicy, selectedBy } from '../context.ts';
import { gatewayServices } from '../egress-model.ts';
import { gatewaysOf } from './gateway-identities.ts';

type Policy = ResourceOf<'AuthorizationPolicy'>;

/** Says of a value that no call has it why that is so and what to write; undefined where a call may have it. */
type Judge = (value: string) => string | undefined;

/** SP1068: values of AuthorizationPolicies that no call has. */
export function policyConditions(context: Context): void {
  for (const policy of context.of('AuthorizationPolicy')) {
    const ports = portJudge(context, policy);
    for (const [i, rule] of policy.spec.rules.entries()) {
      for (const { field, values, path, judge } of conditionsOf(rule, ports)) {
        for (const [j, value] of values.entries()) {
          const fault = judge(value);
          if (fault === undefined) continue;
          context.report('SP1068', policy, ['spec', 'rules', i, ...path, j], `No call has ${value}: ${fault} ${effectOf(policy, field)}`);
        }
      }
    }
  }
}

interface Condition {
  readonly field: string;
  readonly values: readonly string[];
  readonly path: readonly PathStep[];
  readonly judge: Judge;
}

const OPERATION: readonly (readonly ['methods' | 'paths' | 'hosts', 'notMethods' | 'notPaths' | 'notHosts', Judge])[] = [
  ['methods', 'notMethods', methodFault],
  ['paths', 'notPaths', pathFault],
  ['hosts', 'notHosts', hostFault],
];
const SOURCE = [
  ['principals', 'notPrincipals'],
  ['namespaces', 'notNamespaces'],
] as const;

function* conditionsOf({ from, to }: AuthorizationRule, ports: Judge): Generator<Condition> {
  for (const [i, { operation }] of to.entries()) {
    if (!operation) continue;
    for (const [field, opposite, judge] of [...OPERATION, ['ports', 'notPorts', ports] as const])
      for (const name of [field, opposite]) yield { field: name, values: operation[name], path: ['to', i, 'operation', name], judge };
  }
  for (const [i, { source }] of from.entries()) {
    if (!source) continue;
    for (const pair of SOURCE)
      for (const name of pair)
        yield {
          field: name,
          values: source[name],
          path: ['from', i, 'source', name],
          judge: name.endsWith('rincipals') ? principalFault : innerStar,
        };
  }
}

/** What becomes of a policy of which a field never holds. */
export function effectOf({ spec: { action } }: Policy, field: string): string {
  if (field.startsWith('not')) return 'As it stands it excludes nothing.';
  if (action === 'ALLOW') return 'As it stands it allows nothing.';
  return action === 'DENY' ? 'As it stands it denies nothing, and what it is to refuse passes.' : 'As it stands it holds for nothing.';
}

/** A star stands for something at one end of a value alone. */
function innerStar(value: string): string | undefined {
  const literal = value.startsWith('*') ? value.slice(1) : value.replace(/\*$/, '');
  return literal.includes('*')
    ? 'a * stands for other characters at the beginning or the end of a value alone, and is taken for itself elsewhere. Write one value for each.'
    : undefined;
}

function methodFault(method: string): string | undefined {
  return /[a-z]/.test(method) ? `methods are written in capitals. Write ${method.toUpperCase()}.` : innerStar(method);
}

function pathFault(path: string): string | undefined {
  if (path.includes('{')) return undefined;
  if (path.includes('?')) return `the query is no part of the path. Write ${path.slice(0, path.indexOf('?'))}.`;
  if (!/^[/*]/.test(path)) return `paths begin with a slash. Write /${path}.`;
  return (
    innerStar(path) &&
    'a * stands for other characters at the beginning or the end of a path alone. Write {*} for one part of it, or {**} for any number of them.'
  );
}

function hostFault(host: string): string | undefined {
  const scheme = /^https?:\/\//.exec(host)?.[0];
  if (scheme) return `a host is written without ${scheme}. Write ${host.slice(scheme.length).replace(/\/.*/, '')}.`;
  return innerStar(host);
}

function principalFault(principal: string): string | undefined {
  return principal.startsWith('spiffe://')
    ? `principals are written without spiffe://. Write ${principal.slice('spiffe://'.length)}.`
    : innerStar(principal);
}

/** Policies compare the port at which the workload listens, which is often another than that of its Service: at gateways nearly always. */
function portJudge(context: Context, policy: Policy): Judge {
  return judgeOf(() => {
    const gateways = gatewaysOf(context, policy);
    const hostnames = [...gatewayServices(context)].filter(([, behind]) => behind.some((gateway) => gateways.includes(gateway)));
    const ofGateways = hostnames.flatMap(([hostname]) => context.services.at(hostname).flatMap((service) => service.ports));
    return [...ofGateways, ...servedPorts(context, policy)];
  });
}

/** `find`: few policies say anything of ports. */
function judgeOf(find: () => readonly ServicePort[]): Judge {
  const ports = once(find);
  return (value) => {
    const number = Number(value);
    const targets = [
      ...new Set(
        ports()
          .filter((port) => port.number === number)
          .map(({ targetPort }) => targetPort),
      ),
    ];
    if (targets.length !== 1 || ports().some(({ targetPort }) => targetPort === number)) return undefined;
    return `workloads listen on port ${targets[0]} for what comes to port ${value} of their Service, and policies compare the former. Write ${targets[0]}.`;
  };
}

/** The ports of the Services in front of the workloads that a policy selects. */
function servedPorts(context: Context, policy: SelectingPolicy): ServicePort[] {
  const pods = selectedBy(context, policy);
  const services = kept.get([context.registry], NO_INPUTS, () => selectingServices(context));
  return [...Map.groupBy(pods, (pod) => pod.namespace)].flatMap(([where, selected]) =>
    (services.get(where) ?? [])
      .filter((service) => selected.some((pod) => matchesLabels(service.selector, pod.labels)))
      .flatMap((service) => service.ports),
  );
}

const kept = new Memo<ReadonlyMap<string, readonly Service[]>>();

/** By namespace. */
function selectingServices({ registry }: Context): ReadonlyMap<string, readonly Service[]> {
  const selecting = registry.services.filter((service) => service.registry === 'Kubernetes' && Object.keys(service.selector).length > 0);
  return Map.groupBy(selecting, (service) => service.namespace);
}

/** SP1068 of PeerAuthentications: modes of ports at which no workload listens. */
export function peerPorts(context: Context): void {
  for (const policy of context.of('PeerAuthentication')) {
    const judge = judgeOf(() => servedPorts(context, policy));
    for (const [port, { mode }] of Object.entries(policy.spec.portLevelMtls)) {
      const fault = judge(port);
      if (fault === undefined) continue;
      context.report(
        'SP1068',
        policy,
        ['spec', 'portLevelMtls', port],
        `No call has ${port}: ${fault} As it stands ${mode} holds nowhere.`,
      );
    }
  }
}
