/** What is read of a proxy: recorded while it is read, so that no list of it has to be kept beside what reads. */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { sameContent } from '../lib/same.ts';
import type { Registry } from '../registry/model.ts';
import type { Mesh } from './model.ts';

/** One thing that was read of a proxy, and what it was. */
export type Read =
  | { readonly of: 'field'; readonly name: keyof ProxyIdentity; readonly value: unknown }
  | { readonly of: 'label'; readonly name: string; readonly value: string | undefined }
  /** Whether the proxy has this address. */
  | { readonly of: 'address'; readonly name: string; readonly value: boolean }
  /** Whether the proxy has an address of this kind; `name` is that of the function that tells. */
  | { readonly of: 'some address'; readonly name: string; readonly value: boolean; readonly is: (address: string) => boolean }
  /** The ports of services that its workload serves; replicas, each at an address of its own, serve the same. */
  | { readonly of: 'services'; readonly name: 'served'; readonly value: readonly string[] };

export interface Recording {
  /** The proxy and the mesh, for those who are to be watched reading the proxy. */
  readonly proxy: ProxyIdentity;
  readonly mesh: Mesh;
  /** What they have read so far, each thing once. */
  reads(): readonly Read[];
}

/** Whether the read would have given the same at another proxy of the mesh. */
export function holdsFor(read: Read, proxy: ProxyIdentity, mesh: Mesh): boolean {
  return sameContent(read.value, valueAt(read, proxy, mesh.registry));
}

function valueAt(read: Read, proxy: ProxyIdentity, registry: Registry): unknown {
  switch (read.of) {
    case 'field':
      return proxy[read.name];
    case 'label':
      return proxy.labels[read.name];
    case 'address':
      return proxy.addresses.includes(read.name);
    case 'some address':
      return proxy.addresses.some(read.is);
    case 'services':
      return servedBy(proxy, registry);
  }
}

/** No two services of one name in a namespace have one port. */
function servedBy(proxy: ProxyIdentity, registry: Registry): string[] {
  return registry
    .servicesOf(proxy)
    .map(({ service, port, endpointPort }) => `${service.namespace}/${service.hostname} ${port.number} ${endpointPort}`);
}

/**
 * A proxy that notes what is read of it. To list labels or addresses counts as reading all of them; to look for one address, or with a function that
 * has a name for a kind of them, as asking for that; to ask the registry what the proxy serves, as reading the answer. A recording inside of another
 * keeps what it notes to itself.
 */
export function recording(given: ProxyIdentity, within: Mesh): Recording {
  // Who records inside of a recording looks at the proxy itself: to set up the recording is not to read the proxy.
  const { proxy, registry: plain } = originals.get(given) ?? { proxy: given, registry: within.registry };
  const mesh: Mesh = { ...within, registry: plain };
  const reads = new Map<string, Read>();
  const note = (read: Read) => void reads.set(`${read.of} ${read.name}`, read);
  const field = (name: keyof ProxyIdentity) => note({ of: 'field', name, value: proxy[name] });
  const labels = watched(
    { ...proxy.labels },
    (name) => note({ of: 'label', name, value: proxy.labels[name] }),
    () => field('labels'),
  );
  const addresses = new Proxy([...proxy.addresses], {
    get(target, key) {
      if (key === 'includes') {
        return (name: string) => {
          const value = target.includes(name);
          note({ of: 'address', name, value });
          return value;
        };
      }
      if (key === 'some') {
        return (is: (address: string) => boolean) => {
          const value = target.some(is);
          const known = reads.get(`some address ${is.name}`);
          // Functions that are made on the spot, or share a name, can't be told apart by it.
          if (is.name && (known?.of !== 'some address' || known.is === is)) note({ of: 'some address', name: is.name, value, is });
          else field('addresses');
          return value;
        };
      }
      field('addresses');
      return Reflect.get(target, key);
    },
    has(target, key) {
      field('addresses');
      return Reflect.has(target, key);
    },
    ownKeys(target) {
      field('addresses');
      return Reflect.ownKeys(target);
    },
  });
  const fields = { ...proxy, labels, addresses };
  const noteField = (name: string) => {
    // Whoever takes these is seen reading in them.
    if (name !== 'labels' && name !== 'addresses') field(name as keyof ProxyIdentity);
  };
  const view = watched(fields, noteField, () => {
    for (const name of ['bindAddress', 'explicitProxy', 'countsBy', 'injects'] as const) field(name);
  });
  const registry: Registry = {
    ...mesh.registry,
    servicesOf(workload) {
      if (workload !== view) return mesh.registry.servicesOf(workload);
      note({ of: 'services', name: 'served', value: servedBy(proxy, mesh.registry) });
      return mesh.registry.servicesOf(proxy);
    },
  };
  originals.set(view, { proxy, registry: mesh.registry });
  return { proxy: view, mesh: { ...mesh, registry }, reads: () => [...reads.values()] };
}

/** What the proxies that note their reads stand for. */
const originals = new WeakMap<ProxyIdentity, { readonly proxy: ProxyIdentity; readonly registry: Registry }>();

/** An object that tells which of its properties are read, and when all of them are listed. */
function watched<T extends object>(target: T, onRead: (name: string) => void, onList: () => void): T {
  const tell = (key: string | symbol) => {
    if (typeof key === 'string') onRead(key);
  };
  return new Proxy(target, {
    get(from, key) {
      tell(key);
      return Reflect.get(from, key);
    },
    has(from, key) {
      tell(key);
      return Reflect.has(from, key);
    },
    getOwnPropertyDescriptor(from, key) {
      tell(key);
      return Reflect.getOwnPropertyDescriptor(from, key);
    },
    ownKeys(from) {
      onList();
      return Reflect.ownKeys(from);
    },
  });
}
