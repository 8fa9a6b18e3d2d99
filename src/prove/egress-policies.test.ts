import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { nothingElse } from './egress-policies.ts';
import { simulateFiles } from './simulated.ts';
import { podText } from './testing.ts';
import { verifyFiles } from './verify.ts';

const PODS = [
  podText('a', '10.0.0.1', { namespace: 'shop', labels: '{app: a, security.istio.io/tlsMode: istio}' }),
  podText('web', '10.0.0.2', { namespace: 'blog', labels: '{app: web, security.istio.io/tlsMode: istio}' }),
].join('');

/** What a policy of shop names, beside a ServiceEntry that everybody sees. */
function judged(host: string, entry: string) {
  const text = `${PODS}
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: {name: p, namespace: shop}
spec: {to: [{hosts: ["${host}"], ports: [5432]}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: more, namespace: other}
spec: {${entry}, location: MESH_EXTERNAL, resolution: STATIC}`;
  const files = simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
  const [verdict] = verifyFiles(files, [nothingElse(files)], 100_000);
  return verdict!.result;
}

test('what else leads to a host that a policy names refutes it, whatever the host is called', () => {
  const entry = (host: string) =>
    `hosts: [${host}], endpoints: [{address: 192.0.2.7}], ports: [{number: 8080, name: http, protocol: HTTP}]`;
  for (const host of ['db.corp.example', 'db.corp.internal']) {
    assert.equal(judged(host, entry(host)), 'refuted', host);
    assert.equal(judged(host, entry('other.corp.internal')), 'proved', host);
  }
});

test('so does another name for an address that a policy names', () => {
  const entry = (address: string) =>
    `hosts: [other.corp.example], addresses: [192.0.2.8], endpoints: [{address: ${address}}], ports: [{number: 5432, name: tcp, protocol: TCP}]`;
  assert.equal(judged('192.0.2.7', entry('192.0.2.7')), 'refuted');
  assert.equal(judged('192.0.2.7', entry('192.0.2.9')), 'proved');
});
