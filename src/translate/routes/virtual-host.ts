import { create } from '@bufbuild/protobuf';
import { once } from '../../lib/once.ts';
import { type Route, type VirtualHost, VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';

type VirtualHostInit = Pick<VirtualHost, 'name' | 'domains'> &
  Partial<Pick<VirtualHost, 'requireTls' | 'includeRequestAttemptCount' | 'metadata'>>;

/**
 * A virtual host whose routes are built when they are first read: they are most of a proxy's configuration, and a call that is simulated reads those
 * of one host among thousands.
 */
export function virtualHostOf(init: VirtualHostInit, routes: () => readonly Route[]): VirtualHost {
  const host = create(VirtualHostSchema, init);
  return Object.defineProperty(host, 'routes', { get: once(routes), enumerable: true, configurable: true });
}
