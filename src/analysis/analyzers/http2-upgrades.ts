import { arrivalsOf, upstreamTls } from '../arrivals.ts';
import type { Context } from '../context.ts';

/**
 * SP1056: MeshConfig's upgrade to HTTP/2, which is meant for the mesh's own proxies, on the way to a server outside: in plain nothing is agreed upon, and the
 * server has to guess it. (Who writes it into a DestinationRule for the host knows the server.)
 */
export function* http2Upgrades(context: Context): Generator<void> {
  if (context.mesh.h2UpgradePolicy !== 'UPGRADE') return;
  for (const arrival of yield* arrivalsOf(context)) {
    const { service, port, caller } = arrival;
    if (!service.meshExternal || port.protocol !== 'HTTP' || upstreamTls(context, arrival)?.holds) continue;
    const policy = context.ruleFor(caller, service)?.spec.trafficPolicy;
    const ofPort = policy?.portLevelSettings.find((each) => each.port?.number === port.number);
    const pool = (ofPort ?? policy)?.connectionPool?.http;
    if (pool?.useClientProtocol || (pool?.h2UpgradePolicy ?? 'DEFAULT') !== 'DEFAULT') continue;
    context.report(
      'SP1056',
      service.resource,
      ['spec', 'ports', service.ports.indexOf(port)],
      `Plain requests to ${service.hostname} port ${port.number} go out as HTTP/2, unasked, by h2UpgradePolicy UPGRADE of MeshConfig: a server outside that speaks HTTP/1.1 there, as most do in plain, answers with an error or closes (502, 503). Write a DestinationRule for ${service.hostname} with connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}${ofPort ? ' (in portLevelSettings: those of a port replace the general ones)' : ''}, or declare the port HTTP2 if the server speaks it.`,
    );
  }
}
