import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { simulateFiles } from './simulated.ts';
import { podText } from './testing.ts';
import { callerClasses, workloadClasses } from './workload-classes.ts';

const pod = (namespace: string, name: string, ip: number, labels = '{}') => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: ${namespace}, labels: ${labels}}
spec: {containers: [{name: app, image: x}]}
status: {podIP: 10.0.0.${ip}, phase: Running}
---`;
const PODS = pod('a', 'x', 1) + pod('b', 'y', 2) + pod('b', 'z', 3, '{team: one}');

function classesOf(text: string, mesh: Record<string, unknown> = {}): string[][] {
  const files = simulateFiles(snapshotFromText(PODS + text), meshConfigOf(mesh));
  return workloadClasses(
    files.mesh,
    files.proxies.filter(({ type }) => type === 'sidecar'),
  ).map((members) => members.map(({ namespace, name }) => `${namespace}/${name}`));
}

const entry = (namespace: string, extra = '') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: ${namespace}}
spec: {hosts: [www.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]${extra}}
`;
const TOGETHER = [['a/x', 'b/y', 'b/z']];

test('namespaces without resources of their own share a class', () => assert.deepEqual(classesOf(entry('elsewhere')), TOGETHER));

test('a namespace counts where it has resources, is exported to, or is matched by', () => {
  const apart = [['a/x'], ['b/y', 'b/z']];
  assert.deepEqual(classesOf(entry('a')), apart);
  assert.deepEqual(classesOf(entry('elsewhere', ', exportTo: [a]')), apart);
  assert.deepEqual(classesOf('', { defaultServiceExportTo: ['a'] }), apart);
  const match = `${entry('elsewhere')}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: elsewhere}
spec: {hosts: [www.example.com], http: [{match: [{sourceNamespace: a}], route: [{destination: {host: www.example.com}}]}]}
`;
  assert.deepEqual(classesOf(match), apart);
});

test('a label counts where an object asks for it', () => {
  const sidecar = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: one, namespace: b}
spec: {workloadSelector: {labels: {team: one}}, egress: [{hosts: ['./*']}]}
`;
  assert.deepEqual(classesOf(sidecar), [['a/x'], ['b/y'], ['b/z']]);
});

test('a value of a label that no object asks for keeps nobody apart', () => {
  const sidecar = (team: string) => `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: ${team}, namespace: b}
spec: {workloadSelector: {labels: {team: ${team}}}, egress: [{hosts: ['./*']}]}
`;
  const more = pod('b', 'v', 4, '{team: three}') + pod('b', 'w', 5, '{team: two}');
  assert.deepEqual(classesOf(more + sidecar('one')), [['a/x'], ['b/y', 'b/v', 'b/w'], ['b/z']]);
  assert.deepEqual(classesOf(`${more + sidecar('one')}---${sidecar('two')}`), [['a/x'], ['b/y', 'b/v'], ['b/z'], ['b/w']]);
});

test('a workload that a headless service has among its endpoints does not call itself there', () => {
  const headless = `
apiVersion: v1
kind: Service
metadata: {name: db, namespace: elsewhere}
spec: {clusterIP: None, ports: [{name: tcp, port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: elsewhere, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.2]}, {addresses: [10.0.0.9]}]
ports: [{name: tcp, port: 5432}]
`;
  assert.deepEqual(classesOf(headless), [['a/x', 'b/z'], ['b/y']]);
});

test('a label by whose values endpoints are preferred counts with every value', () => {
  const more = pod('a', 'v', 4, '{rack: r1}') + pod('a', 'w', 5, '{rack: r2}');
  const rule = `${entry('elsewhere', ', endpoints: [{address: one.example.com, labels: {rack: r1}}, {address: two.example.com, labels: {rack: r2}}]')}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: www, namespace: elsewhere}
spec:
  host: www.example.com
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 1}
    loadBalancer: {localityLbSetting: {enabled: true, failoverPriority: [rack]}}
`;
  assert.deepEqual(classesOf(more + rule), [['a/x', 'b/y', 'b/z'], ['a/v'], ['a/w']]);
});

test('callers: a Sidecar of its own in each namespace that says the same keeps nobody apart, short names and Secrets do', () => {
  const sidecar = (namespace: string) =>
    `\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s, namespace: ${namespace}}\nspec: {egress: [{hosts: ['shared/*']}]}\n---`;
  const classes = (more: string) => {
    const text = ['a', 'b', 'c'].map((namespace, i) => podText('x', `10.0.0.${i + 1}`, { namespace }) + sidecar(namespace)).join('') + more;
    const { mesh, proxies } = simulateFiles(snapshotFromText(text), meshConfigOf({}));
    return callerClasses(mesh, proxies).map((members) => members.map(({ namespace }) => namespace).join());
  };
  assert.deepEqual(classes(''), ['a,b,c']);
  const service = '\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: b}\nspec: {ports: [{name: http, port: 80}]}\n';
  assert.deepEqual(classes(service), ['a,c', 'b']);
  assert.deepEqual(classes('\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: c}\ndata: {}\n'), ['a,b', 'c']);
});
