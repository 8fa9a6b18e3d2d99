/** The services that resources declare, before it is settled which of several for one host counts. */
import type { MeshConfig, ResourceOf } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { keepList, sameContent } from '../lib/same.ts';
import { hashOf } from './auto-allocate.ts';
import { kubernetesService } from './kubernetes.ts';
import type { Service, ServicePort } from './model.ts';
import { serviceEntryServices, wantsAutoAddress } from './service-entry.ts';

/** What one resource says of one host. */
export interface Declared {
  /** `namespace/hostname`: those with one key compete. */
  readonly key: string;
  readonly service: Service;
  /** Whether no two of its ports have one number. */
  readonly distinct: boolean;
  /** For the place of its address; undefined where it wants none. */
  readonly hash: number | undefined;
}

type Declaring = ResourceOf<'Service' | 'ServiceEntry'>;

export interface Declarations {
  /** Oldest first. */
  readonly list: readonly Declared[];
  readonly byKey: ReadonlyMap<string, readonly Declared[]>;
  /** Who declares a port, also where it is asked for with another service that has its ports. */
  ownerOf(port: ServicePort): Declared | undefined;
  /** For the next ones. */
  readonly memory: Memory;
}

interface Memory {
  /** What a service without exportTo is visible to. */
  readonly exportTo: MeshConfig['defaultServiceExportTo'];
  readonly declared: WeakMap<Declaring, readonly Declared[]>;
  readonly owners: WeakMap<ServicePort, Declared>;
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
      declared = make(resource).map(declare);
      memory.declared.set(resource, declared);
      for (const one of declared) for (const port of one.service.ports) memory.owners.set(port, one);
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
  return { list, byKey: grouped(list, before?.byKey), ownerOf: (port) => memory.owners.get(port), memory };
}

function declare(service: Service): Declared {
  const key = `${service.namespace}/${service.hostname}`;
  const distinct = new Set(service.ports.map(({ number }) => number)).size === service.ports.length;
  return { key, service, distinct, hash: wantsAutoAddress(service) ? hashOf(key) : undefined };
}

/** A group with the members that it had before is the same list. */
function grouped(list: readonly Declared[], before: Declarations['byKey'] | undefined): Declarations['byKey'] {
  const groups: Map<string, readonly Declared[]> = Map.groupBy(list, ({ key }) => key);
  if (before) for (const [key, group] of groups) groups.set(key, keepList(before.get(key), group));
  return groups;
}
