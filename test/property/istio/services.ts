/** Generators of Services and their endpoints, of what rules say of them, and of calls to them. */
import fc, { type Arbitrary } from 'fast-check';
import { type Sketch, sketches } from '../calls.ts';
import { type Configuration, configurations } from '../configurations.ts';
import { maybe, some, weighted } from '../generators.ts';
import { policies } from './more.ts';

const SUFFIX = 'svc.cluster.local';
const NAMES = ['web', 'db', 'outside'] as const;
const namespace = weighted([5, 'default'], [2, 'other'], [1, 'istio-system']);

interface Port {
  readonly name?: string;
  readonly port: number;
  readonly targetPort: number | string;
  readonly protocol: string;
  readonly appProtocol?: string;
}

const tcp = (name: string, port: number, targetPort: number | string, appProtocol?: string): Port =>
  some({ name, port, targetPort, protocol: 'TCP', appProtocol }) as Port;
const port = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      tcp('http', 80, 8000),
      tcp('http-alt', 8080, 'named'),
      tcp('grpc', 9090, 9000),
      tcp('https', 443, 8443),
      tcp('tcp-db', 3306, 9000),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      tcp('mysql', 3306, 9000),
      tcp('redis-a', 6379, 9000),
      tcp('tls-a', 8443, 8443),
      tcp('Http', 81, 8000),
      tcp('httpx', 82, 8000),
      tcp('a', 83, 8000, 'http'),
      tcp('http-b', 84, 8000, 'tcp'),
      tcp('c', 85, 8000, 'kubernetes.io/h2c'),
      tcp('d', 86, 8000, 'kubernetes.io/ws'),
      tcp('http-e', 87, 8000, 'own.example/protocol'),
      tcp('f', 88, 8443, 'HTTPS'),
      { name: 'http-udp', port: 80, targetPort: 8001, protocol: 'UDP' },
    ),
  },
);
const ports = fc.uniqueArray(port, { minLength: 1, maxLength: 3, selector: ({ port }) => port });

const endpoint = fc
  .record({
    address: weighted([4, '10.244.1.20'], [3, '10.244.1.21'], [2, '203.0.113.9'], [1, '10.244.1.10']),
    ready: weighted([5, true], [1, false]),
    terminating: weighted([6, false], [1, true]),
  })
  .map(({ address, ready, terminating }) => ({
    addresses: [address],
    conditions: { ready: ready && !terminating, serving: ready, terminating },
    ...POD_OF[address],
  }));
const POD_OF: Readonly<Record<string, object>> = Object.fromEntries(
  [
    ['10.244.1.20', 'httpbin'],
    ['10.244.1.21', 'httpbin2'],
    ['10.244.1.10', 'sleep'],
  ].map(([address, name]) => [address, { nodeName: 'lab', targetRef: { kind: 'Pod', name, namespace: 'default' } }]),
);

const service = fc
  .record({
    namespace,
    ports,
    kind: weighted([6, 'ClusterIP'], [3, 'None'], [1, 'ExternalName']),
    externalName: fc.constantFrom('www.example.com', 'httpbin.default.svc.cluster.local', 'api.example.com'),
    selects: weighted([3, true], [1, false]),
    notReady: maybe(fc.constant(true), 0),
    exportTo: maybe(fc.constantFrom('.', '*', 'default', '~', 'other,istio-system'), 0),
    unnamed: maybe(fc.constant(true), 0),
    endpoints: fc.uniqueArray(endpoint, { minLength: 0, maxLength: 3, selector: ({ addresses }) => addresses[0] }),
    missing: maybe(fc.constant(true), 0),
  })
  .map(({ ports, unnamed, ...rest }) => ({
    ...rest,
    ports: unnamed && ports.length === 1 ? ports.map(({ name, ...port }) => port as Port) : ports,
  }));

const services = fc.array(service, { minLength: 1, maxLength: 3 }).map((all) =>
  all.flatMap(({ namespace, ports, kind, externalName, selects, notReady, exportTo, endpoints, missing }, i) => {
    const metadata = {
      name: NAMES[i]!,
      namespace,
      ...(exportTo ? { annotations: { 'networking.istio.io/exportTo': exportTo } } : {}),
    };
    const made = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: some({
        type: kind === 'ExternalName' ? kind : 'ClusterIP',
        ...(kind === 'ExternalName' ? { externalName } : { clusterIP: kind === 'None' ? kind : `10.96.7.${i + 1}` }),
        selector: selects && kind !== 'ExternalName' ? { app: 'httpbin' } : undefined,
        publishNotReadyAddresses: notReady,
        ports,
      }),
    };
    const slice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      addressType: 'IPv4',
      metadata: { name: `${metadata.name}-slice`, namespace, labels: { 'kubernetes.io/service-name': metadata.name } },
      // Of several ports one may have no endpoint.
      ports: ports.slice(missing ? 1 : 0).map(({ name = '', port, targetPort, protocol }) => ({
        name,
        port: typeof targetPort === 'number' ? targetPort : port === 8080 ? 8000 : port,
        protocol,
      })),
      endpoints,
    };
    return kind === 'ExternalName' ? [made] : [made, slice];
  }),
);

const host = weighted(
  [4, 'web'],
  [2, `web.default.${SUFFIX}`],
  [2, 'db'],
  [1, `db.other.${SUFFIX}`],
  [1, 'outside'],
  [1, `*.default.${SUFFIX}`],
  [1, '*.local'],
  [1, 'web.default'],
);
const to = fc
  .record({
    host: weighted(
      [4, 'web'],
      [3, `web.default.${SUFFIX}`],
      [2, 'db'],
      [1, `db.other.${SUFFIX}`],
      [1, 'outside'],
      [1, 'httpbin'],
      [1, 'www.example.com'],
    ),
    port: maybe(
      fc.constantFrom(80, 8080, 443, 3306, 83, 8000).map((number) => ({ number })),
      3,
    ),
    subset: maybe(fc.constantFrom('v1', 'v2', 'missing'), 1),
  })
  .map((each) => ({ destination: some(each) }));
const virtualService = fc
  .record({
    hosts: fc.uniqueArray(host, { minLength: 1, maxLength: 2 }),
    http: maybe(
      fc.array(
        fc
          .record({
            match: maybe(fc.constantFrom<object[]>([{ port: 80 }], [{ uri: { prefix: '/a' } }], [{ sourceLabels: { app: 'sleep' } }]), 1),
            route: fc.tuple(to),
          })
          .map(some),
        { minLength: 1, maxLength: 2 },
      ),
      4,
    ),
    tcp: maybe(
      fc.tuple(
        fc
          .record({
            match: maybe(
              fc.constantFrom<object[]>([{ port: 3306 }], [{ destinationSubnets: ['10.96.7.0/24'] }], [{ sourceLabels: { app: 'sleep' } }]),
              2,
            ),
            route: fc.tuple(to),
          })
          .map(some),
      ),
      2,
    ),
    tls: maybe(
      to.map((route) => [{ match: [{ port: 443, sniHosts: [`web.default.${SUFFIX}`] }], route: [route] }]),
      0,
    ),
  })
  .map((spec) => ({ kind: 'VirtualService', spec: some(spec) }));
const tls = fc.constantFrom<object>(
  { mode: 'DISABLE' },
  { mode: 'SIMPLE' },
  { mode: 'ISTIO_MUTUAL' },
  { mode: 'SIMPLE', sni: 'www.example.com' },
);
const policy = fc
  .record({
    tls: maybe(tls, 2),
    portLevelSettings: maybe(
      fc.tuple(fc.constantFrom(80, 443, 3306), tls).map(([number, own]) => [{ port: { number }, tls: own }]),
      1,
    ),
    loadBalancer: maybe(fc.constantFrom<object>({ simple: 'PASSTHROUGH' }, { simple: 'RANDOM' }), 1),
    connectionPool: maybe(fc.constantFrom<object>({ http: { h2UpgradePolicy: 'UPGRADE' } }, { http: { useClientProtocol: true } }), 0),
  })
  .map(some);
const destinationRule = fc
  .record({
    host,
    trafficPolicy: maybe(policy, 3),
    subsets: maybe(
      fc.constantFrom<object[]>(
        [
          { name: 'v1', labels: { version: 'v1' } },
          { name: 'v2', labels: { version: 'v2' }, trafficPolicy: { tls: { mode: 'DISABLE' } } },
        ],
        [{ name: 'v1' }],
      ),
      3,
    ),
  })
  .map((spec) => ({ kind: 'DestinationRule', spec: some(spec) }));
const sidecar = fc
  .record({
    egress: fc.constantFrom<object[]>(
      [{ hosts: ['./*'] }],
      [{ hosts: [`default/web.default.${SUFFIX}`, 'other/*'] }],
      [{ port: { number: 3306, protocol: 'MYSQL', name: 'mysql' }, hosts: ['./*'] }, { hosts: ['*/*'] }],
      [{ port: { number: 80, protocol: 'HTTP', name: 'http' }, hosts: [`*/web.default.${SUFFIX}`] }],
    ),
  })
  .map((spec) => ({ kind: 'Sidecar', spec }));
/** A name that a Service has, and one that selects pods. */
const serviceEntry = fc
  .record({
    hosts: fc.constantFrom([`web.default.${SUFFIX}`], ['pods.example.com']),
    ports: fc.constantFrom<object[]>(
      [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8000 }],
      [{ number: 3306, name: 'tcp', protocol: 'TCP', targetPort: 9000 }],
    ),
    location: weighted([3, 'MESH_INTERNAL'], [1, 'MESH_EXTERNAL']),
    addresses: maybe(fc.constant(['10.1.2.3']), 2),
    from: fc.constantFrom<object>(
      { workloadSelector: { labels: { app: 'httpbin' } } },
      {
        endpoints: [
          { address: '10.244.1.20', ports: { http: 8000 } },
          { address: '203.0.113.9', labels: { version: 'v1' } },
        ],
      },
    ),
  })
  .map(({ from, ...spec }) => ({ kind: 'ServiceEntry', spec: some({ ...spec, resolution: 'STATIC', ...from }) }));
const workloadEntry = fc
  .record({
    address: fc.constantFrom('203.0.113.9', '10.244.1.21'),
    ports: maybe(fc.constantFrom<object>({ http: 8000 }, { tcp: 9001, http: 8080 }), 2),
  })
  .map((spec) => ({ kind: 'WorkloadEntry', spec: some({ ...spec, labels: { app: 'httpbin', version: 'v2' } }) }));
const rules = fc
  .array(
    fc.tuple(
      fc.oneof(
        { weight: 4, arbitrary: virtualService as Arbitrary<{ kind: string; spec: object }> },
        { weight: 4, arbitrary: destinationRule },
        { weight: 2, arbitrary: sidecar },
        { weight: 2, arbitrary: serviceEntry },
        { weight: 1, arbitrary: workloadEntry },
      ),
      namespace,
    ),
    { maxLength: 4 },
  )
  .map((all) =>
    all.map(([{ kind, spec }, namespace], i) => ({
      apiVersion: 'networking.istio.io/v1',
      kind,
      metadata: { name: `ruled-${i}`, namespace },
      spec,
    })),
  );

/** Configurations with Services. */
export const serviced: Arbitrary<Configuration> = fc
  .tuple(configurations, services, rules, maybe(policies, 1))
  .map(([{ mesh, documents }, own, more, governing = []]) => ({
    mesh,
    documents: [
      // Rules for all of few hosts, and nothing that keeps these Services from everybody.
      ...documents.filter((each) => (each as { kind: string }).kind !== 'Sidecar'),
      ...own,
      ...more,
      ...governing,
    ],
  }));

/** Names of Services that there may not be have no address then, and calls to them are none. */
const place = weighted(
  [2, 'web.default'],
  [2, `web.default.${SUFFIX}`],
  [2, 'web'],
  [1, 'db'],
  [1, 'db.other'],
  [1, 'outside'],
  [3, '10.96.7.1'],
  [2, '10.96.7.2'],
  [1, '10.96.7.3'],
  [2, '10.244.1.20'],
  [2, '10.244.1.21'],
  [2, '203.0.113.9'],
  [1, '10.1.2.3'],
);
const portCalled = fc.constantFrom(80, 80, 8080, 443, 3306, 9090, 8443, 6379, 81, 82, 83, 84, 85, 86, 87, 88, 8000, 9000);

/** Calls to them: at the names and addresses of the Services, and at pods themselves. */
export const callsToServices: Arbitrary<Sketch> = fc
  .record({ sketch: sketches, to: place, port: portCalled, authority: maybe(place, 1) })
  .map(({ sketch, to, port, authority = to }) => ({
    ...sketch,
    direct: true,
    to,
    port,
    tls: sketch.tls && { ...sketch.tls, serverName: /[a-z]/.test(authority) ? authority : sketch.tls.serverName },
    http: sketch.http && { ...sketch.http, authority: [80, 443].includes(port) ? authority : `${authority}:${port}` },
  }));

/** Addresses of a Service by a name that it has for a pod. */
export function addressesOfService(documents: readonly object[], name: string, namespace: string): readonly string[] {
  for (const { kind, metadata, spec } of documents as ServiceObject[]) {
    if (kind !== 'Service' || !spec.clusterIP || spec.clusterIP === 'None') continue;
    const full = `${metadata.name}.${metadata.namespace}`;
    if ([full, `${full}.svc`, `${full}.${SUFFIX}`].includes(name) || (name === metadata.name && namespace === metadata.namespace))
      return [spec.clusterIP];
  }
  return [];
}

interface ServiceObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: { readonly clusterIP?: string };
}
