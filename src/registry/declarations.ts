/** The services that resources declare, before it is settled which of several for one host counts. */
import type { MeshConfig, ResourceOf } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { keepList, sameContent } from '../lib/same.ts';
import { kubernetesService } from './kubernetes.ts';
import type { Service, ServicePort } from './model.ts';
import { serviceEntryServices } from './service-entry.ts';

/** What one resource says of one host. */
export interface Declared {
  /** `namespace/hostname`: those with one key compete. */
  readonly key: string;
  readonly service: Service;
}

type Declaring = ResourceOf<'Service' | 'ServiceEntry'>;

export interface Declarations {
  /** Oldest first. */
  readonly list: readonly Declared[];
  readonly byKey: ReadonlyMap<string, readonly Declared[]>;
  /** The service that declares a port, also where it is asked for with another service that has its ports. */
  ownerOf(port: ServicePort): Service | undefined;
  /** For the next ones. */
  readonly memory: Memory;
}

interface Memory {
  /** What a service without exportTo is visible to. */
  readonly exportTo: MeshConfig['defaultServiceExportTo'];
  readonly declared: WeakMap<Declaring, readonly Declared[]>;
  readonly owners: WeakMap<ServicePort, Service>;
}

/** A resource that is the same object as before has the same services and ports as before; `before` itself if all of them have. */
export function declarationsOf(snapshot: Snapshot, mesh: MeshConfig, before: Declarations | undefined): Declarations {
  const memory: Memory =
    before && sameContent(before.memory.exportTo, mesh.defaultServiceExportTo)
      ? before.memory
      : { exportTo: mesh.defaultServiceExportTo, declared: new WeakMap(), owners: new WeakMap() };
  const found: Declared[] = [];
  const take = <R extends Declaring>(resource: R, make: (resource: R) => readonly Service[]) => {
    let declared = memory.declared.get(resource);
    if (!declared) {
      declared = make(resource).map((service) => ({ key: `${service.namespace}/${service.hostname}`, service }));
      memory.declared.set(resource, declared);
      for (const { service } of declared) for (const port of service.ports) memory.owners.set(port, service);
    }
    found.push(...declared);
  };
  for (const resource of snapshot.list('Service')) take(resource, (one) => [kubernetesService(one, mesh)]);
  for (const resource of snapshot.list('ServiceEntry')) take(resource, (one) => serviceEntryServices(one, mesh));
  const list = keepList(
    before?.list,
    found.sort((a, b) => a.service.order - b.service.order),
  );
  if (before && list === before.list) return before;
  return { list, byKey: Map.groupBy(list, ({ key }) => key), ownerOf: (port) => memory.owners.get(port), memory };
}
