/** What to write so that calls go through an egress gateway. */
import type { Service, ServicePort } from '../../registry/model.ts';
import { type Gateway, routeKind } from '../egress-model.ts';

/** Whether all are of the Kubernetes Gateway API; false if there is none. */
export function ofKubernetes(gateways: readonly Gateway[]): boolean {
  return gateways.length > 0 && gateways.every(({ derivedFrom }) => derivedFrom);
}

/** How to lead a service's calls to a gateway, in the words of the API that the gateway is written in. */
export function leadToGateway(service: Service, ports: readonly ServicePort[], gateways: readonly Gateway[]): string {
  const kinds = [...new Set(ports.map(routeKind))];
  if (!ofKubernetes(gateways)) return mendByVirtualService(service.hostname, kinds, gateways);
  const routes = kinds.map((kind) => ({ http: 'an HTTPRoute', tls: 'a TLSRoute', tcp: 'a TCPRoute' })[kind]);
  return `Attach ${routes.join(' and ')} to it (parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: ${service.resource.metadata.name}}]) that leads to the gateway's Service.`;
}

function mendByVirtualService(host: string, kinds: readonly string[], gateways: readonly Gateway[]): string {
  const named = gateways.find(({ derivedFrom }) => !derivedFrom);
  const name = named ? `${named.metadata.namespace}/${named.metadata.name}` : 'that Gateway';
  const start = named ? 'Add' : `Add ${host} to a server of the egress gateway's Gateway, and`;
  return `${start} a VirtualService for it with gateways [mesh, ${name}]: ${kinds.join(' and ')} rules for mesh that lead to the gateway's Service, and for the Gateway that lead to ${host}.`;
}
