/** The workloads whose calls a configuration is about. */

import { hostCovers } from '../lib/hostname.ts';
import type { Caller } from '../registry/destination-rules.ts';
import type { Service } from '../registry/model.ts';
import { sidecarImport } from '../registry/sidecar-import.ts';
import { isVisible } from '../registry/visibility.ts';
import { gatewayPods } from './analyzers/gateway.ts';
import { type Context, matchesLabels, type Selectable } from './context.ts';

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

/** Whether there may be a workload that is served the service: false where the files have workloads and none of them sees and imports it. */
export function isServedToAnyone(context: Context, service: Service): boolean {
  const workloads = workloadsOf(context);
  return (
    workloads.length === 0 ||
    workloads.some((pod) => isVisible(service.exportTo, service.namespace, pod.namespace) && imports(context, pod, service))
  );
}

/** Whether the Sidecar that a workload follows imports the service; everything is imported without one. */
function imports(context: Context, pod: Selectable, service: Service): boolean {
  const sidecars = context.of('Sidecar');
  const own = sidecars.filter(({ metadata }) => metadata.namespace === pod.namespace);
  const selecting = own.find(({ spec }) => spec.workloadSelector && matchesLabels(spec.workloadSelector.labels, pod.labels));
  const sidecar =
    selecting ??
    own.find(({ spec }) => !spec.workloadSelector) ??
    sidecars.find(({ metadata, spec }) => metadata.namespace === context.mesh.rootNamespace && !spec.workloadSelector);
  if (!sidecar || sidecar.spec.egress.length === 0) return true;
  return sidecar.spec.egress.some(({ hosts }) =>
    hosts
      .map((text) => sidecarImport(text, pod.namespace))
      .some((each) => each.takes(service.namespace) && hostCovers(each.host, service.hostname)),
  );
}
