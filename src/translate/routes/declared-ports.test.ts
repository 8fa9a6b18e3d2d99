import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../../test/support/mesh.ts';
import { snapshotFromText } from '../../config/memory.ts';
import { explain } from '../../prove/explain.ts';
import { simulateFiles } from '../../prove/simulated.ts';
import { parseTarget, type TargetOptions } from '../../simulate/call.ts';

const WILD = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild, namespace: default, annotations: {}}
spec:
  hosts: ['*.example.org']
  resolution: DYNAMIC_DNS
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 8080, name: more, protocol: HTTP}]
---`;

const THROUGH_GATEWAY = `${WILD}
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: default}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.example.org']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: wild, namespace: default}
spec:
  hosts: ['*.example.org']
  gateways: [mesh, egress]
  http:
  - match: [{gateways: [mesh], port: 80}]
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 80}}}]
  - match: [{gateways: [egress], port: 80, uri: {prefix: /v1}}]
    route: [{destination: {host: '*.example.org', port: {number: 80}}}]
---`;

const REGISTRY_ONLY = meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } });

/** The status that the call gets, or where it goes. */
function outcome(text: string, url: string, options: TargetOptions = {}): string {
  const { trace } = explain(simulateFiles(snapshotFromText(text), REGISTRY_ONLY), parseTarget(url, options), { from: 'default/local' });
  const last = trace.outcome;
  if (last.kind === 'reply') return `${last.status} ${trace.hops.at(-1)?.cluster}`.trim();
  return last.kind === 'upstream' ? `${last.host}:${last.port}` : last.kind;
}

const withHost = (host: string): TargetOptions => ({ headers: [`host: ${host}`] });

test('a name that DYNAMIC_DNS resolves is reached at the declared ports alone, at the sidecar and at the gateway', () => {
  for (const text of [WILD, THROUGH_GATEWAY]) {
    const at = (host: string) => outcome(text, 'http://a.example.org/v1', withHost(host));
    assert.equal(at('a.example.org'), 'a.example.org:80');
    assert.equal(at('a.example.org:80'), 'a.example.org:80');
    assert.equal(at('a.example.org:8080'), 'a.example.org:8080');
    for (const port of [22, 443, 15000, 8081, 808]) assert.match(at(`a.example.org:${port}`), /^404/, `${port}`);
  }
});

test('a request that the rule does not take for its port may be one for the next', () => {
  const next = THROUGH_GATEWAY.replace(
    /---$/,
    `  - match: [{gateways: [egress], port: 80}]
    directResponse: {status: 418}
---`,
  );
  assert.match(outcome(next, 'http://a.example.org/v1', withHost('a.example.org:22')), /^418/);
  assert.equal(outcome(next, 'http://a.example.org/v1'), 'a.example.org:80');
});

test('a name without a port goes to 80, or to 443 where TLS is originated: closed unless declared', () => {
  const only443 = WILD.replace('number: 80,', 'number: 443,');
  assert.match(outcome(only443, 'http://a.example.org:443/', withHost('a.example.org')), /^503/);
  const tls = `${only443}
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: wild, namespace: default}
spec: {host: '*.example.org', trafficPolicy: {tls: {mode: SIMPLE}}}
---`;
  assert.equal(outcome(tls, 'http://a.example.org:443/', withHost('a.example.org')), 'a.example.org:443');
});
