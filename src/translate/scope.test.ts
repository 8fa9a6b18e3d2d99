import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText, proxyOf } from '../../test/support/mesh.ts';
import { scopeFor } from './scope.ts';

const object = (kind: string, name: string, spec: string, namespace = 'default') => `
apiVersion: networking.istio.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
---`;
const serviceEntry = (name: string, host: string, namespace = 'default', more = '') =>
  object(
    'ServiceEntry',
    name,
    `{ hosts: ['${host}'], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS${more} }`,
    namespace,
  );
const virtualService = (name: string, spec: string, namespace = 'default') => object('VirtualService', name, spec, namespace);
const rule = (name: string, host: string, namespace: string, more = '') =>
  object(
    'DestinationRule',
    name,
    `{ host: '${host}', trafficPolicy: { connectionPool: { tcp: { maxConnections: 1 } } }${more} }`,
    namespace,
  );

const hostnames = (services: readonly { hostname: string }[]) => services.map(({ hostname }) => hostname).sort();

test('without a Sidecar everything visible is in scope; several namespaces with one host give one service', () => {
  const mesh = meshFromText(
    serviceEntry('theirs', 'www.example.com', 'other') +
      serviceEntry('ours', 'www.example.com') +
      serviceEntry('hidden', 'hidden.example.com', 'other', ", exportTo: ['.']"),
  );
  const scope = scopeFor(proxyOf(), mesh);
  assert.equal(scope.sidecar, undefined);
  assert.deepEqual(hostnames(scope.services), ['www.example.com']);
  assert.equal(scope.serviceFor('www.example.com')?.resource.metadata.name, 'ours');
  assert.deepEqual(
    scope.egress.map(({ port }) => port),
    [undefined],
  );
  assert.deepEqual(scope.outboundTrafficPolicy, { mode: 'ALLOW_ANY', egressProxy: undefined });
});

test('of the namespaces that declare a host one counts: the client’s own, else the first that is exported to it; for gateways the first', () => {
  const entry = (name: string, namespace: string, port: number, more = '') =>
    object(
      'ServiceEntry',
      name,
      `{ hosts: [www.example.com], resolution: DNS, ports: [{ number: ${port}, name: p${port}, protocol: HTTP }]${more} }`,
      namespace,
    );
  const mesh = meshFromText(
    entry('first', 'a', 80) +
      entry('second', 'a', 81) +
      entry('static', 'a', 82).replace('DNS', 'STATIC') +
      entry('ours', 'default', 83) +
      entry('named', 'b', 84, ', exportTo: [third]'),
  );
  const ports = (namespace: string, type: 'sidecar' | 'router' = 'sidecar') =>
    scopeFor(proxyOf({ namespace, type }), mesh).services.flatMap((service) => service.ports.map(({ number }) => number));
  assert.deepEqual(ports('default'), [83]);
  assert.deepEqual(ports('elsewhere'), [80, 81], 'with all ports that can be joined');
  assert.deepEqual(ports('third'), [84], 'what is exported by name comes first');
  assert.deepEqual(ports('default', 'router'), [80, 81]);
  const [egress] = scopeFor(proxyOf({ namespace: 'elsewhere' }), mesh).egress;
  assert.deepEqual(
    egress!.services.map(({ resource }) => resource.metadata.name),
    ['first', 'second', 'static'],
    'listeners and routes know the others too',
  );
});

const SIDECARS =
  object('Sidecar', 'whole-mesh', '{ egress: [{ hosts: ["./*"] }], outboundTrafficPolicy: { mode: REGISTRY_ONLY } }', 'istio-system') +
  object('Sidecar', 'namespace', '{ egress: [{ hosts: ["~/*"] }] }') +
  object(
    'Sidecar',
    'selected',
    '{ workloadSelector: { labels: { app: sleep } }, egress: [{ hosts: ["other/*.example.com", "./api.example.com"] }] }',
  );

test('the Sidecar that selects the workload, then its namespace’s, then the root namespace’s', () => {
  const mesh = meshFromText(
    SIDECARS + serviceEntry('a', 'api.example.com') + serviceEntry('b', 'www.example.com') + serviceEntry('c', 'www.example.com', 'other'),
  );
  const selected = scopeFor(proxyOf({ labels: { app: 'sleep' } }), mesh);
  assert.equal(selected.sidecar?.metadata.name, 'selected');
  assert.deepEqual(hostnames(selected.services), ['api.example.com', 'www.example.com']);
  assert.equal(selected.serviceFor('www.example.com')?.namespace, 'other');
  const rest = scopeFor(proxyOf(), mesh);
  assert.equal(rest.sidecar?.metadata.name, 'namespace');
  assert.deepEqual(rest.services, []);
  const elsewhere = scopeFor(proxyOf({ namespace: 'other' }), mesh);
  assert.equal(elsewhere.sidecar?.metadata.name, 'whole-mesh');
  assert.deepEqual(hostnames(elsewhere.services), ['www.example.com'], '`.` is the workload’s namespace');
  assert.equal(elsewhere.outboundTrafficPolicy.mode, 'REGISTRY_ONLY');
  assert.equal(scopeFor(proxyOf({ type: 'router', namespace: 'other' }), mesh).sidecar, undefined, 'gateways have none');
});

test('an egress listener with a port has its services with that port; hosts of imported routes are added, with that port too', () => {
  const twoPorts = (host: string) =>
    `{ hosts: [${host}], ports: [{ number: 80, name: a, protocol: HTTP }, { number: 81, name: b, protocol: HTTP }], resolution: DNS }`;
  const mesh = meshFromText(
    object('ServiceEntry', 'two', twoPorts('www.example.com')) +
      object('ServiceEntry', 'routed', twoPorts('routed.example.com'), 'other') +
      virtualService(
        'v',
        '{ hosts: [www.example.com], http: [{ route: [{ destination: { host: routed.example.com, port: { number: 80 } } }] }] }',
      ) +
      virtualService('w', '{ hosts: [unrelated.example.org], http: [{ route: [{ destination: { host: www.example.com } }] }] }', 'other') +
      object('Sidecar', 's', '{ egress: [{ port: { number: 81, protocol: HTTP, name: b }, hosts: ["./*"] }] }'),
  );
  const { egress, services } = scopeFor(proxyOf(), mesh);
  assert.equal(egress.length, 1);
  assert.deepEqual(
    egress[0]!.services.map(({ ports }) => ports.map(({ number }) => number)),
    [[81]],
  );
  assert.deepEqual(
    egress[0]!.virtualServices.map(({ metadata }) => metadata.name),
    ['v'],
  );
  const ports = (list: typeof services) => list.map(({ hostname, ports }) => `${hostname} ${ports.map(({ number }) => number)}`);
  assert.deepEqual(ports(services), ['www.example.com 81', 'routed.example.com 81']);
  const wide = meshFromText(
    object('ServiceEntry', 'routed', twoPorts('routed.example.com'), 'other') +
      virtualService(
        'v',
        '{ hosts: [www.example.com], http: [{ route: [{ destination: { host: routed.example.com, port: { number: 80 } } }] }] }',
      ) +
      object('Sidecar', 's', '{ egress: [{ hosts: ["./*"] }] }'),
  );
  assert.deepEqual(ports(scopeFor(proxyOf(), wide).services), ['routed.example.com 80']);
});

const portsOf = (services: ReturnType<typeof scopeFor>['services']) =>
  services.map(({ hostname, ports }) => `${hostname} ${ports.map(({ number }) => number)}`);
const http = (...numbers: number[]) => `[${numbers.map((number) => `{ number: ${number}, name: http-${number}, protocol: HTTP }`)}]`;
const entryOf = (name: string, host: string, ports: string, namespace = 'default', more = '') =>
  object('ServiceEntry', name, `{ hosts: [${host}], ports: ${ports}, resolution: DNS${more} }`, namespace);
const routeTo = (name: string, host: string, port: number, match = '') =>
  virtualService(
    name,
    `{ hosts: [${name}.test], http: [{ ${match}route: [{ destination: { host: ${host}, port: { number: ${port} } } }] }] }`,
  );

test('where a Sidecar names hosts and namespaces exactly, the object that declares one first is imported, and others of its namespace are not', () => {
  const both = entryOf('first', 'www.example.com', http(80)) + entryOf('second', 'www.example.com', http(80, 81));
  const services = (...hosts: string[]) =>
    portsOf(
      scopeFor(proxyOf(), meshFromText(`${both}${object('Sidecar', 's', `{ egress: [{ hosts: ${JSON.stringify(hosts)} }] }`)}`)).services,
    );
  assert.deepEqual(services('./www.example.com'), ['www.example.com 80']);
  assert.deepEqual(services('default/www.example.com', '~other/*'), ['www.example.com 80']);
  assert.deepEqual(services('./www.example.com', '*/unrelated.test'), ['www.example.com 80', 'www.example.com 81']);
  assert.deepEqual(services('./*.example.com'), ['www.example.com 80', 'www.example.com 81']);
});

test('ports of a destination come beside those that a listener imports; of several objects the first has them', () => {
  const mesh = meshFromText(
    entryOf('first', 'www.example.com', http(80, 81)) +
      entryOf('second', 'www.example.com', http(82)) +
      routeTo('a', 'www.example.com', 81) +
      routeTo('b', 'www.example.com', 82) +
      object(
        'Sidecar',
        's',
        '{ egress: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["./*.example.com"] }, { hosts: ["./*.test"] }] }',
      ),
  );
  assert.deepEqual(portsOf(scopeFor(proxyOf(), mesh).services), ['www.example.com 80', 'www.example.com 81']);
});

test('destinations of routes for other namespaces are not imported, nor those that hide from the client', () => {
  const mesh = meshFromText(
    entryOf('ours', 'ours.example.com', http(80)) +
      entryOf('hidden', 'hidden.example.com', http(80), 'default', ', exportTo: [other]') +
      entryOf('theirs', 'theirs.example.com', http(80), 'other') +
      routeTo('a', 'ours.example.com', 80, 'match: [{ sourceNamespace: other }, { sourceNamespace: default }], ') +
      routeTo('h', 'hidden.example.com', 80) +
      routeTo('b', 'theirs.example.com', 80, 'match: [{ sourceNamespace: other }, { uri: { prefix: / } }], ') +
      object('Sidecar', 's', '{ egress: [{ hosts: ["./*.test"] }] }'),
  );
  assert.deepEqual(portsOf(scopeFor(proxyOf(), mesh).services), ['ours.example.com 80']);
});

test('a listener with a port imports a host from a namespace that declares the port; the clusters are that one’s', () => {
  const mesh = meshFromText(
    entryOf('ours', 'www.example.com', http(81)) +
      entryOf('theirs', 'www.example.com', http(80), 'other') +
      object('Sidecar', 's', '{ egress: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*/*"] }, { hosts: ["*/*"] }] }'),
  );
  assert.deepEqual(portsOf(scopeFor(proxyOf(), mesh).services), ['www.example.com 80']);
});

test('target ports of services whose names are not looked up: those of the first object alone', () => {
  const none = (name: string, number: number, target: number) =>
    object(
      'ServiceEntry',
      name,
      `{ hosts: [www.example.com], ports: [{ number: ${number}, targetPort: ${target}, name: p${number}, protocol: HTTP }], resolution: NONE }`,
    );
  const { services } = scopeFor(proxyOf(), meshFromText(none('first', 80, 8080) + none('second', 81, 8081)));
  assert.deepEqual(
    services.flatMap(({ ports }) => ports.map(({ number, targetPort }) => `${number} ${targetPort}`)),
    ['80 8080', '81 81'],
  );
});

test('DestinationRules: the client’s namespace, the service’s, the root’s; the most specific host in the first that has any', () => {
  const mesh = meshFromText(
    serviceEntry('s', 'www.example.com', 'service') +
      rule('root', '*.example.com', 'istio-system') +
      rule('of-service', '*.example.com', 'service') +
      rule('of-service-exact', 'www.example.com', 'service') +
      rule('of-client', '*', 'client') +
      rule('private', 'www.example.com', 'quiet', ", exportTo: ['.']"),
  );
  const ruleFor = (namespace: string) => scopeFor(proxyOf({ namespace }), mesh).destinationRuleFor('www.example.com')?.metadata.name;
  assert.equal(ruleFor('client'), 'of-client');
  assert.equal(ruleFor('elsewhere'), 'of-service-exact');
  assert.equal(ruleFor('quiet'), 'private');
  assert.equal(ruleFor('istio-system'), 'of-service-exact', 'a proxy in the root namespace passes over rules for the whole mesh');
  assert.equal(scopeFor(proxyOf(), mesh).destinationRuleFor('unknown.example.com'), undefined);
});

test('exportTo hides a DestinationRule, from its own namespace too; the root namespace’s private ones hold for its proxies', () => {
  const mesh = meshFromText(
    serviceEntry('s', 'www.example.com', 'service') +
      rule('hidden', 'www.example.com', 'service', ", exportTo: ['.']") +
      rule('named', 'www.example.com', 'named', ', exportTo: [elsewhere]') +
      rule('private', 'www.example.com', 'istio-system', ", exportTo: ['.']"),
  );
  const ruleFor = (namespace: string) => scopeFor(proxyOf({ namespace }), mesh).destinationRuleFor('www.example.com')?.metadata.name;
  assert.equal(ruleFor('client'), undefined);
  assert.equal(ruleFor('service'), 'hidden');
  assert.equal(ruleFor('named'), undefined);
  assert.equal(ruleFor('istio-system'), 'private');
});

test('a DestinationRule with a workloadSelector holds for those workloads alone; rules for one host are merged', () => {
  const mesh = meshFromText(
    serviceEntry('s', 'www.example.com') +
      object('DestinationRule', 'old', '{ host: www.example.com, subsets: [{ name: a, labels: { v: a } }] }') +
      rule('young', 'www.example.com', 'default', ', subsets: [{ name: a, labels: { v: other } }, { name: b, labels: { v: b } }]') +
      rule(
        'selected',
        'www.example.com',
        'default',
        ', workloadSelector: { matchLabels: { app: sleep } }, subsets: [{ name: c, labels: { v: c } }]',
      ),
  );
  const merged = scopeFor(proxyOf(), mesh).destinationRuleFor('www.example.com');
  assert.equal(merged?.metadata.name, 'old');
  assert.deepEqual(
    merged?.spec.subsets.map(({ name, labels }) => [name, labels.v]),
    [
      ['a', 'a'],
      ['b', 'b'],
    ],
  );
  assert.equal(merged?.spec.trafficPolicy?.connectionPool?.tcp?.maxConnections, 1);
  assert.equal(scopeFor(proxyOf({ labels: { app: 'sleep' } }), mesh).destinationRuleFor('www.example.com')?.metadata.name, 'selected');
});

test('a DestinationRule with a workloadSelector is seen by nobody else: not in its namespace, not by clients of its host, not by the mesh', () => {
  const selects = ', workloadSelector: { matchLabels: { app: sleep } }';
  const ruleFor = (namespace: string, labels: Record<string, string>, ...rules: readonly string[]) =>
    scopeFor(
      proxyOf({ namespace, labels }),
      meshFromText(serviceEntry('s', 'www.example.com', 'shop') + rules.join('')),
    ).destinationRuleFor('www.example.com')?.metadata.name;
  const own = rule('own', 'www.example.com', 'default', selects);
  assert.equal(ruleFor('default', { app: 'sleep' }, own), 'own');
  assert.equal(ruleFor('default', { app: 'other' }, own), undefined);
  const ofService = rule('of-service', 'www.example.com', 'shop', selects);
  const ofMesh = rule('of-mesh', '*.example.com', 'istio-system');
  assert.equal(ruleFor('default', { app: 'sleep' }, ofService), undefined);
  assert.equal(ruleFor('default', { app: 'sleep' }, ofService, ofMesh), 'of-mesh', 'it does not stand before others');
  const ofRoot = rule('of-root', 'www.example.com', 'istio-system', selects);
  assert.equal(ruleFor('default', { app: 'sleep' }, ofRoot), undefined);
  assert.equal(ruleFor('istio-system', { app: 'sleep' }, ofRoot), 'of-root');
});

test('rules for one host that are exported differently are not merged: of those the youngest holds, as in Istio', () => {
  const named = (...rules: readonly string[]) => {
    const mesh = meshFromText(serviceEntry('s', 'www.example.com', 'shop') + rules.join(''));
    return (namespace: string) => {
      const found = scopeFor(proxyOf({ namespace }), mesh).destinationRuleFor('www.example.com');
      return found && [found.metadata.name, ...found.spec.subsets.map(({ name }) => name)].join(' ');
    };
  };
  const subset = (name: string) => `, subsets: [{ name: ${name}, labels: { v: x } }]`;
  const open = (name: string, more = '') => rule(name, 'www.example.com', 'shop', `${subset(name)}${more}`);
  const kept = named(open('old'), open('kept', ", exportTo: ['.']"));
  assert.equal(kept('shop'), 'kept kept');
  assert.equal(kept('default'), 'old old');
  const widened = named(open('kept', ", exportTo: ['.']"), open('wider', ", exportTo: ['.', default]"));
  assert.equal(widened('shop'), 'kept kept wider', 'what is seen wherever the older is joins it');
  assert.equal(widened('default'), 'wider wider');
  const apart = named(open('a'), open('b', ", exportTo: ['*']"), open('c'));
  assert.equal(apart('shop'), 'c c', 'it joins the oldest, and stands after the one that it does not join');
});

test('a DestinationRule of a host that hides itself is not made up for by one of a wider host beside it', () => {
  const mesh = meshFromText(
    serviceEntry('s', 'www.example.com', 'shop') +
      rule('exact', 'www.example.com', 'shop', ', exportTo: [elsewhere]') +
      rule('wide', '*.example.com', 'shop') +
      rule('mesh', '*', 'istio-system'),
  );
  const ruleFor = (namespace: string) => scopeFor(proxyOf({ namespace }), mesh).destinationRuleFor('www.example.com')?.metadata.name;
  assert.equal(ruleFor('elsewhere'), 'exact');
  assert.equal(ruleFor('default'), 'mesh');
  assert.equal(ruleFor('shop'), 'wide', 'in its own namespace it does not count at all');
});

test('a rule without a workloadSelector stays beside one with it, also where both are private', () => {
  const mesh = meshFromText(
    serviceEntry('s', 'www.example.com') +
      rule('selected', 'www.example.com', 'default', ', workloadSelector: { matchLabels: { app: sleep } }') +
      rule('all', 'www.example.com', 'default', ", exportTo: ['.']"),
  );
  const ruleFor = (labels: Record<string, string>) =>
    scopeFor(proxyOf({ labels }), mesh).destinationRuleFor('www.example.com')?.metadata.name;
  assert.equal(ruleFor({ app: 'sleep' }), 'selected');
  assert.equal(ruleFor({ app: 'other' }), 'all');
});

test('calls that nothing declares may be led to a proxy, by its name in the workload’s namespace', () => {
  const policyOf = (egressProxy: string) => {
    const sidecar = object(
      'Sidecar',
      's',
      `{ egress: [{ hosts: ["*/*"] }], outboundTrafficPolicy: { mode: ALLOW_ANY, egressProxy: ${egressProxy} } }`,
      'istio-system',
    );
    return scopeFor(proxyOf(), meshFromText(sidecar)).outboundTrafficPolicy;
  };
  const host = 'out.default.svc.cluster.local';
  assert.deepEqual(policyOf('{ host: OUT, subset: v1, port: { number: 8080 } }'), {
    mode: 'ALLOW_ANY',
    egressProxy: { host, subset: 'v1', port: 8080 },
  });
  assert.deepEqual(policyOf('{ host: out, port: { number: 1 } }'), { mode: 'ALLOW_ANY', egressProxy: { host, subset: '', port: 1 } });
});

test('a Sidecar of the root namespace that selects workloads is not the whole mesh’s', () => {
  const selecting = object(
    'Sidecar',
    'root',
    '{ workloadSelector: { labels: { app: sleep } }, egress: [{ hosts: ["./*"] }] }',
    'istio-system',
  );
  const sidecarFor = (namespace: string, labels: Record<string, string>) =>
    scopeFor(proxyOf({ namespace, labels }), meshFromText(selecting)).sidecar?.metadata.name;
  assert.equal(sidecarFor('default', {}), undefined);
  assert.equal(sidecarFor('default', { app: 'sleep' }), undefined);
  assert.equal(sidecarFor('istio-system', { app: 'sleep' }), 'root');
  assert.equal(sidecarFor('istio-system', {}), undefined);
});

test('VirtualServices by gateway: full names, exportTo, `mesh` where none is named', () => {
  const mesh = meshFromText(
    virtualService(
      'both',
      '{ hosts: [httpbin], gateways: [mesh, gw], http: [{ match: [{ gateways: [gw] }], route: [{ destination: { host: httpbin } }], mirror: { host: other.ns } }] }',
    ) + virtualService('mesh-only', '{ hosts: ["*.example.com"], tcp: [{ route: [{ destination: { host: tcp } }] }], exportTo: ["."] }'),
  );
  const scope = scopeFor(proxyOf(), mesh);
  assert.deepEqual(
    scope.egress[0]!.virtualServices.map(({ metadata }) => metadata.name),
    ['mesh-only', 'both'],
  );
  const [both] = scope.virtualServicesForGateway('default/gw');
  assert.deepEqual(both?.spec.hosts, ['httpbin.default.svc.cluster.local']);
  assert.deepEqual(both?.spec.http[0]?.match[0]?.gateways, ['default/gw']);
  assert.equal(both?.spec.http[0]?.route[0]?.destination.host, 'httpbin.default.svc.cluster.local');
  assert.equal(both?.spec.http[0]?.mirror?.host, 'other.ns');
  assert.deepEqual(
    scopeFor(proxyOf({ namespace: 'other' }), mesh).egress[0]!.virtualServices.map(({ metadata }) => metadata.name),
    ['both'],
  );
});

test('delegates: matches are joined, what the delegate leaves out comes from the root, contradictions are dropped', () => {
  const mesh = meshFromText(
    virtualService(
      'root',
      `{ hosts: [www.example.com], http: [
         { name: root, match: [{ uri: { prefix: /api } }], timeout: 5s, delegate: { name: team, namespace: teams } },
         { match: [{ uri: { prefix: /gone } }], delegate: { name: absent } },
         { match: [{ uri: { prefix: /private } }], delegate: { name: private, namespace: teams } },
         { route: [{ destination: { host: rest } }] } ] }`,
    ) +
      virtualService(
        'team',
        `{ http: [
           { name: v1, match: [{ uri: { prefix: /api/v1 } }], timeout: 1s, route: [{ destination: { host: one } }] },
           { match: [{ uri: { prefix: /api/v1 } }, { uri: { prefix: /other } }], route: [{ destination: { host: half } }] },
           { match: [{ uri: { exact: /never } }], route: [{ destination: { host: never } }] },
           { route: [{ destination: { host: two } }] } ] }`,
        'teams',
      ) +
      virtualService('private', '{ http: [{ route: [{ destination: { host: x } }] }], exportTo: ["."] }', 'teams'),
  );
  const [root] = scopeFor(proxyOf(), mesh).egress[0]!.virtualServices;
  assert.deepEqual(
    root?.spec.http.map(({ name, match, timeout, route }) => ({
      name,
      uri: match.map(({ uri }) => uri?.prefix),
      timeout,
      to: route[0]?.destination.host,
    })),
    [
      { name: 'root-v1', uri: ['/api/v1'], timeout: 1000, to: 'one.teams.svc.cluster.local' },
      { name: 'root', uri: ['/api'], timeout: 5000, to: 'two.teams.svc.cluster.local' },
      { name: undefined, uri: [], timeout: undefined, to: 'rest.default.svc.cluster.local' },
    ],
  );
});

test('delegates: each of their matches with all of the root’s that it does not contradict', () => {
  const merged = (root: string, delegate: string) => {
    const mesh = meshFromText(
      virtualService('root', `{ hosts: [www.example.com], http: [{ match: [${root}], delegate: { name: team } }] }`) +
        virtualService('team', `{ http: [{ match: [${delegate}], route: [{ destination: { host: one } }] }] }`),
    );
    const [rule] = scopeFor(proxyOf(), mesh).egress[0]!.virtualServices[0]!.spec.http;
    return rule?.match.map(({ uri, method, sourceNamespace, port }) =>
      [uri?.exact ?? uri?.prefix, method?.exact, sourceNamespace, port].filter(Boolean).join(' '),
    );
  };
  const both = '{ uri: { prefix: /a } }, { method: { exact: GET } }';
  assert.deepEqual(merged(both, '{ uri: { prefix: /a/b } }, { uri: { exact: /a/c } }'), ['/a/b', '/a/b GET', '/a/c', '/a/c GET']);
  assert.deepEqual(merged('{ uri: { exact: /a } }', '{ uri: { exact: /a }, port: 80 }'), ['/a 80']);
  assert.equal(merged('{ uri: { exact: /a } }', '{ uri: { prefix: /a } }'), undefined);
  assert.equal(merged('{ uri: { prefix: /a }, ignoreUriCase: true }', '{ uri: { prefix: /a } }'), undefined, 'one minds the case');
  assert.equal(merged('{ sourceNamespace: a }', '{ port: 80 }'), undefined, 'the delegate has to name the namespace too');
  assert.deepEqual(merged('{ sourceNamespace: a }', '{ sourceNamespace: a, port: 80 }'), ['a 80']);
});

test('what is exported to a namespace comes before what everybody sees, whatever its age', () => {
  const hosts = '{ hosts: [www.example.com], http: [{ directResponse: { status: 204 } }]';
  const mesh = meshFromText(
    virtualService('everybodys', `${hosts} }`) +
      virtualService('named', `${hosts}, exportTo: [default, third] }`, 'other') +
      virtualService('own', `${hosts}, exportTo: ['.'] }`) +
      virtualService('by-name', `${hosts}, exportTo: [default] }`),
  );
  const order = (namespace: string) =>
    scopeFor(proxyOf({ namespace }), mesh).egress[0]!.virtualServices.map(({ metadata }) => metadata.name);
  assert.deepEqual(order('default'), ['own', 'by-name', 'named', 'everybodys']);
  assert.deepEqual(order('third'), ['named', 'everybodys']);
  assert.deepEqual(order('elsewhere'), ['everybodys']);
});
