import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hiddenDocument, readEdited } from './edited.ts';

const SERVICE = (name: string) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: default}
spec: {ports: [{port: 80, name: http}]}
`;
const SECRET = `
apiVersion: v1
kind: Secret
metadata: {name: tls, namespace: default}
stringData: {cacert: none}
`;

test('documents that are hidden from whoever edits a file stay in it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-edited-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'all.yaml');
  writeFileSync(file, [SERVICE('one'), SECRET, SERVICE('last')].join('---'));
  const named = async (...texts: string[]) =>
    (await readEdited([folder], { file, text: texts.join('---') }, {}))
      .all()
      .map(({ kind, metadata, source }) => `${kind} ${metadata.name} ${source.position().line}`)
      .sort();
  const hidden = `\n${hiddenDocument(1)}${'\n'.repeat(4)}`;
  assert.deepEqual(await named(SERVICE('two'), hidden, SERVICE('last')), ['Secret tls 7', 'Service last 12', 'Service two 2']);
  assert.deepEqual(await named(SERVICE('two')), ['Service two 2'], 'it was taken out');
  assert.deepEqual(await named(SERVICE('two'), hidden.replace('2', '7')), ['Service two 2'], 'there is no such document');
});
