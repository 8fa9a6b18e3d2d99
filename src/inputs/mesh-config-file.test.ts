import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { wholeMeshConfig } from './mesh-config-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-mesh-config-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(text: string): string {
  const path = join(folder, 'mesh.yaml');
  writeFileSync(path, text);
  return path;
}

test('a MeshConfig is taken as a whole or not at all', () => {
  assert.equal(wholeMeshConfig(undefined).outboundTrafficPolicy.mode, 'ALLOW_ANY');
  assert.equal(wholeMeshConfig(file('outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n')).outboundTrafficPolicy.mode, 'REGISTRY_ONLY');
  assert.throws(() => wholeMeshConfig(file('outboundTrafficPolicy: {mode: SOMETIMES}\n')), {
    code: 'mesh-config-unreadable',
    message: /mesh\.yaml:1:\d+: /,
  });
  assert.throws(() => wholeMeshConfig(file('')), { code: 'mesh-config-unreadable', message: /holds no MeshConfig/ });
  assert.throws(() => wholeMeshConfig(join(folder, 'gone.yaml')), { code: 'file-unreadable' });
});
