/** The call table's configurations under analysis: those that are right have no finding, and each deliberate fault has its own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { analyze } from '../../src/analysis/index.ts';
import { snapshotFromText } from '../../src/config/memory.ts';
import { buildRegistry } from '../../src/registry/index.ts';
import { needs } from '../integration/tools.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { loadCases } from './cases.ts';
import { makeCertificates } from './loopback/certificates.ts';
import { fixedObjects } from './loopback/fixed-objects.ts';

const GROUPS = ['egress', 'tls', 'tcp', 'resilience'];

/** Of the lab itself: its namespaces have no injection labels, and it has no NetworkPolicy. */
const OF_THE_LAB = ['IST0102=*', 'SP1023=*'];

/** What is wrong, or could be better, in a case; the others have nothing. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'age-tcp-service-entries': ['IST0134', 'SP1011'],
  'egress-gateway-sidecar-bypass-tls': ['SP1002'],
  'egress-http-host-mismatch': ['IST0132'],
  'egress-http-missing-gateway-route': ['SP1017'],
  'egress-http-missing-vs': ['SP1001', 'SP1022'],
  'egress-only-gateway-in-vs': ['SP1003'],
  'egress-partial': ['SP1008'],
  'egress-service-entry-private': ['SP1016'],
  'egress-sni-not-in-hosts': ['IST0133', 'SP1007'],
  'egress-tls-match-port-only': ['SP1017'],
  'egress-vs-without-service-entry': ['IST0101'],
  // TLS origination without a stated CA.
  'gateway-terminate-and-originate': ['IST0128'],
  'mtls-origination-missing': ['IST0129'],
  'tls-origination-gateway': ['IST0129'],
  'tls-origination-gateway-dr-namespace': ['IST0129'],
  'tls-origination-gateway-dr-private': ['IST0129'],
  'tls-origination-sidecar': ['IST0129'],
  'tls-origination-wrong-name': ['IST0129'],
  'tcp-no-address': ['IST0134'],
  'tcp-two-without-address': ['IST0134', 'SP1011'],
};

describe('the call table under analysis', { skip: needs('openssl') }, () => {
  let folder: string;
  let fixed: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-analysis-'));
    fixed = fixedObjects(await makeCertificates(folder));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const each of loadCases().filter(({ group }) => GROUPS.includes(group))) {
    test(`${each.group}: ${each.name}`, () => {
      const mesh = meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, ...each.mesh });
      const snapshot = snapshotFromText(`${fixed}\n---\n${each.config}`);
      const { registry, findings: also } = buildRegistry(snapshot, mesh);
      const findings = analyze({ snapshot, registry, mesh, now: Date.now() }, { suppress: OF_THE_LAB, also });
      assert.deepEqual([...new Set(findings.map(({ code }) => code))].sort(), EXPECTED[each.name] ?? []);
    });
  }
});
