/** Consistent hashing: the DestinationRule decides it, the route has to say what is hashed. */
import { create } from '@bufbuild/protobuf';
import type { ConsistentHash, TrafficPolicy } from '../../api/destination-rule.ts';
import { type RouteAction_HashPolicy, RouteAction_HashPolicySchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { toDuration } from '../proto.ts';
import type { Destinations } from './context.ts';

/**
 * The consistent hash in force for a destination. Of several the first counts: the subset's for the port, the subset's, the host's for the port,
 * the host's. `port` is the one that the route names; without it port-level settings do not count.
 */
export function consistentHash(
  destinations: Pick<Destinations, 'destinationRuleFor'>,
  hostname: string,
  subset: string | undefined,
  port: number | undefined,
): ConsistentHash | undefined {
  const rule = destinations.destinationRuleFor(hostname)?.spec;
  if (!rule) return undefined;
  const ofSubset = subset ? rule.subsets.find((each) => each.name === subset)?.trafficPolicy : undefined;
  return (
    ofPort(ofSubset, port) ??
    ofSubset?.loadBalancer?.consistentHash ??
    ofPort(rule.trafficPolicy, port) ??
    rule.trafficPolicy?.loadBalancer?.consistentHash
  );
}

function ofPort(policy: TrafficPolicy | undefined, port: number | undefined): ConsistentHash | undefined {
  if (port === undefined) return undefined;
  return policy?.portLevelSettings.find((each) => each.port?.number === port)?.loadBalancer?.consistentHash;
}

/** Undefined if the hash names nothing that a request has. */
export function hashPolicy(hash: ConsistentHash | undefined): RouteAction_HashPolicy | undefined {
  const specifier = hash && hashedPart(hash);
  return specifier && create(RouteAction_HashPolicySchema, { policySpecifier: specifier });
}

function hashedPart(hash: ConsistentHash) {
  if (hash.httpHeaderName !== undefined) return { case: 'header', value: { headerName: hash.httpHeaderName } } as const;
  if (hash.httpCookie) {
    const { name, path, ttl, attributes } = hash.httpCookie;
    const value = {
      name,
      path,
      ttl: ttl === undefined ? undefined : toDuration(ttl),
      attributes: attributes.map((each) => ({ name: each.name, value: each.value ?? '' })),
    };
    return { case: 'cookie', value } as const;
  }
  if (hash.useSourceIp) return { case: 'connectionProperties', value: { sourceIp: true } } as const;
  if (hash.httpQueryParameterName !== undefined) return { case: 'queryParameter', value: { name: hash.httpQueryParameterName } } as const;
  return undefined;
}
