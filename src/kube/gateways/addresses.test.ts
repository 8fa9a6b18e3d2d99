import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snapshotFromText } from '../../config/memory.ts';
import { ObservedObjects } from '../observed.ts';
import { infrastructureOf } from './addresses.ts';

type Json = Record<string, unknown>;

function found(
  { gateway = {}, service, ready }: { gateway?: Json; service?: Json; ready?: boolean },
  failed?: { reason: string; message: string },
) {
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web-sallyport' } },
    endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready } }],
  };
  const object = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { gatewayClassName: 'sallyport', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }], ...gateway },
  };
  const snapshot = snapshotFromText([object, ...(ready === undefined ? [] : [slice])].map((each) => JSON.stringify(each)).join('\n---\n'));
  const observed = new ObservedObjects();
  if (service)
    observed.put(
      { kind: 'Service', apiVersion: 'v1' },
      { metadata: { name: 'web-sallyport', namespace: 'shop', resourceVersion: '1' }, ...service },
    );
  const { addresses, problem } = infrastructureOf(snapshot.list('KubernetesGateway')[0]!, snapshot, observed, failed);
  return [addresses.map(({ value }) => value).join(), problem?.reason];
}

const balanced = (...ingress: Json[]) => ({ spec: { type: 'LoadBalancer' }, status: { loadBalancer: { ingress } } });

test('a Gateway is reached where its load balancer says, once a proxy is ready', () => {
  assert.deepEqual(found({}), ['', 'AddressNotAssigned']);
  assert.deepEqual(found({ service: balanced() }), ['', 'AddressNotAssigned']);
  assert.deepEqual(found({ service: balanced({ ip: '10.9.9.9' }) }), ['10.9.9.9', 'Pending']);
  assert.deepEqual(found({ service: balanced({ ip: '10.9.9.9' }), ready: false }), ['10.9.9.9', 'Pending']);
  assert.deepEqual(found({ service: balanced({ ip: '10.9.9.9' }, { hostname: 'lb.example' }), ready: true }), [
    '10.9.9.9,lb.example',
    undefined,
  ]);
});

test('without a load balancer it is reached by its name; a Service that it names itself counts', () => {
  const service = { spec: { type: 'ClusterIP' } };
  assert.deepEqual(found({ service, ready: true }), ['web-sallyport.shop.svc.cluster.local', undefined]);
  const gateway = { addresses: [{ type: 'Hostname', value: 'other.shop.svc.cluster.local' }] };
  assert.deepEqual(found({ gateway, service, ready: true }), ['', 'AddressNotAssigned']);
});

test('what keeps it from being deployed comes first', () => {
  assert.deepEqual(found({ service: balanced({ ip: '10.9.9.9' }), ready: true }, { reason: 'InvalidParameters', message: 'no' }), [
    '',
    'InvalidParameters',
  ]);
});
