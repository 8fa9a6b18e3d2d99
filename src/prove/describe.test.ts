import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { type Description, describe } from './describe.ts';
import { policiesFor } from './netpol.ts';
import { simulateFiles } from './simulated.ts';
import { podText, WWW_ENTRY, WWW_THROUGH_GATEWAY } from './testing.ts';
import { translatedFor } from './translated.ts';

const GATEWAY = podText('gateway', '10.0.0.9', { namespace: 'istio-system', labels: '{istio: egressgateway}' });
const TEXT = podText('app', '10.0.0.1') + GATEWAY + WWW_ENTRY + WWW_THROUGH_GATEWAY;
const files = (text = TEXT) => simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
const section = ({ sections }: Description, heading: string) => sections.find((one) => one.heading === heading)?.lines;

test('a workload: its policy, its routes, the hosts that it knows', () => {
  const description = describe(files(), { kind: 'workload', name: 'default/app' });
  assert.equal(description.subject, 'sidecar default/app, labels none');
  assert.deepEqual(section(description, 'Outbound traffic policy'), ['REGISTRY_ONLY']);
  assert.match(
    section(description, 'VirtualServices that it follows')!.join(),
    /^VirtualService default\/www \(.+:\d+:\d+\): www\.example\.com$/,
  );
  assert.deepEqual(section(description, 'External hosts that it knows'), ['www.example.com: 80 HTTP [ServiceEntry default/www]']);
  assert.equal(section(description, 'Gateways'), undefined);
});

test('a workload: the policies that hold for calls to it', () => {
  const policies = `
apiVersion: v1
kind: Service
metadata: {name: app, namespace: default}
spec: {selector: {app: app}, ports: [{port: 80, targetPort: 8080, name: http}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: none, namespace: default, annotations: {istio.io/dry-run: 'true'}}
spec: {action: DENY, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: others, namespace: default}
spec: {selector: {matchLabels: {app: other}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: default}
spec: {mtls: {mode: STRICT}}
---`;
  const text = podText('app', '10.0.0.1', { labels: '{app: app}' }) + policies;
  const description = describe(files(text), { kind: 'workload', name: 'default/app' });
  const held = section(description, 'Policies that hold for calls to it')!;
  assert.equal(held.length, 1);
  assert.match(held[0]!, /^AuthorizationPolicy default\/none \(.+\): DENY, dry run$/);
  assert.match(
    section(description, 'Mutual TLS that it takes')!.join(),
    /^port 8080: STRICT \[PeerAuthentication default\/strict \(.+\)\]$/,
  );
});

test('a workload without a sidecar is described as one', () => {
  const text = podText('app', '10.0.0.1', { labels: "{sidecar.istio.io/inject: 'false'}" }) + WWW_ENTRY;
  const { subject, sections } = describe(files(text), { kind: 'workload', name: 'default/app' });
  assert.match(subject, /^workload default\/app without a sidecar \(it says sidecar\.istio\.io\/inject: "false"\)/);
  assert.deepEqual(
    sections.map(({ heading }) => heading),
    ['Services that it serves', 'NetworkPolicies that restrict what leaves it'],
  );
});

test('a gateway: the Gateways that select it, and their routes', () => {
  const description = describe(files(), { kind: 'workload', name: 'istio-system/gateway' });
  assert.match(description.subject, /^router istio-system\/gateway/);
  assert.match(section(description, 'Gateways')!.join(), /^Gateway default\/egress /);
  assert.equal(section(description, 'VirtualServices that it follows')!.length, 1);
});

test('a host: what declares, routes and serves it', () => {
  const description = describe(files(), { kind: 'host', name: 'WWW.example.com' });
  assert.equal(description.subject, 'host www.example.com');
  assert.match(section(description, 'Declared by')!.join(), /^ServiceEntry default\/www .* 80 HTTP, resolution DNSLB, visible to \*$/);
  for (const heading of ['VirtualServices', 'Gateways that serve it']) assert.equal(section(description, heading)!.length, 1, heading);
  assert.deepEqual(section(description, 'DestinationRules'), []);
});

test('what there is not is named, with what is near', () => {
  assert.throws(() => describe(files(), { kind: 'host', name: 'wwww.example.com' }), {
    code: 'no-such-host',
    message: /did you mean www\.example\.com\?/,
  });
  assert.throws(() => describe(files(), { kind: 'workload', name: 'default/ap' }), { code: 'no-such-workload' });
});

test('what a proxy is told: of the workload that is named, or of the only one', () => {
  assert.ok(translatedFor(files(), 'istio-system/gateway').listeners.every(({ name }) => name !== 'virtualOutbound'));
  assert.ok(translatedFor(files(), 'default/app').listeners.some(({ name }) => name === 'virtualOutbound'));
  assert.throws(() => translatedFor(files(), undefined), { code: 'no-such-workload', message: /--workload/ });
  assert.throws(() => translatedFor(files(), 'default/none'), { code: 'no-such-workload', message: /default\/app/ });
  assert.ok(translatedFor(files(podText('app', '10.0.0.1')), undefined).listeners.length > 0);
});

test('network policies are for every namespace of the files but kube-system', () => {
  const more = `${podText('dns', '10.0.0.3', { namespace: 'kube-system' })}\napiVersion: v1\nkind: Namespace\nmetadata: {name: empty}\n---`;
  const policies = policiesFor(files(TEXT + more)).policies as { metadata: { namespace: string } }[];
  assert.deepEqual([...new Set(policies.map(({ metadata }) => metadata.namespace))].sort(), ['default', 'empty', 'istio-system']);
});
