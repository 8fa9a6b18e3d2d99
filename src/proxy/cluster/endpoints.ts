/** Reads a ClusterLoadAssignment: addresses as they stand, and names that DNS has to resolve first. */
import { isIP } from 'node:net';
import { SallyportError } from '../../lib/errors.ts';
import { isUsable } from '../../xds/endpoint-health.ts';
import type { Address as AddressConfig } from '../../xds/gen/envoy/config/core/v3/address_pb.js';
import type { LbEndpoint } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.js';
import type { ClusterLoadAssignment } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import type { Address } from '../types.ts';
import type { HostEntry, InternalTarget } from './host.ts';

/** A host entry whose address may still be a name (`address.ip` is what the configuration gives). */
export type EndpointEntry = HostEntry;

const TRANSPORT_SOCKET_MATCH = 'envoy.transport_socket_match';

/** Throws `xds-invalid` or `xds-unsupported` with the cluster's name. */
export function readEndpoints(assignment: ClusterLoadAssignment | undefined, cluster: string): EndpointEntry[] {
  const out: EndpointEntry[] = [];
  if (!assignment) return out;
  if (assignment.policy && assignment.policy.dropOverloads.length > 0) {
    throw new SallyportError('xds-unsupported', `cluster "${cluster}": policy.drop_overloads is not supported`);
  }
  assignment.endpoints.forEach((group, index) => {
    const { region = '', zone = '', subZone = '' } = group.locality ?? {};
    for (const endpoint of group.lbEndpoints) {
      if (endpoint.hostIdentifier.case !== 'endpoint') {
        throw new SallyportError('xds-unsupported', `cluster "${cluster}": endpoint_name is not supported; give the endpoint itself`);
      }
      out.push({
        address: readAddress(endpoint.hostIdentifier.value.address, `cluster "${cluster}"`),
        hostname: endpoint.hostIdentifier.value.hostname,
        weight: Math.max(1, endpoint.loadBalancingWeight ?? 1),
        priority: group.priority,
        // Groups without a locality stay apart, as they can have weights of their own.
        locality: region || zone || subZone ? `${region}/${zone}/${subZone}` : `#${index}`,
        localityWeight: group.loadBalancingWeight ?? 0,
        healthy: isUsable(endpoint),
        transportMatch: endpoint.metadata?.filterMetadata[TRANSPORT_SOCKET_MATCH],
        workload: String(endpoint.metadata?.filterMetadata.istio?.workload ?? ''),
        internal: internalTarget(endpoint),
      });
    }
  });
  return out;
}

function internalTarget({ hostIdentifier, metadata }: LbEndpoint): InternalTarget | undefined {
  const address = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined;
  if (address?.case !== 'envoyInternalAddress') return undefined;
  return { listener: address.value.addressNameSpecifier.value ?? '', metadata: metadata?.filterMetadata ?? {} };
}

/** An address of the configuration; a unix socket has its path, an internal one its name, and port 0. */
export function readAddress(address: AddressConfig | undefined, where: string): Address {
  switch (address?.address.case) {
    case 'socketAddress': {
      const { value } = address.address;
      if (value.portSpecifier.case === 'namedPort') throw new SallyportError('xds-unsupported', `${where}: named_port is not supported`);
      return { ip: value.address, port: value.portSpecifier.value ?? 0 };
    }
    case 'pipe':
      return { ip: address.address.value.path, port: 0 };
    case 'envoyInternalAddress': {
      const { addressNameSpecifier, endpointId } = address.address.value;
      // As Envoy prints it.
      return { ip: `envoy://${addressNameSpecifier.value ?? ''}/${endpointId}`, port: 0 };
    }
    default:
      throw new SallyportError('xds-invalid', `${where}: an address is missing`);
  }
}

export function isName(address: Address): boolean {
  return address.port > 0 && isIP(address.ip) === 0;
}

/** Refuses names where only addresses may stand (STATIC and EDS clusters). */
export function requireAddresses(entries: readonly EndpointEntry[], cluster: string): void {
  const name = entries.find(({ address }) => isName(address));
  if (name)
    throw new SallyportError(
      'xds-invalid',
      `cluster "${cluster}": "${name.address.ip}" is no IP address; names need STRICT_DNS or LOGICAL_DNS`,
    );
}
