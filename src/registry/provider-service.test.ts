import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText } from '../../test/support/mesh.ts';
import { providerService } from './provider-service.ts';

const entry = (host: string, namespace: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host.replaceAll('.', '-')}, namespace: ${namespace} }
spec: { hosts: [${host}], resolution: DNS, ports: [{ number: 80, name: http, protocol: HTTP }, { number: 90, name: grpc, protocol: GRPC }] }
---`;
const { registry } = meshFromText(entry('one.example', 'a') + entry('two.example', 'a') + entry('two.example', 'b'));

/** `namespace/host` of the service, or why there is none. */
function found(text: string, port = 80): string {
  const service = providerService(registry, text, port);
  return typeof service === 'string' ? service : `${service.namespace}/${service.hostname}`;
}

test('a service is found by its host, and by its namespace where that is said', () => {
  assert.equal(found('one.example'), 'a/one.example');
  assert.equal(found('one.example', 90), 'a/one.example');
  assert.equal(found('a/two.example'), 'a/two.example');
  assert.equal(found('b/two.example'), 'b/two.example');
});

test('why there is none: no such host, not in that namespace, in several, without the port', () => {
  assert.equal(found('other.example'), 'there is no service other.example');
  assert.equal(found('b/one.example'), 'there is no service b/one.example');
  assert.equal(found('/one.example'), 'there is no service /one.example');
  assert.equal(found('two.example'), 'there is a service two.example in several namespaces (a, b): say which, as NAMESPACE/HOST');
  assert.equal(found('one.example', 81), 'service one.example has no port 81');
});
