import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originText } from '../lib/origin.ts';
import { Redacted } from '../lib/redacted.ts';
import { decodeDocuments } from './documents.ts';
import type { ResourceOf } from './index.ts';

const FILE = 'a.yaml';

/** `code line:column message` of each finding. */
function findings(text: string): string[] {
  return decodeDocuments(text, FILE).findings.map(
    ({ code, message, position }) => `${code} ${position?.line}:${position?.column} ${message}`,
  );
}

function one<K extends 'VirtualService' | 'DestinationRule' | 'ServiceEntry' | 'Secret' | 'Pod' | 'Service'>(text: string): ResourceOf<K> {
  const { resources, findings } = decodeDocuments(text, FILE);
  assert.deepEqual(findings, []);
  assert.equal(resources.length, 1);
  return resources[0] as ResourceOf<K>;
}

const virtualService = (route: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.example.com]
  http:
${route}`;

test('several documents, comments, empty ones and markers', () => {
  const text = `# first
---
apiVersion: v1
kind: Namespace
metadata: {name: a}
---

# nothing here
---
apiVersion: v1
kind: Namespace
metadata: {name: b}
...
---
{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "c"}}
`;
  const { resources, findings: found } = decodeDocuments(text, FILE);
  assert.deepEqual(found, []);
  assert.deepEqual(
    resources.map(({ metadata, order, source }) => [metadata.name, order, source.position().line]),
    [
      ['a', 0, 3],
      ['b', 1, 10],
      ['c', 2, 15],
    ],
  );
});

test('empty texts hold nothing', () => {
  for (const text of ['', '\n\n', '# only a comment\n', '---\n---\n', '\ufeff', '%YAML 1.2\n---\n', 'null\n']) {
    assert.deepEqual(decodeDocuments(text, FILE), { resources: [], findings: [], empty: true });
  }
});

test('the namespace of objects that name none; cluster-scoped kinds have none', () => {
  const text = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n, namespace: x}\n';
  assert.deepEqual(
    decodeDocuments(text, FILE).resources.map(({ metadata }) => metadata.namespace),
    ['default', ''],
  );
  assert.equal(decodeDocuments(text, FILE, { namespace: 'mine' }).resources[0]?.metadata.namespace, 'mine');
});

test('lists, also typed ones; positions are those of the items', () => {
  const text = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: a}
- apiVersion: networking.istio.io/v1
  kind: ServiceEntryList
  items:
  - metadata: {name: b}
    spec:
      hosts: [b.example.com]
      resolutoin: DNS
`;
  const { resources } = decodeDocuments(text, FILE);
  assert.deepEqual(
    resources.map(({ kind, metadata }) => [kind, metadata.name]),
    [
      ['Namespace', 'a'],
      ['ServiceEntry', 'b'],
    ],
  );
  assert.deepEqual(findings(text), ['SP0008 13:7 spec.resolutoin: no such field; did you mean resolution?']);
});

test('durations, defaults and deprecated spellings', () => {
  const { spec, deprecated } = one<'VirtualService'>(
    virtualService(`  - route: [{destination: {host: b}}]
    timeout: 1h30m1.5s
    mirror: {host: c}
    mirrorPercent: 5
    fault: {delay: {percent: 50, fixedDelay: 10ms}}
    corsPolicy: {allowOrigin: ['x'], allowOrigins: [{prefix: y}], maxAge: 24h}
    redirect: null
`),
  );
  assert.deepEqual(spec.gateways, ['mesh']);
  assert.deepEqual(spec.tcp, []);
  const [route] = spec.http;
  assert.equal(route?.timeout, 5_401_500);
  assert.deepEqual(route?.mirrorPercentage, { value: 5 });
  assert.deepEqual(route?.fault?.delay, { fixedDelay: 10, percentage: { value: 50 } });
  assert.deepEqual(route?.corsPolicy?.allowOrigins, [{ exact: 'x' }, { prefix: 'y' }]);
  assert.equal(route?.corsPolicy?.maxAge, 86_400_000);
  assert.equal('redirect' in route!, false);
  assert.deepEqual(deprecated, [
    ['spec', 'http', 0, 'mirrorPercent'],
    ['spec', 'http', 0, 'fault', 'delay', 'percent'],
    ['spec', 'http', 0, 'corsPolicy', 'allowOrigin'],
  ]);
});

test('deprecated settings of a DestinationRule', () => {
  const { spec } = one<'DestinationRule'>(`apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: a}
spec:
  host: a
  trafficPolicy:
    loadBalancer: {simple: LEAST_CONN, warmupDurationSecs: 30s}
  subsets:
  - name: v1
    trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 64}}}
`);
  assert.equal(spec.trafficPolicy?.loadBalancer?.simple, 'LEAST_REQUEST');
  assert.deepEqual(spec.trafficPolicy?.loadBalancer?.warmup, { duration: 30_000 });
  assert.deepEqual(spec.subsets[0]?.trafficPolicy?.loadBalancer?.consistentHash?.ringHash, { minimumRingSize: 64 });
});

test('a Secret keeps its data to itself', () => {
  const { spec } = one<'Secret'>(`apiVersion: v1
kind: Secret
metadata: {name: a}
data: {a: aGVsbG8=}
stringData: {b: world}
`);
  assert.ok(spec.data.a instanceof Redacted);
  assert.equal(spec.data.a.revealText(), 'hello');
  assert.equal(spec.data.b?.revealText(), 'world');
  assert.equal(JSON.stringify(spec.data), '{"a":"[redacted]","b":"[redacted]"}');
  assert.deepEqual(findings('apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: "?"}\n'), ['IST0106 4:11 data.a: is not base64']);
});

test('parts of a Pod that nobody reads pass; its status is decoded', () => {
  const pod = one<'Pod'>(`apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {serviceAccount: x, volumes: [{name: v}], containers: [{name: c, command: [x], ports: [{containerPort: 80}]}]}
status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}], startTime: x}
`);
  assert.equal(pod.spec.serviceAccountName, 'x');
  assert.equal(pod.spec.containers[0]?.ports[0]?.protocol, 'TCP');
  assert.deepEqual(pod.status, { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }], conditions: [] });
});

test('every finding of an object comes in one run, with the very place of its field', () => {
  assert.deepEqual(
    findings(
      virtualService(`  - match: [{uri: {exact: 1}}, {port: "80"}]
    rotue: []
    route:
    - destination: {host: a, port: {number: 70000000000}}
      weight: x
    timeout: soon
    retries: {attempts: 1.5}
  - redirect: {uri: /a, authority: true, redirectCode: 301}
    corsPolicy: {allowMethods: GET, unmatchedPreflights: FORWARDED}
    route: {}
`),
    ),
    [
      'IST0106 7:27 spec.http[0].match[0].uri.exact: must be a string, not the number 1: put it in quotes',
      'IST0106 7:39 spec.http[0].match[1].port: must be a whole number, not the string "80"',
      'SP0008 8:5 spec.http[0].rotue: no such field; did you mean route?',
      'IST0106 10:45 spec.http[0].route[0].destination.port.number: must be from 0 to 4294967295, not 70000000000',
      'IST0106 11:15 spec.http[0].route[0].weight: must be a whole number, not the string "x"',
      'IST0106 12:14 spec.http[0].timeout: "soon" is no duration: write 10s, 1.5s, 250ms or 1h30m',
      'IST0106 13:25 spec.http[0].retries.attempts: must be a whole number, not the number 1.5',
      'IST0106 14:36 spec.http[1].redirect.authority: must be a string, not the boolean true: put it in quotes',
      'IST0106 15:32 spec.http[1].corsPolicy.allowMethods: must be a list, not the string "GET"',
      'IST0106 15:58 spec.http[1].corsPolicy.unmatchedPreflights: "FORWARDED" is none of UNSPECIFIED, FORWARD, IGNORE; did you mean FORWARD?',
      'IST0106 16:12 spec.http[1].route: must be a list, not a mapping',
    ],
  );
});

test('missing fields, several of one choice, and limits', () => {
  assert.deepEqual(findings(virtualService('  - route: [{weight: 1}]\n    match: [{uri: {exact: a, prefix: b}}]\n    timeout: 0s\n')), [
    'IST0106 7:13 spec.http[0].route[0]: needs the field destination',
    'IST0106 8:30 spec.http[0].match[0].uri.prefix: stands beside exact: only one of exact, prefix, regex may be set',
    'IST0106 9:14 spec.http[0].timeout: must be at least 1ms, not 0s',
  ]);
});

test('a field that a kind does not have where it stands', () => {
  const [finding] = findings(`apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: a}
spec:
  servers:
  - port: {number: 6379, name: tcp, protocol: TCP}
    hosts: [redis.domain]
    addresses: [10.59.118.59]
`);
  assert.equal(
    finding,
    'SP0008 8:5 spec.servers[0].addresses: no such field; possible here: bind, defaultEndpoint, hosts, name, port, tls',
  );
});

test('an invalid object is kept for analysis; the others of the file are not touched', () => {
  const { resources } = decodeDocuments(
    `${virtualService('  - rotue: []\n')}---\n${virtualService('  - route: [{destination: {host: b}}]\n')}`,
    FILE,
  );
  assert.deepEqual(
    resources.map(({ valid }) => valid),
    [false, true],
  );
});

test('metadata: misspellings, bad names and labels that are no strings', () => {
  assert.deepEqual(findings('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namspace: x, labels: {v: 1}}\n'), [
    'SP0008 3:21 metadata.namspace: no such field; did you mean namespace?',
    'IST0106 3:46 metadata.labels.v: must be a string, not the number 1: put it in quotes',
  ]);
  assert.deepEqual(findings('apiVersion: v1\nkind: ConfigMap\nmetadata: {labels: {}}\n'), ['IST0106 3:11 metadata: needs the field name']);
  assert.deepEqual(findings('apiVersion: v1\nkind: ConfigMap\n'), ['IST0106 1:1 metadata: needs metadata with a name']);
  assert.match(
    findings('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a/b}\n')[0] ?? '',
    /^IST0106 3:18 metadata.name: "a\/b" does not have the form/,
  );
});

test('what is no object of the API', () => {
  assert.deepEqual(findings('just text\n'), ['SP0005 1:1 the document is no object: it needs apiVersion, kind and metadata']);
  assert.deepEqual(findings('- a\n'), ['SP0005 1:1 the document is no object: it needs apiVersion, kind and metadata']);
  assert.deepEqual(findings('\nkind: Pod\n'), ['SP0005 2:1 the document has no apiVersion, so it is no object of the API']);
  assert.deepEqual(findings('replicas: 1\n'), ['SP0005 1:1 the document has no apiVersion and no kind, so it is no object of the API']);
  assert.deepEqual(
    findings('apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspce: {}\nspec: {hosts: [a.com]}\n'),
    ['SP0008 4:1 spce: no such field; did you mean spec?'],
  );
});

test('files of charts and of kustomizations: what to build first', () => {
  const [values] = decodeDocuments('replicas: 1\n', 'chart/values-prod.yaml').findings;
  assert.match(values!.message, /is no object of the API\. It is a file of a Helm chart: render the chart first/);
  const [kustomization] = decodeDocuments(
    'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n',
    FILE,
  ).findings;
  assert.equal(kustomization!.code, 'SP0006');
  assert.match(kustomization!.message, /Build it first, e\.g\. kubectl kustomize FOLDER/);
});

test('unknown kinds are skipped with a note, unknown versions refused', () => {
  const { findings: found, resources } = decodeDocuments(
    `apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: c, namespace: n}
---
apiVersion: networking.istio.io/v1
kind: VirtualServices
metadata: {name: v}
---
apiVersion: networking.istio.io/v2
kind: Gateway
metadata: {name: g}
spec: {}
---
apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: d}
`,
    FILE,
  );
  assert.deepEqual(
    found.map(({ code, level, origin, message, position }) => [code, level, originText(origin), message, position?.line]),
    [
      ['SP0006', 'Info', 'Certificate n/c', 'skipped: Sallyport reads no Certificate of cert-manager.io/v1', 1],
      [
        'SP0015',
        'Error',
        'VirtualServices v',
        'not in force: networking.istio.io/v1 has no VirtualServices; did you mean VirtualService?',
        5,
      ],
      [
        'SP0007',
        'Error',
        'Gateway default/g',
        'apiVersion: Gateway has no version v2; its versions are networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3',
        9,
      ],
      ['SP0006', 'Info', 'Deployment d', 'skipped: extensions/v1beta1 has no Deployment that Sallyport reads; did you mean apps/v1?', 14],
    ],
  );
  assert.deepEqual(
    resources.map(({ kind, valid }) => [kind, valid]),
    [['Gateway', false]],
  );
});

test('a kind or group that nearly exists is an error, one that others may have is not', () => {
  const levelOf = (apiVersion: string, kind: string) => {
    const [finding] = decodeDocuments(`apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: a}\n`, FILE).findings;
    return `${finding?.code}${/did you mean (.*)\?/.exec(finding?.message ?? '')?.[0] ?? ''}`;
  };
  assert.equal(levelOf('networking.istio.io/v1', 'ServiceEntri'), 'SP0015did you mean ServiceEntry?');
  assert.equal(levelOf('networking.istio.io/v1', 'AuthorizationPolicy'), 'SP0015did you mean security.istio.io/v1?');
  assert.equal(levelOf('networking.istio.io/v1', 'Unheard'), 'SP0015');
  assert.equal(levelOf('networking.itsio.io/v1', 'ServiceEntry'), 'SP0015did you mean networking.istio.io/v1?');
  assert.equal(levelOf('v1', 'ServiceEntry'), 'SP0015did you mean networking.istio.io/v1?');
  assert.equal(levelOf('networking.k8s.io/v1', 'NetworkPolicies'), 'SP0006did you mean NetworkPolicy?');
  assert.equal(levelOf('networking.k8s.io/v1', 'NetworkPolcy'), 'SP0015did you mean NetworkPolicy?');
  assert.equal(levelOf('gateway.networking.k8s.io/v1', 'HTTPRoutes'), 'SP0015did you mean HTTPRoute?');
  for (const [version, kind] of [
    ['gateway.networking.k8s.io/v1alpha2', 'UDPRoute'],
    ['networking.k8s.io/v1', 'Ingress'],
    ['apps/v1', 'StatefulSet'],
    ['serving.knative.dev/v1', 'Service'],
    ['gateway.solo.io/v1', 'Gateway'],
    ['extensions.istio.io/v1alpha1', 'WasmPlugin'],
  ] as const)
    assert.match(levelOf(version, kind), /^SP0006/, kind);
});

test('what does not parse costs its own document only', () => {
  const good = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n';
  const cases: [string, RegExp][] = [
    ['a:\n\tb: 1\n', /^SP0001 6:1 tab .*indent with spaces/],
    ['a: 1\nb: 2\na: 3\n', /^SP0001 7:1 duplicated mapping key; the key stands twice/],
    ['a: [1, 2\n', /^SP0001 \d+:\d+ /],
    ['a: b: c\n', /^SP0001 5:5 /],
    ['a: "b\n', /^SP0001 /],
    ['a: *missing\n', /^SP0001 5:\d+ /],
    ['a: \u0001\n', /^SP0001 5:\d+ /],
    [`${'['.repeat(300)}\n`, /^SP0001 5:\d+ .*nested more than 100 levels/],
  ];
  for (const [text, expected] of cases) {
    const { resources, findings: found } = decodeDocuments(`${good}---\n${text}---\n${good.replace('{name: a}', '{name: b}')}`, FILE);
    assert.equal(resources.length, 2, text);
    assert.equal(found.length, 1, text);
    const [{ code, message, position }] = found as [(typeof found)[number]];
    assert.match(`${code} ${position?.line}:${position?.column} ${message}`, expected);
  }
});

test('a bomb of aliases is refused, not expanded', () => {
  const levels = [...'bcdefghi'].map((name, index) => `${name}: &${name} [${Array(10).fill(`*${'abcdefgh'[index]}`).join(', ')}]`);
  const bomb = `a: &a [x, x, x, x, x, x, x, x, x, x]\n${levels.join('\n')}\n`;
  // As a document it has no kind; as the value of a field it is counted in full.
  assert.match(findings(bomb)[0] ?? '', /^SP0005/);
  const repeat = (text: string) => Array(400).fill(text).join(', ');
  const routes = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.example.com]
  http:
  - &r {match: &m [&x {uri: {prefix: /a}, headers: {a: {exact: b}}, gateways: [mesh]}, ${repeat('*x')}], route: [{destination: {host: b}}]}
  - ${repeat('*r').replaceAll(', ', '\n  - ')}
`;
  assert.match(findings(routes).join('\n'), /^IST0106 .* holds more than 1000000 values/);
  const many = `a: &a 1\nb: [${Array(1001).fill('*a').join(', ')}]\n`;
  assert.match(findings(many)[0] ?? '', /^SP0001 .*more than 1000 aliases/);
});

test('JSON indented with tabs', () => {
  const text = '{\n\t"apiVersion": "v1",\n\t"kind": "Namespace",\n\t"metadata": {"name": "a"},\n\t"sepc": {}\n}\n';
  assert.deepEqual(findings(text), ['SP0008 5:2 sepc: no such field; did you mean spec?']);
});

test('a key that names a prototype is a key like any other', () => {
  const { resources, findings: found } = decodeDocuments(
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {__proto__: x, constructor: w}}\ndata: {toString: z}\n',
    FILE,
  );
  assert.deepEqual(found, []);
  const [map] = resources as [ResourceOf<'ConfigMap'>];
  assert.deepEqual(Object.keys(map.metadata.labels), ['__proto__', 'constructor']);
  assert.equal(map.spec.data.toString, 'z');
});

test('an invalid object has its required fields all the same, so that analysis can walk over it', () => {
  const { resources } = decodeDocuments(virtualService('  - route: [{weight: 1}]\n    match: [{port: x}]\n'), FILE);
  const [{ spec }] = resources as [ResourceOf<'VirtualService'>];
  assert.deepEqual(spec.http[0]?.route, [{ weight: 1, destination: { host: '' } }]);
  const { resources: gateways } = decodeDocuments(
    'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec: {servers: [{}]}\n',
    FILE,
  );
  const [gateway] = gateways as [ResourceOf<'Gateway'>];
  assert.deepEqual(gateway.spec.servers, [{ hosts: [], port: { number: 0, protocol: '', name: '' } }]);
});

test('a word that the API server takes for a boolean: refused where a string is wanted, taken where a boolean is', () => {
  const text = (exact: string, skip: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v}
spec:
  hosts: [a.com]
  http:
  - match: [{headers: {x: {exact: ${exact}}}}]
    corsPolicy: {allowCredentials: ${skip}}
    route: [{destination: {host: b}}]
`;
  const found = (exact: string, skip = 'true') =>
    decodeDocuments(text(exact, skip), 'f.yaml').findings.map(
      ({ message, position }) => `${position!.line}:${position!.column} ${message}`,
    );
  const at = 'spec.http[0].match[0].headers.x.exact: must be a string, and a cluster reads';
  assert.deepEqual(found('yes'), [`8:35 ${at} yes as true: put it in quotes`]);
  assert.deepEqual(found('Off'), [`8:35 ${at} Off as false: put it in quotes`]);
  assert.deepEqual(found('&a no'), [`8:38 ${at} no as false: put it in quotes`]);
  for (const right of ['"yes"', "'no'", 'n', 'yEs', 'yesterday']) assert.deepEqual(found(right), [], right);
  const { resources } = decodeDocuments(text('x', 'off'), 'f.yaml');
  assert.equal((resources[0] as ResourceOf<'VirtualService'>).spec.http[0]!.corsPolicy!.allowCredentials, false);
  assert.match(found('x', '"yes"')[0]!, /allowCredentials: must be true or false, not the string "yes"$/);
});

test('a document that is the same to the letter is not decoded again, and stands where it stands now', () => {
  const entry = (name: string, more = '') =>
    `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: { name: ${name} }\nspec:\n  hosts: [${name}.example.com]\n${more}`;
  const before = decodeDocuments([entry('a'), entry('b', '  wrong: 1\n'), entry('c')].join('---\n'), 'f.yaml');
  const text = [entry('a', '  location: MESH_EXTERNAL\n'), entry('b', '  wrong: 1\n'), entry('c')].join('---\n');
  const again = decodeDocuments(text, 'f.yaml', { before });
  const anew = decodeDocuments(text, 'f.yaml');
  const said = ({ resources, findings, empty }: typeof anew) => ({
    resources: resources.map(({ source, ...resource }) => ({ ...resource, at: source.position(['spec', 'hosts']) })),
    findings,
    empty,
  });
  assert.deepEqual(said(again), said(anew));
  assert.equal(again.resources[2]!.spec, before.resources[2]!.spec);
  assert.notEqual(again.resources[1]!.spec, before.resources[1]!.spec, 'what has findings is told of again');
});

test('the only item of a List stands where it stands, also where the document is the same to the letter', () => {
  const item = 'apiVersion: networking.istio.io/v1\n  kind: ServiceEntry\n  metadata: { name: a }\n  spec:\n    hosts: [a.example.com]\n';
  const text = `apiVersion: v1\nkind: List\nitems:\n- ${item}`;
  const before = decodeDocuments(text, 'f.yaml');
  const [again] = decodeDocuments(text, 'f.yaml', { before }).resources;
  assert.deepEqual(again!.source.position(['spec', 'hosts']), before.resources[0]!.source.position(['spec', 'hosts']));
  assert.equal(again!.source.position(['spec', 'hosts']).line, 8);
});
