import { originOf } from '../../api/resource.ts';
import { originText } from '../../lib/origin.ts';
import type { Arrival } from '../arrivals.ts';
import type { Context } from '../context.ts';

/** SP1010: settings of a tunnel on the way of requests. Only connections get one, those that tls and tcp rules lead. */
export function tunnelOfRequests(context: Context, { service, port, subset, bytes, caller, resource, path }: Arrival): void {
  if (bytes !== 'http') return;
  const rule = context.ruleFor(caller, service);
  if (!rule) return;
  const index = rule.spec.subsets.findIndex(({ name }) => name === subset);
  const ofSubset = rule.spec.subsets[index]?.trafficPolicy?.tunnel;
  const tunnel = ofSubset ?? rule.spec.trafficPolicy?.tunnel;
  if (!tunnel) return;
  context.report(
    'SP1010',
    rule,
    ['spec', ...(ofSubset ? ['subsets', index] : []), 'trafficPolicy', 'tunnel'],
    `A tunnel is made for connections alone, and ${originText(originOf(resource))} (${path.slice(0, 3).join('.')}) leads requests to ${service.hostname} port ${port.number}: they go there as they are, with no CONNECT for ${tunnel.targetHost}:${tunnel.targetPort}. Lead connections there, by a tls or tcp rule (of TLS that the application speaks, or of a gateway's server of protocol TLS or TCP).`,
  );
}
