/** Which mutual TLS the ports of workloads take (PeerAuthentication). */
import type { MeshConfig, ResourceOf } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { type Labels, matchesLabels } from '../lib/labels.ts';
import { Memo } from '../lib/memo.ts';

type Policy = ResourceOf<'PeerAuthentication'>;

export type PeerMode = 'DISABLE' | 'PERMISSIVE' | 'STRICT';

export interface PeerDecision {
  readonly mode: PeerMode;
  /** Undefined where no policy decides. */
  readonly origin: Policy | undefined;
}

export interface PeerModes {
  /** `port`: of the workload, not of a service. */
  of(workload: { readonly namespace: string; readonly labels: Labels }, port: number): PeerDecision;
  /** Of all workloads of a namespace that have no policy of their own; undefined where no policy says. */
  ofNamespace(namespace: string): PeerMode | undefined;
}

const kept = new Memo<PeerModes>();

/** The same for as long as the policies are. */
export function peerModes({
  snapshot,
  config,
}: {
  readonly snapshot: Snapshot;
  readonly config: Pick<MeshConfig, 'rootNamespace'>;
}): PeerModes {
  const policies = snapshot.list('PeerAuthentication');
  return kept.get([policies, config.rootNamespace], [], () => modesOf(policies, config.rootNamespace));
}

/**
 * The oldest policy of each level counts: for the workload (one with a selector, which means nothing in the root namespace), for its namespace, for the
 * mesh. A level that states no mode leaves it to the next; ports are stated for workloads alone.
 */
function modesOf(policies: readonly Policy[], rootNamespace: string): PeerModes {
  const ofMesh = policies.find((each) => each.metadata.namespace === rootNamespace && !selective(each));
  const levels = (namespace: string) => {
    const own =
      namespace === rootNamespace ? undefined : policies.find((each) => each.metadata.namespace === namespace && !selective(each));
    return [own, ofMesh].filter((each) => each !== undefined);
  };
  const decided = (candidates: readonly Policy[]): PeerDecision | undefined => {
    for (const origin of candidates) {
      const mode = origin.spec.mtls?.mode ?? 'UNSET';
      if (mode !== 'UNSET') return { mode, origin };
    }
    return undefined;
  };
  return {
    of({ namespace, labels }, port) {
      const own =
        namespace === rootNamespace
          ? undefined
          : policies.find(
              (each) =>
                each.metadata.namespace === namespace && selective(each) && matchesLabels(each.spec.selector?.matchLabels ?? {}, labels),
            );
      const ofPort = own?.spec.portLevelMtls[String(port)]?.mode ?? 'UNSET';
      if (ofPort !== 'UNSET') return { mode: ofPort, origin: own };
      return decided(own ? [own, ...levels(namespace)] : levels(namespace)) ?? { mode: 'PERMISSIVE', origin: undefined };
    },
    ofNamespace: (namespace) => decided(levels(namespace))?.mode,
  };
}

function selective({ spec }: Policy): boolean {
  return Object.keys(spec.selector?.matchLabels ?? {}).length > 0;
}
