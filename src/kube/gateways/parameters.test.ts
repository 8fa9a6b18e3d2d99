import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snapshotFromText } from '../../config/memory.ts';
import { OPTIONS } from '../injection/testing.ts';
import { gatewayObjects } from './objects.ts';
import { classParameters, parametersOf } from './parameters.ts';

type Texts = Readonly<Record<string, string>>;

const map = (name: string, namespace: string, data: Texts) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
});
const ref = (name: string, namespace?: string) => ({ group: '', kind: 'ConfigMap', name, ...(namespace && { namespace }) });

/** The objects of a Gateway with parameters of its own, and of its class. */
function deployed(data: Texts | undefined, ofClass?: Texts, infrastructure: object = {}) {
  const gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      gatewayClassName: 'sallyport',
      listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }],
      infrastructure: { ...(data && { parametersRef: ref('own') }), ...infrastructure },
    },
  };
  const declared = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'GatewayClass',
    metadata: { name: 'sallyport' },
    spec: { controllerName: 'sallyport.dev/gateway-controller', ...(ofClass && { parametersRef: ref('all', 'istio-system') }) },
  };
  const objects = [gateway, declared, map('own', 'shop', data ?? {}), map('all', 'istio-system', ofClass ?? {})];
  const snapshot = snapshotFromText(objects.map((each) => JSON.stringify(each)).join('\n---\n'));
  const [resource] = snapshot.list('KubernetesGateway');
  const parameters = parametersOf(resource!, snapshot);
  const found = gatewayObjects(resource!, resource!.spec.listeners, 'uid-1', 'sallyport.dev/gateway-controller', OPTIONS, parameters);
  // biome-ignore lint/suspicious/noExplicitAny: objects of several kinds
  return Object.fromEntries(found.map((each) => [each.kind, each])) as Record<string, any>;
}

test('overlays are merged: what is generated stays where they say nothing', () => {
  const plain = deployed(undefined);
  const { Deployment, Service, ServiceAccount } = deployed({
    deployment: `
metadata: { annotations: { note: deployment } }
spec:
  replicas: 3
  template:
    metadata: { labels: { team: edge } }
    spec:
      topologySpreadConstraints:
      - { maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: { matchLabels: { app: web } } }
      containers: [{ name: istio-proxy, resources: { requests: { cpu: 2 } } }]`,
    service: 'spec: { type: ClusterIP, externalTrafficPolicy: null, ports: [{ port: 80, nodePort: 30080 }] }',
    serviceAccount: 'metadata: { annotations: { "iam.example/role": egress } }',
  });
  const { containers, topologySpreadConstraints, ...spec } = Deployment.spec.template.spec;
  const before = plain.Deployment.spec.template.spec;
  assert.deepEqual({ ...spec, containers: before.containers }, before);
  const { resources, ...proxy } = containers[0];
  const { resources: defaults, ...same } = before.containers[0];
  assert.deepEqual(proxy, same);
  assert.deepEqual([containers.length, resources], [1, { ...defaults, requests: { ...defaults.requests, cpu: 2 } }]);
  assert.deepEqual([Deployment.spec.replicas, topologySpreadConstraints[0].maxSkew], [3, 1]);
  assert.deepEqual(Deployment.metadata.annotations, { note: 'deployment' });
  assert.deepEqual(Deployment.spec.template.metadata.labels, { ...plain.Deployment.spec.template.metadata.labels, team: 'edge' });
  assert.deepEqual(Service.spec.ports[1], { ...plain.Service.spec.ports[1], nodePort: 30080 });
  assert.deepEqual([Service.spec.type, Service.spec.selector], ['ClusterIP', plain.Service.spec.selector]);
  assert.equal(ServiceAccount.metadata.annotations['iam.example/role'], 'egress');
  assert.deepEqual(ServiceAccount.metadata.ownerReferences, plain.ServiceAccount.metadata.ownerReferences);
});

test('a HorizontalPodAutoscaler and a PodDisruptionBudget are there where they are asked for, and are its own', () => {
  const { HorizontalPodAutoscaler, PodDisruptionBudget } = deployed({
    horizontalPodAutoscaler: 'spec: { minReplicas: 2, maxReplicas: 5 }',
    podDisruptionBudget: 'spec: { minAvailable: 1 }',
  });
  assert.deepEqual(HorizontalPodAutoscaler.spec, {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web-sallyport' },
    minReplicas: 2,
    maxReplicas: 5,
  });
  assert.deepEqual(PodDisruptionBudget.spec, {
    selector: { matchLabels: { 'gateway.networking.k8s.io/gateway-name': 'web' } },
    minAvailable: 1,
  });
  for (const { metadata } of [HorizontalPodAutoscaler, PodDisruptionBudget])
    assert.deepEqual([metadata.name, metadata.ownerReferences[0].uid], ['web-sallyport', 'uid-1']);
  assert.deepEqual(Object.keys(deployed({})).sort(), ['Deployment', 'Service', 'ServiceAccount']);
});

test('those of the class come first; an empty part takes the class’s away', () => {
  const ofClass = {
    deployment: 'spec: { minReadySeconds: 3, progressDeadlineSeconds: 60 }',
    podDisruptionBudget: 'spec: { maxUnavailable: 1 }',
  };
  const { Deployment, PodDisruptionBudget } = deployed({ deployment: 'spec: { minReadySeconds: 7 }' }, ofClass);
  assert.deepEqual([Deployment.spec.minReadySeconds, Deployment.spec.progressDeadlineSeconds], [7, 60]);
  assert.equal(PodDisruptionBudget.spec.maxUnavailable, 1);
  assert.equal(deployed({ podDisruptionBudget: '' }, ofClass).PodDisruptionBudget, undefined);
});

test('what would run other code, give other rights or lead elsewhere is refused, and whatever else is not known', () => {
  const pod = (spec: string) => ({ deployment: `spec: { template: { spec: { ${spec} } } }` });
  const refusals: readonly (readonly [Texts, RegExp])[] = [
    ...['image: other', 'command: [sh]', 'args: [x]', 'env: [{ name: NODE_OPTIONS, value: --require=/x }]', 'envFrom: []'].map(
      (field) => [pod(`containers: [{ name: istio-proxy, ${field} }]`), /containers\[\]\.\w+ is not for it to say/] as const,
    ),
    ...['securityContext: { privileged: true }', 'lifecycle: {}', 'volumeMounts: []', 'livenessProbe: { exec: { command: [x] } }'].map(
      (field) => [pod(`containers: [{ name: istio-proxy, ${field} }]`), /is not for it to say/] as const,
    ),
    [pod('containers: [{ name: other }]'), /containers has other: there is istio-proxy alone/],
    [pod('containers: [null]'), /containers\[\] has to be a mapping/],
    [pod('containers: null'), /containers has to be a list/],
    ...[
      'initContainers',
      'volumes',
      'hostNetwork',
      'hostPID',
      'securityContext',
      'serviceAccountName',
      'nodeName',
      'hostAliases',
      'runtimeClassName',
      '$patch',
    ].map((field) => [pod(`${field}: x`), /is not for it to say/] as const),
    [{ deployment: 'spec: { selector: {} }' }, /spec.selector is not for it to say/],
    [{ deployment: 'spec: { template: null }' }, /spec.template has to be a mapping/],
    [{ deployment: 'metadata: { labels: null }' }, /metadata.labels has to be a mapping/],
    [{ deployment: 'metadata: { ownerReferences: [] }' }, /ownerReferences is not for it to say/],
    [{ deployment: 'metadata: { name: other }' }, /metadata.name is not for it to say/],
    [{ deployment: 'metadata: { __proto__: {} }' }, /__proto__ is not for it to say/],
    [{ deployment: 'spec: { template: { metadata: { labels: { sidecar.istio.io/inject: "true" } } } }' }, /sidecar.istio.io\/inject/],
    [{ serviceAccount: 'metadata: { labels: { gateway.sallyport.dev/managed: x } }' }, /gateway.sallyport.dev\/managed/],
    [
      {
        deployment:
          'spec: { template: { metadata: { annotations: { container.apparmor.security.beta.kubernetes.io/istio-proxy: unconfined } } } }',
      },
      /apparmor/,
    ],
    [{ service: 'spec: { selector: { app: other } }' }, /spec.selector is not for it to say/],
    [{ service: 'spec: { externalIPs: [192.0.2.1] }' }, /externalIPs is not for it to say/],
    [{ service: 'spec: { ports: [{ port: 80, targetPort: 15000 }] }' }, /targetPort is not for it to say/],
    [{ service: 'spec: { ports: [{ port: 15090 }] }' }, /port 15090: no listener has it/],
    [{ horizontalPodAutoscaler: 'spec: { scaleTargetRef: { name: other } }' }, /scaleTargetRef is not for it to say/],
    [{ podDisruptionBudget: 'spec: { selector: {} }' }, /selector is not for it to say/],
    [{ deployment: 'spec: { replicas: 2 }', horizontalPodAutoscaler: 'spec: { maxReplicas: 3 }' }, /leave out replicas/],
    [{ deployments: '{}' }, /has the key deployments: there are deployment, service, /],
    [{ deployment: '[]' }, /has to be a mapping/],
    [{ deployment: '{' }, /ConfigMap shop\/own, deployment: /],
  ];
  for (const [data, message] of refusals) {
    assert.throws(() => deployed(data), message, JSON.stringify(data));
    assert.throws(() => deployed(undefined, data), message.source.includes('shop') ? /istio-system\/all/ : message, JSON.stringify(data));
  }
});

test('parameters that are not there are refused, and so are other kinds', () => {
  assert.throws(
    () => deployed(undefined, undefined, { parametersRef: ref('none') }),
    /ConfigMap shop\/none is not there, or may not be read/,
  );
  assert.throws(() => deployed(undefined, undefined, { parametersRef: { ...ref('own'), kind: 'Secret' } }), /names Secret own/);
  const snapshot = snapshotFromText(
    JSON.stringify({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'GatewayClass',
      metadata: { name: 'sallyport' },
      spec: { controllerName: 'sallyport.dev/gateway-controller', parametersRef: ref('x') },
    }),
  );
  assert.throws(() => classParameters(snapshot.list('GatewayClass')[0]!, snapshot), /without its namespace/);
});
