import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { policiesFor } from './netpol.ts';
import { simulateFiles } from './simulated.ts';
import { verifyMesh } from './verify.ts';

const namespace = (name: string, labels = '{}') => `
apiVersion: v1
kind: Namespace
metadata: { name: ${name}, labels: ${labels} }
---`;
const pod = (name: string, { ns = 'shop', ip = '10.244.0.9', labels = `{app: ${name}}`, containers = 'app', spec = '' } = {}) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${ns}, labels: ${labels} }
spec: { containers: [${containers
  .split(' ')
  .map((each) => `{ name: ${each}, image: x }`)
  .join(', ')}]${spec} }
status: { phase: Running, podIP: ${ip}, conditions: [{ type: Ready, status: 'True' }] }
---`;
const service = (name: string, ns: string, ports: string, selector = '') => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${ns} }
spec: { clusterIP: 10.96.0.1, ports: [${ports}]${selector} }
---`;
const slice = (name: string, ns: string, ip: string, ports: string, family = 'IPv4') => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-${family.toLowerCase()}, namespace: ${ns}, labels: { kubernetes.io/service-name: ${name} } }
addressType: ${family}
endpoints: [{ addresses: ["${ip}"], conditions: { ready: true } }]
ports: [${ports}]
---`;

const GATEWAY_LABELS = '{app: egress, istio: egressgateway, pod-template-hash: 5d9c}';
const GATEWAY = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: istio-system }
spec:
  selector: { istio: egressgateway }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }]
---`;
const CLUSTER = [
  ...['default', 'shop', 'istio-system', 'kube-system'].map((name) => namespace(name)),
  GATEWAY,
  pod('gw-1', { ns: 'istio-system', ip: '10.244.0.2', labels: GATEWAY_LABELS, containers: 'istio-proxy' }),
  pod('gw-2', { ns: 'istio-system', ip: '10.244.0.3', labels: GATEWAY_LABELS, containers: 'istio-proxy' }),
  service('istio-egressgateway', 'istio-system', '{ name: http2, port: 80 }', ', selector: { app: egress, istio: egressgateway }'),
  pod('cart', { containers: 'app istio-proxy', ip: '10.244.0.4' }),
  pod('controller', { ns: 'istio-system', ip: '10.244.0.5' }),
  service('kubernetes', 'default', '{ name: https, port: 443, targetPort: 6443 }'),
  slice('kubernetes', 'default', '198.51.100.6', '{ name: https, port: 6443 }'),
  service('kube-dns', 'kube-system', '{ name: dns, port: 53, protocol: UDP }, { name: dns-tcp, port: 53 }'),
  slice('kube-dns', 'kube-system', '198.51.100.1', '{ name: dns, port: 53, protocol: UDP }, { name: dns-tcp, port: 53, protocol: TCP }'),
  pod('kube-proxy', { ns: 'kube-system', ip: '198.51.100.1', spec: ', hostNetwork: true' }),
].join('\n');

const cluster = (more = '') =>
  simulateFiles(
    snapshotFromText(`${CLUSTER}\n${more}`, { complete: true }),
    meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }),
  );
const applied = (more = '', exempt?: readonly string[]) => {
  const { policies } = policiesFor(cluster(more), exempt);
  return cluster(`${more}\n${policies.map((policy) => `${stringify(policy)}---\n`).join('')}`);
};
const verdicts = (files: ReturnType<typeof cluster>, exempt?: readonly string[]) =>
  verifyMesh(files, { adversary: 'both', maxCells: 100_000, ...(exempt && { exempt }) });
const results = (...args: Parameters<typeof verdicts>) => verdicts(...args).map(({ result }) => result);

interface Policy {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: { readonly podSelector: { readonly matchLabels?: object }; readonly egress: readonly object[] };
}

test('workloads keep the API server and DNS where these are no pods, at their ports alone', () => {
  const policies = policiesFor(cluster()).policies as Policy[];
  const deny = policies.filter(({ metadata }) => metadata.name === 'egress-within-the-cluster');
  assert.deepEqual(
    deny.map(({ metadata }) => metadata.namespace),
    ['default', 'istio-system', 'shop'],
  );
  for (const { spec } of deny)
    assert.deepEqual(spec.egress, [
      { to: [{ namespaceSelector: {} }] },
      {
        to: [{ ipBlock: { cidr: '198.51.100.1/32' } }],
        ports: [
          { protocol: 'TCP', port: 53 },
          { protocol: 'UDP', port: 53 },
        ],
      },
      { to: [{ ipBlock: { cidr: '198.51.100.6/32' } }], ports: [{ protocol: 'TCP', port: 6443 }] },
    ]);
});

test('an API server of both families, and the cache of names on each node', () => {
  const more = `${slice('kubernetes', 'default', '2001:db8::6', '{ name: https, port: 6443 }', 'IPv6')}${pod('cache', { ns: 'kube-system', labels: '{k8s-app: node-local-dns}', ip: '198.51.100.2', spec: ', hostNetwork: true' })}`;
  const text = JSON.stringify(policiesFor(cluster(more)).policies);
  assert.match(text, /"cidr":"2001:db8::6\/128"}}\],"ports":\[{"protocol":"TCP","port":6443}\]/);
  assert.match(text, /"cidr":"169\.254\.20\.10\/32"/);
});

test('nobody opens a way by a Service of his own', () => {
  const more = `${service('dns', 'shop', '{ name: dns, port: 53 }')}${slice('dns', 'shop', '203.0.113.5', '{ name: dns, port: 53 }')}`;
  assert.doesNotMatch(JSON.stringify(policiesFor(cluster(more)).policies), /203\.0\.113\.5/);
});

test('a gateway leaves after its next rollout too: what selects it is not of one pod', () => {
  const allow = (policiesFor(cluster()).policies as Policy[]).filter(({ metadata }) => metadata.name.startsWith('egress-gateway'));
  assert.deepEqual(
    allow.map(({ metadata, spec }) => [metadata.namespace, spec.podSelector]),
    [['istio-system', { matchLabels: { app: 'egress', istio: 'egressgateway' } }]],
  );
});

test('a pod without a proxy is no gateway because a Gateway selects it', () => {
  const own = GATEWAY.replace('name: egress, namespace: istio-system', 'name: mine, namespace: shop').replace(
    'istio: egressgateway',
    'app: tool',
  );
  const more = `${own}${pod('tool', { ip: '10.244.0.7' })}`;
  assert.doesNotMatch(JSON.stringify(policiesFor(cluster(more)).policies), /tool/);
});

test('what no policy can do is said: nodes, pods on their network, and what is exempt', () => {
  const more = `${namespace('safe', '{pod-security.kubernetes.io/enforce: restricted}')}${pod('agent', { spec: ', hostNetwork: true', ip: '198.51.100.1' })}`;
  const notes = policiesFor(cluster(more)).notes.join('\n');
  assert.match(notes, /no NetworkPolicy holds a node itself, nor a pod on its network \(hostNetwork\)\. Now: shop\/agent\./);
  assert.match(notes, /enforce=baseline is missing from default, istio-system, shop\.$/m);
  assert.match(notes, /Not closed: kube-system \(--exempt\)/);
  assert.match(notes, /the API server \(198\.51\.100\.6 port 6443\)/);
  assert.match(
    policiesFor(simulateFiles(snapshotFromText(GATEWAY), meshConfigOf({}))).notes.join('\n'),
    /Where the API server is, what was read does not say/,
  );
});

test('verify agrees: open before, closed after, but for what is said to be exempt', () => {
  assert.deepEqual(results(cluster()), ['undecided', 'refuted']);
  const after = verdicts(applied());
  assert.deepEqual(
    after.map(({ result, statement }) => [result, statement]),
    [
      ['proved', 'no workload reaches a host outside the mesh but through an egress gateway, those of kube-system exempt'],
      ['proved', 'no workload that goes round its sidecar leaves the cluster, those of kube-system exempt'],
    ],
  );
  assert.deepEqual(after[1]!.notes, [
    'kube-system: exempt; its workloads (1) may leave, and may pass on what others send to them',
    'every workload reaches DNS at 198.51.100.1:53 (TCP), DNS at 198.51.100.1:53 (UDP), the API server at 198.51.100.6:6443 (TCP), and what that passes on leaves',
  ]);
  assert.deepEqual(results(applied('', []), []), ['undecided', 'refuted'], 'kube-proxy is on its node');
});

test('verify takes no pod on the network of its node, and no machine, for held', () => {
  for (const more of [
    pod('agent', { spec: ', hostNetwork: true', ip: '198.51.100.1' }),
    'apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: vm, namespace: shop, labels: { security.istio.io/tlsMode: istio } }\nspec: { address: 192.0.2.7 }\n---\n',
  ]) {
    const [, bypassing] = verdicts(applied(more));
    assert.equal(bypassing!.result, 'refuted', more);
    assert.match(bypassing!.openings[0]!.how, /connects to anything: it is .*no NetworkPolicy holds it/);
  }
});

const DECLARED = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: api, namespace: shop }
spec:
  hosts: [api.example.com, www.example.com]
  resolution: DNS
  ports: [{ number: 443, name: tls, protocol: TLS }, { number: 80, name: http, protocol: HTTP, targetPort: 8080 }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: wild, namespace: shop }
spec: { hosts: ['*.wild.example.com'], ports: [{ number: 443, name: tls, protocol: TLS }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: redis, namespace: shop }
spec:
  hosts: [redis.example.com]
  resolution: STATIC
  endpoints: [{ address: 203.0.113.9 }]
  ports: [{ number: 6379, name: tcp, protocol: TCP }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: range, namespace: shop }
spec: { hosts: [range.example.com], addresses: [198.51.100.128/25], ports: [{ number: 5432, name: tcp, protocol: TCP }] }
---`;
const tcp = (...ports: readonly number[]) => [{ ports: ports.map((port) => ({ port: String(port), protocol: 'TCP' })) }];
const NAMES = { dns: [{ matchPattern: '*' }] };

test('as Cilium’s: namespaces to come, the API server wherever it is, and of gateways the hosts that are declared', () => {
  const { policies, notes } = policiesFor(cluster(DECLARED), undefined, 'cilium');
  const [within, gateway] = policies as { kind: string; metadata: object; spec: { endpointSelector: object; egress: object[] } }[];
  const namespace = 'k8s:io.kubernetes.pod.namespace';
  const pods = { matchExpressions: [{ key: namespace, operator: 'Exists' }] };
  assert.equal(within!.kind, 'CiliumClusterwideNetworkPolicy');
  const dns = (rules?: object) => [
    {
      ports: [
        { port: '53', protocol: 'TCP' },
        { port: '53', protocol: 'UDP' },
      ],
      ...(rules && { rules }),
    },
  ];
  assert.deepEqual(within!.spec, {
    endpointSelector: { matchExpressions: [...pods.matchExpressions, { key: namespace, operator: 'NotIn', values: ['kube-system'] }] },
    egress: [
      { toEndpoints: [pods] },
      { toEntities: ['kube-apiserver'], toPorts: tcp(6443) },
      { toEntities: ['host', 'remote-node'], toPorts: dns() },
      { toCIDR: ['198.51.100.1/32'], toPorts: dns() },
    ],
  });
  assert.deepEqual(gateway, {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNetworkPolicy',
    metadata: { name: 'egress-gateway-leaves', namespace: 'istio-system' },
    spec: {
      endpointSelector: { matchLabels: { app: 'egress', istio: 'egressgateway' } },
      egress: [
        {
          toEndpoints: [{ matchLabels: { [namespace]: 'kube-system' } }],
          toPorts: [{ ports: [{ port: '53', protocol: 'ANY' }], rules: NAMES }],
        },
        { toEntities: ['host', 'remote-node'], toPorts: dns(NAMES) },
        { toCIDR: ['198.51.100.1/32'], toPorts: dns(NAMES) },
        { toFQDNs: [{ matchPattern: '*.wild.example.com' }], toPorts: tcp(443) },
        { toCIDR: ['198.51.100.128/25'], toPorts: tcp(5432) },
        { toCIDR: ['203.0.113.9/32'], toPorts: tcp(6379) },
        { toFQDNs: [{ matchName: 'api.example.com' }, { matchName: 'www.example.com' }], toPorts: tcp(443, 8080) },
      ],
    },
  });
  assert.match(notes.join('\n'), /Said in part: \*\.wild\.example\.com\. In Cilium a wildcard stands for one label/);
  assert.match(notes.join('\n'), /The API server is followed/);
});

test('as Calico’s: namespaces to come, the API server by its Service; names it does not know, and that is said', () => {
  const { policies, notes } = policiesFor(cluster(DECLARED), ['kube-system', 'edge'], 'calico');
  assert.deepEqual(policies, [
    {
      apiVersion: 'projectcalico.org/v3',
      kind: 'GlobalNetworkPolicy',
      metadata: { name: 'egress-within-the-cluster' },
      spec: {
        order: 2000,
        namespaceSelector: "projectcalico.org/name not in { 'kube-system', 'edge' }",
        types: ['Egress'],
        egress: [
          { action: 'Allow', destination: { namespaceSelector: 'all()' } },
          { action: 'Allow', destination: { services: { name: 'kubernetes', namespace: 'default' } } },
          { action: 'Allow', protocol: 'TCP', destination: { nets: ['198.51.100.1/32'], ports: [53] } },
          { action: 'Allow', protocol: 'UDP', destination: { nets: ['198.51.100.1/32'], ports: [53] } },
        ],
      },
    },
    {
      apiVersion: 'projectcalico.org/v3',
      kind: 'NetworkPolicy',
      metadata: { name: 'egress-gateway-leaves', namespace: 'istio-system' },
      spec: { order: 2000, selector: "app == 'egress' && istio == 'egressgateway'", types: ['Egress'], egress: [{ action: 'Allow' }] },
    },
  ]);
  assert.match(
    notes.join('\n'),
    /Names are not among what Calico \(open source\) knows of a destination, so that gateways reach every address/,
  );
  assert.match(notes.join('\n'), /no NetworkPolicy holds a node itself/);
});
