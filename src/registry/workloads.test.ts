import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snapshotFromText } from '../config/memory.ts';
import { buildWorkloads, isReady, tlsModeOf, type Workloads } from './workloads.ts';

const pod = (name: string, { metadata = '', spec = '', status = '' } = {}) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: default${metadata}}
spec: {containers: [{name: app}]${spec}}
status: {${status}}
---`;
const entry = (name: string, spec: string, metadata = '') => `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ${name}, namespace: default${metadata}}
spec: {${spec}}
---`;
const node = (name: string, labels: string) => `
apiVersion: v1
kind: Node
metadata: {name: ${name}, labels: {${labels}}}
---`;

const workloadsOf = (text: string): Workloads => buildWorkloads(snapshotFromText(text));
const only = (text: string) => {
  const { list } = workloadsOf(text);
  assert.equal(list.length, 1);
  return list[0]!;
};

test('a Pod that has ended is no workload, one that has not begun is', () => {
  const { list } = workloadsOf(
    ['Succeeded', 'Failed', 'Pending', 'Running', 'Unknown']
      .map((phase) => pod(phase.toLowerCase(), { status: `phase: ${phase}` }))
      .join(''),
  );
  assert.deepEqual(
    list.map(({ name }) => name),
    ['pending', 'running', 'unknown'],
  );
});

test('a Pod has all its addresses, the one of its status first where it is not among them', () => {
  const addresses = (status: string) => only(pod('p', { status })).addresses;
  assert.deepEqual(addresses('podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]'), ['10.0.0.1', 'fd00::1']);
  assert.deepEqual(addresses('podIP: 10.0.0.1, podIPs: [{ip: "fd00::1"}, {}]'), ['10.0.0.1', 'fd00::1']);
  assert.deepEqual(addresses('podIP: 10.0.0.1'), ['10.0.0.1']);
  assert.deepEqual(addresses(''), []);
});

test('who runs as nobody in particular runs as default', () => {
  const accounts = (text: string) => workloadsOf(text).list.map(({ serviceAccount }) => serviceAccount);
  assert.deepEqual(
    accounts(
      pod('p') +
        pod('q', { spec: ', serviceAccountName: q' }) +
        entry('v', 'address: 10.0.0.2') +
        entry('w', 'address: 10.0.0.3, serviceAccount: w'),
    ),
    ['default', 'q', 'default', 'w'],
  );
});

test('a Pod is where its label says, else where its Node is, as far as that says', () => {
  const nodes =
    node('full', 'topology.kubernetes.io/region: r, topology.kubernetes.io/zone: z, topology.istio.io/subzone: s') +
    node('zone', 'topology.kubernetes.io/region: r, topology.kubernetes.io/zone: z') +
    node('hole', 'topology.kubernetes.io/zone: z') +
    node('none', 'a: b');
  const locality = (spec: string, metadata = '') => workloadsOf(nodes + pod('p', { spec, metadata })).list[0]!.locality;
  assert.equal(locality(', nodeName: full'), 'r/z/s');
  assert.equal(locality(', nodeName: zone'), 'r/z');
  assert.equal(locality(', nodeName: hole'), '/z');
  assert.equal(locality(', nodeName: none'), '');
  assert.equal(locality(', nodeName: missing'), '');
  assert.equal(locality(''), '');
  assert.equal(locality(', nodeName: full', ', labels: {istio-locality: a.b.c}'), 'a/b/c');
});

test('a WorkloadEntry has its own labels before those of its spec, and an address if it has one', () => {
  const { kind, addresses, labels, locality } = only(
    entry('w', 'address: 10.0.0.2, labels: {app: spec, of: spec}, locality: r/z', ', labels: {app: metadata}'),
  );
  assert.deepEqual(
    { kind, addresses, labels, locality },
    { kind: 'WorkloadEntry', addresses: ['10.0.0.2'], labels: { app: 'metadata', of: 'spec' }, locality: 'r/z' },
  );
  const { addresses: none, locality: nowhere } = only(entry('w', 'network: there'));
  assert.deepEqual([none, nowhere], [[], '']);
});

test('workloads are selected in their namespace; an empty selector selects none', () => {
  const workloads = workloadsOf(
    pod('a', { metadata: ', labels: {app: web}' }) +
      pod('b', { metadata: ', labels: {app: web, version: v2}' }) +
      entry('c', 'address: 10.0.0.2, labels: {app: web}') +
      pod('d', { metadata: ', labels: {app: web}' }).replace('namespace: default', 'namespace: other'),
  );
  const selected = (namespace: string, selector: Record<string, string>) => workloads.select(namespace, selector).map(({ name }) => name);
  assert.deepEqual(selected('default', { app: 'web' }), ['a', 'b', 'c']);
  assert.deepEqual(selected('default', { app: 'web', version: 'v2' }), ['b']);
  assert.deepEqual(selected('other', { app: 'web' }), ['d']);
  assert.deepEqual(selected('default', {}), []);
  assert.deepEqual(selected('missing', { app: 'web' }), []);
});

test('Pods are found by name and by address, unless the address is the host’s', () => {
  const workloads = workloadsOf(
    pod('a', { status: 'podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]' }) +
      pod('host', { spec: ', hostNetwork: true', status: 'podIP: 10.0.0.9' }),
  );
  assert.equal(workloads.pod('default', 'host')?.name, 'host');
  assert.equal(workloads.pod('other', 'host'), undefined);
  for (const address of ['10.0.0.1', 'fd00::1']) assert.equal(workloads.podAt(address)?.name, 'a');
  assert.equal(workloads.podAt('10.0.0.9'), undefined);
});

test('a Pod is ready by its condition; one that says nothing is', () => {
  const ready = (conditions: string) => isReady(only(pod('p', { status: conditions })));
  assert.equal(ready('conditions: [{type: Ready, status: "True"}]'), true);
  assert.equal(ready('conditions: [{type: Initialized, status: "True"}, {type: Ready, status: "False"}]'), false);
  assert.equal(ready('conditions: [{type: Initialized, status: "False"}]'), true);
  assert.equal(ready(''), true);
});

test('mTLS is taken by who says so, and by who states an identity and says nothing', () => {
  const label = (value: string) => ({ 'security.istio.io/tlsMode': value });
  assert.equal(tlsModeOf({}), 'disabled');
  assert.equal(tlsModeOf({}, 'account'), 'istio');
  assert.equal(tlsModeOf(label('istio')), 'istio');
  assert.equal(tlsModeOf(label('disabled'), 'account'), 'disabled');
  assert.equal(tlsModeOf(label('other'), 'account'), 'disabled');
});

test('what nothing was changed of stays the same, and only another Node makes another locality', () => {
  const first = snapshotFromText(node('n', 'topology.kubernetes.io/region: r') + pod('p', { spec: ', nodeName: n' }) + pod('q'));
  const before = buildWorkloads(first);
  assert.equal(buildWorkloads(first, before), before);
  const moved = {
    ...first,
    list: ((kind) =>
      kind === 'Node'
        ? snapshotFromText(node('n', 'topology.kubernetes.io/region: s')).list('Node')
        : first.list(kind)) as typeof first.list,
  };
  const after = buildWorkloads(moved, before);
  assert.notEqual(after, before);
  assert.deepEqual(
    after.list.map(({ name, locality }) => [name, locality]),
    [
      ['p', 's'],
      ['q', ''],
    ],
  );
  assert.notEqual(after.pod('default', 'p'), before.pod('default', 'p'));
  assert.equal(after.pod('default', 'q'), before.pod('default', 'q'));
});
