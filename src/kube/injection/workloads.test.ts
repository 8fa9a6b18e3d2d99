import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownerOf } from './owner.ts';
import { OPTIONS, pod } from './testing.ts';
import { injectObject } from './workloads.ts';

const inject = (object: unknown) => injectObject(object, OPTIONS, () => undefined);

test('every kind that makes pods', () => {
  const kinds = [
    'apps/v1 Deployment',
    'apps/v1 StatefulSet',
    'apps/v1 DaemonSet',
    'apps/v1 ReplicaSet',
    'batch/v1 Job',
    'v1 ReplicationController',
  ];
  for (const name of kinds) {
    const [apiVersion, kind] = name.split(' ');
    const { object, changed } = inject({ apiVersion, kind, metadata: { name: 'a' }, spec: { replicas: 2, template: pod() } });
    assert.ok(changed, name);
    const { replicas, template } = (object as { spec: { replicas: number; template: ReturnType<typeof pod> } }).spec;
    assert.equal(replicas, 2);
    assert.deepEqual(
      template.spec.initContainers?.map((container) => container.name),
      ['istio-init', 'istio-proxy'],
    );
  }
  const cronJob = {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'a' },
    spec: { jobTemplate: { spec: { template: pod() } } },
  };
  assert.ok(inject(cronJob).changed);
  const list = inject({ apiVersion: 'v1', kind: 'List', items: [{ kind: 'Service' }, { apiVersion: 'v1', kind: 'Pod', ...pod() }] });
  assert.ok(list.changed);
  assert.deepEqual((list.object as { items: unknown[] }).items[0], { kind: 'Service' });
});

test('others stay as they are', () => {
  for (const object of [null, 'text', { kind: 'Service' }, { apiVersion: 'other/v1', kind: 'Deployment' }]) {
    const result = inject(object);
    assert.equal(result.object, object);
    assert.equal(result.changed, false);
  }
});

test('what is wrong names the object', () => {
  const deployment = (template: unknown) => ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec: { template } });
  assert.throws(
    () => inject(deployment(undefined)),
    /Deployment default\/web: spec.template has to be a pod: spec.containers lists containers/,
  );
  assert.throws(
    () => inject(deployment(pod({ 'sallyport.dev/engine': 'x' }))),
    /Deployment default\/web: the annotation sallyport.dev\/engine/,
  );
  assert.throws(() => inject(deployment({ metadata: { labels: { a: 1 } }, spec: { containers: [] } })), /labels/);
  assert.deepEqual(inject(deployment(pod({}, { hostNetwork: true }))).notes.length, 1);
});

test('whose pod it is', () => {
  const made = (kind: string, name: string, labels = {}) =>
    ownerOf(
      {
        metadata: { generateName: `${name}-`, labels, ownerReferences: [{ apiVersion: 'x/v1', kind, name, controller: true }] },
        spec: { containers: [] },
      },
      'shop',
    );
  assert.deepEqual(made('ReplicaSet', 'web-5d9', { 'pod-template-hash': '5d9' }), {
    apiVersion: 'x/v1',
    kind: 'Deployment',
    name: 'web',
    namespace: 'shop',
  });
  assert.equal(made('ReplicaSet', 'web-5d9').kind, 'ReplicaSet');
  assert.equal(made('Job', 'tidy-28391040').name, 'tidy');
  assert.equal(made('StatefulSet', 'db').name, 'db');
  assert.equal(ownerOf({ metadata: { generateName: 'x-' }, spec: { containers: [] } }, 'shop').name, 'x');
});
