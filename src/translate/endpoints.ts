/** Endpoints of a cluster, grouped by locality and weighted. */

import { create } from '@bufbuild/protobuf';
import { isIp } from '../lib/ip.ts';
import { type Labels, matchesLabels } from '../lib/labels.ts';
import type { Endpoint } from '../registry/model.ts';
import { type Address, AddressSchema } from '../xds/gen/envoy/config/core/v3/address_pb.js';
import {
  type LbEndpoint,
  LbEndpointSchema,
  type LocalityLbEndpoints,
  LocalityLbEndpointsSchema,
} from '../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.js';
import { metadataOf } from './metadata.ts';
import { socketAddress } from './proto.ts';

const UNIX = 'unix://';

/** Those of the endpoints that can be sent to: healthy, with all of the labels; for EDS with an address that is no name. */
export function usableEndpoints(endpoints: readonly Endpoint[], labels: Labels, onlyAddresses: boolean): readonly Endpoint[] {
  return endpoints.filter(
    (endpoint) =>
      endpoint.healthy &&
      matchesLabels(labels, endpoint.labels) &&
      (!onlyAddresses || endpoint.address.startsWith(UNIX) || isIp(endpoint.address)),
  );
}

/** One group a locality, in the order of localities; a group weighs what its endpoints weigh together. */
export function localityEndpoints(endpoints: readonly Endpoint[]): LocalityLbEndpoints[] {
  const groups = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) {
    const group = groups.get(endpoint.locality);
    if (group) group.push(endpoint);
    else groups.set(endpoint.locality, [endpoint]);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([locality, group]) => localityGroup(locality, group));
}

function localityGroup(locality: string, endpoints: readonly Endpoint[]): LocalityLbEndpoints {
  const [region = '', zone = '', subZone = ''] = locality.split('/');
  return create(LocalityLbEndpointsSchema, {
    ...(locality ? { locality: { region, zone, subZone } } : {}),
    lbEndpoints: endpoints.map(lbEndpoint),
    loadBalancingWeight: endpoints.reduce((sum, endpoint) => sum + weightOf(endpoint), 0),
  });
}

function lbEndpoint(endpoint: Endpoint): LbEndpoint {
  const metadata = metadataOf({
    istio: endpoint.workload ? { workload: workloadText(endpoint) } : {},
    takesMeshTls: endpoint.tlsMode === 'istio',
  });
  return create(LbEndpointSchema, {
    hostIdentifier: { case: 'endpoint', value: { address: addressOf(endpoint.address, endpoint.port) } },
    loadBalancingWeight: weightOf(endpoint),
    ...(metadata ? { metadata } : {}),
  });
}

function weightOf({ weight }: Endpoint): number {
  return Math.max(1, weight);
}

/** Istio's form: `workload;namespace;canonical name;canonical revision;cluster`. */
function workloadText({ workload, namespace, labels }: Endpoint): string {
  const name = labels['service.istio.io/canonical-name'] ?? labels.app ?? workload;
  const revision = labels['service.istio.io/canonical-revision'] ?? labels.version ?? 'latest';
  return [workload, namespace, name, revision, 'Kubernetes'].join(';');
}

/** An IP address or host name with its port, or `unix:///path` (`unix://@name` in the abstract namespace). */
export function addressOf(address: string, port: number): Address {
  if (address.startsWith(UNIX)) return create(AddressSchema, { address: { case: 'pipe', value: { path: address.slice(UNIX.length) } } });
  return socketAddress(address, port);
}
