/** What is read of a proxy: recorded while it is read, so that no list of it has to be kept beside what reads. */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { sameContent } from '../lib/same.ts';

/** One thing that was read of a proxy, and what it was. */
export type Read =
  | { readonly of: 'field'; readonly name: keyof ProxyIdentity; readonly value: unknown }
  | { readonly of: 'label'; readonly name: string; readonly value: string | undefined }
  /** Whether the proxy has this address. */
  | { readonly of: 'address'; readonly name: string; readonly value: boolean };

export interface Recording {
  /** The proxy, for those who are to be watched reading it. */
  readonly proxy: ProxyIdentity;
  /** What they have read so far, each thing once. */
  reads(): readonly Read[];
}

/** What a read comes to at another proxy. */
export function valueAt(read: Read, proxy: ProxyIdentity): unknown {
  switch (read.of) {
    case 'field':
      return proxy[read.name];
    case 'label':
      return proxy.labels[read.name];
    case 'address':
      return proxy.addresses.includes(read.name);
  }
}

/** Whether the read would have given the same at another proxy. */
export function holdsFor(read: Read, proxy: ProxyIdentity): boolean {
  return sameContent(read.value, valueAt(read, proxy));
}

/**
 * A proxy that notes what is read of it. To list labels or addresses counts as reading all of them; to look for one address, as asking for that one.
 */
export function recording(proxy: ProxyIdentity): Recording {
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
    for (const name of ['bindAddress', 'explicitProxy'] as const) field(name);
  });
  return { proxy: view, reads: () => [...reads.values()] };
}

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
