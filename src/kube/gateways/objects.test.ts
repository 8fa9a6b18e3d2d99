import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snapshotFromText } from '../../config/memory.ts';
import { OPTIONS } from '../injection/testing.ts';
import { gatewayObjects } from './objects.ts';

type Json = Record<string, unknown>;

function objects(spec: Json = {}, annotations: Json = {}) {
  const listeners = [
    { name: 'http.a', port: 80, protocol: 'HTTP', hostname: 'a.example' },
    { name: 'http.b', port: 80, protocol: 'HTTP', hostname: 'b.example' },
    { name: 'tcp', port: 6379, protocol: 'TCP' },
  ];
  const gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'web', namespace: 'shop', annotations },
    spec: { gatewayClassName: 'sallyport', listeners, ...spec },
  };
  const [resource] = snapshotFromText(JSON.stringify(gateway)).list('KubernetesGateway');
  const found = gatewayObjects(resource!, resource!.spec.listeners, 'uid-1', 'sallyport.dev/gateway-controller', OPTIONS);
  // biome-ignore lint/suspicious/noExplicitAny: objects of several kinds
  return Object.fromEntries(found.map((each) => [each.kind, each])) as Record<string, any>;
}

test('an account, a Deployment and a Service, which go with the Gateway', () => {
  const { ServiceAccount, Deployment, Service } = objects();
  for (const { metadata } of [ServiceAccount, Deployment, Service]) {
    assert.deepEqual([metadata.name, metadata.namespace, metadata.ownerReferences[0].uid], ['web-sallyport', 'shop', 'uid-1']);
    assert.equal(metadata.labels['gateway.networking.k8s.io/gateway-name'], 'web');
  }
  const { metadata, spec } = Deployment.spec.template;
  assert.deepEqual(Deployment.spec.selector.matchLabels, { 'gateway.networking.k8s.io/gateway-name': 'web' });
  assert.equal(spec.containers[0].args[spec.containers[0].args.indexOf('--role') + 1], 'router');
  // The webhook leaves it alone, and says who it is to whoever selects gateways.
  assert.equal(metadata.labels['sidecar.istio.io/inject'], 'false');
  assert.ok(spec.containers[0].args.includes('gateway.networking.k8s.io/gateway-name=web'));
  assert.ok(spec.terminationGracePeriodSeconds > 5);
  assert.equal(spec.containers[0].startupProbe.periodSeconds, 1);
  assert.equal(Deployment.spec.replicas, undefined, 'a HorizontalPodAutoscaler has its say');
  assert.equal(Service.spec.type, 'LoadBalancer');
  assert.deepEqual(
    Service.spec.ports.map((each: Json) => [each.name, each.port]),
    [
      ['status-port', 15021],
      ['port-80', 80],
      ['tcp', 6379],
    ],
  );
});

test('infrastructure: labels and annotations of all that is made; annotations of the Gateway choose engine and Service', () => {
  const infrastructure = { labels: { team: 'edge' }, annotations: { note: 'x' } };
  const engine = { 'sallyport.dev/engine': 'embedded', 'networking.istio.io/service-type': 'ClusterIP' };
  const { ServiceAccount, Deployment, Service } = objects({ infrastructure }, engine);
  for (const { metadata } of [ServiceAccount, Deployment, Service, Deployment.spec.template])
    assert.deepEqual([metadata.labels.team, metadata.annotations.note], ['edge', 'x']);
  assert.equal(Deployment.spec.template.spec.containers[0].args[0], 'proxy');
  assert.equal(objects().Deployment.spec.template.spec.containers[0].args[0], 'agent');
  assert.equal(Service.spec.type, 'ClusterIP');
  assert.equal(objects({ addresses: [{ type: 'IPAddress', value: '10.0.0.7' }] }).Service.spec.loadBalancerIP, '10.0.0.7');
});

test('what is not to be had is refused', () => {
  assert.throws(() => objects({}, { 'networking.istio.io/service-type': 'None' }), /there are ClusterIP, NodePort, LoadBalancer/);
  assert.throws(() => objects({}, { 'sallyport.dev/engine': 'nginx' }), /sallyport.dev\/engine/);
});

test('whoever may write a Gateway does not say by that what its proxies run', () => {
  const withAnnotations = (annotations: Json) => () => objects({ infrastructure: { annotations } });
  const apparmor = 'container.apparmor.security.beta.kubernetes.io/istio-proxy';
  assert.throws(withAnnotations({ [apparmor]: 'unconfined' }), /apparmor.* gives it other rights/);
  assert.throws(withAnnotations({ 'sidecar.istio.io/proxyImage': 'somebody/else' }), /proxyImage names an image/);
  for (const name of ['NODE_OPTIONS', 'LD_PRELOAD', 'PATH', 'node_options'])
    assert.throws(withAnnotations({ 'proxy.istio.io/config': `proxyMetadata: { ${name}: x }` }), new RegExp(`proxyMetadata sets ${name}`));
  const { Deployment } = withAnnotations({ 'proxy.istio.io/config': 'proxyMetadata: { ISTIO_META_X: y }' })();
  const { env } = Deployment.spec.template.spec.containers[0];
  assert.ok(env.some(({ name, value }: Json) => name === 'ISTIO_META_X' && value === 'y'));
});
