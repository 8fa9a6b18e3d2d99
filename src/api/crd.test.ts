import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { crdOf } from './crd.ts';
import { decodeDocuments } from './documents.ts';

const FILE = new URL('../../deploy/chart/crds/egresspolicies.yaml', import.meta.url);

test('the CRD of the chart is what the schema says (UPDATE_DOCS=1 writes it)', () => {
  const text = `# Written from the schema that decodes EgressPolicies: UPDATE_DOCS=1 node --test src/api/crd.test.ts\n${stringify(crdOf('EgressPolicy'), { lineWidth: 150 })}`;
  if (process.env.UPDATE_DOCS) writeFileSync(FILE, text);
  assert.equal(readFileSync(FILE, 'utf8'), text);
  assert.deepEqual(decodeDocuments(text, 'crd').findings, []);
});

test('every part of it has a type, as Kubernetes asks for', () => {
  const visit = (schema: Record<string, unknown>, path: string): void => {
    assert.ok(typeof schema.type === 'string', path);
    assert.ok(schema.additionalProperties !== false, path);
    for (const [name, each] of Object.entries((schema.properties ?? {}) as Record<string, Record<string, unknown>>))
      visit(each, `${path}.${name}`);
    if (schema.items) visit(schema.items as Record<string, unknown>, `${path}[]`);
  };
  const { spec } = crdOf('EgressPolicy') as { spec: { versions: { schema: { openAPIV3Schema: Record<string, unknown> } }[] } };
  for (const { schema } of spec.versions) visit(schema.openAPIV3Schema, '');
});
