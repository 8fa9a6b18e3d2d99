/** Ports by their names: of Endpoints, of WorkloadEntries; hostnames of routes on the mesh; TLS fields that a mode passes over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findingsOf } from './testing.ts';

const messages = (code: string, yaml: string) =>
  findingsOf(yaml)
    .filter((finding) => finding.code === code)
    .map(({ message }) => message);
const core = (kind: string, body: string, name = 'a', more = '') =>
  `apiVersion: v1\nkind: ${kind}\nmetadata: { name: ${name}, namespace: default${more} }\n${body}\n---\n`;
const istio = (kind: string, spec: string, name = 'a') =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: { name: ${name}, namespace: default }\nspec: ${spec}\n---\n`;

test('endpoints that are written by hand have the names of the ports of their Service', () => {
  const service = (ports: string, more = 'clusterIP: 10.96.0.9') => core('Service', `spec: { ${more}, ports: [${ports}] }`);
  const endpoints = (ports: string, addresses = '{ ip: 192.0.2.1 }') =>
    core('Endpoints', `subsets: [{ addresses: [${addresses}], ports: [${ports}] }]`);
  const slice = (ports: string) =>
    `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: a-1, namespace: default, labels: { kubernetes.io/service-name: a } }\naddressType: IPv4\nendpoints: [{ addresses: [192.0.2.1] }]\nports: [${ports}]\n---\n`;
  const found = (yaml: string) => messages('SP1029', yaml);
  const HTTP = '{ name: http, port: 80 }';
  for (const made of [endpoints, slice]) {
    assert.match(found(service(HTTP) + made('{ port: 8080 }')).join(), /one without a name.*Write name: http there/);
    assert.match(found(service(HTTP) + made('{ name: web, port: 8080 }')).join(), /its ports: web/);
    assert.match(found(service('{ port: 80 }') + made(HTTP)).join(), /no port named \(nothing\).*Name this port as it is named there/);
    assert.deepEqual(found(service(HTTP) + made('{ name: http, port: 8080 }')), []);
    assert.deepEqual(found(service('{ port: 80 }') + made('{ port: 8080 }')), []);
  }
  assert.equal(found(service(`${HTTP}, { name: admin, port: 81 }`) + endpoints('{ name: http, port: 8080 }')).length, 1, 'of each port');
  assert.deepEqual(found(service(HTTP) + slice('{ port: 1 }') + slice('{ name: http, port: 1 }').replace('a-1', 'a-2')), [], 'all slices');
  assert.deepEqual(found(service(HTTP) + endpoints('{ port: 8080 }', '')), [], 'no addresses');
  assert.deepEqual(found(service(HTTP, 'clusterIP: None') + endpoints('{ port: 8080 }')), [], 'clients dial them');
  assert.deepEqual(found(service(HTTP, 'selector: { app: a }') + endpoints('{ port: 8080 }')), [], 'Kubernetes writes them');
  assert.deepEqual(found(service(HTTP)), []);
});

test('ports of a WorkloadEntry have the names of ports of what selects it', () => {
  const entry = (ports: string) => istio('WorkloadEntry', `{ address: 192.0.2.1, labels: { app: vm }, ports: { ${ports} } }`);
  const selecting = (ports: string) =>
    istio(
      'ServiceEntry',
      `{ hosts: [vm.example.com, vm.example.net], location: MESH_INTERNAL, resolution: STATIC, ports: [${ports}], workloadSelector: { labels: { app: vm } } }`,
    );
  const found = (yaml: string) => messages('SP1010', yaml);
  const HTTP = '{ number: 80, name: http, protocol: HTTP }';
  assert.match(found(selecting(HTTP) + entry('web: 8080')).join(), /^No port of ServiceEntry default\/a is named web.*\(80\)\. Write http/);
  assert.match(found(selecting(HTTP) + entry('http: 8080, web: 1')).join(), /Take it out\.$/);
  assert.deepEqual(found(selecting(HTTP) + entry('http: 8080')), []);
  assert.deepEqual(found(entry('web: 8080')), [], 'nothing selects it');
  const service = (target: string) =>
    core('Service', `spec: { clusterIP: 10.96.0.9, selector: { app: vm }, ports: [{ name: http, port: 80, targetPort: ${target} }] }`, 'b');
  assert.deepEqual(found(selecting(HTTP) + service('web') + entry('http: 8080, web: 8081')), [], 'a target port has a name');
  assert.equal(found(service('8080') + entry('web: 8081')).length, 1);
});

test('hostnames of a route on the mesh', () => {
  const route = (parents: string, hostnames: string, kind = 'HTTPRoute') =>
    `apiVersion: gateway.networking.k8s.io/v1\nkind: ${kind}\nmetadata: { name: r, namespace: default }\nspec: { parentRefs: [${parents}], hostnames: [${hostnames}], rules: [{ backendRefs: [{ name: a, port: 80 }] }] }\n---\n`;
  const files =
    core('Service', 'spec: { clusterIP: 10.96.0.9, selector: { app: a }, ports: [{ name: http, port: 80 }] }') +
    istio('ServiceEntry', '{ hosts: [www.example.com], resolution: DNS, ports: [{ number: 80, name: http, protocol: HTTP }] }');
  const found = (parents: string, hostnames: string, kind?: string) =>
    messages('SP1010', files + route(parents, hostnames, kind)).filter((message) => message.startsWith('hostnames'));
  const SERVICE = '{ group: "", kind: Service, name: a }';
  const ENTRY = '{ group: networking.istio.io, kind: ServiceEntry, name: a }';
  for (const kind of ['HTTPRoute', 'GRPCRoute']) {
    assert.match(found(SERVICE, 'www.example.net', kind).join(), /all calls to a\.default\.svc\.cluster\.local, and for none to www/);
    assert.match(
      found(ENTRY, 'www.example.net, www.example.com', kind).join(),
      /calls to www\.example\.com, and for none to www\.example\.net\./,
    );
    assert.deepEqual(found(ENTRY, 'www.example.com', kind), [], 'its own');
    assert.deepEqual(found(`${SERVICE}, { name: gateway }`, 'www.example.net', kind), [], 'a Gateway takes them');
  }
});

test('TLS fields that a mode passes over', () => {
  const found = (tls: string) =>
    messages('SP1010', istio('DestinationRule', `{ host: www.example.com, trafficPolicy: { tls: { ${tls} } } }`));
  const FILES = 'clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem';
  assert.match(found(`mode: SIMPLE, ${FILES}`).join(), /^clientCertificate has no effect with mode SIMPLE.*Write mode: MUTUAL/);
  assert.match(found(`mode: ISTIO_MUTUAL, caCertificates: /ca.pem`).join(), /^caCertificates has no effect with mode ISTIO_MUTUAL/);
  assert.match(found(`mode: DISABLE, ${FILES}`).join(), /^caCertificates has no effect without a mode/);
  for (const tls of [`mode: MUTUAL, ${FILES}`, 'mode: SIMPLE, caCertificates: /ca.pem', 'mode: ISTIO_MUTUAL, sni: a'])
    assert.deepEqual(found(tls), [], tls);
});
