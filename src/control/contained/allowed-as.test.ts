import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText } from '../../../test/support/mesh.ts';
import { allowedAs } from './allowed-as.ts';

const { registry } = meshFromText(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: default, annotations: {sallyport.dev/intercept: "443"}}
spec:
  hosts: [api.example]
  resolution: DNS
  ports: [{number: 443, name: http, protocol: HTTP}, {number: 80, name: plain, protocol: HTTP}, {number: 22, name: tcp, protocol: TCP}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: any, namespace: default}
spec: {hosts: ["*.wild.example"], addresses: [192.0.2.7], resolution: NONE, ports: [{number: 443, name: tls, protocol: TLS}]}
`);

test('a host that is allowed says how, by its name and its addresses; what is not allowed, or in any form, says nothing', () => {
  const as = (host: string, port: number) => allowedAs(registry, 'default', { host, port });
  const both = 'is allowed in HTTP and in TLS that names it (SNI) alone, and the call was neither';
  const tls = 'is allowed in TLS that names it (SNI) alone, and the call was none';
  assert.equal(as('api.example', 443), `it ${both}`);
  assert.equal(as(registry.services[0]!.autoAddresses[0]!, 443), `api.example ${both}`);
  assert.equal(as('api.example', 80), 'it is allowed in HTTP alone, and the call was none');
  assert.equal(as('a.b.wild.example', 443), `*.wild.example ${tls}`);
  assert.equal(as('192.0.2.7', 443), `*.wild.example ${tls}`);
  for (const [host, port] of [
    ['api.example', 22],
    ['api.example', 8443],
    ['other.example', 443],
    ['192.0.2.8', 443],
  ] as const)
    assert.equal(as(host, port), undefined, `${host}:${port}`);
});
