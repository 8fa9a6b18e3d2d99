import { namespaceInjection } from '../../api/injection.ts';
import type { Resource } from '../../api/resource.ts';
import { type Context, formatSelector, type Selectable } from '../context.ts';
import type { Code } from '../messages.ts';

interface Selecting {
  readonly resource: Resource;
  readonly selector: Readonly<Record<string, string>>;
  readonly path: readonly string[];
}

/** IST0101 (selector), IST0110, IST0111: Sidecars that select nothing, or the same workload. */
export function sidecarSelectors(context: Context): void {
  const sidecars = context.of('Sidecar').map((resource) => ({
    resource,
    selector: resource.spec.workloadSelector?.labels ?? {},
    path: ['spec', 'workloadSelector', 'labels'],
  }));
  reportUnmatched(context, sidecars);
  reportConflicts(context, 'Sidecar', sidecars, 'IST0110', 'IST0111');
}

/** IST0167: Sidecars for workloads of ambient mode, which have no sidecar to configure. */
export function ambientSidecars(context: Context): void {
  for (const sidecar of context.of('Sidecar')) {
    const { namespace } = sidecar.metadata;
    const labels = sidecar.spec.workloadSelector?.labels ?? {};
    const owner = context.find('Namespace', '', namespace);
    const pod = context.selectIn(namespace, labels).find(({ resource }) => resource.metadata.annotations[REDIRECTION] === 'enabled');
    if (!pod && !(owner && namespaceInjection(owner) === 'ambient')) continue;
    context.report(
      'IST0167',
      sidecar,
      ['metadata', 'name'],
      `Ineffective: ${pod ? `pod ${namespace}/${pod.resource.metadata.name} runs` : `namespace ${namespace} runs its pods`} in ambient mode, without a sidecar, so nothing follows this Sidecar: neither its hosts nor its outboundTrafficPolicy hold. Keep such workloads in by a waypoint and NetworkPolicies, or inject sidecars.`,
    );
  }
}

const REDIRECTION = 'ambient.istio.io/redirection';

/** IST0101 (selector), IST0159, IST0160: the same for Telemetry. */
export function telemetrySelectors(context: Context): void {
  const all = context.of('Telemetry').filter(({ spec }) => !spec.targetRef && spec.targetRefs.length === 0);
  const telemetries = all.map((resource) => ({
    resource,
    selector: resource.spec.selector?.matchLabels ?? {},
    path: ['spec', 'selector', 'matchLabels'],
  }));
  reportUnmatched(context, telemetries);
  reportConflicts(context, 'Telemetry', telemetries, 'IST0159', 'IST0160');
}

function hasSelector({ selector }: Selecting): boolean {
  return Object.keys(selector).length > 0;
}

function reportUnmatched(context: Context, list: readonly Selecting[]): void {
  for (const item of list) {
    const { namespace } = item.resource.metadata;
    if (!hasSelector(item) || context.selectIn(namespace, item.selector).length > 0) continue;
    context.report(
      'IST0101',
      item.resource,
      item.path,
      `Referenced selector not found: "${formatSelector(item.selector)}". No workload of namespace ${namespace} has these labels, so the object has no effect. Correct the labels, or deploy the workload.`,
    );
  }
}

const PLURALS = { Sidecar: 'Sidecars', Telemetry: 'Telemetries' } as const;

function reportConflicts(
  context: Context,
  kind: keyof typeof PLURALS,
  list: readonly Selecting[],
  sameWorkload: Code,
  several: Code,
): void {
  const rivalsOf = rivalsIn(context, list);
  for (const item of list) {
    const { namespace } = item.resource.metadata;
    const conflicting = rivalsOf(item).filter((other) => other !== item);
    if (conflicting.length === 0) continue;
    const names = conflicting
      .map((other) => other.resource.metadata.name)
      .sort()
      .join(', ');
    context.report(
      hasSelector(item) ? sameWorkload : several,
      item.resource,
      hasSelector(item) ? item.path : ['metadata', 'name'],
      hasSelector(item)
        ? `The ${PLURALS[kind]} ${names} of namespace ${namespace} select some of the same workloads (${formatSelector(item.selector)}): only one of them is in force for each. Make the selectors disjoint.`
        : `Namespace ${namespace} has further ${PLURALS[kind]} without a selector (${names}): only one of them is in force. Keep one.`,
    );
  }
}

/** Finds the objects that select some of the same workloads, or nothing, as one of the list does: those with equal selectors are looked at together. */
function rivalsIn(context: Context, list: readonly Selecting[]): (item: Selecting) => readonly Selecting[] {
  const keyOf = ({ resource, selector }: Selecting) => `${resource.metadata.namespace}/${formatSelector(selector)}`;
  const alike = Map.groupBy(list, keyOf);
  const selected = ([first]: readonly Selecting[]) =>
    hasSelector(first!) ? context.selectIn(first!.resource.metadata.namespace, first!.selector) : [];
  const selecting = new Map<Selectable, string[]>();
  for (const [key, items] of alike) {
    for (const pod of selected(items)) {
      const keys = selecting.get(pod);
      if (keys) keys.push(key);
      else selecting.set(pod, [key]);
    }
  }
  const rivals = new Map<string, readonly Selecting[]>();
  for (const [key, items] of alike) {
    const keys = new Set<string>();
    for (const pod of selected(items)) for (const other of selecting.get(pod)!) keys.add(other);
    rivals.set(key, hasSelector(items[0]!) ? [...keys].flatMap((other) => alike.get(other)!) : items);
  }
  return (item) => rivals.get(keyOf(item))!;
}
