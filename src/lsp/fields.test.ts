import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textedFields } from '../api/field-texts.ts';
import { apiVersions, fieldAt, fieldMarkdown, kindNames } from './fields.ts';

const head = (kind: string, apiVersion = apiVersions(kind)[0]!) => ({ kind, apiVersion, name: '', namespace: '' });

test('every field that has a text is in its schema', () => {
  const missing = textedFields().filter(([kind, path]) => !fieldAt(head(kind), path));
  assert.deepEqual(missing, []);
});

test('kinds and versions follow each other', () => {
  assert.deepEqual(apiVersions('Gateway'), [
    'networking.istio.io/v1',
    'networking.istio.io/v1beta1',
    'networking.istio.io/v1alpha3',
    'gateway.networking.k8s.io/v1',
    'gateway.networking.k8s.io/v1beta1',
  ]);
  assert.deepEqual(kindNames('security.istio.io/v1'), ['PeerAuthentication', 'AuthorizationPolicy', 'RequestAuthentication']);
  assert.ok(fieldAt(head('Gateway', 'gateway.networking.k8s.io/v1'), ['spec', 'listeners', 0]));
  assert.equal(fieldAt(head('Gateway', 'networking.istio.io/v1'), ['spec', 'listeners']), undefined);
});

test('what inherited names of objects are is no field', () => {
  for (const name of ['constructor', '__proto__', 'toString']) assert.equal(fieldMarkdown(head('Gateway'), ['spec', name]), undefined);
});

test('a field says its type, its default and its meaning', () => {
  assert.equal(
    fieldMarkdown(head('ServiceEntry'), ['spec', 'location']),
    '**spec.location**: one of MESH_EXTERNAL, MESH_INTERNAL; without it: MESH_EXTERNAL\n\nMESH_EXTERNAL: outside the mesh. MESH_INTERNAL: part of it.',
  );
  assert.match(fieldMarkdown(head('DestinationRule'), ['spec', 'trafficPolicy', 'loadBalancer', 'warmupDurationSecs'])!, /deprecated/);
});
