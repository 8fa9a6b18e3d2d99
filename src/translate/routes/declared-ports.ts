/** Routes to services with resolution DYNAMIC_DNS: the name that a request gives decides where it goes, and so would its port. */
import { create } from '@bufbuild/protobuf';
import type { HttpRoute } from '../../api/index.ts';
import type { Service } from '../../registry/model.ts';
import { HeaderMatcherSchema, type Route, RouteMatchSchema, RouteSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { Destinations } from './context.ts';
import { REFUSED_ROUTE } from './defaults.ts';

/** The services with resolution DYNAMIC_DNS that the rule sends requests or copies of them to. */
export function dynamicDestinations({ route, mirror, mirrors }: HttpRoute, destinations: Destinations): readonly Service[] {
  const hosts = [...route, ...mirrors].map(({ destination }) => destination.host).concat(mirror ? [mirror.host] : []);
  return hosts.map((host) => destinations.serviceFor(host)).filter((service) => service?.resolution === 'DynamicDNS') as Service[];
}

/**
 * The route, and before it one that answers 403 to what it would take whose authority names a port that not all of the services declare. Envoy would
 * connect to any.
 */
export function onDeclaredPorts(route: Route, services: readonly Service[]): readonly Route[] {
  if (services.length === 0) return [route];
  const [first, ...others] = services.map(({ ports }) => new Set(ports.flatMap(({ number, targetPort }) => [number, targetPort])));
  const ports = [...first!].filter((port) => others.every((each) => each.has(port))).sort((a, b) => a - b);
  const hosts = [...new Set(services.map(({ hostname }) => hostname))].join(' and ');
  const declared = create(HeaderMatcherSchema, {
    name: ':authority',
    headerMatchSpecifier: { case: 'stringMatch', value: { matchPattern: { case: 'safeRegex', value: { regex: authorityWith(ports) } } } },
    invertMatch: true,
  });
  const match = route.match ?? create(RouteMatchSchema);
  const refusing = create(RouteSchema, {
    name: REFUSED_ROUTE,
    match: { ...match, headers: [...match.headers, declared] },
    ...(route.metadata && { metadata: route.metadata }),
    action: {
      case: 'directResponse',
      value: { status: 403, body: { specifier: { case: 'inlineString', value: `${hosts}: only port ${ports.join(', ')} is declared\n` } } },
    },
  });
  return [refusing, route];
}

/** Any host without a port, or with one of these. */
function authorityWith(ports: readonly number[]): string {
  return `(\\[[^\\]]*\\]|[^:]*)(:(${ports.join('|')}))?`;
}
