/** BackendTLSPolicies as DestinationRules. */
import { derive, type Locate } from '../api/derived.ts';
import type { ResourceOf } from '../api/index.ts';
import type { PathStep } from '../api/resource.ts';
import { authorityFault } from './authorities.ts';
import { serviceHost } from './hosts.ts';
import { type Context, DERIVED_SUFFIX, type Objects } from './model.ts';

type Policy = ResourceOf<'BackendTLSPolicy'>;

/** Why a policy does not hold, as its status says it. */
export interface PolicyProblem {
  readonly reason: string;
  readonly message: string;
}

export interface PolicyProblems {
  readonly accepted?: PolicyProblem;
  readonly resolved?: PolicyProblem;
}

/** What the policies of a namespace say of one host: of all of its ports, and of some. */
interface Draft {
  readonly first: Policy;
  readonly name: string;
  readonly host: string;
  whole: { readonly policy: Policy; readonly tls: object } | undefined;
  readonly ports: { readonly policy: Policy; readonly number: number; readonly tls: object }[];
}

/** One rule for each host: of several for one host only the oldest would hold. */
export function deriveBackendTls(context: Context): ResourceOf<'DestinationRule'>[] {
  const policies = context.objects.list('BackendTLSPolicy');
  const conflicts = conflictsAmong(policies);
  const drafts = new Map<string, Draft>();
  for (const policy of policies) {
    policy.spec.targetRefs.forEach((target, index) => {
      const path = ['spec', 'targetRefs', index];
      const older = conflicts.get(target);
      if (older) {
        context.report('SP0014', policy, path, older);
        return;
      }
      const tls = tlsOf(context, policy);
      const backend = targetOf(context, policy, target, path);
      backend?.hosts.forEach((host, at) => {
        const key = `${policy.metadata.namespace} ${host}`;
        const name = `${policy.metadata.name}-${index}-${at}-${DERIVED_SUFFIX}`;
        const draft: Draft = drafts.get(key) ?? { first: policy, name, host, whole: undefined, ports: [] };
        drafts.set(key, draft);
        if (backend.port === undefined) draft.whole ??= { policy, tls };
        else draft.ports.push({ policy, number: backend.port, tls });
      });
    });
  }
  return [...drafts.values()].map(ruleOf);
}

function ruleOf({ first, name, host, whole, ports }: Draft): ResourceOf<'DestinationRule'> {
  const trafficPolicy = {
    ...(whole && { tls: whole.tls }),
    ...(ports.length > 0 && { portLevelSettings: ports.map(({ number, tls }) => ({ port: { number }, tls })) }),
  };
  const locate: Locate = ([top, , list, index]) => {
    const port = list === 'portLevelSettings' && typeof index === 'number' ? ports[index] : undefined;
    return { resource: port?.policy ?? whole?.policy ?? first, path: top === 'metadata' ? ['metadata'] : [] };
  };
  return derive(first, { kind: 'DestinationRule', name, spec: { host, trafficPolicy }, locate });
}

type Target = Policy['spec']['targetRefs'][number];

/** Of several policies for one target (and section) the older counts: what is to be said of the others. */
function conflictsAmong(policies: readonly Policy[]): Map<Target, string> {
  const taken = new Map<string, Policy>();
  const conflicts = new Map<Target, string>();
  for (const policy of policies) {
    for (const target of policy.spec.targetRefs) {
      const key = [policy.metadata.namespace, target.group, target.kind, target.name, target.sectionName ?? ''].join('/');
      const older = taken.get(key);
      if (older)
        conflicts.set(target, `BackendTLSPolicy ${older.metadata.name} is older and holds for ${target.kind} ${target.name} already.`);
      else taken.set(key, policy);
    }
  }
  return conflicts;
}

/** Of every policy that does not hold as it stands. */
export function policyProblems({ objects }: Pick<Context, 'objects'>): Map<Policy, PolicyProblems> {
  const policies = objects.list('BackendTLSPolicy');
  const conflicts = conflictsAmong(policies);
  const found = new Map<Policy, PolicyProblems>();
  for (const policy of policies) {
    const conflict = policy.spec.targetRefs.map((target) => conflicts.get(target)).find((each) => each !== undefined);
    const authority = authorityProblem(policy) ?? missingAuthority(objects, policy);
    if (authority) {
      const { reason, message } = authority;
      found.set(policy, { accepted: { reason: 'NoValidCACertificate', message }, resolved: { reason, message } });
    } else if (conflict !== undefined) found.set(policy, { accepted: { reason: 'Conflicted', message: conflict } });
  }
  return found;
}

/** No Secret has such a name, so that connections are refused which are to be verified by something that is not to be had. */
const NO_AUTHORITY = 'No-Authority';

function tlsOf(context: Context, policy: Policy): object {
  const { hostname, subjectAltNames, caCertificateRefs, wellKnownCACertificates } = policy.spec.validation;
  const names = subjectAltNames.map((name) => (name.type === 'URI' ? name.uri! : name.hostname!));
  // Without names of its own the hostname has to be the certificate's, as the Gateway API says; Istio takes any then.
  const tls = { mode: 'SIMPLE', sni: hostname, subjectAltNames: names.length > 0 ? names : [hostname] };
  const problem = authorityProblem(policy);
  if (problem) {
    context.report('SP0014', policy, ['spec', 'validation', ...problem.path], `${problem.message} Connections to its targets are refused.`);
    return { ...tls, credentialName: `kubernetes-gateway://${policy.metadata.namespace}/${NO_AUTHORITY}` };
  }
  if (wellKnownCACertificates !== undefined) return { ...tls, caCertificates: 'system' };
  const [authority] = caCertificateRefs;
  const scheme = authority!.kind === 'ConfigMap' ? 'configmap' : 'kubernetes-gateway';
  return { ...tls, credentialName: `${scheme}://${policy.metadata.namespace}/${authority!.name}` };
}

/** What is wrong with how the policy says whom it trusts. */
function authorityProblem({ spec }: Policy): (PolicyProblem & { readonly path: readonly PathStep[] }) | undefined {
  const { caCertificateRefs, wellKnownCACertificates } = spec.validation;
  if (wellKnownCACertificates !== undefined) {
    if (wellKnownCACertificates === 'System') return undefined;
    const message = `${wellKnownCACertificates} is not known: it is System.`;
    return { reason: 'Invalid', message, path: ['wellKnownCACertificates'] };
  }
  const path = ['caCertificateRefs'];
  const [authority, ...more] = caCertificateRefs;
  const known = authority?.group === '' && (authority.kind === 'ConfigMap' || authority.kind === 'Secret');
  if (authority && !known) return { reason: 'InvalidKind', message: 'one ConfigMap or Secret is supported here.', path };
  if (authority && more.length === 0) return undefined;
  return { reason: 'InvalidCACertificateRef', message: 'one ConfigMap or Secret is supported here.', path };
}

function missingAuthority(objects: Objects, { spec, metadata: { namespace } }: Policy): PolicyProblem | undefined {
  const [authority] = spec.validation.caCertificateRefs;
  if (!authority) return undefined;
  const fault = authorityFault(objects, { kind: authority.kind, namespace, name: authority.name });
  return fault === undefined
    ? undefined
    : { reason: 'InvalidCACertificateRef', message: `${fault}. Connections to the targets are refused.` };
}

interface Backend {
  readonly hosts: readonly string[];
  /** Where the reference names a port. */
  readonly port: number | undefined;
}

function targetOf(
  context: Context,
  policy: Policy,
  target: Policy['spec']['targetRefs'][number],
  path: readonly PathStep[],
): Backend | undefined {
  const refuse = (message: string): undefined => context.report('SP0014', policy, path, message) as undefined;
  const { namespace } = policy.metadata;
  const known = `${target.group}/${target.kind}`;
  const section = (ports: readonly { readonly name: string; readonly number: number }[]) =>
    target.sectionName === undefined ? undefined : ports.find(({ name }) => name === target.sectionName);
  if (known === '/Service') {
    const service = context.objects.get('Service', namespace, target.name);
    if (!service) return refuse(`there is no Service ${namespace}/${target.name}: the policy has no effect.`);
    const found = section(service.spec.ports.map(({ name, port }) => ({ name, number: port })));
    if (target.sectionName && !found) return refuse(`Service ${target.name} has no port ${target.sectionName}.`);
    return { hosts: [serviceHost(target.name, namespace)], port: found?.number };
  }
  if (known === 'networking.istio.io/ServiceEntry') {
    const entry = context.objects.get('ServiceEntry', namespace, target.name);
    if (!entry) return refuse(`there is no ServiceEntry ${namespace}/${target.name}: the policy has no effect.`);
    const found = section(entry.spec.ports);
    if (target.sectionName && !found) return refuse(`ServiceEntry ${target.name} has no port ${target.sectionName}.`);
    return { hosts: entry.spec.hosts, port: found?.number };
  }
  return refuse(`a BackendTLSPolicy holds for a Service or a ServiceEntry, not for ${known}: it has no effect.`);
}
