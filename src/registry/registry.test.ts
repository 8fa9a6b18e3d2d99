import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText } from '../../test/support/mesh.ts';
import { originText } from '../lib/origin.ts';
import type { Endpoint, Registry, Service } from './model.ts';

function registryOf(text: string): Registry {
  return meshFromText(text).registry;
}

function serviceEntry(name: string, spec: string, metadata = ''): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default${metadata} }
spec: ${spec}
---`;
}

function service(registry: Registry, hostname: string, namespace = 'default'): Service {
  const found = registry.lookup(hostname, namespace);
  assert.ok(found, `${hostname} is visible`);
  return found;
}

function addressesOf(registry: Registry, hostname: string, port = 0): string[] {
  const found = service(registry, hostname);
  return registry
    .endpoints(found, found.ports[port]!)
    .map((endpoint) => `${endpoint.address}:${endpoint.port}${endpoint.healthy ? '' : ' unhealthy'}`);
}

test('a ServiceEntry makes a service for each host, with its ports and one allocated address each', () => {
  const registry = registryOf(
    serviceEntry(
      's',
      '{ hosts: [A.example.com, b.example.com], ports: [{ number: 80, name: http, protocol: http, targetPort: 8080 }], resolution: DNS }',
    ),
  );
  assert.deepEqual(
    registry.services.map(({ hostname, resolution, meshExternal }) => ({ hostname, resolution, meshExternal })),
    ['a.example.com', 'b.example.com'].map((hostname) => ({ hostname, resolution: 'DNSLB', meshExternal: true })),
  );
  const [a, b] = registry.services;
  assert.deepEqual(a!.ports, [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }]);
  assert.match(a!.autoAddresses[0]!, /^240\.240\./);
  assert.notEqual(a!.autoAddresses[0], b!.autoAddresses[0]);
  assert.deepEqual(addressesOf(registry, 'a.example.com'), ['a.example.com:8080']);
});

test('no address is allocated for wildcards, resolution NONE, where addresses are declared and where a label says so', () => {
  const ports = 'ports: [{ number: 80, name: http, protocol: HTTP }]';
  const registry = registryOf(
    serviceEntry('w', `{ hosts: ['*.example.com'], ${ports}, resolution: DYNAMIC_DNS }`) +
      serviceEntry('none', `{ hosts: [n.example.com], ${ports}, resolution: NONE }`) +
      serviceEntry('a', `{ hosts: [a.example.com], ${ports}, resolution: DNS, addresses: [203.0.113.1] }`) +
      serviceEntry('l', `{ hosts: [l.example.com], ${ports}, resolution: DNS }`).replace(
        'name: l,',
        'name: l, labels: { networking.istio.io/enable-autoallocate-ip: "false" },',
      ),
  );
  assert.deepEqual(
    registry.services.map(({ autoAddresses }) => autoAddresses),
    [[], [], [], []],
  );
});

test('resolution DNS of a wildcard without endpoints is the address that the client dialled', () => {
  const registry = registryOf(
    serviceEntry('w', "{ hosts: ['*.lab.test'], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }") +
      serviceEntry(
        'e',
        "{ hosts: ['*.example.org'], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS, endpoints: [{ address: cdn.example.com }] }",
      ),
  );
  assert.equal(service(registry, '*.lab.test').resolution, 'Passthrough');
  assert.equal(service(registry, '*.example.org').resolution, 'DNSLB');
  assert.deepEqual(addressesOf(registry, '*.example.org'), ['cdn.example.com:80']);
});

test('a host that is resolved is its own endpoint, of no weight, locality or identity', () => {
  const registry = registryOf(
    serviceEntry('s', '{ hosts: [a.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }'),
  );
  const found = service(registry, 'a.example.com');
  const [{ address, weight, locality, network, serviceAccount, healthy, tlsMode }] = registry.endpoints(found, found.ports[0]!) as [
    Endpoint,
  ];
  assert.deepEqual(
    { address, weight, locality, network, serviceAccount, healthy, tlsMode },
    { address: 'a.example.com', weight: 0, locality: '', network: '', serviceAccount: '', healthy: true, tlsMode: 'disabled' },
  );
});

test('endpoints keep their own ports, weights and localities; unix sockets have none', () => {
  const registry = registryOf(
    serviceEntry(
      's',
      `{ hosts: [pool.example.com], ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 81 }], resolution: STATIC,
         endpoints: [{ address: 203.0.113.1, weight: 3, locality: eu/1 }, { address: 203.0.113.2, ports: { http: 8080 } }, { address: 'unix:///run/s.sock' }] }`,
    ),
  );
  assert.deepEqual(addressesOf(registry, 'pool.example.com'), ['203.0.113.1:81', '203.0.113.2:8080', 'unix:///run/s.sock:0']);
  const found = service(registry, 'pool.example.com');
  assert.deepEqual(
    registry.endpoints(found, found.ports[0]!).map(({ weight, locality }) => [weight, locality]),
    [
      [3, 'eu/1'],
      [0, ''],
      [0, ''],
    ],
  );
});

const WORKLOADS = `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: vm, namespace: default }
spec: { address: 203.0.113.21, labels: { app: vm }, ports: { http: 8080 }, serviceAccount: vm }
---
apiVersion: v1
kind: Node
metadata: { name: node, labels: { topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1 } }
---
apiVersion: v1
kind: Pod
metadata: { name: pod, namespace: default, labels: { app: vm } }
spec: { nodeName: node, serviceAccountName: podsa, containers: [{ name: app, ports: [{ name: web, containerPort: 9090 }] }] }
status: { phase: Running, podIP: 10.1.1.1, conditions: [{ type: Ready, status: 'True' }] }
---
apiVersion: v1
kind: Pod
metadata: { name: starting, namespace: default, labels: { app: vm } }
spec: { containers: [{ name: app, ports: [{ name: web, containerPort: 9090 }] }] }
status: { phase: Running, podIP: 10.1.1.2, conditions: [{ type: Ready, status: 'False' }] }
---
apiVersion: v1
kind: Pod
metadata: { name: done, namespace: default, labels: { app: vm } }
spec: { containers: [{ name: app }] }
status: { phase: Succeeded, podIP: 10.1.1.3 }
---`;

test('workloadSelector picks the Pods and WorkloadEntries of its own namespace', () => {
  const registry = registryOf(
    WORKLOADS +
      serviceEntry(
        's',
        '{ hosts: [pool.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: STATIC, workloadSelector: { labels: { app: vm } } }',
      ),
  );
  assert.deepEqual(addressesOf(registry, 'pool.example.com').sort(), ['10.1.1.1:80', '10.1.1.2:80 unhealthy', '203.0.113.21:8080']);
  const found = service(registry, 'pool.example.com');
  const pod = registry.endpoints(found, found.ports[0]!).find(({ workload }) => workload === 'pod');
  assert.equal(pod?.locality, 'eu/eu-1');
  assert.equal(pod?.serviceAccount, 'podsa');
});

test('an endpoint that states its service account takes the mesh’s TLS, unless its label says otherwise', () => {
  const modes = (endpoint: string) => {
    const spec = `{ hosts: [vm.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: STATIC, endpoints: [${endpoint}] }`;
    const registry = registryOf(serviceEntry('s', spec));
    const found = service(registry, 'vm.example.com');
    return registry.endpoints(found, found.ports[0]!).map(({ tlsMode }) => tlsMode);
  };
  assert.deepEqual(modes('{ address: 203.0.113.1 }'), ['disabled']);
  assert.deepEqual(modes('{ address: 203.0.113.1, serviceAccount: vm }'), ['istio']);
  assert.deepEqual(modes('{ address: 203.0.113.1, serviceAccount: vm, labels: { security.istio.io/tlsMode: disabled } }'), ['disabled']);
});

const KUBERNETES_SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec: { clusterIP: 10.96.0.1, selector: { app: vm }, ports: [{ name: http, port: 80, targetPort: web }] }
---`;

test('a Service without slices or Endpoints takes the Pods that it selects, by named target port, and WorkloadEntries', () => {
  const endpoints = (text: string) => addressesOf(registryOf(text), 'web.default.svc.cluster.local').sort();
  const pods = ['10.1.1.1:9090', '10.1.1.2:9090 unhealthy'];
  assert.deepEqual(endpoints(WORKLOADS + KUBERNETES_SERVICE), pods, 'the WorkloadEntry has no port of that name');
  assert.deepEqual(endpoints(WORKLOADS.replace('ports: { http: 8080 }', 'ports: { web: 8080 }') + KUBERNETES_SERVICE), [
    ...pods,
    '203.0.113.21:8080',
  ]);
  const byNumber = KUBERNETES_SERVICE.replace('targetPort: web', 'targetPort: 9090');
  assert.deepEqual(endpoints(WORKLOADS + byNumber), [...pods, '203.0.113.21:8080'], 'by the name of the Service’s port');
  assert.deepEqual(endpoints(WORKLOADS.replace(', ports: { http: 8080 }', '') + byNumber), [...pods, '203.0.113.21:9090']);
});

test('EndpointSlices come before Endpoints, and those before selected Pods', () => {
  const endpoints = `
apiVersion: v1
kind: Endpoints
metadata: { name: web, namespace: default }
subsets: [{ addresses: [{ ip: 10.2.0.1 }], notReadyAddresses: [{ ip: 10.2.0.2 }], ports: [{ name: http, port: 81 }] }]
---`;
  assert.deepEqual(addressesOf(registryOf(KUBERNETES_SERVICE + endpoints), 'web.default.svc.cluster.local'), [
    '10.2.0.1:81',
    '10.2.0.2:81 unhealthy',
  ]);
  const slice = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: default, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
endpoints:
- { addresses: [10.1.1.1], conditions: { ready: true } }
- { addresses: [10.3.0.2], conditions: { ready: false } }
- { addresses: [10.3.0.3] }
ports: [{ name: http, port: 82 }]
---`;
  const registry = registryOf(
    WORKLOADS.replace('kind: WorkloadEntry', 'kind: WorkloadGroup').replace(/spec: \{ address.*\n/, 'spec: { template: {} }\n') +
      KUBERNETES_SERVICE +
      endpoints +
      slice,
  );
  assert.deepEqual(addressesOf(registry, 'web.default.svc.cluster.local'), ['10.1.1.1:82', '10.3.0.2:82 unhealthy', '10.3.0.3:82']);
  const found = service(registry, 'web.default.svc.cluster.local');
  assert.equal(registry.endpoints(found, found.ports[0]!)[0]!.workload, 'pod');
});

test('headless and ExternalName Services', () => {
  const registry = registryOf(`
apiVersion: v1
kind: Service
metadata: { name: headless, namespace: default }
spec: { clusterIP: None, selector: { app: x }, ports: [{ name: tcp, port: 9000 }] }
---
apiVersion: v1
kind: Service
metadata: { name: alias, namespace: default }
spec: { type: ExternalName, externalName: WWW.example.com., clusterIP: 10.96.0.9, selector: { app: x }, ports: [{ name: http, port: 80 }] }
`);
  assert.equal(service(registry, 'headless.default.svc.cluster.local').resolution, 'Passthrough');
  const alias = service(registry, 'alias.default.svc.cluster.local');
  assert.equal(alias.resolution, 'Alias');
  assert.equal(alias.externalName, 'www.example.com');
  assert.deepEqual([alias.addresses, alias.selector, alias.headless], [[], {}, false]);
  const headless = service(registry, 'headless.default.svc.cluster.local');
  assert.deepEqual([headless.addresses, headless.selector, headless.headless], [[], { app: 'x' }, true]);
});

test('a host has the names of the Services that stand for it, over others too', () => {
  const alias = (name: string, externalName: string) => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: default }
spec: { type: ExternalName, externalName: ${externalName}, ports: [{ name: http, port: 80 }] }
---`;
  const entries = (resolution: string) =>
    serviceEntry('s', `{ hosts: [www.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: ${resolution} }`);
  const aliases = alias('b', 'www.example.com') + alias('a', 'b.default.svc.cluster.local') + alias('other', 'api.example.com');
  for (const resolution of ['DNS', 'NONE'])
    assert.deepEqual(
      service(registryOf(entries(resolution) + aliases), 'www.example.com').aliases,
      ['a.default.svc.cluster.local', 'b.default.svc.cluster.local'],
      resolution,
    );
  assert.equal(service(registryOf(entries('DNS')), 'www.example.com').aliases, undefined);
});

test('of a port of a Service for UDP and TCP the one for TCP is the mesh’s, and nothing is amiss', () => {
  const { registry, findings } = meshFromText(`
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: 10.96.0.10
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
  - {name: other, port: 54, protocol: UDP}
`);
  assert.deepEqual(
    registry.services[0]!.ports.map(({ name, number }) => `${name} ${number}`),
    ['dns-tcp 53', 'other 54'],
  );
  assert.deepEqual(findings, []);
});

test('where no address is allocated, too, the younger keeps the ports that the older lacks, and those alone', () => {
  const declared = (name: string, ...ports: number[]) =>
    serviceEntry(
      name,
      `{ hosts: [www.example.com], addresses: [203.0.113.9], resolution: DNS, ports: [${ports.map((port) => `{ number: ${port}, name: p${port}, protocol: TCP }`).join(', ')}] }`,
    );
  const { services } = registryOf(declared('old', 80, 81) + declared('young', 81, 82));
  assert.deepEqual(
    services.map(({ ports, autoAddresses }) => [ports.map(({ number }) => number), autoAddresses]),
    [
      [[80, 81], []],
      [[82], []],
    ],
  );
});

test('of two objects with one host in a namespace the younger keeps the ports that the older lacks; what is lost is a finding', () => {
  const ports = (...numbers: number[]) =>
    `ports: [${numbers.map((number) => `{ number: ${number}, name: p${number}, protocol: HTTP }`).join(', ')}]`;
  const mesh = meshFromText(
    serviceEntry('old', `{ hosts: [www.example.com], ${ports(80)}, resolution: DNS, endpoints: [{ address: a.example.com }] }`) +
      serviceEntry('young', `{ hosts: [www.example.com], ${ports(80, 81)}, resolution: DNS }`) +
      serviceEntry('static', `{ hosts: [www.example.com], ${ports(82)}, resolution: STATIC, endpoints: [{ address: 203.0.113.1 }] }`) +
      serviceEntry('none', `{ hosts: [www.example.com], ${ports(82)}, resolution: STATIC, endpoints: [{ address: 203.0.113.2 }] }`) +
      serviceEntry('squatter', `{ hosts: [web.default.svc.cluster.local], ${ports(82)}, resolution: DNS }`) +
      KUBERNETES_SERVICE,
  );
  const { registry, findings } = mesh;
  assert.deepEqual(
    registry.services.map(({ resource, ports }) => `${resource.metadata.name} ${ports.map(({ number }) => number).join()}`),
    ['old 80', 'young 81', 'static 82', 'squatter 82', 'web 80'],
  );
  assert.deepEqual(
    findings.map(
      ({ origin, message }) => `${originText(origin)} ${/port ([\d, ]+)/.exec(message)?.[1]}${/503/.test(message) ? 'no cluster' : 'lost'}`,
    ),
    [
      'ServiceEntry default/young 80 lost',
      'ServiceEntry default/static 82no cluster',
      'ServiceEntry default/none 82 lost',
      'ServiceEntry default/squatter 82no cluster',
    ],
  );
  const found = service(registry, 'www.example.com');
  const addresses = (declared: typeof found) =>
    declared.ports.flatMap((port) => registry.endpoints(declared, port).map(({ address }) => `${port.number} ${address}`));
  assert.deepEqual(
    addresses(found),
    ['80 a.example.com', '80 www.example.com', '81 www.example.com'],
    'without the one of another resolution',
  );
  assert.deepEqual(addresses(registry.services[2]!), ['82 203.0.113.1', '82 203.0.113.2']);
  assert.equal(
    new Set(registry.services.slice(0, 3).flatMap(({ autoAddresses }) => autoAddresses)).size,
    2,
    'one host, one address a family',
  );
});

test('of two objects for one port the finding says where exportTo shows both, and which one counts there', () => {
  const spec = (exportTo: string) =>
    `{ hosts: [www.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS, exportTo: [${exportTo}] }`;
  const everywhere = / in this namespace as well, and the older object counts: what is said here of port 80 has no effect/;
  const cases: readonly [old: string, young: string, about: string, says: RegExp][] = [
    ['"*"', '"*"', 'young', everywhere],
    ['".", shop', 'shop', 'young', everywhere],
    [
      '"*"',
      '"."',
      'old',
      /Where exportTo shows both, that one counts, as exportTo shows it to fewer: .* of the one that everybody sees alone/,
    ],
    ['"."', '"*"', 'young', /Where exportTo shows both, the older object counts: .* of the youngest alone/],
    ['"."', '".", shop', 'young', /Where exportTo shows both, the older object counts/],
    ['"."', 'shop', 'young', /exportTo shows both to no namespace, but the endpoints/],
    ['"~"', '"."', 'young', /exportTo shows both to no namespace/],
  ];
  for (const [old, young, about, says] of cases) {
    const { registry, findings } = meshFromText(serviceEntry('old', spec(old)) + serviceEntry('young', spec(young)));
    assert.deepEqual(
      findings.map(({ origin }) => originText(origin)),
      [`ServiceEntry default/${about}`],
      `${old} ${young}`,
    );
    assert.match(findings[0]!.message, says, `${old} ${young}`);
    const counts = about === 'old' ? 'young' : 'old';
    for (const namespace of ['default', 'shop', 'other']) {
      const seen = registry.visibleTo(namespace).map(({ resource }) => resource.metadata.name);
      if (seen.length > 1) assert.equal(seen[0], counts, `${old} ${young}: ${namespace}`);
      if (says === everywhere && seen.includes(about)) assert.equal(seen.length, 2, `${old} ${young}: ${namespace}`);
      if (says.source.includes('no namespace')) assert.ok(seen.length < 2, `${old} ${young}: ${namespace}`);
    }
  }
});

test('a port lost to each of two objects is told of each, and objects that nobody sees together are not held to be alike', () => {
  const spec = (ports: string, more = '') => `{ hosts: [www.example.com], ports: [${ports}], resolution: DNS${more} }`;
  const [http, tls] = ['{ number: 80, name: http, protocol: HTTP }', '{ number: 443, name: tls, protocol: TLS }'];
  const found = (text: string) => meshFromText(text).findings.map(({ message }) => message);
  const each = found(serviceEntry('one', spec(http)) + serviceEntry('two', spec(tls)) + serviceEntry('three', spec(`${http}, ${tls}`)));
  assert.equal(each.length, 2);
  assert.match(each[0]!, /^ServiceEntry default\/one .*port 80 has/);
  assert.match(each[1]!, /^ServiceEntry default\/two .*port 443 has/);
  const apart = (own: string) => serviceEntry('one', spec(http, ', exportTo: ["."]')) + serviceEntry('two', spec(tls, own));
  assert.deepEqual(found(apart(', exportTo: [shop]')), []);
  assert.match(found(apart(''))[0]!, /differ in .* there is, where both are seen, no cluster for port 443/);
});

test('endpoints of one host: by the port’s number where names are looked up, by its name elsewhere; one for round robin', () => {
  const entry = (name: string, resolution: string, port: string, address: string) =>
    serviceEntry(
      name,
      `{ hosts: [${resolution.toLowerCase().replaceAll('_', '-')}.example.com], ports: [{ number: 443, name: ${port}, protocol: TLS }], resolution: ${resolution}, endpoints: [{ address: ${address} }] }`,
    );
  const registry = registryOf(
    entry('a', 'DNS', 'tls', 'a.test') +
      entry('b', 'DNS', 'other', 'b.test') +
      entry('f', 'DNS_ROUND_ROBIN', 'tls', 'a.test') +
      entry('g', 'DNS_ROUND_ROBIN', 'other', 'b.test') +
      entry('c', 'STATIC', 'tls', '203.0.113.1') +
      entry('d', 'STATIC', 'other', '203.0.113.2') +
      entry('e', 'STATIC', 'tls', '203.0.113.3'),
  );
  const addresses = (host: string) => {
    const found = service(registry, host);
    return registry.endpoints(found, found.ports[0]!).map(({ address }) => address);
  };
  assert.deepEqual(addresses('dns.example.com'), ['a.test', 'b.test']);
  assert.deepEqual(addresses('dns-round-robin.example.com'), ['a.test']);
  assert.deepEqual(addresses('static.example.com'), ['203.0.113.1', '203.0.113.3']);
});

test('exportTo: own namespace, named namespaces, everyone; the own namespace comes first in a lookup', () => {
  const spec = (exportTo: string) =>
    `{ hosts: [www.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS, exportTo: [${exportTo}] }`;
  const registry = registryOf(
    serviceEntry('private', spec("'.'")) +
      serviceEntry('named', spec('a, b')).replace('namespace: default', 'namespace: owner') +
      serviceEntry('open', spec("'*'")).replace('namespace: default', 'namespace: open'),
  );
  const seen = (namespace: string) => registry.lookup('www.example.com', namespace)?.resource.metadata.name;
  assert.equal(seen('default'), 'private');
  assert.equal(seen('a'), 'named');
  assert.equal(seen('owner'), 'open', 'an exportTo that does not name it hides an object from its own namespace');
  assert.equal(seen('elsewhere'), 'open');
  assert.deepEqual(
    registry.visibleTo('default').map(({ resource }) => resource.metadata.name),
    ['private', 'open'],
  );
});

interface Serving {
  readonly namespace?: string;
  readonly addresses: string[];
  readonly labels?: Record<string, string>;
}

/** What a workload serves: hosts, ports of the services and the workload's own. */
function servedAs(text: string, { namespace = 'default', addresses, labels = {} }: Serving): string[] {
  const served = registryOf(text).servicesOf({ namespace, addresses, labels });
  return served.map(({ service: { hostname }, port, endpointPort }) => `${hostname} ${port.number} ${endpointPort}`);
}

const slice = (service: string, namespace: string, address: string) => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${service}-1, namespace: ${namespace}, labels: { kubernetes.io/service-name: ${service} } }
addressType: IPv4
endpoints: [{ addresses: [${address}] }]
ports: [{ name: http, port: 9090 }]
---`;

test('what a workload serves: what selects the Pod at its address, or else what it says of itself', () => {
  const text = WORKLOADS + KUBERNETES_SERVICE;
  assert.deepEqual(servedAs(text, { addresses: ['10.1.1.1'] }), ['web.default.svc.cluster.local 80 9090']);
  assert.deepEqual(servedAs(text, { addresses: ['10.9.9.9'] }), []);
  assert.deepEqual(servedAs(text, { addresses: ['10.9.9.9'], labels: { app: 'vm' } }), ['web.default.svc.cluster.local 80 80']);
  assert.deepEqual(servedAs(text, { addresses: [], labels: { app: 'vm' } }), ['web.default.svc.cluster.local 80 80']);
  assert.deepEqual(servedAs(text, { namespace: 'other', addresses: [], labels: { app: 'vm' } }), []);
});

test('a Service that selects a Pod is served there though its endpoints are others; one that selects nothing where it has an endpoint', () => {
  const text = WORKLOADS + KUBERNETES_SERVICE + slice('web', 'default', '10.1.1.9');
  assert.deepEqual(servedAs(text, { addresses: ['10.1.1.1'] }), ['web.default.svc.cluster.local 80 9090']);
  const without = KUBERNETES_SERVICE.replace('selector: { app: vm }, ', '').replace('name: web,', 'name: bare,');
  assert.deepEqual(servedAs(text + without + slice('bare', 'default', '10.1.1.1'), { addresses: ['10.1.1.1'] }), [
    'web.default.svc.cluster.local 80 9090',
  ]);
  assert.deepEqual(servedAs(WORKLOADS + without + slice('bare', 'default', '10.1.1.1'), { addresses: ['10.1.1.1'] }), [
    'bare.default.svc.cluster.local 80 9090',
  ]);
});

test('nobody puts anything before the ports of a workload from another namespace', () => {
  const foreign = KUBERNETES_SERVICE.replaceAll('namespace: default', 'namespace: other') + slice('web', 'other', '10.1.1.1');
  const entry = serviceEntry(
    'grab',
    '{ hosts: [grab.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: STATIC, endpoints: [{ address: 10.1.1.1 }] }',
  );
  assert.deepEqual(
    servedAs(WORKLOADS + foreign + entry.replace('namespace: default', 'namespace: other'), { addresses: ['10.1.1.1'] }),
    [],
  );
  assert.deepEqual(servedAs(WORKLOADS + entry, { addresses: ['10.1.1.1'] }), ['grab.example.com 80 80']);
});

test('where a WorkloadEntry has the address of a Pod, it says what is served there', () => {
  const entry = (namespace: string, app: string) => `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: at-${app}, namespace: ${namespace} }
spec: { address: 10.1.1.1, labels: { app: ${app} }, ports: { web: 7070 } }
---`;
  const text = WORKLOADS + KUBERNETES_SERVICE;
  assert.deepEqual(servedAs(text + entry('default', 'none'), { addresses: ['10.1.1.1'] }), []);
  assert.deepEqual(servedAs(text + entry('other', 'none') + entry('default', 'vm'), { addresses: ['10.1.1.1'] }), [
    'web.default.svc.cluster.local 80 7070',
  ]);
});

test('of two ports of a Service at one port of a workload the first is served', () => {
  const text = WORKLOADS + KUBERNETES_SERVICE.replace('ports: [', 'ports: [{ name: http-first, port: 79, targetPort: web }, ');
  assert.deepEqual(servedAs(text, { addresses: ['10.1.1.1'] }), ['web.default.svc.cluster.local 79 9090']);
});

test('a WorkloadEntry is no endpoint of a headless Service', () => {
  const headless = registryOf(WORKLOADS + KUBERNETES_SERVICE.replace(/clusterIP: [^,\n }]+/, 'clusterIP: None'));
  assert.deepEqual(addressesOf(headless, 'web.default.svc.cluster.local').sort(), ['10.1.1.1:9090', '10.1.1.2:9090 unhealthy']);
});

test('a workload serves headless Services too, and of entries only those whose endpoints are addresses that are known', () => {
  const headless = KUBERNETES_SERVICE.replace(/clusterIP: [^,\n }]+/, 'clusterIP: None');
  const dns = serviceEntry(
    'dns',
    '{ hosts: [dns.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS, endpoints: [{ address: 10.1.1.1 }] }',
  );
  const registry = registryOf(WORKLOADS + headless + dns);
  assert.equal(service(registry, 'web.default.svc.cluster.local').resolution, 'Passthrough');
  const served = registry.servicesOf({ namespace: 'default', addresses: ['10.1.1.1'], labels: {} });
  assert.deepEqual(
    served.map(({ service: { hostname } }) => hostname),
    ['web.default.svc.cluster.local'],
  );
});

test('a network of one address is the address', () => {
  const spec = `{ hosts: [www.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: NONE, addresses: [192.0.2.61/32, 192.0.2.0/24, '2001:db8::1/128'] }`;
  const registry = registryOf(serviceEntry('www', spec));
  assert.deepEqual(registry.lookup('www.example.com', 'default')?.addresses, ['192.0.2.61', '192.0.2.0/24', '2001:db8::1']);
});
