/**
 * Every configuration of the call table, converted to the Kubernetes Gateway API as far as that goes: what comes out is valid and treats every call as before.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { snapshotFromText } from '../../src/config/memory.ts';
import { documentsOf } from '../../src/convert/documents.ts';
import { convertDocuments } from '../../src/prove/convert.ts';
import { needs } from '../integration/tools.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { loadCases } from './cases.ts';
import { madeFixedObjects } from './loopback/fixed-objects.ts';

const GROUPS = ['registry', 'egress', 'tls', 'tcp', 'http', 'lb', 'resilience'];

/** Of each of these cases every Gateway and VirtualService is converted. */
const WHOLE = [
  'egress-http',
  'egress-two-hosts',
  'egress-tls-passthrough',
  'egress-weights-gateway',
  'egress-timeouts-both',
  'match-at-gateway',
  'tcp-egress-gateway',
  'wildcard-through-gateway',
];

/** What is left open, and why. */
const UNDECIDED: Readonly<Record<string, readonly string[]>> = {
  'egress-sni-not-in-hosts': [
    "VirtualService default/v is refused by a cluster's webhook and in force where none is asked: analyze says why",
  ],
};

describe('the call table, converted', { skip: needs('openssl') }, () => {
  let fixed: string;
  before(async () => {
    fixed = await madeFixedObjects();
  });

  for (const each of loadCases().filter(({ group }) => GROUPS.includes(group))) {
    test(`${each.group}: ${each.name}`, async () => {
      const text = `${fixed}\n---\n${each.config}`;
      const snapshot = snapshotFromText(text);
      const config = meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, ...each.mesh });
      const converted = convertDocuments({ snapshot, documents: documentsOf(text, 'default') }, config, 'default');
      const output = snapshotFromText(converted.text);
      const errors = (findings: typeof output.findings) => findings.filter(({ level }) => level === 'Error').map(({ message }) => message);
      assert.deepEqual(errors(output.findings), errors(snapshot.findings));
      assert.deepEqual(converted.difference?.changes ?? [], []);
      assert.deepEqual(converted.difference?.undecided ?? [], UNDECIDED[each.name] ?? []);
      const left = output.all().filter(({ kind, derivedFrom }) => !derivedFrom && (kind === 'Gateway' || kind === 'VirtualService'));
      if (WHOLE.includes(each.name))
        assert.deepEqual(
          left.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
          [],
        );
    });
  }
});
