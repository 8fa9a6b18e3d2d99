/** A change of one object leaves the messages that do not depend on it as they are: the same objects, which nobody encodes or compares again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeDocuments } from '../../src/api/documents.ts';
import { Store } from '../../src/config/store.ts';
import { type BuiltRegistry, buildRegistry } from '../../src/registry/index.ts';
import { translate } from '../../src/translate/index.ts';
import type { XdsResources } from '../../src/xds/resources.ts';
import { encodeSet, updateBetween } from '../../src/xds/update.ts';
import { meshConfigOf, proxyOf } from '../support/mesh.ts';

const golden = readFileSync(new URL('upstream-tls/in.yaml', import.meta.url), 'utf8');
const HOSTS = ['a', 'b', 'c', 'd'];
const TEXT = `${golden.slice(golden.indexOf('apiVersion: v1\nkind: Secret'))}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: istio-system }
spec: { selector: { istio: egressgateway }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }] }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: tls, namespace: istio-system }
spec: { host: a.example.com, trafficPolicy: { tls: { mode: MUTUAL, credentialName: client } } }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec: { clusterIP: 10.96.0.1, ports: [{ name: http, port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: default, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
endpoints: [{ addresses: [10.1.0.1] }]
ports: [{ name: http, port: 80 }]
${HOSTS.map(
  (name) => `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec: { hosts: [${name}.example.com], resolution: DNS, ports: [{ number: 80, name: http, protocol: HTTP }, { number: 443, name: tls, protocol: TLS }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${name}.example.com]
  gateways: [mesh, istio-system/egress]
  http: [{ route: [{ destination: { host: ${name}.example.com, port: { number: 80 } } }], timeout: ${name === 'b' ? 5 : 7}s }]
`,
).join('')}`;

const PROXIES = [
  proxyOf({ name: 'client', addresses: [] }),
  proxyOf({ type: 'router', name: 'egress', namespace: 'istio-system', labels: { istio: 'egressgateway' }, addresses: ['10.1.0.2'] }),
];

/** What the proxies have before and after the text changed. */
function around(change: (text: string) => string): { before: XdsResources; after: XdsResources }[] {
  const store = new Store();
  const config = meshConfigOf();
  let built: BuiltRegistry | undefined;
  const [first, second] = [TEXT, change(TEXT)].map((text) => {
    store.set('all.yaml', decodeDocuments(text, 'all.yaml'));
    const snapshot = store.snapshot();
    built = buildRegistry(snapshot, config, built);
    const mesh = { snapshot, registry: built.registry, config };
    return PROXIES.map((proxy) => translate(proxy, mesh).resources);
  });
  assert.notEqual(change(TEXT), TEXT);
  return PROXIES.map((_, i) => ({ before: first![i]!, after: second![i]! }));
}

type List = 'listeners' | 'routes' | 'clusters' | 'endpoints' | 'secrets';
const LISTS: readonly List[] = ['listeners', 'routes', 'clusters', 'endpoints', 'secrets'];

/** The names of messages that are others than before; the name table aside, which is one. */
function others(before: XdsResources, after: XdsResources): string[] {
  const nameOf = (message: { readonly name: string } | { readonly clusterName: string }) =>
    'name' in message ? message.name : message.clusterName;
  return LISTS.flatMap((list) => {
    const old = new Set<unknown>(before[list]);
    return after[list].filter((message) => !old.has(message)).map((message) => `${list} ${nameOf(message)}`);
  });
}

const changedBetween = ({ before, after }: { before: XdsResources; after: XdsResources }) =>
  updateBetween(encodeSet(before), encodeSet(after))?.changed.map(({ type, name }) => `${type} ${name}`);

test('a timeout: one virtual host of one route configuration', () => {
  const [sidecar, router] = around((text) => text.replace('timeout: 5s', 'timeout: 6s'));
  assert.deepEqual(
    [sidecar, router].map((each) => changedBetween(each!)),
    [['route 80'], ['route http.80']],
  );
  for (const { before, after } of [sidecar!, router!]) {
    assert.deepEqual(others(before, after), after === sidecar!.after ? ['routes 80'] : ['routes http.80']);
    for (const list of ['listeners', 'clusters', 'endpoints'] as const) assert.equal(after[list], before[list], list);
    const [old, now] = [before, after].map(({ routes }) => routes.find(({ name }) => name === '80' || name === 'http.80')!.virtualHosts);
    assert.deepEqual(
      now!.filter((host) => !old!.includes(host)).map(({ name }) => name),
      ['b.example.com:80'],
    );
    const [changed] = updateBetween(encodeSet(before), encodeSet(after))!.changed;
    assert.equal(changed!.patch?.hosts.filter((host) => host instanceof Uint8Array).length, 1);
  }
});

test('a secret: itself', () => {
  const [sidecar, router] = around((text) => text.replace('ca.crt:', 'other: unused\n  ca.crt:'));
  assert.deepEqual(others(sidecar!.before, sidecar!.after), []);
  assert.deepEqual(others(router!.before, router!.after), ['secrets kubernetes://client', 'secrets kubernetes://client-cacert']);
  // What it is made of is the same.
  assert.equal(changedBetween(router!), undefined);
});

test('an endpoint: one assignment', () => {
  for (const each of around((text) => text.replace('10.1.0.1]', '10.1.0.7]'))) {
    assert.deepEqual(others(each.before, each.after), ['endpoints outbound|80||web.default.svc.cluster.local']);
    assert.deepEqual(changedBetween(each), ['endpoint outbound|80||web.default.svc.cluster.local']);
  }
});
