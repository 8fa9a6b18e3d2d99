/** Which forward proxy stands in front of a service, and why it can not. Pure: translation and analysis ask alike. */
import type { MeshConfig } from '../api/index.ts';
import { authorizationVariable, type ForwardProxy, PROXY_AUTHORIZATION, type Through, throughOf } from '../api/through.ts';
import type { Service } from './model.ts';

/** What stands in front of a service outside the mesh. */
export function throughFor({ registry, resource, hostname, addresses, meshExternal }: Service, config: MeshConfig): Through {
  return registry === 'External' ? throughOf(resource.metadata, { hostname, addresses, meshExternal }, config) : 'direct';
}

/** Why a service can not be reached as its way is written, as a clause; undefined where it can. */
export function throughRefusal(service: Service, through: Through, passthrough: boolean): string | undefined {
  if (through === 'direct') return undefined;
  if (through === 'malformed')
    return 'the forward proxy in front of it is not written as HOST:PORT of a ServiceEntry (sallyport.dev/through)';
  if (through.host === service.hostname) return 'it would be reached through itself (sallyport.dev/through). Write direct';
  if (service.resolution === 'DynamicDNS')
    return 'which hosts it stands for is known only when they are called, and a forward proxy is asked for hosts that are declared. Name them, or write sallyport.dev/through: direct';
  if (service.resolution === 'Passthrough' || passthrough)
    return 'it is reached at the address that its client dialled, and a forward proxy is asked for hosts that are declared. Use resolution DNS or STATIC, or write sallyport.dev/through: direct';
  return undefined;
}

/** Why nothing can be reached through a proxy, as a clause about it; undefined where it can. @param service the host that it is; undefined for none */
export function proxyProblem({ port }: ForwardProxy, service: Service | undefined, config: MeshConfig): string | undefined {
  if (!service) return 'is no ServiceEntry that this proxy sees';
  if (!service.ports.some(({ number }) => number === port)) return `does not declare port ${port}`;
  if (throughFor(service, config) !== 'direct') return 'is itself to be reached through one';
  const { metadata } = service.resource;
  if (Object.hasOwn(metadata.annotations, PROXY_AUTHORIZATION) && authorizationVariable(metadata, config.rootNamespace) === undefined)
    return `has ${PROXY_AUTHORIZATION}, which holds in namespace ${config.rootNamespace} and names a variable that begins with SALLYPORT_PROXY_`;
  return undefined;
}
