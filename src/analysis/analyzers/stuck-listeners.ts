import type { ResourceOf, TlsMatchAttributes } from '../../api/index.ts';
import type { Caller } from '../../registry/destination-rules.ts';
import type { Service } from '../../registry/model.ts';
import { isTls } from '../../registry/protocol.ts';
import { isVisible } from '../../registry/visibility.ts';
import { possibleCallers } from '../callers.ts';
import type { Context } from '../context.ts';
import { onMesh } from '../egress-model.ts';
import { concernsMatch, inOrder } from '../ways.ts';

type VirtualService = ResourceOf<'VirtualService'>;

/** A match as a filter chain of a sidecar. */
interface Placed {
  readonly virtualService: VirtualService;
  readonly rule: number;
  readonly match: number;
  readonly names: readonly string[];
  /** Empty: every address. */
  readonly networks: readonly string[];
}

/**
 * SP1051: two matches of `tls` rules that differ and have a server name in common. Istio's control plane makes a filter chain of each, and Envoy refuses
 * a listener of which two chains take the same connections; here the first of them takes those.
 */
export function stuckListeners(context: Context): void {
  const all = new Set(context.of('VirtualService').filter((each) => each.valid && onMesh(each) && each.spec.tls.length > 0));
  const services = context.registry.services.filter(({ ports }) => ports.some(({ protocol }) => isTls(protocol)));
  const reported = new Set<TlsMatchAttributes>();
  for (const service of services) {
    const routes = context.routedHosts.overlapping(service.hostname).map(({ virtualService }) => virtualService);
    const concerned = [...new Set(routes)].filter((each) => all.has(each));
    if (concerned.flatMap(({ spec }) => spec.tls.flatMap(({ match }) => match)).length < 2) continue;
    for (const caller of possibleCallers(context)) {
      if (!isVisible(service.exportTo, service.namespace, caller.namespace)) continue;
      const followed = inOrder(context, caller.namespace, concerned);
      for (const { number, protocol } of service.ports)
        if (isTls(protocol)) report(context, service, number, chainsFor(caller, number, followed), reported);
    }
  }
}

/** Those that Istio makes for a port, in its order: of equal matches one, and a match without subnets has those of the one before it. */
function chainsFor(caller: Caller, port: number, followed: readonly VirtualService[]): Placed[] {
  const chains = new Map<string, Placed>();
  let networks: readonly string[] = [];
  for (const virtualService of followed) {
    for (const [rule, { match: matches }] of virtualService.spec.tls.entries()) {
      for (const [match, each] of matches.entries()) {
        if (!concernsMatch(caller, each, port, false)) continue;
        if (each.destinationSubnets.length > 0) networks = each.destinationSubnets;
        const key = JSON.stringify([each.sniHosts, each.destinationSubnets]);
        if (!chains.has(key))
          chains.set(key, { virtualService, rule, match, names: each.sniHosts.map((name) => name.toLowerCase()), networks });
      }
    }
  }
  return [...chains.values()];
}

function report(context: Context, service: Service, port: number, chains: readonly Placed[], reported: Set<TlsMatchAttributes>): void {
  for (const [place, younger] of chains.entries()) {
    const { virtualService, rule, match } = younger;
    const shared = (older: Placed) => younger.names.find((name) => older.names.includes(name));
    const older = chains.slice(0, place).find((each) => shared(each) !== undefined && sameNetwork(each.networks, younger.networks));
    const subject = virtualService.spec.tls[rule]!.match[match]!;
    if (!older || reported.has(subject)) continue;
    reported.add(subject);
    const { namespace, name } = older.virtualService.metadata;
    const rival =
      older.virtualService === virtualService
        ? `rule #${older.rule + 1}`
        : `rule #${older.rule + 1} of VirtualService ${namespace}/${name}`;
    context.report(
      'SP1051',
      virtualService,
      ['spec', 'tls', rule, 'match', match, 'sniHosts'],
      `This match and one of ${rival} both take ${shared(older)} on port ${port} of ${service.hostname}, and are not the same match. In a cluster Istio makes two filter chains of them, and Envoy refuses a listener with such chains: sidecars that see both keep its last version, and whatever changes on that port has no effect. (Here the first takes the name.) Name each server name in one match.`,
    );
  }
}

function sameNetwork(a: readonly string[], b: readonly string[]): boolean {
  return a.length === 0 && b.length === 0 ? true : a.some((network) => b.includes(network));
}
