import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceOf } from '../api/index.ts';
import { defaultMeshConfig } from '../api/mesh-config-document.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { originText } from '../lib/origin.ts';
import { buildRegistry } from '../registry/index.ts';
import { analyze } from './index.ts';
import { TEST_DAY } from './testing.ts';

const TEXT = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g, namespace: default}
spec: {selector: {istio: nothing}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a, namespace: default}
spec: {hosts: ['*.example.com'], resolution: DYNAMIC_DNS, ports: [{number: 443, name: tls, protocol: TLS}]}
`;

test('a check that breaks is a finding that names it, and the others go on', () => {
  const snapshot = snapshotFromText(TEXT);
  const mesh = defaultMeshConfig();
  const { registry } = buildRegistry(snapshot, mesh);
  // No decoder lets such an object through.
  const broken = { ...snapshot.list('Gateway')[0]!, spec: {} } as unknown as ResourceOf<'Gateway'>;
  const all = () => [broken, ...snapshot.list('ServiceEntry')];
  const strange: Snapshot = { version: 1, findings: [], list: (kind) => snapshot.list(kind), get: () => undefined, all };
  const findings = analyze({ snapshot: strange, registry, mesh, now: TEST_DAY });
  const internal = findings.filter(({ code }) => code === 'IST0001');
  assert.ok(internal.length > 0);
  assert.ok(internal.every(({ level, origin }) => level === 'Error' && originText(origin) === 'Gateway'));
  assert.match(
    internal.map(({ message }) => message).join('\n'),
    /The check gatewayPorts broke while it read objects of kind Gateway \(.*undefined/,
  );
  assert.ok(findings.some(({ code }) => code === 'SP1020'));
});
