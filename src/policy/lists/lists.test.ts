import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { snapshotFromText } from '../../config/memory.ts';
import type { ListForm } from './forms.ts';
import { convertList } from './index.ts';

interface Spec {
  readonly from?: readonly object[];
  readonly to: readonly object[];
}

function converted(form: ListForm, text: string): { readonly specs: readonly Spec[]; readonly left: readonly string[] } {
  const list = convertList(form, text, 'list');
  const { findings } = snapshotFromText(list.text);
  assert.deepEqual(
    findings.map(({ message }) => message),
    [],
  );
  return { specs: parseAllDocuments(list.text).map((document) => (document.toJS() as { spec: Spec }).spec), left: list.left };
}

test('smokescreen: who enforces, with its domains; what only reports or denies is said', () => {
  const { specs, left } = converted(
    'smokescreen',
    `version: v1
services:
  - name: billing
    project: payments
    action: enforce
    allowed_domains: [api.bank.example, "*.cards.example"]
  - name: crawler
    project: search
    action: report
    allowed_domains: [www.example.com]
default: { name: default, project: other, action: open }
global_deny_list: [api.bank.example]
`,
  );
  assert.deepEqual(specs, [
    {
      from: [{ labels: { app: 'billing' } }],
      to: [{ hosts: ['*.cards.example'] }],
      owner: 'payments',
      reason: 'from the smokescreen ACL, service billing',
    },
  ]);
  const text = left.join('\n');
  for (const word of [
    /every port/,
    /global_deny_list/,
    /api\.bank\.example: api\.bank\.example is on global_deny_list/,
    /crawler\): action report/,
    /default: action open/,
  ])
    assert.match(text, word);
});

test('harden-runner: endpoints of a list and of a workflow', () => {
  const workflow = `jobs:
  build:
    steps:
      - uses: step-security/harden-runner@v2
        with:
          egress-policy: block
          allowed-endpoints: >
            api.github.com:443
            *.blob.example.net:443
            deb.example.org:80
            git.example.org:22
            nonsense:x
`;
  const { specs, left } = converted('harden-runner', workflow);
  assert.deepEqual(specs[0]!.to, [
    { hosts: ['api.github.com', '*.blob.example.net'], ports: [443], protocol: 'TLS' },
    { hosts: ['deb.example.org'], ports: [80] },
    { hosts: ['git.example.org'], ports: [22] },
  ]);
  assert.deepEqual(left, ['nonsense:x: it is no HOST:PORT.']);
  assert.deepEqual(converted('harden-runner', 'api.github.com:443\n').specs[0]!.to, [
    { hosts: ['api.github.com'], ports: [443], protocol: 'TLS' },
  ]);
});

test('squid: what is allowed before anything is denied that a policy cannot say', () => {
  const { specs, left } = converted(
    'squid',
    `acl SSL_ports port 443
acl CONNECT method CONNECT
acl web dstdomain .example.com www.example.org   # both
acl odd port 8443
acl odds dstdomain odd.example.net
acl bad dstdomain evil.example.com
acl late dstdomain late.example.com
acl work time 09:00-17:00
http_access deny CONNECT !SSL_ports
http_access allow localnet web
http_access allow odds odd
http_access allow web work
http_access deny bad
http_access allow late
http_access deny all
`,
  );
  assert.deepEqual(specs[0]!.to, [
    { hosts: ['example.com', '*.example.com', 'www.example.org'] },
    { hosts: ['odd.example.net'], ports: [8443] },
  ]);
  assert.equal(left.length, 2);
  assert.match(left[0]!, /line 12: http_access allow web work: .*there is work/);
  assert.match(left[1]!, /line 14: http_access allow late: line 13: http_access deny bad comes first/);
});

test('cilium: toFQDNs by name, with ports and labels; patterns, rules and others are said', () => {
  const { specs, left } = converted(
    'cilium',
    `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: api, namespace: shop }
spec:
  endpointSelector: { matchLabels: { app: web } }
  egress:
    - toEndpoints: [{ matchLabels: { k8s-app: kube-dns } }]
      toPorts: [{ ports: [{ port: "53", protocol: ANY }] }]
    - toFQDNs: [{ matchName: api.example.com }, { matchPattern: "*.example.net" }]
      toPorts: [{ ports: [{ port: "443", protocol: TCP }] }]
    - toFQDNs: [{ matchName: udp.example.com }]
      toPorts: [{ ports: [{ port: "443", protocol: UDP }] }]
`,
  );
  assert.deepEqual(specs, [
    { from: [{ labels: { app: 'web' } }], to: [{ hosts: ['api.example.com'], ports: [443] }], reason: 'from CiliumNetworkPolicy shop/api' },
  ]);
  assert.match(left.join('\n'), /egress\[0\]: it has no toFQDNs[\s\S]*matchPattern \*\.example\.net[\s\S]*egress\[2\]: toPorts: only TCP/);
});

test('what is no such list, or nothing of which can be carried over, is an error', () => {
  for (const [form, text, why] of [
    ['smokescreen', 'a: b', /no list of services/],
    ['smokescreen', 'version: v2\nservices: []', /version is v2/],
    ['squid', 'hello', /no acl/],
    ['cilium', 'kind: Pod\nmetadata: {name: a}', /nothing of it can be carried over/],
  ] as const) {
    assert.throws(() => convertList(form, text, 'f'), { code: 'list-unreadable', message: why }, `${form} ${text}`);
  }
});

test('what a list denies besides is never widened: what a denial may take in is left out', () => {
  const cilium = (denial: string) =>
    `kind: CiliumNetworkPolicy
metadata: {name: p, namespace: x}
spec: {endpointSelector: {}, egress: [{toFQDNs: [{matchName: a.example}], toPorts: [{ports: [{port: "443"}]}]}]}
---
kind: CiliumClusterwideNetworkPolicy
metadata: {name: no}
spec: {endpointSelector: {}, egressDeny: [${denial}]}`;
  for (const denial of ['{toEntities: [world]}', '{toCIDR: [192.0.2.0/24]}', '{toPorts: []}', '{toEndpoints: [{}], toCIDR: [0.0.0.0/0]}'])
    assert.throws(() => convertList('cilium', cilium(denial), 'f'), { code: 'list-unreadable', message: /egressDeny of no/ }, denial);
  assert.match(convertList('cilium', cilium('{toEndpoints: [{}]}'), 'f').text, /a\.example/);
  assert.throws(
    () => convertList('cilium', cilium('{toEndpoints: [{}]}').replace('toPorts: [{', 'toPorts: [{serverNames: [b.example], '), 'f'),
    { message: /toPorts\.serverNames/ },
  );
  const smokescreen = convertList(
    'smokescreen',
    `version: v1
global_deny_list: ['*.Evil.example', secret.b.example]
services: [{name: a, action: enforce, allowed_domains: [x.evil.example, '*.example', '*.b.example', good.example]}]`,
    'f',
  );
  assert.match(smokescreen.text, /hosts:\n\s+- good\.example\n/);
  assert.doesNotMatch(smokescreen.text, /evil|\*|b\.example/);
  for (const before of [
    'include /etc/squid/more.conf',
    'if 1',
    'acl localnet dstdomain .a.example\nhttp_access deny localnet',
    'acl CONNECT dstdomain .a.example\nhttp_access deny CONNECT !CONNECT',
  ])
    assert.throws(
      () => convertList('squid', `acl good dstdomain .a.example\n${before}\nhttp_access allow good`, 'f'),
      { code: 'list-unreadable', message: /policies deny nothing/ },
      before,
    );
  assert.throws(() => convertList('squid', 'acl good dstdomain a.example\nacl localnet method GET\nhttp_access allow localnet good', 'f'), {
    message: /not known what is meant/,
  });
});
