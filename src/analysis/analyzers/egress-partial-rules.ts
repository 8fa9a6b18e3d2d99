import { cidrCovers } from '../../lib/ip.ts';
import type { Service, ServicePort } from '../../registry/model.ts';
import type { Context } from '../context.ts';
import { type AnyMatch, matchConcerns, meshRules, routeKind, type VirtualService } from '../egress-model.ts';

/**
 * SP1008: rules to the gateway that hold for some workloads only, or for some addresses. What no rule of the port takes is not refused: it goes to the host
 * as if there were no rules. (Other conditions leave none over: HTTP that no rule matches is answered 404, TLS of another name is not for the host.)
 */
export function reportPartialRules(context: Context, service: Service, port: ServicePort, virtualService: VirtualService): boolean {
  const kind = routeKind(port);
  const rules = meshRules(virtualService, service.hostname, port);
  const matches = rules.flatMap(({ rule, path }) =>
    rule.match
      .map((match, j) => ({ match, path: [...path, 'match', j] }))
      .filter(({ match }) => matchConcerns(virtualService, match, 'mesh', service.hostname, port.number)),
  );
  if (matches.length === 0 || rules.some(({ rule }) => rule.match.length === 0)) return false;
  const forAll = matches.filter(({ match }) => sourceOf(match, kind) === undefined);
  if (forAll.length === 0) {
    const { match, path } = matches[0]!;
    context.report(
      'SP1008',
      virtualService,
      [...path, sourceOf(match, kind)!],
      `Only some workloads are led to the gateway: this match holds for ${describeSource(match)}, and every other workload calls ${service.hostname} port ${port.number} straight from its sidecar. Take the condition out, or add a rule for the others.`,
    );
    return true;
  }
  if (kind !== 'tcp' || forAll.some(({ match }) => subnetsOf(match).length === 0)) return false;
  const subnets = forAll.flatMap(({ match }) => subnetsOf(match));
  const addresses = service.addresses.length > 0 ? service.addresses : service.autoAddresses;
  const left = addresses.filter((address) => !subnets.some((subnet) => cidrCovers(subnet, address)));
  if (addresses.length > 0 && left.length === 0) return false;
  context.report(
    'SP1008',
    virtualService,
    [...forAll[0]!.path, 'destinationSubnets'],
    `Only calls to ${subnets.join(', ')} are led to the gateway, and ${service.hostname} port ${port.number} has ${left.length > 0 ? `the address ${left.join(', ')}` : 'no fixed address'} beside: calls there leave straight from the sidecar. Take destinationSubnets out, or write the addresses of the ServiceEntry there.`,
  );
  return true;
}

/** The field by which a match holds for some workloads only. Beside `gateways` it has no effect in http rules. */
function sourceOf({ gateways, sourceLabels, sourceNamespace }: AnyMatch, kind: 'http' | 'tls' | 'tcp'): string | undefined {
  if (kind === 'http' && gateways.length > 0) return undefined;
  if (Object.keys(sourceLabels).length > 0) return 'sourceLabels';
  return sourceNamespace ? 'sourceNamespace' : undefined;
}

function subnetsOf({ destinationSubnets = [] }: AnyMatch): readonly string[] {
  return destinationSubnets;
}

function describeSource({ sourceLabels, sourceNamespace }: AnyMatch): string {
  const labels = Object.entries(sourceLabels).map(([key, value]) => `${key}=${value}`);
  return [...labels, ...(sourceNamespace ? [`namespace ${sourceNamespace}`] : [])].join(', ');
}
