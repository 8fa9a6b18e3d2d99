import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { simulateFiles } from './simulated.ts';
import { podText, WWW_ENTRY } from './testing.ts';
import { unknownTo } from './unknown.ts';

const unknown = (text: string, mesh: Record<string, unknown> = {}) => unknownTo(simulateFiles(snapshotFromText(text), meshConfigOf(mesh)));
const POD = podText('app', '10.0.0.1', { labels: '{app: app}' });
/** An egress gateway with its Service. */
const EGRESS_PROXY = `${podText('egress', '10.0.0.9', { namespace: 'istio-system', labels: '{istio: egressgateway}' }).replace('name: app', 'name: istio-proxy')}
apiVersion: v1
kind: Service
metadata: {name: istio-egressgateway, namespace: istio-system}
spec: {selector: {istio: egressgateway}, clusterIP: 10.96.0.9, ports: [{name: http, port: 80}]}
---`;
/** Of a filter that is not simulated. */
const LUA = '[{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: envoy.filters.http.lua}}}]';
const patch = (namespace: string, spec = `{configPatches: ${LUA}}`) =>
  `\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: patch, namespace: ${namespace}}\nspec: ${spec}\n---`;

test('all is known of what is valid and captured', () => assert.deepEqual(unknown(POD + WWW_ENTRY), []));

test('what is not valid', () => {
  const [sentence, ...more] = unknown(POD + WWW_ENTRY.replace('resolution: DNS', 'resolution: DNSS'));
  assert.match(sentence!, /^ServiceEntry default\/www \(.+:\d+:\d+\) is not valid/);
  assert.deepEqual(more, []);
});

test("what a cluster's webhook refuses and files put in force", () => {
  const [sentence, ...more] = unknown(POD + WWW_ENTRY.replace('www.example.com', "'*.example.com'"));
  assert.match(sentence!, /^ServiceEntry default\/www is refused by a cluster's webhook/);
  assert.deepEqual(more, []);
  const route = (name: string) =>
    `\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: default}\nspec: {hosts: [www.example.com], tls: [{match: [{port: 443, sniHosts: [${name}]}], route: [{destination: {host: www.example.com}}]}]}\n---`;
  assert.match(unknown(POD + WWW_ENTRY + route('other.example.com')).join(), /^VirtualService default\/v is refused/);
  assert.deepEqual(unknown(POD + WWW_ENTRY + route('www.example.com')), []);
});

test('a patch counts where it concerns a proxy: of its namespace, of the root, by its labels', () => {
  const count = (text: string) => unknown(POD + text).length;
  assert.equal(count(patch('default')), 1);
  assert.equal(count(patch('istio-system')), 1);
  assert.equal(count(patch('other')), 0);
  const selecting = (app: string) => patch('default', `{workloadSelector: {labels: {app: ${app}}}, configPatches: ${LUA}}`);
  assert.equal(count(selecting('app')), 1);
  assert.equal(count(selecting('none')), 0);
});

test('a patch counts where it concerns a workload that nobody has written and calls are judged of', () => {
  const count = (text: string) => unknown(WWW_ENTRY + text).length;
  assert.equal(count(patch('other')), 1);
  assert.equal(count(patch('default', `{workloadSelector: {labels: {app: shop}}, configPatches: ${LUA}}`)), 1);
});

test('a patch for a Kubernetes Gateway counts where a proxy serves it, and for no other proxy', () => {
  const gateway = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: egress, namespace: istio-system}
spec:
  gatewayClassName: istio
  addresses: [{type: Hostname, value: istio-egressgateway.istio-system.svc.cluster.local}]
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
---`;
  const mesh = POD + EGRESS_PROXY + gateway;
  const patchOf = (name: string) =>
    patch('istio-system', `{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ${name}}], configPatches: ${LUA}}`);
  assert.match(unknown(mesh + patchOf('egress')).join(), /^EnvoyFilter istio-system\/patch changes proxies in ways that are not simulated/);
  assert.deepEqual(unknown(mesh + patchOf('another')), []);
});

test('of a patch, what is not applied or not simulated', () => {
  const said = (applyTo: string, operation: string, value: string, match = '') =>
    unknown(
      POD +
        patch('default', `{configPatches: [{applyTo: ${applyTo}, match: {${match}}, patch: {operation: ${operation}, value: ${value}}}]}`),
    ).join();
  assert.equal(said('CLUSTER', 'MERGE', '{connect_timeout: 1s, circuit_breakers: {}}'), '');
  assert.match(
    said('CLUSTER', 'MERGE', '{original_dst_lb_config: {use_http_header: true}}'),
    /not simulated: Cluster\.original_dst_lb_config$/,
  );
  assert.match(said('CLUSTER', 'MERGE', '{conect_timeout: 1s}'), /configPatches\[0\] is not applied: .*"conect_timeout" is unknown/);
  assert.equal(said('HTTP_ROUTE', 'MERGE', '{route: {timeout: 1s, retry_policy: {num_retries: 3}}}'), '');
  assert.match(said('HTTP_ROUTE', 'MERGE', '{route: {cluster_header: x}}'), /not simulated: RouteAction\.cluster_header$/);
  assert.equal(
    said(
      'HTTP_FILTER',
      'REMOVE',
      '{}',
      'listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: b}}}}',
    ),
    '',
  );
  assert.match(
    said(
      'HTTP_FILTER',
      'INSERT_BEFORE',
      '{name: x}',
      'listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: istio.stats}}}}',
    ),
    /istio\.stats is a filter of Istio's own/,
  );
  // What can't be read is put in as it is written, so that it closes; only what would be merged is left out.
  const rbac = "{name: x, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC, newer_field: {}}}";
  assert.match(said('HTTP_FILTER', 'INSERT_FIRST', rbac), /not simulated: envoy\.extensions\.filters\.http\.rbac\.v3\.RBAC$/);
  assert.match(said('HTTP_FILTER', 'MERGE', rbac), /is not applied: .*newer_field/);
  assert.match(said('BOOTSTRAP', 'MERGE', '{}'), /bootstraps are not patched/);
  assert.match(said('EXTENSION_CONFIG', 'ADD', '{}'), /ECDS/);
  assert.match(said('CLUSTER', 'MERGE', '{}', 'proxy: {metadata: {ROUTER_MODE: x}}'), /metadata of proxies is not known \(ROUTER_MODE\)/);
  assert.match(
    said('HTTP_FILTER', 'INSERT_FIRST', '{name: x}', "proxy: {proxyVersion: '^(?!1[.]2)'}"),
    /is not applied: proxyVersion .* cannot be read/,
  );
  assert.equal(said('HTTP_FILTER', 'INSERT_FIRST', '{name: x}', 'context: WAYPOINT'), '');
  assert.equal(said('HTTP_FILTER', 'INSERT_FIRST', '{name: x}', "proxy: {proxyVersion: '^1[.]2.*'}"), '');
});

test('what is in force for one revision, and namespaces that are selected', () => {
  assert.match(
    unknown(POD + WWW_ENTRY.replace('namespace: default}', 'namespace: default, labels: {istio.io/rev: canary}}')).join(),
    /revision canary only/,
  );
  const labelled = (apiVersion: string, kind: string, spec = '{}') =>
    unknown(
      `${POD}\napiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: a, namespace: default, labels: {istio.io/rev: canary}}\nspec: ${spec}\n---`,
    ).join();
  for (const kind of ['AuthorizationPolicy', 'RequestAuthentication', 'PeerAuthentication'])
    assert.match(labelled('security.istio.io/v1', kind), new RegExp(`^${kind} default/a is in force for revision canary only$`));
  assert.match(labelled('networking.istio.io/v1alpha3', 'EnvoyFilter', '{configPatches: []}'), /revision canary only/);
  // Of a Pod it says which control plane injects its proxy.
  assert.deepEqual(unknown(POD.replace('{app: app}', '{app: app, istio.io/rev: canary}')), []);
  assert.match(unknown(POD, { discoverySelectors: [{ matchLabels: { a: 'b' } }] }).join(), /discoverySelectors/);
});

test('a Pod whose traffic is not captured as a whole', () => {
  const annotated = (annotation: string) => unknown(POD.replace('labels:', `annotations: {${annotation}}, labels:`)).length;
  for (const annotation of [
    "traffic.sidecar.istio.io/excludeOutboundPorts: '443'",
    'traffic.sidecar.istio.io/excludeOutboundIPRanges: 10.0.0.0/8',
    'traffic.sidecar.istio.io/includeOutboundIPRanges: 10.0.0.0/8',
    "traffic.sidecar.istio.io/includeOutboundIPRanges: ''",
    'sidecar.istio.io/interceptionMode: NONE',
    "proxy.istio.io/config: 'interceptionMode: NONE'",
    "proxy.istio.io/config: '['",
  ])
    assert.equal(annotated(annotation), 1, annotation);
  for (const annotation of [
    "traffic.sidecar.istio.io/excludeOutboundPorts: ''",
    "traffic.sidecar.istio.io/includeOutboundIPRanges: '*'",
    'sidecar.istio.io/interceptionMode: TPROXY',
    "sidecar.istio.io/inject: 'true'",
    "proxy.istio.io/config: 'concurrency: 1'",
    'sallyport.dev/capture: what is injected takes its place',
  ])
    assert.equal(annotated(annotation), 0, annotation);
  assert.equal(unknown(POD.replace('spec: {', 'spec: {hostNetwork: true, ')).length, 1);
});

test('a Pod without a sidecar: by its label, its annotation, its node and its namespace, unless it has the container', () => {
  const namespace = '\napiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {istio-injection: disabled}}\n---';
  const without = (text: string, reason: RegExp) => {
    const [sentence, ...more] = unknown(text);
    assert.match(sentence ?? 'nothing', reason);
    assert.deepEqual(more, []);
  };
  without(
    POD.replace('{app: app}', "{app: app, sidecar.istio.io/inject: 'false'}"),
    /^Pod default\/app has no sidecar \(it says .+"false"\)/,
  );
  without(POD.replace('labels:', "annotations: {sidecar.istio.io/inject: 'false'}, labels:"), /has no sidecar/);
  without(POD.replace('spec: {', 'spec: {hostNetwork: true, '), /hostNetwork/);
  without(POD + namespace, /istio-injection: disabled/);
  assert.deepEqual(unknown(POD.replace('{app: app}', "{app: app, sidecar.istio.io/inject: 'true'}") + namespace), []);
  assert.deepEqual(unknown(POD.replace('name: app, image: x', 'name: istio-proxy, image: x') + namespace), []);
});

test('a Pod that runs as the user of its proxy, or is not captured by the settings of the mesh', () => {
  assert.match(unknown(POD.replace('image: x', 'image: x, securityContext: {runAsUser: 1337}')).join(), /container app runs as user 1337/);
  assert.equal(unknown(POD.replace('spec: {', 'spec: {securityContext: {runAsUser: 1337}, ')).length, 1);
  assert.equal(unknown(POD.replace('image: x', 'image: x, securityContext: {runAsUser: 1000}')).length, 0);
  // Istio's rules leave the proxy's group alone as well.
  assert.match(
    unknown(POD.replace('image: x', 'image: x, securityContext: {runAsGroup: 1337}')).join(),
    /container app runs as group 1337/,
  );
  assert.equal(unknown(POD.replace('spec: {', 'spec: {securityContext: {runAsGroup: 1337}, ')).length, 1);
  const none = { defaultConfig: { interceptionMode: 'NONE' } };
  assert.match(unknown(POD, none).join(), /MeshConfig's defaultConfig: interceptionMode NONE/);
  const own = POD.replace('labels:', 'annotations: {sidecar.istio.io/interceptionMode: REDIRECT}, labels:');
  assert.deepEqual(unknown(own, none), []);
  assert.equal(unknown('', none).length, 1, 'nor a workload that the files do not name');
});

test('a Pod that its node captures: what its own annotation says', () => {
  const settings = {
    ...{ outboundPort: 15001, inboundPort: 15006, proxyUid: 1337, includeOutboundRanges: '*', excludeOutboundRanges: '' },
    ...{ includeOutboundPorts: '', excludeOutboundPorts: '', includeInboundPorts: '*', excludeInboundPorts: '15020' },
  };
  const captured = (capture: string) =>
    unknown(
      POD.replace('labels:', `annotations: {sallyport.dev/capture: '${capture}'}, labels:`).replace(
        'containers: [',
        'initContainers: [{name: istio-proxy, image: p}], containers: [',
      ),
    ).join();
  assert.equal(captured(JSON.stringify(settings)), '');
  assert.match(captured(JSON.stringify({ ...settings, excludeOutboundPorts: '443' })), /sallyport\.dev\/capture: excludeOutboundPorts 443/);
  assert.match(captured('{}'), /sallyport\.dev\/capture .*whole number/);
});

test('what a Deployment makes, where there are no Pods', () => {
  const deployment = (metadata: string, spec = '') =>
    `\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: default}\nspec: {selector: {}, template: {metadata: {${metadata}}, spec: {${spec}containers: [{name: app, image: x}]}}}\n---`;
  assert.deepEqual(unknown(deployment('labels: {app: web}')), []);
  for (const [metadata, spec, says] of [
    ["labels: {sidecar.istio.io/inject: 'false'}", '', /^Deployment default\/web has no sidecar \(it says .+"false"\)/],
    ['labels: {}', 'hostNetwork: true, ', /has no sidecar .*hostNetwork/],
    ["annotations: {traffic.sidecar.istio.io/excludeOutboundPorts: '443'}", '', /^Deployment default\/web sends some of its traffic past/],
  ] as const)
    assert.match(unknown(deployment(metadata, spec)).join(), says);
});
