/** Calls, cut to what somebody may see: those of workloads there, without what is elsewhere. */
import type { Flow } from '../flows/flow.ts';
import { SPIFFE } from '../lib/spiffe.ts';
import { ELSEWHERE } from './cut.ts';
import { namespaceIn, type Sight } from './sight.ts';

/** Of the mesh, as MeshConfig has them. */
export interface FlowMesh {
  readonly trustDomain: string;
  /** Whose proxies everybody believes: whoever may write there decides about the whole mesh. */
  readonly rootNamespace: string;
}

/**
 * The call as somebody is told of it; undefined for one that they may not know of. Who called is what its proxy says: of callers of other namespaces than
 * its own it is believed where it is seen itself, or is of the root namespace. Else whoever has a gateway could show others what never was.
 */
export function cutFlow(flow: Flow, sight: Sight, mesh: FlowMesh): Flow | undefined {
  if (!sight.namespaces) return flow;
  const caller = callerNamespace(flow, mesh);
  const at = namespaceIn(flow.proxy);
  if (!sight.sees(caller) || (!sight.sees(at) && at !== mesh.rootNamespace)) return undefined;
  const { proxy, gateway, cluster, upstream, reason, route, responseCodeDetails, origins, process: _, ...rest } = flow;
  const name = (of: string) => (sight.sees(namespaceIn(of)) ? of : ELSEWHERE);
  const isElsewhere = name(proxy) === ELSEWHERE || (cluster !== undefined && sight.text(cluster) !== cluster);
  return {
    ...rest,
    proxy: name(proxy),
    ...(gateway !== undefined && { gateway: name(gateway) }),
    ...(!isElsewhere && { ...(cluster !== undefined && { cluster }), ...(upstream !== undefined && { upstream }) }),
    ...cutTexts({ reason, route, responseCodeDetails }, sight),
    ...(origins && { origins: origins.filter(({ namespace, file = '' }) => sight.sees(namespace) && sight.text(file) === file) }),
  };
}

type Texts = Pick<Flow, 'reason' | 'route' | 'responseCodeDetails'>;

function cutTexts(texts: Readonly<Record<keyof Texts, string | undefined>>, sight: Sight): Texts {
  return Object.fromEntries(Object.entries(texts).flatMap(([field, text]) => (text === undefined ? [] : [[field, sight.text(text)]])));
}

/** Empty where it is not known: a workload of another mesh, or one that a gateway could not tell. */
function callerNamespace({ workload, proxy, role }: Flow, { trustDomain }: FlowMesh): string {
  if (workload === undefined) return role === 'sidecar' ? namespaceIn(proxy) : '';
  const own = `${SPIFFE}${trustDomain}/ns/`;
  if (workload.startsWith(own)) return workload.slice(own.length).split('/')[0]!;
  return workload.includes(':') ? '' : namespaceIn(workload);
}

/** Whether calls that this proxy did not tell may have been theirs, and whether none else can have been. */
export function lossSeen(proxy: string, sight: Sight, { rootNamespace }: FlowMesh): 'counted' | 'uncounted' | 'none' {
  if (!sight.namespaces) return 'counted';
  const at = namespaceIn(proxy);
  if (!sight.sees(at)) return at === rootNamespace ? 'uncounted' : 'none';
  return 'counted';
}
