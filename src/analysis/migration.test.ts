import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { decodeDocuments } from '../api/documents.ts';
import { Store } from '../config/store.ts';
import { analyzeFiles } from './files.ts';
import { unservedIn } from './migration.ts';

function unserved(text: string) {
  const store = new Store();
  store.set('mesh.yaml', decodeDocuments(text, 'mesh.yaml'));
  const snapshot = store.snapshot();
  const findings = analyzeFiles({ snapshot, mesh: meshConfigOf({ extensionProviders: [ZIPKIN] }), defaultGateways: true, now: 0 });
  return unservedIn(snapshot, findings).map(({ object, outcome, what }) => `${outcome}: ${object}: ${what}`);
}

const ZIPKIN = { name: 'zipkin', zipkin: { service: 'zipkin.observability.svc.cluster.local', port: 9411 } };

test('each object that is not served is named, with what becomes of it, once, the gravest first', () => {
  const found = unserved(`
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patch, namespace: shop}
spec: {configPatches: [{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {}}}, {applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: envoy.filters.http.lua}}}, {applyTo: CLUSTER, patch: {operation: MERGE, value: {}}}]}
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: plug, namespace: shop}
spec: {url: oci://x}
---
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: installed, namespace: istio-system}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: not-of-the-mesh, namespace: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: quiet, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: traced, namespace: shop}
spec: {tracing: [{providers: [{name: zipkin}]}]}
---
apiVersion: v1
kind: Secret
metadata: {name: west, namespace: istio-system, labels: {istio/multiCluster: "true"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {meshNetworks: "networks: {west: {endpoints: [{fromRegistry: west}]}}"}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, annotations: {sidecar.istio.io/userVolume: "[]", sidecar.istio.io/interceptionMode: TPROXY}}
spec: {containers: [{name: app, image: x}]}
`);
  const expected = [
    /^refused: EnvoyFilter shop\/patch: configPatches\[1\]: envoy\.filters\.http\.lua runs in Envoy/,
    /^refused: Pod shop\/web: sidecar\.istio\.io\/interceptionMode: TPROXY/,
    /^no effect: ConfigMap istio-system\/istio: meshNetworks/,
    /^no effect: EnvoyFilter shop\/patch: configPatches\[0\]: bootstraps are not patched/,
    /^no effect: Namespace quiet: .*ambient/,
    /^no effect: Pod shop\/web: The annotation sidecar\.istio\.io\/userVolume/,
    /^no effect: Secret istio-system\/west: /,
    /^no effect: Telemetry shop\/traced: .*spans/,
    /^not read: IstioOperator istio-system\/installed: /,
    /^not read: WasmPlugin shop\/plug: It changes or refuses requests/,
  ];
  assert.equal(found.length, expected.length, found.join('\n'));
  for (const [i, pattern] of expected.entries()) assert.match(found[i]!, pattern);
});

test('of a mesh that is served whole nothing is listed', () => {
  assert.deepEqual(
    unserved(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec: {hosts: [api.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}
`),
    [],
  );
});
