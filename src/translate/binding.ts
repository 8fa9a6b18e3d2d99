/** What of a ServiceEntry's hosts the proxy binds calls to, as it stands in xDS (`xds/match/binding.ts` reads it). */
import type { JsonObject } from '@bufbuild/protobuf';
import { bindMode } from '../api/bind.ts';
import type { MeshConfig } from '../api/index.ts';
import { Memo } from '../lib/memo.ts';
import type { Service, ServicePort } from '../registry/model.ts';
import { isTls } from '../registry/protocol.ts';

export type BindingJson = JsonObject & { readonly mode: 'audit' | 'enforce' };

/**
 * Undefined where nothing is bound. `port`: of a cluster or filter chain; without, of a virtual host. Services of Kubernetes are not bound: who is behind them
 * is the mesh's to say, by mutual TLS.
 */
export function bindingFor(service: Service | undefined, config: MeshConfig, port?: ServicePort): BindingJson | undefined {
  if (service?.registry !== 'External') return undefined;
  const mode = bindMode(service.resource.metadata, config);
  if (mode === 'off') return undefined;
  const sni = port !== undefined && isTls(port.protocol);
  return bindings.get([service], [mode, sni], () => ({
    mode,
    hosts: [service.hostname],
    ports: declaredPorts(service),
    addresses: addressesOf(service),
    ...(sni && { sni }),
  }));
}

/** Of one filter chain for several services: what any of them has, as strict as the strictest. */
export function bindingOfAll(services: readonly Service[], config: MeshConfig, port: ServicePort): BindingJson | undefined {
  const [first, ...others] = services.flatMap((service) => bindingFor(service, config, port) ?? []);
  if (!first || services.length === 1) return first;
  const addresses = services.map(addressesOf);
  return {
    ...first,
    mode: [first, ...others].some(({ mode }) => mode === 'enforce') ? 'enforce' : 'audit',
    hosts: services.map(({ hostname }) => hostname),
    ports: [...new Set(services.flatMap(declaredPorts))].sort((a, b) => a - b),
    // Where one of them may be anywhere, nothing is said against an address.
    addresses: addresses.some(({ length }) => length === 0) ? [] : addresses.flat(),
  };
}

const bindings = new Memo<BindingJson>();

/** The numbers and target ports of a service, sorted. */
export function declaredPorts({ ports }: Pick<Service, 'ports'>): number[] {
  return [...new Set(ports.flatMap(({ number, targetPort }) => [number, targetPort]))].sort((a, b) => a - b);
}

/**
 * Where the host is called: at its own addresses, or at those allocated for it, as the proxy's DNS answers. A wildcard has none but its own: names under it are
 * found at whatever addresses DNS gives.
 */
function addressesOf({ addresses, autoAddresses }: Service): string[] {
  return [...(addresses.length > 0 ? addresses : autoAddresses)];
}
