import type { Pod, ResourceOf } from '../../api/index.ts';
import { type Context, formatSelector, type Selectable } from '../context.ts';
import { namespaceInjection, podInjection, proxyContainer } from '../injection-state.ts';

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

/** Whether the files say that the workload gets no proxy: then no policy holds for it. */
function isOutOfMesh(context: Context, { namespace, labels, resource }: Selectable): boolean {
  const { annotations } = resource.metadata;
  const pod = resource.kind === 'Pod' ? (resource.spec as Pod) : (resource.spec as ResourceOf<'Deployment'>['spec']).template.spec;
  if (annotations['ambient.istio.io/redirection'] === 'enabled' || (pod && proxyContainer(pod))) return false;
  const said = podInjection(labels, annotations);
  if (said !== undefined) return !said;
  const owner = context.find('Namespace', '', namespace);
  return owner !== undefined && namespaceInjection(owner) === 'disabled';
}

/** Names in policies may begin or end with `*`. */
function matchesAny(pattern: string, names: ReadonlySet<string>): boolean {
  if (pattern === '*') return true;
  if (pattern.endsWith('*')) return [...names].some((name) => name.startsWith(pattern.slice(0, -1)));
  if (pattern.startsWith('*')) return [...names].some((name) => name.endsWith(pattern.slice(1)));
  return names.has(pattern);
}

/** IST0157: Telemetry without a provider, where the mesh has no default one. */
export function telemetryProviders(context: Context): void {
  const defaults = context.mesh.defaultProviders;
  for (const telemetry of context.of('Telemetry')) {
    for (const [i, tracing] of telemetry.spec.tracing.entries()) {
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
      context.report(
        'IST0157',
        telemetry,
        ['spec', 'accessLogging', i],
        'The Telemetry names no access log provider and the mesh has no default one: nothing is logged. Name one, e.g. envoy.',
      );
    }
  }
}
