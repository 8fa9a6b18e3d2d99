import type { Kind, ResourceOf } from '../api/index.ts';
import { isOfGatewayApi } from '../api/resource.ts';
import { keepList } from '../lib/same.ts';
import { Replaced } from './replaced.ts';
import type { Snapshot } from './snapshot.ts';
import { KindTable } from './tables.ts';

type Service = ResourceOf<'Service'>;

/**
 * Gives addresses to Services that have none, as the API server would: without an address of its own a TCP service would take its port for every
 * address. A Service keeps its address for as long as the process runs; the first ones have theirs in the order of the Services.
 */
export class ClusterIps {
  readonly #numbers = new Map<string, number>();
  readonly #served = new WeakMap<Service, Service>();
  #table = new KindTable([]);

  /** The snapshot with addresses. What did not change since it was asked last is the same object. */
  over(base: Snapshot): Snapshot {
    const list = base.list('Service').map((service) => this.#serve(service));
    const kept = keepList(this.#table.list, list as unknown as readonly ResourceOf<Kind>[]);
    if (kept !== this.#table.list) this.#table = new KindTable(kept);
    return new Replaced(base, 'Service', this.#table);
  }

  #serve(service: Service): Service {
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    const number = this.#numbers.get(key) ?? this.#numbers.size;
    this.#numbers.set(key, number);
    let served = this.#served.get(service);
    if (!served) {
      served = withHighPorts(withClusterIp(service, number));
      this.#served.set(service, served);
    }
    return served;
  }
}

/** Addresses of the class E block, which nothing else uses: nobody reaches them but through a proxy. */
function withClusterIp(service: Service, number: number): Service {
  const { spec } = service;
  if (spec.clusterIP || spec.clusterIPs?.length || spec.type === 'ExternalName') return service;
  return { ...service, spec: { ...spec, clusterIP: addressOf(number) } };
}

/** From 240.96.1.0 on. */
function addressOf(number: number): string {
  const place = number + 256;
  return `240.${96 + (place >> 16)}.${(place >> 8) & 255}.${place & 255}`;
}

/** The Service that comes with a Gateway of the Kubernetes Gateway API leads to the local router, which should need no privilege for its ports. */
function withHighPorts(service: Service): Service {
  if (!isOfGatewayApi(service)) return service;
  const ports = service.spec.ports.map((port) => ({ ...port, targetPort: port.port < 1024 ? port.port + 10_000 : port.port }));
  return { ...service, spec: { ...service.spec, ports } };
}
