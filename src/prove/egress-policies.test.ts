import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { allOfThem, nothingElse } from './egress-policies.ts';
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

/** Verdicts of policies of shop in a mesh whose way out is a forward proxy of its own, beside which there is another: nothing else leaves, and all gets there. */
function throughProxies(spec: string, { entry = '', mesh = true } = {}) {
  const proxy = (name: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: istio-system, annotations: {sallyport.dev/through: direct}}
spec: {hosts: [${name}.example], addresses: [${name === 'proxy' ? '240.200.0.1' : '240.200.0.2'}], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 3128, name: tcp, protocol: TCP}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: istio-system}
spec: {hosts: [${name}.example], tcp: [{match: [{port: 3128}], route: [{destination: {host: forward-proxy.egress-policy.internal, port: {number: 1}}}]}]}
---`;
  const text = `${PODS}${proxy('proxy')}${proxy('other')}
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: {name: p, namespace: shop}
spec: ${spec}
---${entry}`;
  const snapshot = snapshotFromText(text);
  assert.deepEqual(
    snapshot.findings.filter(({ level }) => level === 'Error'),
    [],
  );
  const defaultConfig = mesh ? { proxyMetadata: { SALLYPORT_THROUGH: 'proxy.example:3128' } } : {};
  const files = simulateFiles(snapshot, meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, defaultConfig }));
  const [verdict] = verifyFiles(files, [nothingElse(files)], 100_000);
  return [verdict!.result, allOfThem(files).result];
}

const API = 'to: [{hosts: [api.example.com]}, {hosts: [db.example.com], ports: [5432]}]';

test('what a policy leads through a forward proxy, the mesh’s or none leaves so', () => {
  for (const mesh of [true, false])
    for (const way of ['through: proxy, proxy: "Other.Example:3128"', 'through: direct', 'bind: off'])
      assert.deepEqual(throughProxies(`{${way}, ${API}}`, { mesh }), ['proved', 'proved'], way);
});

test('another way to its hosts than the policy says refutes it, by whatever object', () => {
  // The older of two ServiceEntries that the same namespaces see counts.
  const entry = (annotations: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: aaa, namespace: shop, creationTimestamp: "2001-01-01T00:00:00Z", annotations: {${annotations}}}
spec: {hosts: [api.example.com], exportTo: [shop], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]}
---`;
  const only = 'to: [{hosts: [api.example.com]}]';
  for (const [way, annotations] of [
    ['through: proxy, proxy: "other.example:3128"', ''],
    ['through: proxy, proxy: "other.example:3128"', 'sallyport.dev/through: direct'],
    ['through: direct', ''],
    ['through: direct', 'sallyport.dev/through: "other.example:3128"'],
  ] as const)
    assert.deepEqual(throughProxies(`{${way}, ${only}}`, { entry: entry(annotations) }), ['refuted', 'refuted'], `${way}: ${annotations}`);
});

test('a policy that no known workload is meant by says so: also where it asks for a service account', () => {
  const notes = (from: string) => {
    const text = `${PODS}
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: {name: p, namespace: shop}
spec: {through: gateway, from: [${from}], to: [{hosts: [www.example.com], ports: [443]}]}`;
    return allOfThem(simulateFiles(snapshotFromText(text), meshConfigOf({}))).notes;
  };
  assert.deepEqual(notes('{labels: {app: a}}'), []);
  assert.deepEqual(notes('{labels: {app: b}}'), ['no known workload is one of EgressPolicy shop/p']);
  assert.deepEqual(notes('{serviceAccounts: [payments]}'), ['no known workload is one of EgressPolicy shop/p']);
  assert.deepEqual(notes('{serviceAccounts: [default]}'), []);
});
