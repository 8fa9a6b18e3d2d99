/** Meshes and proxies from YAML, for tests. */
import assert from 'node:assert/strict';
import { decode } from '../../src/api/decode.ts';
import { decodeDocuments } from '../../src/api/documents.ts';
import { type MeshConfig, meshConfig } from '../../src/api/mesh-config.ts';
import { Store } from '../../src/config/store.ts';
import type { Finding } from '../../src/lib/finding.ts';
import type { ProxyIdentity } from '../../src/lib/proxy-identity.ts';
import { buildRegistry } from '../../src/registry/index.ts';
import type { Mesh } from '../../src/translate/model.ts';

export interface TestMesh extends Mesh {
  /** What the registry reported. */
  readonly findings: readonly Finding[];
}

/** The mesh of objects that decode without errors, given as text or as texts by file, oldest first; `overrides` is laid over MeshConfig. */
export function meshFromText(text: string | Readonly<Record<string, string>>, overrides: Record<string, unknown> = {}): TestMesh {
  const store = new Store();
  const files = typeof text === 'string' ? { 'inline.yaml': text } : text;
  for (const [file, content] of Object.entries(files)) store.set(file, decodeDocuments(content, file));
  const snapshot = store.snapshot();
  const errors = snapshot.findings.filter(({ level }) => level === 'Error');
  assert.deepEqual(errors, [], 'the input is valid');
  const config = meshConfigOf(overrides);
  return { snapshot, config, ...buildRegistry(snapshot, config) };
}

export function meshConfigOf(overrides: Record<string, unknown> = {}): MeshConfig {
  return decode(meshConfig, overrides, [], (issue) => assert.fail(issue.message)) as MeshConfig;
}

/** A sidecar in `default` with an address and no labels, unless said otherwise. */
export function proxyOf(overrides: Partial<ProxyIdentity> = {}): ProxyIdentity {
  return {
    type: 'sidecar',
    name: 'sleep',
    namespace: 'default',
    labels: {},
    serviceAccount: 'default',
    addresses: ['10.244.1.10'],
    locality: '',
    ...overrides,
  };
}

/** The proxy of a Pod or WorkloadEntry of the mesh; a gateway by its label `istio: …gateway`. */
export function proxyOfWorkload(name: string, { registry }: Mesh): ProxyIdentity {
  const workload = registry.workloads.find((candidate) => candidate.name === name);
  assert.ok(workload, `there is a workload ${name}`);
  const { namespace, labels, serviceAccount, addresses, locality } = workload;
  return { type: labels.istio?.endsWith('gateway') ? 'router' : 'sidecar', name, namespace, labels, serviceAccount, addresses, locality };
}
