import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCapture } from '../capture/annotation.ts';
import { injectPod } from './inject.ts';
import type { Container, WrittenPod } from './pod.ts';
import { APP, OPTIONS, OWNER, pod } from './testing.ts';

function injected(given: WrittenPod, options = OPTIONS) {
  const result = injectPod(given, OWNER, undefined, options);
  assert.ok(result.kind === 'injected', JSON.stringify(result));
  const { metadata, spec } = result.pod;
  const named = (name: string) => [...(spec.initContainers ?? []), ...spec.containers].find((container) => container.name === name);
  const env = (name: string) => named('istio-proxy')?.env?.find((variable) => variable.name === name)?.value;
  const order = [spec.initContainers ?? [], spec.containers].map((list) => list.map(({ name }) => name));
  return { metadata: metadata!, spec, named, env, order, warnings: result.warnings, pod: result.pod };
}

/** The value of an option in a container's arguments. */
function argument({ args = [] }: Container, option: string): string | undefined {
  return args[args.indexOf(option) + 1];
}

function left(given: WrittenPod, owner = OWNER): string {
  const result = injectPod(given, owner, undefined, OPTIONS);
  assert.ok(result.kind === 'left');
  return result.reason;
}

test('who can go round capture, and what comes in past it, is told', () => {
  const says = (annotations: Readonly<Record<string, string>>, container: object = {}) =>
    injected(pod(annotations, { containers: [{ name: 'app', image: 'x', ...container }] })).warnings.join();
  assert.equal(says({}), '');
  for (const securityContext of [
    { privileged: true },
    { capabilities: { add: ['CAP_NET_ADMIN'] } },
    { capabilities: { add: ['NET_RAW'] } },
  ])
    assert.match(says({}, { securityContext }), /app runs privileged, or with NET_ADMIN/);
  assert.equal(says({}, { securityContext: { capabilities: { add: ['CHOWN'], drop: ['ALL'] } } }), '');
  assert.match(says({ 'traffic.sidecar.istio.io/excludeInboundPorts': '6379' }), /excludeInboundPorts \(6379\) lets in what goes past/);
  assert.match(says({ 'traffic.sidecar.istio.io/includeInboundPorts': '' }), /includeInboundPorts \(none\) lets in/);
  assert.equal(says({ 'traffic.sidecar.istio.io/includeInboundPorts': '*' }), '');
});

test('capture, proxy, then the rest: nothing of a pod runs before its proxy', () => {
  const { order, named } = injected(pod({}, { initContainers: [{ name: 'setup' }] }));
  assert.deepEqual(order, [['istio-init', 'istio-proxy', 'setup'], ['app']]);
  assert.equal(named('istio-proxy')?.restartPolicy, 'Always');
  const security = named('istio-init')!.securityContext as { capabilities: object; privileged: boolean };
  assert.deepEqual(security.capabilities, { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] });
  assert.deepEqual((named('istio-proxy')!.securityContext as { capabilities: object }).capabilities, { drop: ['ALL'] });
});

test('a classic sidecar stands beside the application, and says what runs before it', () => {
  const classic = pod({ 'sidecar.istio.io/nativeSidecar': 'false' }, { initContainers: [{ name: 'setup' }] });
  const { order, warnings } = injected(classic);
  assert.deepEqual(order, [
    ['setup', 'istio-init'],
    ['app', 'istio-proxy'],
  ]);
  assert.match(warnings.join(), /setup runs before capture/);
  const holding = pod({ 'sidecar.istio.io/nativeSidecar': 'false', 'proxy.istio.io/config': 'holdApplicationUntilProxyStarts: true' });
  const held = injected(holding);
  assert.deepEqual(held.order, [['istio-init'], ['istio-proxy', 'app']]);
  assert.ok(held.named('istio-proxy')?.lifecycle);
});

test('what is injected is not injected twice, and a status alone is no injection', () => {
  const once = injected(pod()).pod;
  assert.equal(left(once), 'is injected already');
  const status = once.metadata!.annotations!['sidecar.istio.io/status']!;
  assert.deepEqual(injected(pod({ 'sidecar.istio.io/status': status })).order[0], ['istio-init', 'istio-proxy']);
  injected(pod({ 'sidecar.istio.io/status': '{}' }));
  injected(pod({ 'sidecar.istio.io/status': 'null' }));
});

test('who is left out, and why', () => {
  assert.match(left(pod({}, { hostNetwork: true })), /hostNetwork/);
  assert.match(left(pod({ 'sidecar.istio.io/inject': 'false' })), /sidecar.istio.io\/inject: "false"/);
  assert.match(left(pod({ 'sidecar.istio.io/inject': 'true' }, {}, { 'sidecar.istio.io/inject': 'false' })), /"false"/);
  assert.match(left(pod(), { ...OWNER, namespace: 'kube-system' }), /kube-system/);
  // A container of that name is no proxy yet, on a node's network least of all.
  assert.match(left(pod({}, { hostNetwork: true, containers: [{ name: 'istio-proxy', image: 'auto' }] })), /hostNetwork/);
});

test('labels and names for telemetry', () => {
  const { metadata, env } = injected(pod());
  assert.equal(metadata.labels?.['security.istio.io/tlsMode'], 'istio');
  assert.equal(metadata.labels?.['service.istio.io/canonical-name'], 'web');
  assert.equal(metadata.labels?.['service.istio.io/canonical-revision'], 'latest');
  assert.equal(metadata.annotations?.['kubectl.kubernetes.io/default-container'], 'app');
  assert.equal(env('ISTIO_META_OWNER'), 'kubernetes://apis/apps/v1/namespaces/shop/deployments/web');
  const named = injected(pod({}, {}, { 'app.kubernetes.io/name': 'shop', version: 'v2', 'topology.istio.io/network': 'n1' }));
  assert.equal(named.metadata.labels?.['service.istio.io/canonical-name'], 'shop');
  assert.equal(named.metadata.labels?.['service.istio.io/canonical-revision'], 'v2');
  assert.equal(named.env('ISTIO_META_NETWORK'), 'n1');
});

test('which traffic is captured', () => {
  const prefix = 'traffic.sidecar.istio.io/';
  const { named, warnings } = injected(
    pod({
      [`${prefix}includeOutboundIPRanges`]: '10.0.0.0/8, fd00::/8',
      [`${prefix}excludeOutboundPorts`]: '6379,27017',
      [`${prefix}excludeInboundPorts`]: '9999',
    }),
  );
  const capture = named('istio-init')!;
  assert.equal(argument(capture, '--include-outbound-ranges'), '10.0.0.0/8,fd00::/8');
  assert.equal(argument(capture, '--exclude-outbound-ports'), '6379,27017');
  assert.equal(argument(capture, '--exclude-inbound-ports'), '15090,15021,15020,9999');
  assert.match(warnings.join(), /excludeOutboundPorts \(6379,27017\) leaves a way round/);
  const none = injected(pod({ 'sidecar.istio.io/interceptionMode': 'NONE' }));
  assert.equal(none.named('istio-init'), undefined);
  assert.match(none.warnings.join(), /nothing is captured/);
});

test('DNS is captured where ISTIO_META_DNS_CAPTURE asks for it, by both engines, and answered where it is led to', () => {
  const config = 'proxyMetadata: { ISTIO_META_DNS_CAPTURE: "true", ISTIO_META_DNS_AUTO_ALLOCATE: "true" }';
  for (const engine of ['envoy', 'embedded']) {
    const { named, warnings } = injected(pod({ 'proxy.istio.io/config': config, 'sallyport.dev/engine': engine }));
    assert.ok(named('istio-init')!.args!.includes('--dns'));
    assert.equal(argument(named('istio-proxy')!, '--dns-address'), 'localhost:15053');
    assert.deepEqual(warnings, []);
  }
  const { named } = injected(pod());
  assert.deepEqual([named('istio-init')!.args!.includes('--dns'), named('istio-proxy')!.args!.includes('--dns-address')], [false, false]);
  const none = injected(pod({ 'proxy.istio.io/config': config, 'sidecar.istio.io/interceptionMode': 'NONE' }));
  assert.equal(none.named('istio-proxy')!.args!.includes('--dns-address'), false);
  assert.match(none.warnings.join(), /DNS_CAPTURE: DNS is not captured by interceptionMode NONE/);
  const half = injected(pod({ 'proxy.istio.io/config': 'proxyMetadata: { ISTIO_META_DNS_AUTO_ALLOCATE: "true" }' }));
  assert.match(half.warnings.join(), /DNS_AUTO_ALLOCATE: DNS is not captured without ISTIO_META_DNS_CAPTURE/);
});

test('what cannot be read or done is refused, with the annotation', () => {
  const refused: readonly (readonly [string, string, RegExp])[] = [
    ['traffic.sidecar.istio.io/includeOutboundIPRanges', '10.0.0.1', /"10.0.0.1" is no CIDR range/],
    ['traffic.sidecar.istio.io/excludeOutboundPorts', '80;443', /"80;443" is no port/],
    ['traffic.sidecar.istio.io/excludeOutboundPorts', '*', /is no port/],
    ['traffic.sidecar.istio.io/excludeInboundPorts', '70000', /is no port/],
    ['sidecar.istio.io/interceptionMode', 'TPROXY', /REDIRECT/],
    ['sidecar.istio.io/interceptionMode', 'OTHER', /one of REDIRECT, TPROXY, NONE/],
    ['sidecar.istio.io/nativeSidecar', 'maybe', /"true" or "false"/],
    ['sidecar.istio.io/nativeSidecar', 'constructor', /"true" or "false"/],
    ['sidecar.istio.io/proxyCPU', '1\n', /quantity/],
    ['sallyport.dev/engine', 'nginx', /envoy, embedded/],
    ['proxy.istio.io/config', 'concurrency: many', /concurrency/],
    ['proxy.istio.io/config', '[', /proxy.istio.io\/config/],
    ['prometheus.io/port', '15090', /port of the application/],
    ['inject.istio.io/templates', 'grpc-agent', /sidecar and gateway/],
  ];
  for (const [name, value, message] of refused)
    assert.throws(() => injectPod(pod({ [name]: value }), OWNER, undefined, OPTIONS), message, `${name}: ${value}`);
});

test('settings of the mesh, with those of the pod in their place', () => {
  const mesh = {
    ...OPTIONS.mesh,
    trustDomain: 'td',
    defaultConfig: { ...OPTIONS.mesh.defaultConfig, concurrency: 4, proxyMetadata: { A: '1', B: '$(X)' } },
  };
  const config = 'terminationDrainDuration: 20s\nproxyMetadata: {A: "2", C: "3"}';
  const { named, env } = injected(pod({ 'proxy.istio.io/config': config }), { ...OPTIONS, mesh, revision: 'canary' });
  const proxy = named('istio-proxy')!;
  assert.equal(argument(proxy, '--concurrency'), '4');
  assert.equal(argument(proxy, '--drain-duration'), '20s');
  assert.equal(argument(proxy, '--controller'), 'istiod-canary.istio-system.svc:15012');
  assert.deepEqual([env('A'), env('B'), env('C'), env('TRUST_DOMAIN')], ['2', '$$(X)', '3', 'td']);
  assert.deepEqual(JSON.parse(env('PROXY_CONFIG')!.replaceAll('$$(', () => '$(')), {
    discoveryAddress: 'istiod-canary.istio-system.svc:15012',
    concurrency: 4,
    proxyMetadata: { A: '2', B: '$(X)', C: '3' },
    terminationDrainDuration: '20s',
  });
});

test('resources', () => {
  const { named } = injected(pod({ 'sidecar.istio.io/proxyCPU': '50m', 'sidecar.istio.io/proxyMemoryLimit': '256Mi' }));
  assert.deepEqual(named('istio-proxy')?.resources, { requests: { cpu: '50m' }, limits: { memory: '256Mi' } });
});

test('probes go to the agent, those that run commands stay', () => {
  const app = {
    ...APP,
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/ok', port: 'http', scheme: 'HTTPS', httpHeaders: [{ name: 'a', value: 'b' }] }, periodSeconds: 3 },
    livenessProbe: { tcpSocket: { port: 8081 }, timeoutSeconds: 2 },
    startupProbe: { exec: { command: ['true'] } },
    lifecycle: { preStop: { httpGet: { path: '/end', port: 8080 } } },
  };
  const { named, env } = injected(pod({}, { containers: [app, { name: 'b', livenessProbe: { grpc: { port: 9 } } }] }));
  assert.deepEqual(named('app')?.readinessProbe, {
    httpGet: { httpHeaders: [{ name: 'a', value: 'b' }], path: '/app-health/app/readyz', port: 15020 },
    periodSeconds: 3,
  });
  assert.deepEqual(named('app')?.startupProbe, app.startupProbe);
  assert.deepEqual(named('app')?.lifecycle, { preStop: { httpGet: { path: '/app-lifecycle/app/prestopz', port: 15020 } } });
  assert.deepEqual(JSON.parse(env('ISTIO_KUBE_APP_PROBERS')!), {
    '/app-health/app/readyz': { httpGet: { ...app.readinessProbe.httpGet, port: 8080 } },
    '/app-health/app/livez': { tcpSocket: { port: 8081 }, timeoutSeconds: 2 },
    '/app-lifecycle/app/prestopz': { httpGet: { path: '/end', port: 8080 } },
    '/app-health/b/livez': { grpc: { port: 9 } },
  });
  const kept = injected(pod({ 'sidecar.istio.io/rewriteAppHTTPProbers': 'false' }, { containers: [app] }));
  assert.deepEqual(kept.named('app')?.readinessProbe, app.readinessProbe);
});

test('metrics of the application are merged where it has some and is scraped', () => {
  const { metadata, named } = injected(pod({ 'prometheus.io/scrape': 'true', 'prometheus.io/port': '8080', 'prometheus.io/path': '/m' }));
  assert.equal(argument(named('istio-proxy')!, '--app-metrics'), 'http://127.0.0.1:8080/m');
  assert.equal(metadata.annotations?.['prometheus.io/port'], '15020');
  const off = injected(pod({ 'prometheus.io/scrape': 'false' }));
  assert.equal(off.metadata.annotations?.['prometheus.io/port'], undefined);
});

test('a gateway: its own container, as far as it says something, on ports below 1024 without a capability', () => {
  const container = { name: 'istio-proxy', image: 'auto', ports: [{ containerPort: 8443 }], env: [{ name: 'TRUST_DOMAIN', value: 'own' }] };
  const { order, named, env, spec, metadata } = injected(pod({ 'inject.istio.io/templates': 'gateway' }, { containers: [container] }));
  assert.deepEqual(order, [[], ['istio-proxy']]);
  const proxy = named('istio-proxy')!;
  assert.equal(proxy.image, 'proxy:1');
  assert.equal(argument(proxy, '--role'), 'router');
  assert.equal(env('TRUST_DOMAIN'), 'own');
  assert.deepEqual(
    proxy.ports?.map(({ containerPort }) => containerPort),
    [15090, 8443],
  );
  assert.equal(proxy.restartPolicy, undefined);
  assert.ok((spec.securityContext as { sysctls: unknown }).sysctls);
  assert.equal(metadata.labels?.['security.istio.io/tlsMode'], undefined);
});

test('with image auto, when images are pulled is the injector’s to say: what stands there the API server has put in', () => {
  const container = { name: 'istio-proxy', image: 'auto', imagePullPolicy: 'Always' };
  const gateway = { 'inject.istio.io/templates': 'gateway' };
  assert.equal(injected(pod(gateway, { containers: [container] })).named('istio-proxy')!.imagePullPolicy, OPTIONS.imagePullPolicy);
  const own = { ...container, image: 'mine:1' };
  assert.equal(injected(pod(gateway, { containers: [own] })).named('istio-proxy')!.imagePullPolicy, 'Always');
});

test('a sidecar of the pod’s own, changed, moves to the init containers', () => {
  const container = { name: 'istio-proxy', image: 'auto', securityContext: { runAsUser: 2000 } };
  const { order, named } = injected(pod({}, { containers: [APP, container] }));
  assert.deepEqual(order, [['istio-init', 'istio-proxy'], ['app']]);
  assert.equal(argument(named('istio-init')!, '--proxy-uid'), '2000');
});

test('the embedded data plane, by annotation', () => {
  const { named, warnings, metadata } = injected(
    pod({ 'sallyport.dev/engine': 'embedded' }, { containers: [{ ...APP, readinessProbe: { tcpSocket: { port: 1 } } }] }),
  );
  const proxy = named('istio-proxy')!;
  assert.equal(proxy.args?.[0], 'proxy');
  assert.deepEqual(named('app')?.readinessProbe, { httpGet: { path: '/app-health/app/readyz', port: 15_020 } });
  assert.equal(argument(proxy, '--metrics-address'), '0.0.0.0:15020');
  assert.equal(metadata.annotations?.['prometheus.io/port'], '15020');
  assert.deepEqual(warnings, []);
  const own = injected(pod({ 'sallyport.dev/engine': 'embedded', 'prometheus.io/port': '8080' }, { containers: [APP] }));
  assert.equal(own.metadata.annotations?.['prometheus.io/port'], '8080');
  assert.match(own.warnings.join(), /merges no metrics/);
});

test('a pod that runs as the proxy’s user is told', () => {
  assert.match(injected(pod({}, { securityContext: { runAsUser: 1337 } })).warnings.join(), /app runs as the proxy's own user/);
});

test('with the nodes’ CNI plugin no container may write rules: one that may do nothing sees that they are there, and nothing runs before it', () => {
  const options = { ...OPTIONS, cni: true };
  const { order, named, metadata } = injected(pod({}, { initContainers: [{ name: 'setup' }] }), options);
  assert.deepEqual(order, [['istio-validation', 'istio-proxy', 'setup'], ['app']]);
  const check = named('istio-validation')!;
  assert.deepEqual(check.args!.slice(0, 4), ['capture', '--check', '--outbound-port', '15001']);
  // Captured as the application is: not the proxy's user.
  assert.deepEqual((check.securityContext as { runAsUser: number }).runAsUser, 1338);
  const annotated = readCapture(metadata.annotations!['sallyport.dev/capture']!);
  assert.ok('settings' in annotated);
  assert.deepEqual(
    [annotated.settings.proxyUid, annotated.settings.excludeInboundPorts, annotated.settings.dnsPort],
    [1337, ['15090', '15021', '15020'], undefined],
  );
  for (const { name, securityContext } of order[0]!.slice(0, 2).map((name) => named(name)!)) {
    const { capabilities, runAsNonRoot, seccompProfile, allowPrivilegeEscalation } = securityContext as Record<string, unknown>;
    assert.deepEqual(
      [capabilities, runAsNonRoot, seccompProfile, allowPrivilegeEscalation],
      [{ drop: ['ALL'] }, true, { type: 'RuntimeDefault' }, false],
      name,
    );
  }
  const uncaptured = injected(pod({ 'traffic.sidecar.istio.io/includeOutboundIPRanges': '' }), options);
  assert.equal((uncaptured.named('istio-validation')!.securityContext as { runAsUser: number }).runAsUser, 1337);
  const classic = injected(pod({ 'sidecar.istio.io/nativeSidecar': 'false' }, { initContainers: [{ name: 'setup' }] }), options);
  assert.deepEqual(classic.order, [
    ['istio-validation', 'setup'],
    ['app', 'istio-proxy'],
  ]);
  assert.match(classic.warnings.join(), /setup runs before the proxy, and captured: what they send is refused/);
  // What one control plane has injected, another need not.
  assert.deepEqual(injected(pod({}, { initContainers: [check] })).order[0], ['istio-init', 'istio-proxy']);
  assert.equal(
    injected(pod({ 'sidecar.istio.io/interceptionMode': 'NONE' }), options).metadata.annotations!['sallyport.dev/capture'],
    undefined,
  );
});
