/** For tests: the findings on a text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '../api/mesh-config-document.ts';
import { snapshotFromText } from '../config/memory.ts';
import { loadMeshNetworks } from '../config/mesh-networks.ts';
import type { Finding } from '../lib/finding.ts';
import { buildRegistry } from '../registry/index.ts';
import { withDefaultGateways } from './default-gateways.ts';
import { type AnalysisOptions, analyze } from './index.ts';
import { MESSAGES } from './messages.ts';

/** Certificates in tests are judged on this day. */
export const TEST_DAY = Date.UTC(2026, 0, 1);

export function findingsOf(yaml: string, options: AnalysisOptions = {}): Finding[] {
  const mesh = defaultMeshConfig();
  const snapshot = withDefaultGateways(snapshotFromText(yaml), mesh.rootNamespace);
  const { registry } = buildRegistry(snapshot, mesh);
  const { networks: meshNetworks } = loadMeshNetworks(snapshot);
  return analyze({ snapshot, registry, mesh, meshNetworks, now: TEST_DAY }, options);
}

/** The codes of the findings, sorted, each once. */
export function codesOf(yaml: string, options: AnalysisOptions = {}): string[] {
  return [...new Set(findingsOf(yaml, options).map(({ code }) => code))].sort();
}

/** A configuration that has a finding, and one that is right and as near as may be. */
export interface Pair {
  readonly wrong: string;
  readonly right: string;
  readonly hints?: true;
}

/** A test for each code: it is found in the wrong configuration and not in the right one. */
export function testPairs(pairs: Readonly<Record<string, Pair>>): void {
  for (const [code, { wrong, right, hints }] of Object.entries(pairs)) {
    test(`${code} ${MESSAGES[code.slice(0, 7) as keyof typeof MESSAGES].name}${code.slice(7)}`, () => {
      const expected = code.slice(0, 7);
      const codes = codesOf(wrong, hints && { hints });
      assert.ok(codes.includes(expected), `expected ${expected} among ${codes.join(', ')}`);
      const near = findingsOf(right, hints && { hints }).filter((finding) => finding.code === expected || finding.code === 'IST0001');
      assert.deepEqual(near, [], 'on a right configuration');
    });
  }
}
