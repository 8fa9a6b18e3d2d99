/** What becomes of derived objects in translation: the parts that objects which users write do not have. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROUTER, SIDECAR, translated } from '../../test/support/translated.ts';
import { snapshotFromText } from '../config/memory.ts';
import { originText } from '../lib/origin.ts';

const CERTIFICATE = (name: string, namespace: string) => `apiVersion: v1
kind: Secret
metadata: {name: ${name}, namespace: ${namespace}}
data: {}
`;
const GATEWAY = (certificateRefs: string, spec = '') => `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg, namespace: istio-system}
spec:
  gatewayClassName: istio
  addresses: [{type: Hostname, value: istio-egressgateway.istio-system.svc.cluster.local}]
  listeners:
  - {name: https, port: 443, protocol: HTTPS, hostname: a.example.com, tls: {certificateRefs: ${certificateRefs}}}${spec}
`;
const ROUTE = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: istio-system}
spec: {parentRefs: [{name: eg}], rules: [{backendRefs: [{group: networking.istio.io, kind: Hostname, name: a.example.com, port: 80}]}]}
`;
const ENTRY = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a, namespace: istio-system}
spec: {hosts: [a.example.com], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
`;
const join = (...documents: string[]) => documents.join('---\n');
const messages = (text: string) => translated(text, ROUTER).findings.map(({ origin, message }) => `${originText(origin)}: ${message}`);

test('certificates are taken from the namespace that the listener names', () => {
  const grant = `apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: certs}
spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: istio-system}], to: [{group: "", kind: Secret}]}
`;
  const text = join(grant, GATEWAY('[{name: c, namespace: certs}]'), ROUTE, ENTRY);
  assert.match(messages(text).join(), /Gateway istio-system\/eg: Secret certs\/c does not exist/);
  assert.match(messages(join(text, CERTIFICATE('c', 'certs'))).join(), /Secret certs\/c lacks tls\.crt/);
});

test('a Gateway of Istio’s API has no say over other namespaces’ Secrets', () => {
  const text = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g, namespace: default}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.example.com], tls: {mode: SIMPLE, credentialName: "kubernetes-gateway://certs/c"}}]
`;
  const routes = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: default}
spec: {hosts: [a.example.com], gateways: [g], http: [{route: [{destination: {host: a.example.com}}]}]}
`;
  assert.match(
    messages(join(text, routes, CERTIFICATE('c', 'certs'))).join(),
    /Secret istio-system\/kubernetes-gateway:\/\/certs\/c does not exist/,
  );
});

const CA = `-----BEGIN CERTIFICATE-----
MIIBejCCAR+gAwIBAgIUW3v0XGvO0dZ1m3m0l1mE1xkq1nUwCgYIKoZIzj0EAwIw
-----END CERTIFICATE-----`;

test('CAs of clients come from a ConfigMap', () => {
  const frontend = `
  tls: {frontend: {default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}}}}`;
  const text = join(GATEWAY('[{name: c}]', frontend), ROUTE, ENTRY);
  assert.match(messages(text).join(), /ConfigMap istio-system\/ca does not exist/);
  const broken = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca, namespace: istio-system}\ndata: {ca.crt: ${JSON.stringify(CA)}}\n`;
  assert.match(messages(join(text, broken)).join(), /ConfigMap istio-system\/ca has no PEM certificates in ca\.crt/);
});

test('only the proxies behind the Gateway’s Service serve it', () => {
  const text = join(
    GATEWAY('[{name: c}]')
      .replace('HTTPS', 'HTTP')
      .replace(/, tls: .*\}\}/, '}'),
    ROUTE,
    ENTRY,
  );
  assert.equal(translated(text, ROUTER).resources.listeners.length, 1);
  assert.equal(translated(text, { ...ROUTER, namespace: 'other' }).resources.listeners.length, 0);
});

test('a consumer’s route holds for its own namespace', () => {
  const text = join(
    ENTRY,
    ENTRY.replace('name: a,', 'name: b,').replace('a.example.com', 'b.example.com'),
    `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mine, namespace: default}
spec:
  parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: a, namespace: istio-system}]
  rules: [{backendRefs: [{group: networking.istio.io, kind: Hostname, name: b.example.com, port: 80}]}]
`,
  );
  const cluster = (namespace: string) => {
    const routes = translated(text, { ...SIDECAR, namespace }).resources.routes.find(({ name }) => name === '80');
    const action = routes?.virtualHosts.find(({ domains }) => domains.includes('a.example.com'))?.routes[0]?.action;
    return action?.case === 'route' ? action.value.clusterSpecifier.value : undefined;
  };
  assert.equal(cluster('default'), 'outbound|80||b.example.com');
  assert.equal(cluster('other'), 'outbound|80||a.example.com');
});

test('a policy attached to a Kubernetes Gateway holds for its proxies', () => {
  const policy = (namespace: string, name = 'eg') => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: ${namespace}}
spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ${name}}], action: CUSTOM, provider: {name: x}, rules: [{}]}
`;
  const plain = join(
    GATEWAY('[{name: c}]')
      .replace('HTTPS', 'HTTP')
      .replace(/, tls: .*\}\}/, '}'),
    ROUTE,
    ENTRY,
  );
  const codes = (text: string, proxy = ROUTER) => translated(text, proxy).findings.map(({ code }) => code);
  assert.deepEqual(codes(join(plain, policy('istio-system'))), ['SP1024']);
  assert.deepEqual(codes(join(plain, policy('default'))), []);
  assert.deepEqual(codes(join(plain, policy('istio-system', 'other'))), []);
  assert.deepEqual(codes(join(plain, policy('istio-system')), { ...SIDECAR, namespace: 'istio-system' }), []);
});

test('routes on the mesh need no ReferenceGrant, and make no host on a port that their service lacks', () => {
  const service = (name: string, namespace: string, port: number) => `apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}}
spec: {clusterIP: 10.96.1.${port % 250}, ports: [{name: http, port: ${port}}]}
`;
  const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: default}
spec: {parentRefs: [{group: "", kind: Service, name: web}], rules: [{backendRefs: [{name: far, namespace: other, port: 8080}]}]}
`;
  const result = translated(join(service('web', 'default', 8000), service('far', 'other', 8080), ENTRY, route), SIDECAR);
  const hostsOn = (name: string) => result.resources.routes.find((routes) => routes.name === name)!.virtualHosts;
  const [web] = hostsOn('8000');
  const action = web!.routes[0]!.action;
  assert.ok(action.case === 'route');
  assert.deepEqual(action.value.clusterSpecifier, { case: 'cluster', value: 'outbound|8080||far.other.svc.cluster.local' });
  assert.deepEqual(
    hostsOn('80').map(({ name }) => name),
    ['a.example.com:80', 'block_all'],
  );
});

test('a Gateway beside other proxies than those of its namespace is served by none', () => {
  const snapshot = snapshotFromText(join(GATEWAY('[{name: c}]').replace('namespace: istio-system', 'namespace: default'), ENTRY));
  const [finding] = snapshot.findings.filter(({ origin }) => originText(origin) === 'Gateway default/eg');
  assert.match(finding?.message ?? '', /Service istio-system\/istio-egressgateway is in another namespace.*Put it in istio-system/);
  assert.deepEqual(snapshot.list('Gateway'), []);
});

test('a listener on a port that the Service of the Gateway lacks is none', () => {
  const service = (port: number) => `apiVersion: v1
kind: Service
metadata: {name: istio-egressgateway, namespace: istio-system}
spec: {selector: {istio: egressgateway}, ports: [{name: http, port: ${port}, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: egress, namespace: istio-system, labels: {istio: egressgateway}}
spec: {containers: [{name: proxy}]}
status: {phase: Running, podIP: ${ROUTER.addresses[0]}}
`;
  const http = GATEWAY('[{name: c}]')
    .replace('protocol: HTTPS', 'protocol: HTTP')
    .replace('port: 443', 'port: 80')
    .replace(/, tls: .*\}\}/, '}');
  const listeners = (port: number) =>
    translated(join(http, ROUTE, ENTRY, service(port)), ROUTER).resources.listeners.map(({ name }) => name);
  assert.deepEqual(listeners(80), ['0.0.0.0_8080']);
  assert.deepEqual(listeners(8080), []);
});
