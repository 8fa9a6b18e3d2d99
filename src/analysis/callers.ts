/** The workloads whose calls a configuration is about. */

import type { Caller } from '../registry/destination-rules.ts';
import { gatewayPods } from './analyzers/gateway.ts';
import type { Context, Selectable } from './context.ts';

/** The workloads of the files beside gateways' and the installation's own: none where the files describe routing alone. Made once for a context. */
export function workloadsOf(context: Context): readonly Selectable[] {
  let workloads = WORKLOADS.get(context);
  if (!workloads) {
    const served = new Set(context.of('Gateway').flatMap((gateway) => gatewayPods(context, gateway)));
    workloads = context.pods.filter((pod) => !served.has(pod) && pod.namespace !== context.mesh.rootNamespace);
    WORKLOADS.set(context, workloads);
  }
  return workloads;
}

const WORKLOADS = new WeakMap<Context, readonly Selectable[]>();

/** One workload for each namespace that has any; of files without workloads one that stands for those of `own`. */
export function callersOf(context: Context, own: string): readonly Caller[] {
  let callers = CALLERS.get(context);
  if (!callers) {
    callers = [...new Map(workloadsOf(context).map((pod) => [pod.namespace, pod])).values()];
    CALLERS.set(context, callers);
  }
  return callers.length > 0 ? callers : [{ namespace: own, labels: {} }];
}

const CALLERS = new WeakMap<Context, readonly Caller[]>();

/**
 * The workloads that a configuration tells apart by their namespace and by the labels that something selects by: those of the files, and of files without
 * workloads such as there may be, where some object is or is shown. (Who may put workloads beside the gateways may change these as well.)
 */
export function possibleCallers(context: Context): readonly Caller[] {
  let callers = POSSIBLE.get(context);
  if (!callers) {
    callers = findCallers(context);
    POSSIBLE.set(context, callers);
  }
  return callers;
}

const POSSIBLE = new WeakMap<Context, readonly Caller[]>();

function findCallers(context: Context): Caller[] {
  const selectors = selectorsOf(context);
  const keys = [...new Set(selectors.flatMap((selector) => Object.keys(selector)))].sort();
  const workloads = workloadsOf(context);
  // Deployments are rarely all that there is.
  const possible = workloads.some(({ resource }) => resource.kind === 'Pod')
    ? []
    : possibleNamespaces(context).flatMap((namespace) => [{}, ...selectors].map((labels) => ({ namespace, labels })));
  const callers: readonly Caller[] = [...workloads.map(({ namespace, labels }) => ({ namespace, labels })), ...possible];
  const distinct = new Map<string, Caller>();
  for (const caller of callers) {
    const labels = Object.fromEntries(keys.flatMap((name) => (caller.labels[name] === undefined ? [] : [[name, caller.labels[name]]])));
    const key = JSON.stringify([caller.namespace, labels]);
    if (!distinct.has(key)) distinct.set(key, { namespace: caller.namespace, labels });
  }
  return [...distinct.values()];
}

/** Labels by which objects choose the workloads whose calls they concern. */
function selectorsOf(context: Context): Readonly<Record<string, string>>[] {
  const all = [
    ...context.of('Sidecar').map(({ spec }) => spec.workloadSelector?.labels),
    ...context.of('DestinationRule').map(({ spec }) => spec.workloadSelector?.matchLabels),
    ...context
      .of('VirtualService')
      .flatMap(({ spec }) =>
        [...spec.http, ...spec.tls, ...spec.tcp].flatMap(({ match }) => match.map(({ sourceLabels }) => sourceLabels)),
      ),
  ];
  return all.filter((labels) => labels !== undefined && Object.keys(labels).length > 0) as Readonly<Record<string, string>>[];
}

const NAMING = ['ServiceEntry', 'VirtualService', 'DestinationRule', 'Sidecar', 'Gateway'] as const;

function possibleNamespaces(context: Context): string[] {
  const closed = new Set([
    context.mesh.rootNamespace,
    ...context.of('Gateway').flatMap((gateway) => gatewayPods(context, gateway).map(({ namespace }) => namespace)),
  ]);
  const found = new Set<string>(NAMING.flatMap((kind) => context.of(kind).map(({ metadata }) => metadata.namespace)));
  for (const kind of ['ServiceEntry', 'VirtualService', 'DestinationRule'] as const) {
    for (const { spec } of context.of(kind)) for (const name of spec.exportTo) found.add(name);
  }
  for (const { spec } of context.of('VirtualService')) {
    for (const { match } of [...spec.http, ...spec.tls, ...spec.tcp])
      for (const each of match) if (each.sourceNamespace) found.add(each.sourceNamespace);
  }
  const names = [...found].filter((name) => /^[a-z0-9]/.test(name) && !closed.has(name)).sort();
  return names.length > 0 ? names : ['default'];
}
