import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type MeshInput, openMeshFiles } from './mesh-source.ts';

const RESOURCE = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: a, namespace: default }
spec: { hosts: [a.example.com], ports: [{ number: 80, name: http, protocol: HTTP }] }
`;

function setup(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-mesh-files-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, `.${name}.new`), text);
    renameSync(join(folder, `.${name}.new`), join(folder, name));
    return join(folder, name);
  };
  return write;
}

test('a change of the MeshConfig file is followed, and a broken one leaves the settings that held', async (t) => {
  const write = setup(t);
  const resources = write('a.yaml', RESOURCE);
  const mesh = write('mesh.json', '{"outboundTrafficPolicy":{"mode":"REGISTRY_ONLY"}}');
  const files = await openMeshFiles({ paths: [resources], meshConfig: mesh, watch: true });
  t.after(() => files.close());
  assert.equal(files.current.mesh.outboundTrafficPolicy.mode, 'REGISTRY_ONLY');

  let wake: (input: MeshInput) => void = () => {};
  const next = () =>
    new Promise<MeshInput>((resolve) => {
      wake = resolve;
    });
  files.watch((input) => wake(input));

  let change = next();
  write('mesh.json', '{"outboundTrafficPolicy":{"mode":"ALLOW_ANY"}}');
  assert.equal((await change).mesh.outboundTrafficPolicy.mode, 'ALLOW_ANY');

  change = next();
  write('mesh.json', '{"outboundTrafficPolicy":{"mode":"NEITHER"}}');
  const broken = await change;
  assert.equal(broken.mesh.outboundTrafficPolicy.mode, 'ALLOW_ANY');
  assert.ok(broken.findings.some(({ level }) => level === 'Error'));
});

test('a reload sees what has changed without watching', async (t) => {
  const write = setup(t);
  const resources = write('a.yaml', RESOURCE);
  const mesh = write('mesh.json', '{"rootNamespace":"one"}');
  const files = await openMeshFiles({ paths: [resources], meshConfig: mesh, watch: false });
  t.after(() => files.close());
  write('a.yaml', RESOURCE.replaceAll('a.example.com', 'b.example.com'));
  write('mesh.json', '{"rootNamespace":"two"}');
  const { snapshot, mesh: config } = await files.reload();
  assert.deepEqual(
    snapshot.list('ServiceEntry').map(({ spec }) => spec.hosts),
    [['b.example.com']],
  );
  assert.equal(config.rootNamespace, 'two');
});
