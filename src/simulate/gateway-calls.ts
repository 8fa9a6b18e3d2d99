/** Sample calls for everything that a gateway tells apart, as clients without a sidecar make them. Pure. */
import type { CompiledRoute } from '../http/routes/route.ts';
import type { Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { listenerAddresses } from '../xds/match/listener.ts';
import type { Call, Endpoint, Payload } from './call.ts';
import { OTHER_HOST, routeTables, sampleHost, unsampled, virtualHostRequests } from './cells.ts';
import type { SimulatedProxy } from './proxy.ts';

export interface GatewayCalls {
  /** To the gateway's first address. */
  readonly calls: readonly Call[];
  /** Boundaries for which no sample was found, a sentence each. */
  readonly undecided: readonly string[];
}

export function gatewayCalls(proxy: SimulatedProxy, source: Endpoint): GatewayCalls {
  const undecided: string[] = [];
  const [ip] = proxy.addresses;
  if (ip === undefined) return { calls: [], undecided: [`${proxy.name} has no address`] };
  const calls = proxy.all.flatMap((listener) =>
    [...new Set(listenerAddresses(listener).map(({ port }) => port))].flatMap((port) =>
      payloadsOf(proxy, listener, undecided).map((payload): Call => ({ source, destination: { ip, port }, payload })),
    ),
  );
  return { calls, undecided };
}

/** Bytes; TLS by each SNI that a chain names and by another one; and requests for each route, by every name of its host, under TLS where the chain ends it. */
function payloadsOf(proxy: SimulatedProxy, listener: Listener, undecided: string[]): Payload[] {
  const payloads: Payload[] = [{ tls: undefined, http: undefined }];
  const chains = [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])];
  for (const serverName of new Set(['', OTHER_HOST, ...chains.flatMap(namesOf)])) {
    payloads.push({ tls: { serverName, alpn: [] }, http: undefined });
  }
  for (const chain of chains) {
    const terminates = chain.transportSocket !== undefined;
    const under = terminates ? (namesOf(chain).length > 0 ? namesOf(chain) : ['']) : [undefined];
    for (const table of routeTables(proxy, [chain])) {
      for (const virtualHost of table.virtualHosts) {
        const unsampledRoutes = new Set<CompiledRoute>();
        const sampledRoutes = new Set<CompiledRoute>();
        for (const name of new Set([...virtualHost.config.domains.map(sampleHost), OTHER_HOST])) {
          for (const { http, route } of virtualHostRequests(table, virtualHost, name)) {
            (http ? sampledRoutes : unsampledRoutes).add(route);
            if (!http) continue;
            for (const serverName of under) payloads.push({ tls: serverName === undefined ? undefined : { serverName, alpn: [] }, http });
          }
        }
        for (const route of unsampledRoutes)
          if (!sampledRoutes.has(route)) undecided.push(`${proxy.name}: ${unsampled(table, virtualHost, route)}`);
      }
    }
  }
  return payloads;
}

function namesOf({ filterChainMatch }: Listener['filterChains'][number]): string[] {
  return (filterChainMatch?.serverNames ?? []).map(sampleHost);
}
