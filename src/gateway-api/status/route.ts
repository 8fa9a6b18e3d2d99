/** The statuses of routes: what each of their parents makes of them. */
import { conditionsFor } from '../../api/condition.ts';
import type { BackendObjectReference } from '../../api/gateway-api/common.ts';
import { type BackendProblem, backendProblem } from '../backends.ts';
import type { ListenerOutcome } from '../gateways.ts';
import type { Context, Route } from '../model.ts';
import { type ParentOutcome, parentOutcomes } from '../parents.ts';
import type { ParentStatus, WantedStatus } from './wanted.ts';

export interface RouteOutcome {
  readonly route: Route;
  readonly parents: readonly ParentOutcome<ListenerOutcome>[];
}

export interface Attached {
  readonly routes: readonly RouteOutcome[];
  /** How many routes each listener has. */
  readonly counts: ReadonlyMap<ListenerOutcome, number>;
}

export function attachedTo(context: Context, all: readonly Route[], listeners: ReadonlyMap<string, readonly ListenerOutcome[]>): Attached {
  const counts = new Map<ListenerOutcome, number>();
  const routes = all.map((route) => {
    const parents = parentOutcomes(context, route, listeners);
    const to = new Set(
      parents.flatMap(({ attachments }) => attachments.flatMap((each) => (each.kind === 'listener' ? [each.listener] : []))),
    );
    for (const listener of to) counts.set(listener, (counts.get(listener) ?? 0) + 1);
    return { route, parents };
  });
  return { routes, counts };
}

/** None where no parent is ours, unless it was: then what was said of it has to go. */
export function routeStatus(context: Context, { route, parents }: RouteOutcome): WantedStatus[] {
  const ours = parents.filter(({ foreign }) => !foreign);
  const { namespace, name } = route.metadata;
  return [{ kind: route.kind, namespace, name, status: { parents: ours.map((parent) => parentStatus(context, route, parent)) } }];
}

function parentStatus(context: Context, route: Route, { parent, refused, attachments }: ParentOutcome<ListenerOutcome>): ParentStatus {
  const condition = conditionsFor(route);
  const onMesh = attachments.some(({ kind }) => kind === 'mesh');
  const problem = referenceProblem(onMesh ? { ...context, onMesh } : context, route);
  const { group, kind, name, namespace, sectionName, port } = parent;
  const said = {
    group,
    kind,
    name,
    ...(namespace !== undefined && { namespace }),
    ...(sectionName !== undefined && { sectionName }),
    ...(port !== undefined && { port }),
  };
  return {
    ref: said,
    conditions: [
      refused
        ? condition('Accepted', false, refused.reason, refused.message)
        : condition('Accepted', true, 'Accepted', 'the route is attached'),
      problem
        ? condition('ResolvedRefs', false, problem.reason, problem.message)
        : condition('ResolvedRefs', true, 'ResolvedRefs', 'all that it refers to is there'),
    ],
  };
}

/** Of the first reference that may not be used, or leads nowhere. */
function referenceProblem(context: Context, route: Route): BackendProblem | undefined {
  for (const ref of referencesOf(route)) {
    const problem = backendProblem(context, route, ref) ?? missing(context, route, ref);
    if (problem) return problem;
  }
  return undefined;
}

function missing({ objects }: Context, { metadata }: Route, ref: BackendObjectReference): BackendProblem | undefined {
  if (ref.kind !== 'Service') return undefined;
  const { name, namespace = metadata.namespace, port } = ref;
  const service = objects.get('Service', namespace, name);
  const not = (message: string): BackendProblem => ({ reason: 'BackendNotFound', message });
  if (!service) return not(`there is no Service ${namespace}/${name}: what is sent there is refused.`);
  if (port === undefined || service.spec.ports.every((each) => each.port !== port))
    return not(`Service ${namespace}/${name} has no port ${port ?? '(the reference names none)'}: what is sent there is refused.`);
  return undefined;
}

export function referencesOf({ spec }: Route): BackendObjectReference[] {
  return spec.rules.flatMap((rule) => {
    const filters = 'filters' in rule ? rule.filters : [];
    const mirrors = filters.flatMap(({ requestMirror }) => (requestMirror ? [requestMirror.backendRef] : []));
    return [...rule.backendRefs, ...mirrors];
  });
}
