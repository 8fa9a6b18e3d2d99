/** What the objects of the Kubernetes Gateway API are to be told of themselves: their statuses, of one snapshot. Pure. */
import type { ResourceOf } from '../../api/index.ts';
import { deriveGateways, type ListenerOutcome, listenersKey } from '../gateways.ts';
import { createContext, type ListenerOwner, type Objects, type Route } from '../model.ts';
import { gatewayStatus, type Infrastructure, listenerSetStatus, refusedSetStatus } from './gateway.ts';
import { classStatus } from './gateway-class.ts';
import { policyStatuses } from './policy.ts';
import { attachedTo, routeStatus } from './route.ts';
import type { WantedStatus } from './wanted.ts';

export type { Infrastructure } from './gateway.ts';
export { type GatewayAddress, STATUS_KINDS, type StatusFields, type StatusKind, type WantedStatus } from './wanted.ts';

export interface StatusOptions {
  /** The statuses of Gateways of this controller's classes alone, and of what is attached to them, are said. */
  readonly controller: string;
  /** Which proxies serve a Gateway. */
  readonly infrastructure: (gateway: ResourceOf<'KubernetesGateway'>) => Infrastructure;
  /** Why the parameters of a class cannot be had; undefined where they can, or where there are none. */
  readonly classProblem: (resource: ResourceOf<'GatewayClass'>) => string | undefined;
}

export function gatewayApiStatuses(objects: Objects, options: StatusOptions): WantedStatus[] {
  const { context } = createContext(objects);
  const classes = objects.list('GatewayClass').filter(({ spec }) => spec.controllerName === options.controller);
  const names = new Set(classes.map(({ metadata }) => metadata.name));
  const outcomes = deriveGateways(context).outcomes.filter(({ gateway }) => names.has(gateway.spec.gatewayClassName));
  const listeners = new Map<string, readonly ListenerOutcome[]>(
    outcomes.flatMap(({ gateway, listeners, sets }) => [
      [keyOf(gateway), listeners] as const,
      ...sets.map((each) => [keyOf(each.set), each.listeners] as const),
    ]),
  );
  const routes: readonly Route[] = [
    ...objects.list('HTTPRoute'),
    ...objects.list('GRPCRoute'),
    ...objects.list('TLSRoute'),
    ...objects.list('TCPRoute'),
  ];
  const attached = attachedTo(context, routes, listeners);
  return [
    ...classes.map((each) => classStatus(each, options.classProblem(each))),
    ...outcomes.flatMap((outcome) => {
      const infrastructure = options.infrastructure(outcome.gateway);
      return [
        gatewayStatus(context, outcome, infrastructure, attached.counts),
        ...outcome.sets.map((set) => listenerSetStatus(context, set, infrastructure, attached.counts)),
        ...outcome.refusedSets.map(refusedSetStatus),
      ];
    }),
    ...attached.routes.flatMap((each) => routeStatus(context, each)),
    ...policyStatuses(context, attached),
  ];
}

function keyOf({ kind, metadata }: ListenerOwner): string {
  return listenersKey(kind, metadata.namespace, metadata.name);
}
