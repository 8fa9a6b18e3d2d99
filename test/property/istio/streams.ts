/** Generators of the Gateway API's other routes (TLSRoute, TCPRoute, GRPCRoute), for gateways and in the mesh, and of BackendTLSPolicies. */
import fc, { type Arbitrary } from 'fast-check';
import { type Configuration, configurations } from '../configurations.ts';
import { maybe, some, weighted } from '../generators.ts';
import { CLASS, GATEWAY_API } from './more.ts';

const GATEWAY = { group: GATEWAY_API, kind: 'Gateway', name: 'eg', namespace: 'istio-system' };
const namespace = weighted([4, 'default'], [2, 'istio-system'], [1, 'other']);
const list = <T>(...values: readonly T[]): Arbitrary<T[]> => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 });
const hostname = maybe(fc.constantFrom('www.example.com', '*.example.com'), 1);
const kinds = maybe(
  fc.constantFrom<object[]>([{ kind: 'TLSRoute' }], [{ kind: 'TCPRoute' }], [{ kind: 'HTTPRoute' }, { kind: 'GRPCRoute' }]),
  0,
);
const allowedRoutes = fc.record({ namespaces: weighted<object>([4, { from: 'All' }], [1, { from: 'Same' }]), kinds }).map(some);
const certificate = { certificateRefs: [{ group: '', kind: 'Secret', name: 'gw-www' }] };
const listeners = fc
  .record({
    http: maybe(hostname, 4),
    secure: fc.constantFrom<object>(
      { name: 'tls', protocol: 'TLS', tls: { mode: 'Passthrough' } },
      { name: 'tls', protocol: 'TLS', tls: { mode: 'Terminate', ...certificate } },
      { name: 'https', protocol: 'HTTPS', tls: { mode: 'Terminate', ...certificate } },
    ),
    name: hostname,
    tcp: maybe(fc.constantFrom(6379, 31400), 3),
    allowedRoutes,
  })
  .map(({ http, secure, name, tcp, allowedRoutes }) => [
    some({ name: 'http', port: 80, protocol: 'HTTP', hostname: http, allowedRoutes: { namespaces: { from: 'All' } } }),
    some({ port: 443, hostname: name, ...secure, allowedRoutes }),
    ...(tcp === undefined ? [] : [{ name: 'tcp', port: tcp, protocol: 'TCP', allowedRoutes: { namespaces: { from: 'All' } } }]),
  ]);
const gateway = listeners.map((all) => ({
  apiVersion: `${GATEWAY_API}/v1`,
  kind: 'Gateway',
  metadata: { name: 'eg', namespace: 'istio-system' },
  spec: {
    gatewayClassName: 'istio',
    addresses: [{ type: 'Hostname', value: 'istio-egressgateway.istio-system.svc.cluster.local' }],
    listeners: all,
  },
}));

const parent = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom<object>(
      GATEWAY,
      GATEWAY,
      { ...GATEWAY, sectionName: 'tls' },
      { ...GATEWAY, port: 443 },
      { ...GATEWAY, sectionName: 'tcp' },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom<object>(
      { group: '', kind: 'Service', name: 'httpbin' },
      { group: '', kind: 'Service', name: 'httpbin', port: 9000 },
      { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'pattern' },
      { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'pattern', port: 443 },
    ),
  },
);
const backend = fc
  .record({
    to: weighted<object>(
      [5, { group: 'networking.istio.io', kind: 'Hostname', name: 'www.example.com', port: 443 }],
      [2, { group: 'networking.istio.io', kind: 'Hostname', name: 'www.example.com', port: 80 }],
      [1, { group: 'networking.istio.io', kind: 'Hostname', name: 'undeclared.example.com', port: 80 }],
      [3, { group: '', kind: 'Service', name: 'httpbin', port: 9000 }],
      [1, { group: '', kind: 'Service', name: 'httpbin', namespace: 'default', port: 8000 }],
      [1, { group: '', kind: 'Service', name: 'missing', port: 80 }],
    ),
    weight: weighted([4, 1], [1, 0], [1, 3]),
  })
  .map(({ to, weight }) => ({ ...to, weight }));
const backendRefs = fc.array(backend, { minLength: 1, maxLength: 2 });
const parentRefs = fc.uniqueArray(parent, { minLength: 1, maxLength: 2 });
const tlsRoute = fc
  .record({ parentRefs, hostnames: list('www.example.com', '*.example.com', 'api.example.com'), backendRefs })
  .map(({ backendRefs, ...spec }) => ({ kind: 'TLSRoute', spec: { ...spec, rules: [{ backendRefs }] } }));
const tcpRoute = fc.record({ parentRefs, backendRefs }).map(({ parentRefs, backendRefs }) => ({
  kind: 'TCPRoute',
  spec: { parentRefs, rules: [{ backendRefs }] },
}));
const method = fc.constantFrom<object>(
  { type: 'Exact', service: 'a', method: 'b' },
  { type: 'Exact', service: 'a' },
  { type: 'Exact', method: 'b' },
  { type: 'RegularExpression', service: '[ab]', method: 'b|1.' },
);
const grpcRule = fc
  .record({
    matches: maybe(
      fc.array(
        fc.record({ method: maybe(method, 3), headers: maybe(fc.constant([{ type: 'Exact', name: 'x-a', value: '1' }]), 1) }).map(some),
        { minLength: 1, maxLength: 2 },
      ),
      3,
    ),
    filters: maybe(fc.constant([{ type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'x-t-a', value: 'set' }] } }]), 0),
    backendRefs,
  })
  .map(some);
const grpcRoute = fc
  .record({
    parentRefs,
    hostnames: maybe(list('www.example.com', '*.example.com'), 3),
    rules: fc.array(grpcRule, { minLength: 1, maxLength: 2 }),
  })
  .map((spec) => ({ kind: 'GRPCRoute', spec: some(spec) }));
const routes = fc
  .array(
    fc.tuple(
      fc.oneof(
        { weight: 4, arbitrary: tlsRoute as Arbitrary<{ kind: string; spec: object }> },
        { weight: 2, arbitrary: tcpRoute },
        { weight: 3, arbitrary: grpcRoute },
      ),
      namespace,
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((all) =>
    all.map(([{ kind, spec }, namespace], i) => ({
      apiVersion: `${GATEWAY_API}/v1`,
      kind,
      metadata: { name: `stream-${i}`, namespace },
      spec,
    })),
  );

/** Configurations with a Gateway of the Gateway API, and routes of connections and of gRPC. */
export const streamRoutes: Arbitrary<Configuration> = fc.tuple(configurations, gateway, routes).map(([{ mesh, documents }, own, all]) => ({
  mesh,
  documents: [...documents.filter((each) => (each as { kind: string }).kind !== 'Gateway'), CLASS, own, ...all],
}));
