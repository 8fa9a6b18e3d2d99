/** Routes to the gateway that some who see the host do not see. */
import { fullHostname, hostCovers, hostsOverlap } from '../../lib/hostname.ts';
import type { Service } from '../../registry/model.ts';
import { sidecarImport } from '../../registry/sidecar-import.ts';
import { isVisible, visibilityOf } from '../../registry/visibility.ts';
import type { Context } from '../context.ts';
import type { VirtualService } from '../egress-model.ts';

/** SP1004: namespaces that see the host but not the VirtualService that takes it to the gateway. */
export function reportHidden(context: Context, service: Service, virtualService: VirtualService): boolean {
  const visibility = visibilityOf(virtualService.spec.exportTo, context.mesh.defaultVirtualServiceExportTo);
  const owner = virtualService.metadata.namespace;
  if (visibility.has('*')) return false;
  const namespaces = new Set([
    ...context.of('Namespace').map((resource) => resource.metadata.name),
    ...context.pods.map((pod) => pod.namespace),
    ...[...service.exportTo].filter((name) => !/^[*.~]$/.test(name)),
    service.namespace,
  ]);
  const wider = service.exportTo.has('*');
  const blind = [...namespaces]
    .filter((name) => isVisible(service.exportTo, service.namespace, name) && !isVisible(visibility, owner, name))
    .sort();
  if (!wider && blind.length === 0) return false;
  context.report(
    'SP1004',
    virtualService,
    ['spec', 'exportTo'],
    `exportTo shows this VirtualService to ${[...visibility].join(', ')} only, while ${service.hostname} is visible ${wider ? 'everywhere' : `in ${blind.join(', ')} too`}: there, calls leave straight from the sidecar, round the gateway. Export both alike.`,
  );
  return true;
}

/** SP1004: Sidecars that import the host but not the VirtualService. With both in one namespace they are imported together. */
export function reportHiddenBySidecars(context: Context, service: Service, virtualService: VirtualService): boolean {
  const { namespace: owner } = virtualService.metadata;
  if (owner === service.namespace) return false;
  let found = false;
  const visibility = visibilityOf(virtualService.spec.exportTo, context.mesh.defaultVirtualServiceExportTo);
  const hosts = virtualService.spec.hosts.map((host) => fullHostname(host, owner).toLowerCase());
  for (const sidecar of context.of('Sidecar')) {
    const { namespace } = sidecar.metadata;
    if (!isVisible(service.exportTo, service.namespace, namespace) || !isVisible(visibility, owner, namespace)) continue;
    for (const [i, listener] of sidecar.spec.egress.entries()) {
      const imports = listener.hosts.map((text) => sidecarImport(text, namespace));
      const index = imports.findIndex((each) => each.takes(service.namespace) && hostCovers(each.host, service.hostname));
      if (index < 0 || imports.some((each) => each.takes(owner) && hosts.some((host) => hostsOverlap(each.host, host)))) continue;
      found = true;
      context.report(
        'SP1004',
        sidecar,
        ['spec', 'egress', i, 'hosts', index],
        `This Sidecar imports ${service.hostname} from namespace ${service.namespace} but not VirtualService ${owner}/${virtualService.metadata.name}, which leads it to the egress gateway: the workloads' calls leave straight from the sidecar. Add ${owner}/${service.hostname} to hosts.`,
      );
    }
  }
  return found;
}
