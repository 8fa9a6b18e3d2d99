/** Several objects that declare one host as one service. */
import type { ResourceOf } from '../api/index.ts';
import type { Service } from './model.ts';

/** What a service makes when others are joined to it, one after the other. */
interface Joint {
  readonly service: Service;
  readonly with: WeakMap<Service, Joint>;
}

/** The same services joined give the same object, for as long as they are there. */
const joints = new WeakMap<Service, Joint>();

/** One service with the ports of all; `services` are of one hostname and have no port in common. */
export function joined(services: readonly Service[]): Service | undefined {
  const [first, ...others] = services;
  if (!first || others.length === 0) return first;
  let joint: Joint | undefined;
  let known = joints;
  for (const service of services) {
    let next: Joint | undefined = known.get(service);
    if (!next) {
      next = { service: joint ? { ...joint.service, ports: [...joint.service.ports, ...service.ports] } : service, with: new WeakMap() };
      known.set(service, next);
    }
    joint = next;
    known = next.with;
  }
  return joint?.service;
}

/** Whether the ports of two with one hostname can be those of one service. Of two that can't, the clients know the first only, as in Istio. */
export function joinable(a: Service, b: Service): boolean {
  if (a === b) return true;
  return (
    a.namespace === b.namespace &&
    a.registry === b.registry &&
    a.resolution === b.resolution &&
    sameLabels(a.labels, b.labels) &&
    sameLabels(a.selector, b.selector) &&
    sameNames(exportToOf(a), exportToOf(b))
  );
}

/** As it is written: leaving it out is not the same as `*`. */
function exportToOf({ resource }: Service): ReadonlySet<string> {
  return new Set((resource as ResourceOf<'ServiceEntry'>).spec.exportTo);
}

function sameNames(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((name) => b.has(name));
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
