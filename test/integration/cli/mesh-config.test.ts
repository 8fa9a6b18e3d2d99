/** What is wrong with a MeshConfig is said by every command that answers by it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Program } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-mesh-config-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const mesh = file('mesh.yaml', 'accessLogFile: /dev/stdout\noutboundTraficPolicy:\n  mode: REGISTRY_ONLY\n');
const resources = file(
  'entry.yaml',
  `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www}
spec: {hosts: [www.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
`,
);
const log = file('access.log', '');

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  diff: ['diff', resources, resources],
  'learn --would-deny': ['learn', '--would-deny', resources, log],
  'proxy-config': ['proxy-config', 'clusters', resources],
  explain: ['explain', '-f', resources, 'http://www.example.com/'],
};

for (const [name, args] of Object.entries(COMMANDS)) {
  test(`${name}: a misspelled field of --mesh-config is said on stderr, once, with file and line`, async () => {
    const program = new Program([...args, '--mesh-config', mesh]);
    assert.equal(await program.exit, 1, program.errors);
    assert.match(program.errors, /the answer leaves out what is not valid/);
    const said = program.errors.split('outboundTraficPolicy: no such field').length - 1;
    assert.equal(said, 1, program.errors);
    assert.ok(program.errors.includes(`${mesh}:2:1`), program.errors);
    assert.match(program.errors, /did you mean outboundTrafficPolicy\?/);
    assert.doesNotMatch(program.output, /outboundTraficPolicy/);
  });
}
