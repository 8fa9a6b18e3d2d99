/** The call table's configurations under analysis: those that are right have no finding, and each deliberate fault has its own. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { analyze } from '../../src/analysis/index.ts';
import { snapshotFromText } from '../../src/config/memory.ts';
import { buildRegistry } from '../../src/registry/index.ts';
import { needs } from '../integration/tools.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { loadCases } from './cases.ts';
import { madeFixedObjects } from './loopback/fixed-objects.ts';

/** Of the lab itself: its namespaces have no injection labels, and it has no NetworkPolicy. */
const OF_THE_LAB = ['IST0102=*', 'SP1023=*'];

/** What is wrong, or could be better, in a case; the others have nothing. (SP1005 notes what an application may call past the gateway.) */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'sidecar-workload-selector': ['SP1055'],
  'age-gateway-same-host': ['IST0145'],
  'authz-plain-gateway': ['SP1047'],
  'age-http-and-tcp-on-a-port': ['IST0134'],
  'age-http-older-than-tcp': ['IST0134'],
  'age-mesh-virtual-services': ['IST0109'],
  'age-tcp-service-entries': ['IST0134', 'SP1011'],
  'conflict-mesh-virtual-services': ['IST0109'],
  'destination-rule-namespaces': ['IST0128', 'SP1013'],
  'destination-rule-tls-disable': ['SP1070'],
  'egress-gateway-sidecar-bypass-tls': ['SP1002'],
  'egress-http-host-mismatch': ['IST0132'],
  'egress-http-missing-gateway-route': ['SP1017'],
  'egress-http-missing-vs': ['SP1001', 'SP1022'],
  'egress-only-gateway-in-vs': ['SP1003'],
  'egress-partial': ['SP1008'],
  'egress-service-entry-private': ['SP1016'],
  'egress-sni-not-in-hosts': ['IST0106', 'SP1007'],
  'egress-tls-match-port-only': ['SP1017'],
  'egress-vs-without-service-entry': ['IST0101'],
  'gateway-tls-routes': ['SP1017'],
  // TLS origination without a stated CA.
  'gateway-terminate-and-originate': ['IST0128', 'SP1013'],
  'gateway-two-on-a-port': ['IST0145'],
  'gwapi-filters': ['IST0101', 'SP0013'],
  'ingress-missing-secret': ['IST0101'],
  'match-at-gateway': ['SP1005', 'SP1010'],
  'match-uri': ['IST0130'],
  'mtls-origination-missing': ['IST0129', 'SP1005', 'SP1013'],
  'service-entry-port-names': ['IST0134', 'SP1036'],
  'service-entry-static-without-endpoints': ['SP1029'],
  subsets: ['IST0112', 'IST0173'],
  'tcp-no-address': ['IST0134'],
  'tcp-two-without-address': ['IST0134', 'SP1011'],
  'tls-origination-gateway': ['IST0129', 'SP1005', 'SP1013'],
  'tls-origination-gateway-dr-namespace': ['IST0129', 'SP1005', 'SP1013'],
  'tls-origination-gateway-dr-private': ['IST0129', 'SP1005', 'SP1031'],
  'tls-origination-sidecar': ['IST0129'],
  'tls-origination-wrong-name': ['IST0129'],
  'virtual-service-port-inferred': ['IST0112'],
  'virtual-service-short-names': ['IST0101'],
  'virtual-service-unknown-destination': ['IST0101'],
  'wildcard-dns': ['IST0106'],
  'wildcard-dynamic-dns': ['SP1020'],
  'wildcard-dynamic-dns-gateway': ['SP1020'],
  'wildcard-vs-specific': ['IST0112'],
  'egress-weights-gateway': ['SP1005'],
  'gwapi-backend-tls-policy': ['SP1005'],
  'gwapi-egress': ['SP1005'],
  'gwapi-grpc-route': ['SP1005'],
  'gwapi-weights-mirror': ['SP1005'],
  'mtls-origination-bad-secret': ['SP1005', 'SP1013'],
  'mtls-origination-gateway': ['SP1005', 'SP1013'],
};

describe('the call table under analysis', { skip: needs('openssl') }, () => {
  let fixed: string;
  before(async () => {
    fixed = await madeFixedObjects();
  });

  for (const each of loadCases()) {
    test(`${each.group}: ${each.name}`, () => {
      const mesh = meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, ...each.mesh });
      const snapshot = snapshotFromText(`${fixed}\n---\n${each.config}`);
      const { registry, findings: also } = buildRegistry(snapshot, mesh);
      const findings = analyze({ snapshot, registry, mesh, now: Date.now() }, { suppress: OF_THE_LAB, also });
      assert.deepEqual([...new Set(findings.map(({ code }) => code))].sort(), EXPECTED[each.name] ?? []);
    });
  }
});
