import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { gatewaysOf } from '../prove/inside.ts';
import { type SimulatedFiles, simulateFiles } from '../prove/simulated.ts';
import { statementOf } from '../prove/statements.ts';
import { verifyFiles } from '../prove/verify.ts';
import { type Call, parseTarget } from './call.ts';
import { explainCall } from './explain.ts';

const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';

/** A mesh whose gateway answers 418 to requests with these headers, and sends on the others. */
function mesh(match: string, more = ''): SimulatedFiles {
  const text = `
apiVersion: v1
kind: Pod
metadata: {name: sleep, namespace: default, labels: {app: sleep}}
status: {podIP: 10.244.1.10}
---
apiVersion: v1
kind: Pod
metadata: {name: egress, namespace: istio-system, labels: {istio: egressgateway}}
status: {podIP: 10.244.3.10}
---
apiVersion: v1
kind: Service
metadata: {name: istio-egressgateway, namespace: istio-system}
spec: {clusterIP: 10.96.3.10, selector: {istio: egressgateway}, ports: [{name: http2, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: default}
spec: {hosts: [www.example.com], addresses: [198.51.100.10], resolution: STATIC, endpoints: [{address: 198.51.100.10}], ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: default}
spec: {selector: {istio: egressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [www.example.com]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: default}
spec:
  hosts: [www.example.com]
  gateways: [mesh, egress]
  http:
  - match: [{gateways: [mesh]}]
    route: [{destination: {host: ${EGRESS}, port: {number: 80}}}]
    ${more}
  - match: [{gateways: [egress], headers: ${match}}]
    directResponse: {status: 418}
  - match: [{gateways: [egress]}]
    route: [{destination: {host: www.example.com}}]
`;
  return simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
}

/** Whether anything leaves the mesh: it does, where the gateway's last route is taken. */
function verdict(files: SimulatedFiles) {
  const statement = statementOf({ nothingLeaves: { namespace: 'default' } }, 'test', gatewaysOf(files));
  const { result, undecided } = verifyFiles(files, [statement], 100_000)[0]!;
  return { result, depends: undecided.filter((sentence) => sentence.includes('depends on the value of')).join('\n') };
}

function explain(files: SimulatedFiles, headers: readonly string[] = []) {
  const { payload } = parseTarget('http://www.example.com/', { headers });
  const call: Call = { source: { ip: '10.244.1.10', port: 0 }, destination: { ip: '198.51.100.10', port: 80 }, payload };
  return explainCall(files.simulated, files.proxy('default/sleep'), call);
}

const answers = (files: SimulatedFiles, headers?: readonly string[]) => {
  const { outcome } = explain(files, headers);
  return outcome.kind === 'reply' ? outcome.status : outcome.kind;
};
const told = (files: SimulatedFiles) =>
  explain(files).hops.flatMap(({ steps }) => steps.filter(({ text }) => text.includes('depends on the value of')));

test('what proxies set is matched on: a request id, the scheme, the count of attempts, the timeout', () => {
  for (const match of [
    '{x-request-id: {regex: .+}}',
    '{x-request-id: {}}',
    '{x-forwarded-proto: {exact: http}}',
    '{x-envoy-attempt-count: {exact: "1"}}',
    '{x-envoy-external-address: {exact: 10.244.1.10}}',
  ])
    assert.equal(answers(mesh(match)), 418, match);
});

test('what proxies take away is not', () => {
  for (const [match, header] of [
    ['{x-envoy-max-retries: {}}', 'x-envoy-max-retries: 3'],
    ['{x-envoy-internal: {}}', 'x-envoy-internal: true'],
    ['{keep-alive: {}}', 'keep-alive: timeout=5'],
    ['{x-a: {}}', 'connection: x-a'],
    ['{x-request-id: {exact: mine}}', 'x-request-id: mine'],
  ] as const)
    assert.equal(answers(mesh(match), [header, 'x-a: 1']), 'upstream', match);
});

test('what a request id always or never is decides', () => {
  assert.deepEqual(verdict(mesh('{x-request-id: {exact: mine}}')), { result: 'refuted', depends: '' });
  const { result, depends } = verdict(mesh('{x-request-id: {regex: .+}}'));
  // No request comes to the route behind it, and so nothing shows that none could.
  assert.deepEqual([result, depends], ['undecided', '']);
});

test('nothing is said from the value of a request id, from what differs among callers, or from what a retry changes', () => {
  for (const [match, name] of [
    ['{x-request-id: {prefix: a}}', 'x-request-id'],
    ['{x-request-id: {exact: 00000000-0000-4000-8000-000000000000}}', 'x-request-id'],
    ['{x-forwarded-for: {exact: 10.244.1.10}}', 'x-forwarded-for'],
    ['{x-envoy-external-address: {prefix: "10."}}', 'x-envoy-external-address'],
    ['{x-envoy-attempt-count: {exact: "1"}}', 'x-envoy-attempt-count'],
  ] as const) {
    const { result, depends } = verdict(mesh(match));
    assert.equal(result, 'undecided', match);
    assert.match(depends, new RegExp(`depends on the value of ${name}`));
  }
});

test('a header that was made of such a value is no better', () => {
  for (const [value, match] of [
    ['%REQ(x-request-id)%', '{x-copy: {prefix: "0"}}'],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '{x-copy: {exact: 10.244.1.10}}'],
  ] as const) {
    const { result, depends } = verdict(mesh(match, `headers: {request: {set: {x-copy: "${value}"}}}`));
    assert.equal(result, 'undecided');
    assert.match(depends, /depends on the value of x-copy/);
  }
});

test('explain says where another request may take another route', () => {
  assert.equal(told(mesh('{x-request-id: {prefix: a}}')).length, 1);
  assert.equal(told(mesh('{x-request-id: {regex: .+}}')).length, 0);
});

test("gRPC is told of a proxy's own answer in a header: its status is 200", () => {
  assert.equal(answers(mesh('{x-a: {}}'), ['content-type: application/grpc', 'x-a: 1']), 200);
});

test('an upgrade that no proxy allows is refused, one to websocket passes', () => {
  const files = mesh('{x-a: {}}');
  assert.equal(answers(files, ['connection: upgrade', 'upgrade: other']), 403);
  const { outcome } = explain(files, ['connection: upgrade', 'upgrade: websocket']);
  assert.equal(outcome.kind, 'undecided', 'HTTP/2 goes to the gateway');
});
