/** ListenerSets: listeners that stand beside those of a Gateway, and are served by its proxies. */
import { GATEWAY_API } from '../api/gateway-api/common.ts';
import type { KubernetesListener, ResourceOf } from '../api/index.ts';
import { type Context, createContext, type KubernetesGateway, type Objects } from './model.ts';
import { namespacesAllowed } from './namespaces.ts';

/** The sets that name a Gateway, oldest first. */
export function setsOf(context: Context, gateway: KubernetesGateway) {
  const { namespace, name } = gateway.metadata;
  const { from, selector } = gateway.spec.allowedListeners?.namespaces ?? { from: 'None' as const, selector: undefined };
  const allowed = from === 'None' ? new Set<string>() : namespacesAllowed(context, namespace, { from, selector });
  const named = context.objects.list('ListenerSet').filter((set) => parentOf(set) === `${namespace}/${name}`);
  const isTaken = ({ metadata }: ResourceOf<'ListenerSet'>) => allowed === undefined || allowed.has(metadata.namespace);
  const refusedSets = named.filter((set) => !isTaken(set));
  for (const set of refusedSets) {
    const message = `Gateway ${namespace}/${name} takes no ListenerSets of namespace ${set.metadata.namespace} (spec.allowedListeners), so nothing serves these listeners.`;
    context.report('SP0014', set, ['spec', 'parentRef'], message);
  }
  return { sets: named.filter(isTaken), refusedSets };
}

/** All listeners that a Gateway's proxies serve or refuse: those of the sets that it takes, and last, so that they count where ports are alike, its own. */
export function listenersOf(objects: Objects, gateway: KubernetesGateway): readonly KubernetesListener[] {
  return withSets(gateway, setsOf(createContext(objects).context, gateway).sets);
}

/** The same, of sets that are known. */
export function withSets(gateway: KubernetesGateway, sets: readonly ResourceOf<'ListenerSet'>[]): readonly KubernetesListener[] {
  return [...sets, gateway].flatMap(({ spec }) => spec.listeners);
}

/** `namespace/name` of the Gateway; undefined where the parent is something else. */
function parentOf({ metadata, spec: { parentRef } }: ResourceOf<'ListenerSet'>): string | undefined {
  const isGateway = parentRef.group === GATEWAY_API && parentRef.kind === 'Gateway';
  return isGateway ? `${parentRef.namespace ?? metadata.namespace}/${parentRef.name}` : undefined;
}

/** Tells of those whose Gateway is not there. */
export function reportStraySets(context: Context): void {
  for (const set of context.objects.list('ListenerSet')) {
    const parent = parentOf(set);
    const [namespace, name] = parent?.split('/') ?? [];
    if (parent !== undefined && context.objects.get('KubernetesGateway', namespace!, name!)) continue;
    const what =
      parent === undefined ? `${set.spec.parentRef.kind} takes no ListenerSets` : `there is no Gateway ${parent} of ${GATEWAY_API}`;
    context.report('SP0014', set, ['spec', 'parentRef'], `${what}, so nothing serves these listeners.`);
  }
}
