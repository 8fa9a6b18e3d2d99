import { create } from '@bufbuild/protobuf';
import { weakly } from '../../lib/weakly.ts';
import { type Route, type VirtualHost, VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';

type VirtualHostInit = Pick<VirtualHost, 'name' | 'domains'> &
  Partial<Pick<VirtualHost, 'requireTls' | 'includeRequestAttemptCount' | 'metadata'>>;

/**
 * A virtual host whose routes are built when they are first read: they are most of a proxy's configuration, and a call that is simulated reads those
 * of one host among thousands. Nor are they kept: once they are encoded, nobody reads them but who asks for a dump.
 */
export function virtualHostOf(init: VirtualHostInit, routes: () => readonly Route[]): VirtualHost {
  const { routes: _, ...host } = create(VirtualHostSchema, init);
  lazyRoutes.set(host, weakly(routes));
  return Object.defineProperty(host as VirtualHost, 'routes', READ_ROUTES);
}

const lazyRoutes = new WeakMap<object, () => readonly Route[]>();

/** One function for all, on objects without the field before: V8 keeps an object with a getter of its own as a hash table, twice the size. */
const READ_ROUTES: PropertyDescriptor = {
  get(this: object) {
    return lazyRoutes.get(this)!();
  },
  enumerable: true,
  configurable: true,
};
