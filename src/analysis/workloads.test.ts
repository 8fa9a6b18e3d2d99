/** Findings on what runs: namespaces, pods, Deployments, Services, and patches of proxies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testPairs } from '../../test/support/findings.ts';
import { codesOf, findingsOf } from './testing.ts';

const join = (...objects: object[]) => objects.map((object) => JSON.stringify(object)).join('\n---\n');
const labels = (entries: Record<string, string>) => entries;

const namespace = (name: string, with_: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: with_ },
});
const INJECTED = labels({ 'istio-injection': 'enabled' });
const pod = (metadata: object, spec: object = { containers: [{ name: 'app', image: 'app:1' }] }) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'a', namespace: 'shop', labels: { app: 'a' }, ...metadata },
  spec,
});
const proxied = (image: string) => ({ containers: [{ name: 'app' }, { name: 'istio-proxy', image }] });
const deployment = (spec: object = { containers: [{ name: 'app' }] }, template: object = {}, metadata: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'a', namespace: 'shop', ...metadata },
  spec: { selector: { matchLabels: { app: 'a' } }, template: { metadata: { labels: { app: 'a' }, ...template }, spec } },
});
const service = (name: string, ports: object[], spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { selector: { app: 'a' }, ports, ...spec },
});
const injector = (values: object) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'istio-sidecar-injector', namespace: 'istio-system' },
  data: { values: JSON.stringify(values) },
});
const PROXY_VALUES = { global: { hub: 'registry.example.com', tag: '1.30.0', proxy: { image: 'proxyv2' } } };
const IMAGE = 'registry.example.com/proxyv2:1.30.0';
const patch = (operation: string, applyTo: string, more: { version?: string; priority?: number; name?: string } = {}) => ({
  apiVersion: 'networking.istio.io/v1alpha3',
  kind: 'EnvoyFilter',
  metadata: { name: more.name ?? 'patch', namespace: 'shop' },
  spec: {
    ...(more.priority !== undefined && { priority: more.priority }),
    configPatches: [
      {
        applyTo,
        ...(more.version && { match: { proxy: { proxyVersion: more.version } } }),
        patch: { operation, ...(operation !== 'REMOVE' && { value: { name: 'envoy.filters.http.lua' } }) },
      },
    ],
  },
});
const networks = (registry: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'istio', namespace: 'istio-system' },
  data: { meshNetworks: `networks:\n  far:\n    endpoints:\n    - fromRegistry: ${registry}\n` },
});
const authentication = {
  apiVersion: 'security.istio.io/v1',
  kind: 'RequestAuthentication',
  metadata: { name: 'r', namespace: 'shop' },
  spec: { jwtRules: [{ issuer: 'a', jwksUri: 'https://keys.example.com/' }] },
};
const istiod = (env: object[]) => ({
  ...deployment({ containers: [{ name: 'discovery', env }] }, {}, { name: 'istiod', namespace: 'istio-system', labels: { app: 'istiod' } }),
});
const sidecar = { apiVersion: 'networking.istio.io/v1', kind: 'Sidecar', metadata: { name: 's', namespace: 'shop' }, spec: { egress: [] } };

testPairs({
  IST0102: { wrong: join(namespace('shop'), pod({})), right: join(namespace('shop', { 'istio-injection': 'disabled' }), pod({})) },
  IST0103: {
    wrong: join(namespace('shop', INJECTED), pod({})),
    right: join(namespace('shop', INJECTED), pod({ labels: { 'sidecar.istio.io/inject': 'false' } }), pod({ name: 'b' }, proxied(IMAGE))),
  },
  IST0107: {
    wrong: join(deployment(undefined, {}, { annotations: { 'proxy.istio.io/config': '{}' } })),
    right: join(deployment(undefined, { annotations: { 'proxy.istio.io/config': '{}' } })),
  },
  IST0108: {
    wrong: join(pod({ annotations: { 'traffic.sidecar.istio.io/excludeOutboundPort': '80' } })),
    right: join(pod({ annotations: { 'traffic.sidecar.istio.io/excludeOutboundPorts': '80', 'example.com/istio': 'x' } })),
  },
  IST0116: {
    wrong: join(
      namespace('shop', INJECTED),
      deployment(),
      service('one', [{ port: 80, name: 'http' }]),
      service('two', [{ port: 80, name: 'udp', protocol: 'UDP' }]),
    ),
    right: join(
      namespace('shop', INJECTED),
      deployment(),
      service('one', [{ port: 80, name: 'http' }]),
      service('two', [{ port: 81, name: 'udp', protocol: 'UDP' }]),
    ),
  },
  IST0118: {
    wrong: join(service('one', [{ port: 80, name: 'web' }])),
    right: join(
      service('one', [
        { port: 80, name: 'http-web' },
        { port: 81, name: 'web', appProtocol: 'http' },
      ]),
    ),
  },
  IST0123: {
    wrong: join(namespace('shop', { ...INJECTED, 'istio.io/rev': 'canary' })),
    right: join(namespace('shop', { 'istio.io/rev': 'canary' })),
  },
  IST0125: {
    wrong: join(pod({ annotations: { 'traffic.sidecar.istio.io/includeOutboundIPRanges': '10.0.0.0/33' } })),
    right: join(pod({ annotations: { 'traffic.sidecar.istio.io/includeOutboundIPRanges': '*' } })),
  },
  IST0126: { wrong: join(networks('other-cluster')), right: join(networks('Kubernetes')) },
  IST0135: {
    wrong: join(pod({ annotations: { 'sidecar.istio.io/inject': 'true' } })),
    right: join(pod({ annotations: { 'sidecar.istio.io/inject': 'true' }, labels: { 'sidecar.istio.io/inject': 'true' } })),
  },
  IST0136: {
    hints: true,
    wrong: join(pod({ annotations: { 'sidecar.istio.io/proxyCPU': '100m' } })),
    right: join(pod({ annotations: { 'proxy.istio.io/config': '{}', 'sidecar.istio.io/status': '{}' } })),
  },
  IST0137: {
    wrong: join(
      namespace('shop', INJECTED),
      deployment(),
      service('one', [{ port: 80, name: 'http', targetPort: 8080 }]),
      service('two', [{ port: 81, name: 'http', targetPort: 8080 }]),
    ),
    right: join(
      namespace('shop', INJECTED),
      deployment(),
      service('one', [{ port: 80, name: 'http', targetPort: 8080 }]),
      service('two', [{ port: 80, name: 'http', targetPort: 8080 }]),
    ),
  },
  IST0144: {
    wrong: join(deployment({ containers: [{ name: 'app', securityContext: { runAsUser: 1337 } }] })),
    right: join(deployment({ containers: [{ name: 'istio-proxy', securityContext: { runAsUser: 1337 } }] })),
  },
  'IST0144 of a pod': {
    wrong: join(pod({}, { securityContext: { runAsUser: 1337 }, containers: [{ name: 'app' }] })),
    right: join(pod({}, { securityContext: { runAsUser: 1338 }, containers: [{ name: 'app' }] })),
  },
  IST0146: {
    wrong: join(namespace('shop', { 'istio-injection': 'disabled' }), deployment(proxied('auto'))),
    right: join(namespace('shop', INJECTED), deployment(proxied('auto'))),
  },
  IST0147: { wrong: join(pod({}, proxied('auto'))), right: join(pod({}, proxied(IMAGE))) },
  IST0148: {
    wrong: join(namespace('shop'), injector({ sidecarInjectorWebhook: { enableNamespacesByDefault: true } })),
    right: join(namespace('shop', INJECTED), injector({ sidecarInjectorWebhook: { enableNamespacesByDefault: true } })),
  },
  IST0150: {
    wrong: join(service('one', [{ port: 443, name: 'tcp' }], { type: 'ExternalName', externalName: 'www.example.com', selector: {} })),
    right: join(service('one', [{ port: 443, name: 'https' }], { type: 'ExternalName', externalName: 'www.example.com', selector: {} })),
  },
  IST0151: { wrong: join(patch('INSERT_BEFORE', 'HTTP_FILTER')), right: join(patch('INSERT_BEFORE', 'HTTP_FILTER', { priority: 10 })) },
  IST0152: { wrong: join(patch('REPLACE', 'CLUSTER')), right: join(patch('REPLACE', 'HTTP_FILTER', { priority: 10 })) },
  IST0153: { wrong: join(patch('ADD', 'HTTP_ROUTE')), right: join(patch('ADD', 'CLUSTER')) },
  IST0154: { wrong: join(patch('REMOVE', 'ROUTE_CONFIGURATION')), right: join(patch('REMOVE', 'CLUSTER', { priority: 10 })) },
  IST0155: {
    wrong: join(
      patch('INSERT_FIRST', 'HTTP_FILTER', { name: 'a', version: '^1\\.2' }),
      patch('INSERT_AFTER', 'HTTP_FILTER', { name: 'b' }),
    ),
    right: join(patch('INSERT_FIRST', 'HTTP_FILTER', { name: 'a' }), patch('INSERT_AFTER', 'HTTP_FILTER', { name: 'b' })),
  },
  IST0158: {
    wrong: join(namespace('shop', INJECTED), injector(PROXY_VALUES), pod({}, proxied('registry.example.com/proxyv2:1.29.0'))),
    right: join(namespace('shop', INJECTED), injector(PROXY_VALUES), pod({}, proxied(IMAGE))),
  },
  IST0167: {
    wrong: join(namespace('shop', { 'istio.io/dataplane-mode': 'ambient' }), sidecar),
    right: join(namespace('shop', INJECTED), sidecar),
  },
  IST0175: {
    wrong: join(authentication, istiod([])),
    right: join(authentication, istiod([{ name: 'BLOCKED_CIDRS_IN_JWKS_URIS', value: '10.0.0.0/8' }])),
  },
});

test('files that describe routing alone say nothing of injection', () => {
  const entry = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'www', namespace: 'shop' },
    spec: { hosts: ['www.example.com'], resolution: 'DNS', ports: [{ number: 443, name: 'tls', protocol: 'TLS' }] },
  };
  assert.deepEqual(findingsOf(join(namespace('shop'), entry)), []);
  assert.deepEqual(codesOf(join(namespace('shop'), entry, pod({}))), ['IST0102']);
});

test('annotations of a Deployment’s template are those of its pods, and stand where they are written', () => {
  const text = `apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: shop}
spec:
  selector: {matchLabels: {app: a}}
  template:
    metadata:
      labels: {app: a}
      annotations:
        sidecar.istio.io/interceptionMode: SOMETIMES
    spec: {containers: [{name: app}]}
`;
  const [finding, ...others] = findingsOf(text);
  assert.deepEqual(others, []);
  assert.equal(finding?.code, 'IST0125');
  assert.deepEqual([finding?.position?.line, finding?.position?.column], [10, 44]);
});
