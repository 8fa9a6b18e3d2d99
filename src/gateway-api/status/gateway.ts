/** The status of a Gateway of ours. */
import { type Condition, conditionsFor } from '../../api/condition.ts';
import { GATEWAY_API } from '../../api/gateway-api/common.ts';
import type { ResourceOf } from '../../api/index.ts';
import type { GatewayOutcome, ListenerOutcome, ListenerSetOutcome } from '../gateways.ts';
import type { Context, ListenerProblem } from '../model.ts';
import { certificateProblem, clientAuthorityProblem } from './certificates.ts';
import type { GatewayAddress, ListenerStatus, WantedStatus } from './wanted.ts';

/** Which proxies serve a Gateway, as far as is known. */
export interface Infrastructure {
  readonly addresses: readonly GatewayAddress[];
  /** Why traffic does not get to a proxy there; undefined where it does. With the reason `InvalidParameters` it never will, as the Gateway is. */
  readonly problem?: Pick<Condition, 'reason' | 'message'> | undefined;
}

/** @param counts of routes, by listener */
export function gatewayStatus(
  context: Context,
  { gateway, listeners, sets }: GatewayOutcome,
  { addresses, problem }: Infrastructure,
  counts: ReadonlyMap<ListenerOutcome, number>,
): WantedStatus {
  const condition = conditionsFor(gateway);
  const found = judged(context, listeners);
  const invalid = found.filter(isInvalid);
  const unsupported = unsupportedAddress(gateway);
  const accepted = unsupported
    ? condition('Accepted', false, 'UnsupportedAddress', unsupported)
    : problem?.reason === 'InvalidParameters'
      ? condition('Accepted', false, problem.reason, problem.message)
      : // What a listener refers to may come at any time: the Gateway itself is well.
        acceptance(condition, invalid, invalid.filter(({ problem }) => problem!.condition !== 'ResolvedRefs').length < listeners.length);
  const programmed =
    accepted.status === 'False'
      ? condition('Programmed', false, 'Invalid', accepted.message)
      : problem
        ? condition('Programmed', false, problem.reason, problem.message)
        : condition('Programmed', true, 'Programmed', 'the proxies of this Gateway have its configuration');
  const { namespace, name } = gateway.metadata;
  const status = {
    addresses,
    conditions: [accepted, programmed],
    listeners: found.map(({ listener, problem: own }) => listenerStatus(listener, own, counts.get(listener) ?? 0, problem)),
    attachedListenerSets: sets.filter((set) => !isRefused(judged(context, set.listeners))).length,
  };
  return { kind: 'Gateway', namespace, name, status };
}

/** Of a set that a Gateway of ours takes. @param counts of routes, by listener */
export function listenerSetStatus(
  context: Context,
  { set, listeners }: ListenerSetOutcome,
  { problem }: Infrastructure,
  counts: ReadonlyMap<ListenerOutcome, number>,
): WantedStatus {
  const condition = conditionsFor(set);
  const found = judged(context, listeners);
  const invalid = found.filter(isInvalid);
  const accepted = acceptance(condition, invalid, !isRefused(found));
  const programmed =
    accepted.status === 'False'
      ? condition('Programmed', false, accepted.reason, accepted.message)
      : problem
        ? condition('Programmed', false, 'Pending', problem.message)
        : condition('Programmed', true, 'Programmed', 'the proxies of the Gateway have its configuration');
  const { namespace, name } = set.metadata;
  const status = {
    conditions: [accepted, programmed],
    listeners: found.map(({ listener, problem: own }) => listenerStatus(listener, own, counts.get(listener) ?? 0, problem)),
  };
  return { kind: 'ListenerSet', namespace, name, status };
}

/** Of a set that the Gateway does not take. */
export function refusedSetStatus(set: ResourceOf<'ListenerSet'>): WantedStatus {
  const condition = conditionsFor(set);
  const { parentRef, listeners } = set.spec;
  const { namespace, name } = set.metadata;
  const message = `Gateway ${parentRef.namespace ?? namespace}/${parentRef.name} takes no ListenerSets of this namespace (spec.allowedListeners).`;
  const conditions = [condition('Accepted', false, 'NotAllowed', message), condition('Programmed', false, 'NotAllowed', message)];
  const status = {
    conditions,
    listeners: listeners.map((listener) => ({ name: listener.name, supportedKinds: [], attachedRoutes: 0, conditions })),
  };
  return { kind: 'ListenerSet', namespace, name, status };
}

interface Judged {
  readonly listener: ListenerOutcome;
  readonly problem: ListenerProblem | undefined;
}

function judged(context: Context, listeners: readonly ListenerOutcome[]): Judged[] {
  return listeners.map((listener) => ({ listener, problem: listener.problem ?? secondLook(context, listener) }));
}

function isInvalid({ problem }: Judged): boolean {
  return problem !== undefined;
}

/** Of a set nothing is served. */
function isRefused(listeners: readonly Judged[]): boolean {
  return listeners.every(isInvalid);
}

type NewCondition = ReturnType<typeof conditionsFor>;

function acceptance(condition: NewCondition, invalid: readonly Judged[], accepted: boolean): Condition {
  if (invalid.length === 0) return condition('Accepted', true, 'Accepted', 'all of its listeners are served');
  const names = invalid.map(({ listener, problem }) => `${listener.listener.name}: ${problem!.message}`).join(' ');
  return condition('Accepted', accepted, 'ListenersNotValid', `not all of its listeners are served. ${names}`);
}

function unsupportedAddress({ spec }: ResourceOf<'KubernetesGateway'>): string | undefined {
  const other = spec.addresses.find(({ type }) => type !== 'Hostname' && type !== 'IPAddress');
  return other && `an address of type ${other.type} is not served: use Hostname with the name of a Service, or IPAddress.`;
}

/** What a listener refers to, as far as other objects say it. */
function secondLook(context: Context, { gateway, owner, listener, kinds }: ListenerOutcome): ListenerProblem | undefined {
  const unknown = listener.allowedRoutes.kinds.filter(
    ({ kind, group }) => group !== GATEWAY_API || !(kinds as readonly string[]).includes(kind),
  );
  if (unknown.length > 0) {
    const message = `it takes no routes of ${unknown.map(({ kind, group }) => `${group}/${kind}`).join(', ')}.`;
    return { condition: 'ResolvedRefs', reason: 'InvalidRouteKinds', message };
  }
  return certificateProblem(context, owner, listener) ?? clientAuthorityProblem(context, gateway, listener);
}

function listenerStatus(
  { owner, listener, kinds }: ListenerOutcome,
  problem: ListenerProblem | undefined,
  attachedRoutes: number,
  pending: Infrastructure['problem'],
): ListenerStatus {
  const condition = conditionsFor(owner);
  const of = (type: ListenerProblem['condition'], words: string) =>
    problem?.condition === type ? condition(type, false, problem.reason, problem.message) : condition(type, true, type, words);
  const conflict = problem?.condition === 'Conflicted' ? problem : undefined;
  const unaccepted = conflict?.reason ?? problem?.accepted;
  const accepted = unaccepted ? condition('Accepted', false, unaccepted, problem!.message) : of('Accepted', 'the listener is valid');
  // Some of its kinds being unknown keeps a listener from nothing.
  const served = !problem || (problem.reason === 'InvalidRouteKinds' && kinds.length > 0);
  return {
    name: listener.name,
    supportedKinds: problem?.condition === 'Accepted' ? [] : kinds.map((kind) => ({ group: GATEWAY_API, kind })),
    attachedRoutes,
    conditions: [
      accepted,
      conflict
        ? condition('Conflicted', true, conflict.reason, conflict.message)
        : condition('Conflicted', false, 'NoConflicts', 'it can be told from the other listeners'),
      !served
        ? condition('Programmed', false, conflict?.reason ?? 'Invalid', problem!.message)
        : pending
          ? condition('Programmed', false, 'Pending', pending.message)
          : condition('Programmed', true, 'Programmed', 'the proxies of the Gateway have it'),
      of('ResolvedRefs', 'all that it refers to is there'),
    ],
  };
}
