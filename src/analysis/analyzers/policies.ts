import type { Pod, ResourceOf } from '../../api/index.ts';
import { withoutSidecar } from '../../api/injection.ts';
import { type Context, formatSelector, type Selectable } from '../context.ts';
import { gatewayPods } from './gateway.ts';

/** IST0127, IST0101 (namespace): AuthorizationPolicies that select nothing or name namespaces that do not exist. */
export function authorizationPolicies(context: Context): void {
  const namespaces = new Set(context.of('Namespace').map((namespace) => namespace.metadata.name));
  for (const policy of context.of('AuthorizationPolicy')) {
    const { namespace } = policy.metadata;
    const { selector, targetRef, targetRefs, rules } = policy.spec;
    if (!targetRef && targetRefs.length === 0) {
      const labels = selector?.matchLabels ?? {};
      const everywhere = namespace === context.mesh.rootNamespace;
      const found = everywhere ? context.select(labels) : context.selectIn(namespace, labels);
      const what = Object.keys(labels).length > 0 ? `labels ${formatSelector(labels)}` : `namespace ${namespace}`;
      if (found.length > 0 && found.every((workload) => isOutOfMesh(context, workload))) {
        context.report(
          'IST0127',
          policy,
          ['spec', 'selector'],
          `No matching workloads for this policy: those that are found by its ${what} are kept from having a sidecar, and without one nothing enforces the policy. Have them injected, or remove the policy.`,
        );
      } else if (found.length === 0) {
        context.report(
          'IST0127',
          policy,
          ['spec', 'selector'],
          `No matching workloads for this policy: none is found by its ${what}, so it protects nothing. Correct the selector, or deploy the workload.`,
        );
      }
    }
    outgoingHosts(context, policy);
    if (namespaces.size === 0) continue;
    for (const [i, rule] of rules.entries()) {
      for (const [j, { source }] of rule.from.entries()) {
        for (const field of ['namespaces', 'notNamespaces'] as const) {
          for (const [k, name] of (source?.[field] ?? []).entries()) {
            if (matchesAny(name, namespaces)) continue;
            const effect = field === 'namespaces' ? 'This source matches no caller by that name' : 'It leaves nobody out of this source';
            context.report(
              'IST0101',
              policy,
              ['spec', 'rules', i, 'from', j, 'source', field, k],
              `Referenced namespace not found: "${name}". ${effect}. Correct the name, or create the namespace.`,
            );
          }
        }
      }
    }
  }
}

/** IST0167: policies of workloads that name hosts outside the mesh: they are asked of calls that come in, never of those that go out. */
function outgoingHosts(context: Context, policy: ResourceOf<'AuthorizationPolicy'>): void {
  const { selector, targetRef, targetRefs, rules, action } = policy.spec;
  if (targetRef || targetRefs.length > 0) return;
  const labels = selector?.matchLabels ?? {};
  const { namespace } = policy.metadata;
  const found = namespace === context.mesh.rootNamespace ? context.select(labels) : context.selectIn(namespace, labels);
  const gateways = new Set(context.of('Gateway').flatMap((gateway) => gatewayPods(context, gateway)));
  // At a gateway calls to the outside come in, and their host is looked at.
  if (found.some((pod) => gateways.has(pod))) return;
  for (const [i, rule] of rules.entries()) {
    for (const [j, { operation }] of rule.to.entries()) {
      const hosts = (operation?.hosts ?? []).map((host) => host.toLowerCase());
      const outside = hosts.filter((host) => {
        const services = context.services.overlapping(host);
        return services.length > 0 && services.every(({ meshExternal }) => meshExternal);
      });
      if (outside.length === 0 || outside.length < hosts.length) continue;
      const instead =
        action === 'ALLOW' ? 'It allows nothing that comes in, and thereby refuses it all' : 'It keeps nobody from calling them';
      context.report(
        'IST0167',
        policy,
        ['spec', 'rules', i, 'to', j, 'operation', 'hosts'],
        `Ineffective: ${outside.join(', ')} ${outside.length > 1 ? 'are' : 'is'} outside the mesh, and a policy is asked of calls that come to a workload, not of those that leave it. ${instead}. To restrict calls to the outside lead them through an egress gateway and select its pods, or do not show the ServiceEntry to those who may not call (exportTo, Sidecar, with REGISTRY_ONLY).`,
      );
    }
  }
}

/** Whether the files say that the workload gets no proxy: then no policy holds for it. */

function spansProblem({ mesh }: Context, name: string | undefined): string | undefined {
  const provider = mesh.extensionProviders.find((each) => each.name.toLowerCase() === name?.toLowerCase());
  if (!provider || (provider.opentelemetry && !provider.opentelemetry.dynatraceSampler)) return undefined;
  const why = provider.opentelemetry ? 'has a sampler of Dynatrace' : 'is none of type opentelemetry';
  return `The tracing provider ${provider.name} ${why}: Sallyport’s proxies send it no spans. Use an extensionProvider of type opentelemetry, which most collectors take.`;
}

function isOutOfMesh(context: Context, { namespace, labels, resource }: Selectable): boolean {
  const { annotations } = resource.metadata;
  const pod = resource.kind === 'Pod' ? (resource.spec as Pod) : (resource.spec as ResourceOf<'Deployment'>['spec']).template.spec;
  if (annotations['ambient.istio.io/redirection'] === 'enabled') return false;
  return withoutSidecar({ pod, labels, annotations, namespace: context.find('Namespace', '', namespace) }) !== undefined;
}

/** Names in policies may begin or end with `*`. */
function matchesAny(pattern: string, names: ReadonlySet<string>): boolean {
  if (pattern === '*') return true;
  if (pattern.endsWith('*')) return [...names].some((name) => name.startsWith(pattern.slice(0, -1)));
  if (pattern.startsWith('*')) return [...names].some((name) => name.endsWith(pattern.slice(1)));
  return names.has(pattern);
}

/** SP1010: tracing by providers to which no spans are sent. IST0157: Telemetry without a provider, where the mesh has no default one. */
export function telemetryProviders(context: Context): void {
  const defaults = context.mesh.defaultProviders;
  for (const telemetry of context.of('Telemetry')) {
    for (const [i, tracing] of telemetry.spec.tracing.entries()) {
      // What turns something off asks for nothing that is missing here.
      const problem = tracing.disableSpanReporting
        ? undefined
        : spansProblem(context, tracing.providers[0]?.name ?? defaults?.tracing?.[0]);
      if (problem !== undefined) context.report('SP1010', telemetry, ['spec', 'tracing', i], problem);
      if (tracing.providers.length === 0 && !defaults?.tracing?.length && !tracing.disableSpanReporting) {
        context.report(
          'IST0157',
          telemetry,
          ['spec', 'tracing', i],
          'The Telemetry names no tracing provider and the mesh has no default one: no span is reported. Name one of the mesh’s extensionProviders.',
        );
      }
    }
    for (const [i, logging] of telemetry.spec.accessLogging.entries()) {
      if (logging.providers.length > 0 || defaults?.accessLogging?.length || context.mesh.accessLogFile || logging.disabled) continue;
      if (inheritsLogs(context, telemetry, i)) continue;
      context.report(
        'IST0157',
        telemetry,
        ['spec', 'accessLogging', i],
        'The Telemetry names no access log provider and the mesh has no default one: nothing is logged. Name one, e.g. envoy.',
      );
    }
  }
}

/** Whether the entry is for the providers that one before it, or a Telemetry for more workloads, names. */
function inheritsLogs(context: Context, { metadata, spec }: ResourceOf<'Telemetry'>, index: number): boolean {
  const names = (entries: ResourceOf<'Telemetry'>['spec']['accessLogging']) => entries.some(({ providers }) => providers.length > 0);
  const { rootNamespace } = context.mesh;
  const wider = context
    .of('Telemetry')
    .filter(
      (other) => !other.spec.selector && (other.metadata.namespace === rootNamespace || other.metadata.namespace === metadata.namespace),
    );
  return names(spec.accessLogging.slice(0, index)) || wider.some((other) => other.spec !== spec && names(other.spec.accessLogging));
}
