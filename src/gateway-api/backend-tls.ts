/** BackendTLSPolicies as DestinationRules. */
import type { ResourceOf } from '../api/index.ts';
import type { PathStep } from '../api/resource.ts';
import { derive } from './derived.ts';
import { serviceHost } from './hosts.ts';
import { type Context, DERIVED_SUFFIX } from './model.ts';

type Policy = ResourceOf<'BackendTLSPolicy'>;

export function deriveBackendTls(context: Context): ResourceOf<'DestinationRule'>[] {
  // Of several policies for one target (and section) the older counts.
  const taken = new Map<string, Policy>();
  return context.objects.list('BackendTLSPolicy').flatMap((policy) =>
    policy.spec.targetRefs.flatMap((target, index) => {
      const path = ['spec', 'targetRefs', index];
      const key = [policy.metadata.namespace, target.group, target.kind, target.name, target.sectionName ?? ''].join('/');
      const older = taken.get(key);
      if (older) {
        context.report(
          'SP0014',
          policy,
          path,
          `BackendTLSPolicy ${older.metadata.name} is older and holds for ${target.kind} ${target.name} already.`,
        );
        return [];
      }
      taken.set(key, policy);
      const tls = tlsOf(context, policy);
      const backend = tls && targetOf(context, policy, target, path);
      if (!backend) return [];
      const trafficPolicy = backend.port === undefined ? { tls } : { portLevelSettings: [{ port: { number: backend.port }, tls }] };
      return backend.hosts.map((host, at) => {
        const name = `${policy.metadata.name}-${index}-${at}-${DERIVED_SUFFIX}`;
        return derive(policy, { kind: 'DestinationRule', name, spec: { host, trafficPolicy } });
      });
    }),
  );
}

function tlsOf(context: Context, policy: Policy): object | undefined {
  const { hostname, subjectAltNames, caCertificateRefs, wellKnownCACertificates } = policy.spec.validation;
  const path = ['spec', 'validation'];
  const names = subjectAltNames.map((name) => (name.type === 'URI' ? name.uri! : name.hostname!));
  const tls = { mode: 'SIMPLE', sni: hostname, subjectAltNames: names };
  if (wellKnownCACertificates !== undefined) {
    if (wellKnownCACertificates === 'System') return { ...tls, caCertificates: 'system' };
    context.report(
      'SP0014',
      policy,
      [...path, 'wellKnownCACertificates'],
      `${wellKnownCACertificates} is not known: it is System. The policy has no effect.`,
    );
    return undefined;
  }
  const [authority, ...more] = caCertificateRefs;
  if (!authority || more.length > 0 || authority.group !== '' || (authority.kind !== 'ConfigMap' && authority.kind !== 'Secret')) {
    context.report(
      'SP0014',
      policy,
      [...path, 'caCertificateRefs'],
      'one ConfigMap or Secret is supported here. The policy has no effect.',
    );
    return undefined;
  }
  const scheme = authority.kind === 'ConfigMap' ? 'configmap' : 'kubernetes-gateway';
  return { ...tls, credentialName: `${scheme}://${policy.metadata.namespace}/${authority.name}` };
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
