/** What routes send traffic to, and whether they may. */
import type { BackendObjectReference } from '../api/gateway-api/common.ts';
import { GATEWAY_API, INVALID_BACKEND_HOST } from '../api/gateway-api/common.ts';
import type { PathStep, Resource } from '../api/resource.ts';
import { serviceHost } from './hosts.ts';
import type { Context } from './model.ts';

const ISTIO_NETWORKING = 'networking.istio.io';

/** As documents write an Istio destination. */
interface RawDestination {
  readonly host: string;
  readonly port?: { readonly number: number };
}

/** No cluster has this host, so a request to it is answered 500 `NC`, and a connection is closed. */
const NOWHERE: RawDestination = { host: INVALID_BACKEND_HOST, port: { number: 1 } };

/** Where a backend is; nowhere, with a finding, where the reference is not allowed. Whether the host exists is for others to say. */
export function destinationOf(context: Context, route: Resource, ref: BackendObjectReference, path: readonly PathStep[]): RawDestination {
  const problem = backendProblem(context, route, ref);
  if (problem) context.report('SP0013', route, path, problem.message);
  if (problem) return NOWHERE;
  const port = ref.port === undefined ? {} : { port: { number: ref.port } };
  if (ref.kind === 'Hostname') return { host: ref.name, ...port };
  return { host: serviceHost(ref.name, ref.namespace ?? route.metadata.namespace), ...port };
}

/** Why a reference to a backend may not be used. */
export interface BackendProblem {
  /** A `RouteConditionReason` of the API. */
  readonly reason: 'InvalidKind' | 'RefNotPermitted' | 'BackendNotFound';
  readonly message: string;
}

/** Undefined where it may be used. */
export function backendProblem(context: Context, route: Resource, ref: BackendObjectReference): BackendProblem | undefined {
  const { namespace } = route.metadata;
  const invalid = (message: string): BackendProblem => ({ reason: 'InvalidKind', message });
  if (ref.group === ISTIO_NETWORKING && ref.kind === 'Hostname') {
    if (ref.namespace) return invalid('a Hostname has no namespace: remove it. Until then requests to it are answered 500.');
    if (ref.port === undefined) return invalid('a Hostname needs a port. Until then requests to it are answered 500.');
    return undefined;
  }
  if (ref.group !== '' || ref.kind !== 'Service') {
    return invalid(
      `${ref.group ? `${ref.group}/` : ''}${ref.kind} is no backend that is known here, so requests to it are answered 500: name a Service, or a Hostname of ${ISTIO_NETWORKING}.`,
    );
  }
  const owner = ref.namespace ?? namespace;
  if (owner === namespace || context.onMesh || granted(context, route, { group: '', kind: 'Service', namespace: owner, name: ref.name }))
    return undefined;
  return {
    reason: 'RefNotPermitted',
    message: `Service ${owner}/${ref.name} is in another namespace, which has no ReferenceGrant for ${route.kind}s of ${namespace}: requests to it are answered 500. Add one in ${owner}.`,
  };
}

interface GrantTarget {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** Whether a ReferenceGrant in the target's namespace lets `from` refer to it. */
export function granted({ objects }: Context, from: Resource, to: GrantTarget): boolean {
  const kind = from.kind === 'KubernetesGateway' ? 'Gateway' : from.kind;
  return objects
    .list('ReferenceGrant')
    .some(
      ({ metadata, spec }) =>
        metadata.namespace === to.namespace &&
        spec.from.some((each) => each.group === GATEWAY_API && each.kind === kind && each.namespace === from.metadata.namespace) &&
        spec.to.some((each) => each.group === to.group && each.kind === to.kind && (each.name === undefined || each.name === to.name)),
    );
}

interface Weighted {
  readonly destination: RawDestination;
  readonly weight: number;
}

/** The backends that take traffic: those with a weight of 0 take none. */
export function weightedDestinations<B extends BackendObjectReference & { readonly weight: number }>(
  context: Context,
  route: Resource,
  refs: readonly B[],
  path: readonly PathStep[],
): (Weighted & { readonly ref: B })[] {
  return refs
    .map((ref, index) => ({ ref, weight: ref.weight, destination: destinationOf(context, route, ref, [...path, index]) }))
    .filter(({ weight }) => weight > 0);
}

/** For connections: without a backend that takes any they lead nowhere. */
export function streamDestinations(
  context: Context,
  route: Resource,
  refs: readonly (BackendObjectReference & { readonly weight: number })[],
  path: readonly PathStep[],
): Weighted[] {
  const found = weightedDestinations(context, route, refs, path).map(({ destination, weight }) => ({ destination, weight }));
  return found.length > 0 ? found : [{ destination: NOWHERE, weight: 1 }];
}
