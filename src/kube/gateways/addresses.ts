/** Where a Gateway is reached, and whether anybody answers there: what its Service and the endpoints of that say. Pure. */
import type { ResourceOf } from '../../api/index.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import type { GatewayAddress, Infrastructure } from '../../gateway-api/status/index.ts';
import type { ObservedObjects } from '../observed.ts';
import { deployedName } from './objects.ts';

type Gateway = ResourceOf<'KubernetesGateway'>;

/** @param failed why nothing could be deployed for it, as its status says it */
export function infrastructureOf(
  gateway: Gateway,
  snapshot: Snapshot,
  observed: ObservedObjects,
  failed: Infrastructure['problem'],
): Infrastructure {
  const none = (reason: string, message: string): Infrastructure => ({ addresses: [], problem: { reason, message } });
  if (failed) return { addresses: [], problem: failed };
  const { namespace } = gateway.metadata;
  const names = serviceNames(gateway);
  const services = names.flatMap((name) => observed.get('Service', namespace, name) ?? []);
  const missing = names.find((name) => !observed.get('Service', namespace, name));
  if (missing !== undefined)
    return none('AddressNotAssigned', `Service ${namespace}/${missing}, at which it is to be reached, is not there (yet)`);
  const addresses = services.flatMap(({ metadata, spec, status }) => addressesOf(metadata, spec, status));
  if (addresses.length === 0)
    return none(
      'AddressNotAssigned',
      `Service ${namespace}/${names.join(', ')} has no address yet: its load balancer gives none. The annotation networking.istio.io/service-type: ClusterIP does without one`,
    );
  const idle = names.find((name) => !hasEndpoints(snapshot, namespace, name));
  if (idle === undefined) return { addresses };
  return { addresses, problem: { reason: 'Pending', message: `no proxy behind Service ${namespace}/${idle} is ready (yet)` } };
}

/** The Service that is deployed for it, or those that it names. */
function serviceNames(gateway: Gateway): readonly string[] {
  const named = gateway.spec.addresses.filter(({ type, value }) => type === 'Hostname' && value);
  return named.length === 0 ? [deployedName(gateway)] : named.map(({ value }) => value!.split('.')[0]!);
}

interface Named {
  readonly name: string;
  readonly namespace: string;
}

function addressesOf(
  { name, namespace }: Named,
  spec: Readonly<Record<string, unknown>>,
  status: Readonly<Record<string, unknown>>,
): GatewayAddress[] {
  if (spec.type !== 'LoadBalancer') return [{ type: 'Hostname', value: `${name}.${namespace}.svc.cluster.local` }];
  const { ingress = [] } = (status.loadBalancer ?? {}) as {
    readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[];
  };
  return ingress.flatMap(({ ip, hostname }): GatewayAddress[] => {
    if (ip !== undefined) return [{ type: 'IPAddress', value: ip }];
    return hostname === undefined ? [] : [{ type: 'Hostname', value: hostname }];
  });
}

function hasEndpoints(snapshot: Snapshot, namespace: string, service: string): boolean {
  return snapshot
    .list('EndpointSlice')
    .some(
      ({ metadata, spec }) =>
        metadata.namespace === namespace &&
        metadata.labels['kubernetes.io/service-name'] === service &&
        spec.endpoints.some(({ conditions }) => conditions?.ready !== false),
    );
}
