/** Which Telemetry holds for a proxy: the one of the root namespace, the one of its own, and those that select its labels, the narrower last. */
import type { ResourceOf } from '../api/index.ts';
import { matchesLabels } from '../lib/labels.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';

type Telemetry = ResourceOf<'Telemetry'>;

export function applicableTelemetry({ namespace, labels }: ProxyIdentity, all: readonly Telemetry[], rootNamespace: string): Telemetry[] {
  if (all.length === 0) return [];
  // One that is attached to something is for proxies that Istio deploys itself.
  const own = all.filter(({ spec }) => !spec.targetRef && spec.targetRefs.length === 0);
  const selector = ({ spec }: Telemetry) => spec.selector?.matchLabels ?? {};
  // Of several for a whole namespace the oldest counts.
  const wide = (where: string) => own.find((each) => each.metadata.namespace === where && Object.keys(selector(each)).length === 0);
  const narrow = own.filter((each) => each.metadata.namespace === namespace && Object.keys(selector(each)).length > 0);
  const spaces = namespace === rootNamespace ? [rootNamespace] : [rootNamespace, namespace];
  return [...spaces.flatMap((each) => wide(each) ?? []), ...narrow.filter((each) => matchesLabels(selector(each), labels))];
}
