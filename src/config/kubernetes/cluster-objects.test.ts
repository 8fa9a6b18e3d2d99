import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placeText } from '../../api/resource.ts';
import { formatPosition } from '../../lib/finding.ts';
import { snapshotFromText } from '../memory.ts';
import { ClusterObjects, type KindNames, notRead } from './cluster-objects.ts';
import { referencesIn } from './references.ts';

const ENTRY: KindNames = { kind: 'ServiceEntry', apiVersion: 'networking.istio.io/v1' };
const SERVICE: KindNames = { kind: 'Service', apiVersion: 'v1' };

const entry = (name: string, spec: object, creationTimestamp = '2026-01-01T00:00:00Z', namespace = 'default') => ({
  metadata: { name, namespace, creationTimestamp, managedFields: [{ manager: 'kubectl' }] },
  spec,
});
const host = (name: string) => ({ hosts: [name], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] });

test('an object of a list has its kind from the list, and its place is its name', () => {
  const objects = new ClusterObjects();
  objects.put(entry('a', host('a.example')), ENTRY);
  const snapshot = objects.snapshot();
  const [resource] = snapshot.list('ServiceEntry');
  assert.equal(placeText(resource!), 'ServiceEntry default/a (cluster: ServiceEntry default/a)');
  assert.equal(formatPosition(resource!.source.position(['spec', 'hosts', 0])), 'cluster: ServiceEntry default/a spec.hosts[0]');
  assert.equal(snapshot.complete, true);
});

test('of the same age the name decides, then the namespace, as in Istio', () => {
  const objects = new ClusterObjects();
  const [late, early] = ['2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z'];
  objects.put(entry('c', host('c.example'), early), ENTRY);
  objects.put(entry('b', host('b2.example'), late, 'z'), ENTRY);
  objects.put(entry('b', host('b1.example'), late, 'a'), ENTRY);
  objects.put(entry('a', host('a.example'), late), ENTRY);
  const order = objects.snapshot().list('ServiceEntry');
  assert.deepEqual(
    order.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
    ['default/c', 'default/a', 'a/b', 'z/b'],
  );
});

test('an object that breaks keeps its last good version, and one that is deleted is gone', () => {
  const objects = new ClusterObjects();
  const listing = objects.listing(ENTRY);
  listing.object(entry('a', host('a.example')));
  listing.complete();
  listing.changed(entry('a', { hosts: 'a.example' }));
  const broken = objects.snapshot();
  assert.deepEqual(broken.get('ServiceEntry', 'default', 'a')?.spec.hosts, ['a.example']);
  assert.deepEqual(broken.findings.map(({ code }) => code).sort(), ['IST0106', 'SP0010']);
  listing.deleted(entry('a', {}));
  assert.equal(objects.snapshot().all().length, 0);
});

test('a list that is read anew takes away what is not in it, also where it began twice', () => {
  const objects = new ClusterObjects();
  const listing = objects.listing(ENTRY);
  const names = () =>
    objects
      .snapshot()
      .list('ServiceEntry')
      .map(({ metadata }) => metadata.name);
  for (const name of ['a', 'b', 'c']) listing.object(entry(name, host(`${name}.example`)));
  listing.complete();
  listing.restarted();
  listing.object(entry('a', host('a.example')));
  listing.object(entry('d', host('d.example')));
  assert.deepEqual(names(), ['a', 'b', 'c', 'd']);
  listing.restarted();
  listing.object(entry('b', host('b.example')));
  listing.complete();
  assert.deepEqual(names(), ['b']);
});

test('files that are laid over keep the age of what they replace and what the API server gave it', () => {
  const objects = new ClusterObjects();
  objects.put(entry('old', host('x.example'), '2020-01-01T00:00:00Z'), ENTRY);
  objects.put(entry('young', host('x.example'), '2021-01-01T00:00:00Z'), ENTRY);
  const metadata = { name: 'web', namespace: 'default', creationTimestamp: '2020-01-01T00:00:00Z' };
  objects.put({ metadata, spec: { clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7'], ports: [{ port: 80 }] } }, SERVICE);
  const before = objects.snapshot();
  objects.layOver(
    snapshotFromText(`
apiVersion: networking.istio.io/v1beta1
kind: ServiceEntry
metadata: { name: old }
spec: { hosts: [y.example], ports: [{ number: 80, name: http, protocol: HTTP }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: new }
spec: { hosts: [z.example], ports: [{ number: 80, name: http, protocol: HTTP }] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { ports: [{ port: 81 }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: young }
spec: { host: [z.example] }
`),
  );
  const after = objects.snapshot();
  assert.deepEqual(
    after.list('ServiceEntry').map(({ metadata, spec }) => [metadata.name, spec.hosts[0]]),
    [
      ['old', 'y.example'],
      ['young', 'x.example'],
      ['new', 'z.example'],
    ],
  );
  const web = after.get('Service', 'default', 'web')!;
  assert.deepEqual([web.spec.clusterIP, web.spec.ports[0]!.port], ['10.96.0.7', 81]);
  assert.ok(after.findings.some(({ code, origin }) => code === 'SP0008' && origin.name === 'young'));
  // What did not change is the same, and what was asked before still says what it said.
  assert.equal(before.get('ServiceEntry', 'default', 'young'), after.get('ServiceEntry', 'default', 'young'));
  assert.deepEqual(before.get('ServiceEntry', 'default', 'old')?.spec.hosts, ['x.example']);
});

test('what can not be read is said as long as it can not', () => {
  const objects = new ClusterObjects();
  objects.report('virtualservices', [notRead('VirtualService', 'not allowed')]);
  assert.deepEqual(
    objects.snapshot().findings.map(({ code }) => code),
    ['SP0016'],
  );
  objects.report('virtualservices', []);
  assert.deepEqual(objects.snapshot().findings, []);
});

test('Secrets are asked for where the proxies that need them are, and no others', () => {
  const snapshot = snapshotFromText(`
apiVersion: v1
kind: Pod
metadata: { name: gw, namespace: gateways, labels: { istio: egress } }
spec: { containers: [{ name: istio-proxy }] }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: gw }
spec:
  selector: { istio: egress }
  servers: [{ port: { number: 443, name: https, protocol: HTTPS }, hosts: [a.example], tls: { mode: SIMPLE, credentialName: server } }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: mutual, namespace: web }
spec:
  gatewayClassName: sallyport
  tls: { frontend: { default: { validation: { caCertificateRefs: [{ group: "", kind: ConfigMap, name: clients }] } } } }
  listeners: [{ name: https, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: web }] } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: everywhere }
spec: { host: a.example, trafficPolicy: { portLevelSettings: [{ port: { number: 443 }, tls: { mode: MUTUAL, credentialName: client } }] } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: chosen, namespace: team }
spec: { host: b.example, workloadSelector: { matchLabels: { app: b } }, trafficPolicy: { tls: { mode: MUTUAL, credentialName: own } } }
---
apiVersion: v1
kind: Secret
metadata: { name: unused, namespace: gateways }
`);
  const names = referencesIn(snapshot).map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`);
  assert.deepEqual(names, [
    'Secret gateways/server',
    'Secret gateways/server-cacert',
    'Secret web/web',
    'ConfigMap web/clients',
    'Secret gateways/client',
    'Secret gateways/client-cacert',
    'Secret gateways/own',
    'Secret gateways/own-cacert',
    'Secret team/own',
    'Secret team/own-cacert',
  ]);
});
