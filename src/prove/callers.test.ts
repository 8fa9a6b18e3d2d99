import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { callersOf } from './callers.ts';
import { simulateFiles } from './simulated.ts';
import { podText, WWW_ENTRY, WWW_THROUGH_GATEWAY } from './testing.ts';

const callers = (text: string) =>
  callersOf(simulateFiles(snapshotFromText(text), meshConfigOf())).map(({ namespace, name }) => `${namespace}/${name}`);

const GATEWAY_POD = podText('gateway', '10.0.0.9', { namespace: 'istio-system', labels: '{istio: egressgateway}' });
const SIDECAR = (namespace: string, labels: string) => `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: ${labels.replace(/\W/g, '')}, namespace: ${namespace}}
spec: {workloadSelector: {labels: {${labels}}}, egress: [{hosts: ['./*']}]}
---`;
const DEPLOYMENT = (name: string, labels: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: default}
spec: {selector: {matchLabels: {${labels}}}, template: {metadata: {labels: {${labels}}}, spec: {containers: [{name: app, image: x}]}}}
---`;

test('where there are Pods, they call, and the gateways do not', () => {
  const text = podText('a', '10.0.0.1') + podText('b', '10.0.0.2', { namespace: 'other' }) + GATEWAY_POD + WWW_ENTRY + WWW_THROUGH_GATEWAY;
  assert.deepEqual(callers(text), ['default/a', 'other/b']);
});

test("where the only Pods are gateways', one of each kind of workload that there may be calls", () => {
  assert.deepEqual(callers(GATEWAY_POD + WWW_ENTRY.replace('namespace: default', 'namespace: team') + WWW_THROUGH_GATEWAY), [
    'default/local',
    'team/*',
  ]);
});

test('a namespace stands apart, and in it every selector of the configuration', () => {
  const text = WWW_ENTRY + SIDECAR('team', 'app: one') + SIDECAR('team', 'app: two');
  const ofTeam = callers(text).filter((name) => name.startsWith('team/'));
  assert.deepEqual(ofTeam, ['team/*', 'team/* (app=one)', 'team/* (app=two)']);
});

test('a Deployment calls, unless a Gateway selects it', () => {
  const text = DEPLOYMENT('app', 'app: one') + DEPLOYMENT('gateway', 'istio: egressgateway') + WWW_ENTRY + WWW_THROUGH_GATEWAY;
  assert.ok(callers(text).includes('default/app'));
  assert.ok(!callers(text).includes('default/gateway'));
});

test('what a Deployment makes calls as its service account', () => {
  const text =
    DEPLOYMENT('app', 'app: one') +
    DEPLOYMENT('paying', 'app: two').replace('spec: {containers', 'spec: {serviceAccountName: payments, containers');
  const accounts = callersOf(simulateFiles(snapshotFromText(text), meshConfigOf())).map(
    ({ name, serviceAccount }) => `${name} ${serviceAccount}`,
  );
  assert.ok(accounts.includes('app default'));
  assert.ok(accounts.includes('paying payments'));
});

test('a Deployment calls beside Pods that are not its own; a cluster has the Pods that it has', () => {
  const text = DEPLOYMENT('app', 'app: one') + DEPLOYMENT('other', 'app: other') + podText('app-1', '10.0.0.1', { labels: '{app: one}' });
  assert.deepEqual(callers(text), ['default/app-1', 'default/other']);
  const cluster = simulateFiles(snapshotFromText(text, { complete: true }), meshConfigOf());
  assert.ok(!callersOf(cluster).some(({ name }) => name === 'other'));
});

test('nobody calls from the namespaces of gateways and of the mesh itself', () => {
  const text = WWW_ENTRY.replace('namespace: default', 'namespace: istio-system') + WWW_THROUGH_GATEWAY;
  assert.deepEqual(
    callers(text).filter((name) => name.startsWith('istio-system/')),
    [],
  );
});
