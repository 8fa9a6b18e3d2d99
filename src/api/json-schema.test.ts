import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonSchema } from './json-schema.ts';

test('a kind has its versions, its fields and what it requires', () => {
  const schema = jsonSchema(['Gateway']) as { properties: Record<string, Record<string, unknown>>; required: string[] };
  assert.deepEqual(schema.properties.apiVersion, {
    enum: ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3'],
  });
  const spec = schema.properties.spec as { properties: { servers: { items: { required: string[]; additionalProperties: boolean } } } };
  assert.ok(spec.properties.servers.items.required.includes('port'));
  assert.equal(spec.properties.servers.items.additionalProperties, false);
});

test('objects without a spec have their fields at the top', () => {
  const { properties } = jsonSchema(['Secret']) as { properties: Record<string, unknown> };
  assert.ok('data' in properties && 'stringData' in properties && !('spec' in properties));
});

test('all kinds together are told by their kind', () => {
  const { oneOf } = jsonSchema() as { oneOf: { title: string }[] };
  assert.ok(oneOf.some(({ title }) => title === 'VirtualService') && oneOf.some(({ title }) => title === 'NetworkPolicy'));
});

test('fields say what they mean, also in lists', () => {
  const text = JSON.stringify(jsonSchema(['Gateway']));
  assert.ok(text.includes('"description":"Labels of the proxies that open these ports."'));
  assert.ok(text.includes('"description":"Answers plain HTTP with a redirect to HTTPS."'));
});
