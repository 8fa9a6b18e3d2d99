/** What a controller writes into a cluster: Gateways deployed, statuses, and the Lease by which one of several does it. A real API server, without controllers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, type TestContext, test } from 'node:test';
import { freePort, start } from '../integration/cli/program.ts';
import { ApiServer, needsApiServer } from './api-server.ts';

const skip = needsApiServer();
const GATEWAYS = '/apis/gateway.networking.k8s.io/v1';
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/istio-system/leases/sallyport-leader';

let server: ApiServer;

before(
  async () => {
    if (skip) return;
    server = await ApiServer.start();
    await server.apply(WORLD);
  },
  { timeout: 240_000 },
);
after(() => server?.stop());

const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: istio-system }
---
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: default }
spec: { selector: { app: echo }, ports: [{ name: http, port: 8080 }] }
`;

const gateway = (name: string, more = '') => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: default }
spec:
  gatewayClassName: sallyport
  ${more}
  listeners:
  - { name: http, port: 80, protocol: HTTP }
  - { name: secure, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: missing }] } }
`;

const route = (name: string, parent: string, backend = 'echo') => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: default }
spec:
  parentRefs: [{ name: ${parent}, sectionName: http }]
  hostnames: [${name}.example]
  rules: [{ backendRefs: [{ name: ${backend}, port: 8080 }] }]
`;

async function controller(t: TestContext, ...more: readonly string[]) {
  const kubeconfig = server.kubeconfig();
  const xds = `127.0.0.1:${await freePort()}`;
  const args = [
    'controller',
    '--kube',
    '--kubeconfig',
    kubeconfig,
    '--gateways',
    '--xds',
    xds,
    '--status-address',
    '127.0.0.1:0',
    '--grace',
    '1s',
  ];
  const program = start(t, [...args, '--engine', 'embedded', ...more]);
  await program.says(/: ready/);
  return program;
}

interface Said {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly observedGeneration: number;
}

const conditions = (all: readonly Said[]) => Object.fromEntries(all.map(({ type, status, reason }) => [type, `${status} ${reason}`]));

const isSo = (all: readonly Said[] | undefined, wanted: Readonly<Record<string, string>>) => {
  const found = conditions(all ?? []);
  return Object.entries(wanted).every(([type, what]) => found[type] === what);
};

test('a Gateway gets proxies, a Service and an account, and its status says what becomes of it', { skip, timeout: 120_000 }, async (t) => {
  await controller(t);
  await server.until(`${GATEWAYS}/gatewayclasses/sallyport`, ({ status }) => isSo(status?.conditions, { Accepted: 'True Accepted' }));
  const infrastructure = 'infrastructure: { labels: { team: edge }, annotations: { note: "1" } }';
  await server.apply(gateway('web', infrastructure), route('a', 'web'), route('b', 'web', 'none'), route('c', 'other'));
  const [service, deployment] = [
    '/api/v1/namespaces/default/services/web-sallyport',
    '/apis/apps/v1/namespaces/default/deployments/web-sallyport',
  ];
  await server.until(deployment, () => true);
  const { metadata, spec } = await server.must('GET', deployment);
  assert.equal(metadata.ownerReferences[0].name, 'web');
  assert.equal(metadata.labels.team, 'edge');
  assert.equal(spec.template.metadata.labels['gateway.networking.k8s.io/gateway-name'], 'web');
  const proxy = spec.template.spec.containers[0];
  assert.deepEqual([proxy.name, proxy.args[0], spec.template.spec.serviceAccountName], ['istio-proxy', 'proxy', 'web-sallyport']);
  await server.must('GET', '/api/v1/namespaces/default/serviceaccounts/web-sallyport');
  const ports = (await server.must('GET', service)).spec.ports.map((each: { port: number }) => each.port);
  assert.deepEqual(ports, [15021, 80, 443]);

  const path = `${GATEWAYS}/namespaces/default/gateways/web`;
  await server.until(path, ({ status }) =>
    isSo(status?.conditions, { Accepted: 'True ListenersNotValid', Programmed: 'False AddressNotAssigned' }),
  );
  const there = await server.must('GET', service);
  await server.must('PUT', `${service}/status`, { ...there, status: { loadBalancer: { ingress: [{ ip: '10.9.9.9' }] } } });
  await server.until(path, ({ status }) => isSo(status?.conditions, { Programmed: 'False Pending' }));
  await server.apply(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: default, labels: { kubernetes.io/service-name: web-sallyport } }
addressType: IPv4
endpoints: [{ addresses: [10.244.0.9], conditions: { ready: true } }]
ports: [{ name: http, port: 80, protocol: TCP }]
`);
  await server.until(path, ({ status }) => isSo(status?.conditions, { Programmed: 'True Programmed' }));
  const { status } = await server.must('GET', path);
  assert.deepEqual(status.addresses, [{ type: 'IPAddress', value: '10.9.9.9' }]);
  const [http, secure] = status.listeners;
  assert.deepEqual([http.attachedRoutes, secure.attachedRoutes], [2, 0]);
  assert.deepEqual(conditions(http.conditions), {
    Accepted: 'True Accepted',
    Conflicted: 'False NoConflicts',
    Programmed: 'True Programmed',
    ResolvedRefs: 'True ResolvedRefs',
  });
  assert.deepEqual(conditions(secure.conditions), {
    Accepted: 'True Accepted',
    Conflicted: 'False NoConflicts',
    Programmed: 'False Invalid',
    ResolvedRefs: 'False InvalidCertificateRef',
  });

  const routeAt = (name: string) => `${GATEWAYS}/namespaces/default/httproutes/${name}`;
  await server.until(routeAt('b'), ({ status }) =>
    isSo(status?.parents?.[0]?.conditions, { Accepted: 'True Accepted', ResolvedRefs: 'False BackendNotFound' }),
  );
  await server.until(routeAt('a'), ({ status }) =>
    isSo(status?.parents?.[0]?.conditions, { Accepted: 'True Accepted', ResolvedRefs: 'True ResolvedRefs' }),
  );
  // Of a route of somebody else's Gateway nothing is said.
  assert.equal((await server.must('GET', routeAt('c'))).status, undefined);

  await t.test('a ListenerSet has its port in the Service, and a status', async () => {
    await server.apply(
      gateway('web', `${infrastructure}\n  allowedListeners: { namespaces: { from: Same } }`),
      `
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { name: more, namespace: default }
spec:
  parentRef: { name: web }
  listeners: [{ name: more, port: 8081, protocol: HTTP }]
`,
    );
    await server.until(`${GATEWAYS}/namespaces/default/listenersets/more`, ({ status }) =>
      isSo(status?.conditions, { Accepted: 'True Accepted', Programmed: 'True Programmed' }),
    );
    await server.until(service, ({ spec }) => spec.ports.some(({ port }: { port: number }) => port === 8081));
  });

  await t.test('what others say of a route stays', async () => {
    const a = await server.must('GET', routeAt('a'));
    const said = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
    const other = { parentRef: { name: 'elsewhere' }, controllerName: 'example.com/other', conditions: [said] };
    await server.must('PUT', `${routeAt('a')}/status`, { ...a, status: { parents: [other, ...a.status.parents] } });
    const changed = await server.must('GET', routeAt('a'));
    await server.must('PUT', routeAt('a'), { ...changed, spec: { ...changed.spec, hostnames: ['a2.example'] } });
    await server.until(
      routeAt('a'),
      ({ status, metadata }) => status.parents.at(-1).conditions[0].observedGeneration === metadata.generation,
    );
    const { status } = await server.must('GET', routeAt('a'));
    assert.deepEqual(
      status.parents.map((each: { controllerName: string }) => each.controllerName),
      ['example.com/other', 'sallyport.dev/gateway-controller'],
    );
  });

  await t.test('a finding is an Event of its object', async () => {
    const events = '/apis/events.k8s.io/v1/namespaces/default/events';
    await server.until(events, ({ items }) =>
      items.some(
        ({ regarding, note }: { regarding: { kind: string; name: string; uid: string }; note: string }) =>
          regarding.kind === 'HTTPRoute' && regarding.name === 'c' && regarding.uid !== '' && note.startsWith('[SP0012]'),
      ),
    );
  });

  await t.test('what is found of Istio’s objects is in their statuses, and goes when it is mended', async () => {
    const at = '/apis/networking.istio.io/v1/namespaces/default/virtualservices/astray';
    const routed = (gateways: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: astray, namespace: default }
spec:
  hosts: [astray.example]
  gateways: [${gateways}]
  http: [{ directResponse: { status: 204 } }]
`;
    await server.apply(routed('nowhere'));
    await server.until(at, ({ status }) => isSo(status?.conditions, { PassedAnalysis: 'False errorsFound' }));
    const { status, metadata } = await server.must('GET', at);
    assert.deepEqual(
      status.validationMessages.find(({ type }: { type: { code: string } }) => type.code === 'IST0101'),
      {
        type: { name: 'ReferencedResourceNotFound', code: 'IST0101' },
        level: 'ERROR',
        documentationUrl: 'https://istio.io/latest/docs/reference/config/analysis/ist0101/',
      },
    );
    const [condition] = status.conditions;
    assert.match(condition.message, /^1 Error.* found\n(?:.*\n)*\[IST0101\] .*nowhere/);
    assert.equal(condition.observedGeneration, metadata.generation);
    await server.apply(routed('mesh'));
    await server.until(at, ({ status }) => status.conditions.some(({ message }: { message: string }) => !message.includes('IST0101')));
  });

  await t.test('an account of somebody’s own is neither taken over nor taken away', async () => {
    const accounts = '/api/v1/namespaces/default/serviceaccounts';
    const labels = '{ gateway.sallyport.dev/managed: sallyport.dev-gateway-controller, gateway.networking.k8s.io/gateway-name: none }';
    await server.apply(
      'apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: own-sallyport, namespace: default }',
      'apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: precious, namespace: default }',
      gateway('own'),
      `
apiVersion: apps/v1
kind: Deployment
metadata: { name: precious, namespace: default, labels: ${labels} }
spec:
  selector: { matchLabels: { app: precious } }
  template: { metadata: { labels: { app: precious } }, spec: { containers: [{ name: app, image: app }] } }
`,
    );
    await server.until('/apis/apps/v1/namespaces/default/deployments/own-sallyport', () => true);
    await server.untilGone('/apis/apps/v1/namespaces/default/deployments/precious');
    // Accounts come before Deployments, and go behind them: the next status is written after both.
    await server.apply(route('d', 'own'));
    await server.until(routeAt('d'), ({ status }) => isSo(status?.parents?.[0]?.conditions, { Accepted: 'True Accepted' }));
    assert.equal((await server.must('GET', `${accounts}/own-sallyport`)).metadata.ownerReferences, undefined);
    assert.equal((await server.must('GET', `${accounts}/precious`)).metadata.deletionTimestamp, undefined);
  });

  await t.test('what somebody changes is made what it is to be, and what nobody asks for goes', async () => {
    const changed = await server.must('GET', service);
    await server.must('PUT', service, { ...changed, spec: { ...changed.spec, selector: { app: 'other' } } });
    await server.until(service, ({ spec }) => spec.selector['gateway.networking.k8s.io/gateway-name'] === 'web');
    await server.apply(gateway('web', 'addresses: [{ type: Hostname, value: echo.default.svc.cluster.local }]'));
    await Promise.all([server.untilGone(deployment), server.untilGone(service)]);
  });
});

test('parameters of a Gateway and its class: what they ask for is made and taken away, and what may not be asked for is refused', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const program = await controller(t, '--gateway-parameters', 'sallyport-gateways');
  const map = (name: string, namespace: string, data: object) =>
    `${JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data })}\n`;
  const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets/wide-sallyport';
  const scaler = '/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/wide-sallyport';
  const deployment = '/apis/apps/v1/namespaces/default/deployments/wide-sallyport';
  const accepted = (what: string) =>
    server.until(`${GATEWAYS}/namespaces/default/gateways/wide`, ({ status }) => isSo(status?.conditions, { Accepted: what }));
  const spread = '{ maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: { matchLabels: { a: b } } }';
  await server.apply(
    map('sallyport-gateways', 'istio-system', { podDisruptionBudget: 'spec: { minAvailable: 1 }' }),
    map('wide', 'default', {
      horizontalPodAutoscaler: 'spec: { minReplicas: 2, maxReplicas: 4 }',
      deployment: `spec: { template: { spec: { topologySpreadConstraints: [${spread}] } } }`,
    }),
    gateway('wide', "infrastructure: { parametersRef: { group: '', kind: ConfigMap, name: wide } }"),
  );
  await server.until(budgets, ({ spec }) => spec.minAvailable === 1);
  await server.until(scaler, ({ spec }) => spec.scaleTargetRef.name === 'wide-sallyport' && spec.maxReplicas === 4);
  assert.equal((await server.must('GET', deployment)).spec.template.spec.topologySpreadConstraints[0].topologyKey, 'zone');
  await server.until(`${GATEWAYS}/gatewayclasses/sallyport`, ({ spec }) => spec.parametersRef?.name === 'sallyport-gateways');

  const privileged = 'spec: { template: { spec: { containers: [{ name: istio-proxy, securityContext: { privileged: true } }] } } }';
  await server.apply(map('wide', 'default', { deployment: privileged }));
  await accepted('False InvalidParameters');
  // What was deployed before stays as it was.
  await server.must('GET', scaler);
  assert.equal((await server.must('GET', deployment)).spec.template.spec.containers[0].securityContext.privileged, false);

  await server.apply(map('wide', 'default', { deployment: 'spec: { replicas: 3 }', podDisruptionBudget: '' }));
  await Promise.all([server.untilGone(scaler), server.untilGone(budgets)]);
  await accepted('True ListenersNotValid');
  await server.until(deployment, ({ spec }) => spec.replicas === 3 && spec.template.spec.topologySpreadConstraints === undefined);
  await server.apply(map('wide', 'default', { horizontalPodAutoscaler: 'spec: { maxReplicas: 4 }' }));
  await server.until(scaler, () => true);
  await server.must('DELETE', `${GATEWAYS}/namespaces/default/gateways/wide`);
  // Without controllers of Kubernetes' own nobody but ours takes them away.
  await Promise.all([scaler, budgets, deployment].map((each) => server.untilGone(each)));
  await program.end();
  // Installed without them, the class has none any more.
  await controller(t);
  await server.until(`${GATEWAYS}/gatewayclasses/sallyport`, ({ spec }) => spec.parametersRef === undefined);
});

test('of two control planes the one of its revision deploys a Gateway, else the one without a name', {
  skip,
  timeout: 120_000,
}, async (t) => {
  for (const name of ['istio', 'istio-canary'])
    await server.apply(`apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name}, namespace: istio-system }\ndata: { mesh: "{}" }\n`);
  const deployment = (name: string) => `/apis/apps/v1/namespaces/default/deployments/${name}-sallyport`;
  await server.apply(gateway('plain'), gateway('trial').replace('name: trial,', 'name: trial, labels: { istio.io/rev: canary },'));
  await controller(t, '--revision', 'canary');
  await server.until(deployment('trial'), () => true);
  // Deployed in their order, and this one comes first.
  assert.equal((await server.ask('GET', deployment('plain'))).status, 404);
  await controller(t);
  await server.until(deployment('plain'), () => true);
  await server.must('GET', deployment('trial'));
});

test('one of two writes; the other goes on when it ends, and when it is killed', { skip, timeout: 180_000 }, async (t) => {
  const holder = async () => (await server.must('GET', LEASE)).spec.holderIdentity as string;
  const led = async (by: (holder: string) => boolean) => {
    await server.until(LEASE, ({ spec }) => by(spec.holderIdentity));
    return holder();
  };
  // Of the test before: it gave the Lease back.
  assert.equal(await holder(), '');
  const first = await controller(t);
  const one = await led((name) => name !== '');
  const second = await controller(t);
  const ended = Date.now();
  await first.end();
  const two = await led((name) => name !== '' && name !== one);
  assert.ok(Date.now() - ended < 10_000, 'a Lease that is given back is waited for');
  const third = await controller(t);
  second.child.kill('SIGKILL');
  await once(second.child, 'close');
  await server.apply(gateway('later'));
  const three = await led((name) => name !== '' && name !== two);
  assert.notEqual(three, one);
  await server.until('/apis/apps/v1/namespaces/default/deployments/later-sallyport', () => true);
  await third.end();
});
