/** The workloads whose calls a configuration is about. */

import { Memo, NO_INPUTS } from '../lib/memo.ts';
import type { Caller } from '../registry/destination-rules.ts';
import { gatewayPods } from './analyzers/gateway.ts';
import type { Context, Selectable } from './context.ts';

const kept = {
  workloads: new Memo<readonly Selectable[]>(),
  callers: new Memo<readonly Caller[]>(),
  possible: new Memo<readonly Caller[]>(),
};

/** The workloads of the files beside gateways' and the installation's own: none where the files describe routing alone. Made once for a context. */
export function workloadsOf(context: Context): readonly Selectable[] {
  return kept.workloads.get([context], NO_INPUTS, () => {
    const served = new Set(context.of('Gateway').flatMap((gateway) => gatewayPods(context, gateway)));
    return context.pods.filter((pod) => !served.has(pod) && pod.namespace !== context.mesh.rootNamespace);
  });
}

/** One workload for each namespace that has any; of files without workloads one that stands for those of `own`. */
export function callersOf(context: Context, own: string): readonly Caller[] {
  const callers = kept.callers.get([context], NO_INPUTS, () => [
    ...new Map(workloadsOf(context).map((pod) => [pod.namespace, pod])).values(),
  ]);
  return callers.length > 0 ? callers : [{ namespace: own, labels: {} }];
}

/**
 * The workloads that a configuration tells apart by their namespace and by the labels that something selects by: those of the files, and of files without
 * workloads such as there may be, where some object is or is shown. (Who may put workloads beside the gateways may change these as well.)
 */
export function possibleCallers(context: Context): readonly Caller[] {
  return kept.possible.get([context], NO_INPUTS, () => findCallers(context));
}

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
