/** Routes to services with resolution DYNAMIC_DNS: the name that a request gives decides where it goes, and so would its port. */
import { create } from '@bufbuild/protobuf';
import type { HttpRoute } from '../../api/index.ts';
import type { Service } from '../../registry/model.ts';
import { HeaderMatcherSchema, type Route } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { Destinations } from './context.ts';

/** The services with resolution DYNAMIC_DNS that the rule sends requests or copies of them to. */
export function dynamicDestinations({ route, mirror, mirrors }: HttpRoute, destinations: Destinations): readonly Service[] {
  const hosts = [...route, ...mirrors].map(({ destination }) => destination.host).concat(mirror ? [mirror.host] : []);
  return hosts.flatMap((host) => {
    const service = destinations.serviceFor(host);
    return service?.resolution === 'DynamicDNS' ? [service] : [];
  });
}

/** Has the route take a request only if its authority names no port, or one that all of the services declare: Envoy would connect to any. */
export function onDeclaredPorts(route: Route, services: readonly Service[]): Route {
  if (services.length === 0) return route;
  const [first, ...others] = services.map(({ ports }) => new Set(ports.flatMap(({ number, targetPort }) => [number, targetPort])));
  const ports = [...first!].filter((port) => others.every((each) => each.has(port))).sort((a, b) => a - b);
  const regex = `(\\[[^\\]]*\\]|[^:]*)(:(${ports.join('|')}))?`;
  route.match!.headers.push(
    create(HeaderMatcherSchema, {
      name: ':authority',
      headerMatchSpecifier: { case: 'stringMatch', value: { matchPattern: { case: 'safeRegex', value: { regex } } } },
    }),
  );
  return route;
}
