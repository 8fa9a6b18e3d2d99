import { isHttp } from '../../registry/protocol.ts';
import type { Arrival } from '../arrivals.ts';
import type { Context } from '../context.ts';
import { gatewayServices } from '../egress-model.ts';

/** SP1066: TLS that passes as it is, led to a port at which requests are read. Ports of gateways are held against their servers elsewhere. */
export function tlsAtPlainPort(context: Context, { service, port, bytes, resource, path }: Arrival): void {
  if (bytes !== 'tls' || resource === service.resource || !isHttp(port.protocol)) return;
  if (gatewayServices(context).has(service.hostname) || takesTls(context, service, port)) return;
  context.report(
    'SP1066',
    resource,
    path,
    `This leads TLS as it is to ${service.hostname} port ${port.number}, which is declared ${port.protocol}: the server looks for a request and finds a TLS greeting, and every handshake fails. Lead to a port of it that takes TLS (declared HTTPS or TLS), or have a gateway end the TLS (a server with protocol HTTPS and a certificate) and lead there by an http rule.`,
  );
}

/** By their numbers: a port of plain HTTP for the application's sake, behind which TLS is spoken. */
function takesTls(context: Context, service: Arrival['service'], port: Arrival['port']): boolean {
  const targets = context.registry.endpoints(service, port).map((endpoint) => endpoint.port);
  return [port.number, port.targetPort, ...targets].some((number) => /443$/.test(String(number)));
}
