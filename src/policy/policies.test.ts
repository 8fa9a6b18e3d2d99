import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { explain } from '../prove/explain.ts';
import { simulateFiles } from '../prove/simulated.ts';
import { podText } from '../prove/testing.ts';
import { parseTarget } from '../simulate/call.ts';
import { policyDocuments } from './index.ts';

const NOW = Date.parse('2026-06-15T12:00:00Z');
const PODS = [
  podText('payments', '10.0.0.1', { namespace: 'shop', labels: '{app: payments, security.istio.io/tlsMode: istio}' }).replace(
    'spec: {',
    'spec: {serviceAccountName: payments, ',
  ),
  podText('web', '10.0.0.2', { namespace: 'shop', labels: '{app: web, security.istio.io/tlsMode: istio}' }),
  podText('web', '10.0.0.3', { namespace: 'blog', labels: '{app: web, security.istio.io/tlsMode: istio}' }),
].join('');

function policy(name: string, spec: string, namespace = 'shop'): string {
  return `
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}
---`;
}

function mesh(text: string, now = NOW, config: object = {}) {
  const snapshot = snapshotFromText(`${PODS}${text}`, { now: () => now });
  return simulateFiles(snapshot, meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, ...config }));
}

function ends(files: ReturnType<typeof mesh>, from: string, url: string, method = 'GET'): string {
  const { outcome, hops } = explain(files, parseTarget(url, { method }), { from }).trace;
  const way = hops.map(({ proxy }) => proxy.slice(proxy.indexOf('/') + 1)).join(' > ');
  return `${way}: ${outcome.kind === 'reply' ? outcome.status : outcome.kind}`;
}

function errors({ mesh: { snapshot } }: ReturnType<typeof mesh>): string[] {
  return snapshot.findings.filter(({ level }) => level === 'Error').map(({ code, message }) => `${code} ${message}`);
}

test('the objects that policies stand for are valid by themselves, whatever the hosts are called', () => {
  const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.example.com`;
  const hosts = [
    'api.example.com',
    'api-example.com',
    '*.cdn.example.com',
    '203.0.113.7',
    '2001:db8::7',
    long,
    long.replace('.com', '.org'),
  ];
  const texts = ['gateway', 'direct'].map((through) =>
    policy(through, `{through: ${through}, to: [{hosts: ${JSON.stringify(hosts)}, ports: [443]}]}`),
  );
  for (const text of texts) {
    const policies = snapshotFromText(text).list('EgressPolicy');
    const { documents, findings } = policyDocuments(policies, NOW);
    assert.deepEqual(findings, []);
    const written = snapshotFromText(documents.map((document) => JSON.stringify(document)).join('\n---\n'));
    assert.equal(written.all().length, documents.length);
    assert.deepEqual(
      written.findings.map(({ code, message }) => `${code} ${message}`),
      [],
    );
  }
});

test('without `from` every workload of the namespace may call, and nobody else', () => {
  const files = mesh(policy('api', '{to: [{hosts: [api.example.com]}, {hosts: [db.example.com], ports: [5432]}]}'));
  assert.deepEqual(errors(files), []);
  for (const url of ['http://api.example.com/', 'https://api.example.com/', 'tcp://db.example.com:5432'])
    assert.equal(ends(files, 'shop/web', url), 'web: upstream', url);
  assert.equal(ends(files, 'blog/web', 'http://api.example.com/'), 'web: closed');
  assert.equal(ends(files, 'blog/web', 'https://api.example.com/'), 'web: closed');
});

test('by labels: those that have them, of the namespace, on every protocol', () => {
  const files = mesh(
    policy(
      'api',
      '{from: [{labels: {app: payments}}], to: [{hosts: [api.example.com]}, {hosts: [db.example.com], ports: [5432]}, {hosts: ["*.cdn.example.com"], ports: [443, 8443]}]}',
    ),
  );
  assert.deepEqual(errors(files), []);
  for (const url of [
    'http://api.example.com/',
    'https://api.example.com/',
    'tcp://db.example.com:5432',
    'https://a.cdn.example.com/',
    'https://a.cdn.example.com:8443/',
  ]) {
    assert.equal(ends(files, 'shop/payments', url), 'payments: upstream', url);
    assert.equal(ends(files, 'shop/web', url), url.startsWith('http:') ? 'web: 403' : 'web: closed', url);
  }
});

test('through the gateway: by identity, and requests by caller', () => {
  const files = mesh(
    policy(
      'charge',
      '{from: [{serviceAccounts: [payments]}], through: gateway, to: [{hosts: [bank.example.com], protocol: HTTP, ports: [80], methods: [POST], paths: ["/v1/*"]}], tls: {originate: true}}',
    ) +
      policy(
        'read',
        '{through: gateway, to: [{hosts: [bank.example.com], protocol: HTTP, ports: [80], methods: [GET], paths: [/rates]}], tls: {originate: true}}',
      ) +
      policy(
        'redis',
        '{from: [{serviceAccounts: [payments]}], through: gateway, to: [{hosts: [redis.example.com], ports: [6379]}, {hosts: [tls.example.com], ports: [443]}]}',
      ),
  );
  assert.deepEqual(errors(files), []);
  for (const [from, method, url, end] of [
    ['shop/payments', 'POST', 'http://bank.example.com/v1/x', 'payments > istio-egressgateway: upstream'],
    ['shop/payments', 'GET', 'http://bank.example.com/rates', 'payments > istio-egressgateway: upstream'],
    ['shop/payments', 'GET', 'http://bank.example.com/v1/x', 'payments > istio-egressgateway: 403'],
    ['shop/web', 'POST', 'http://bank.example.com/v1/x', 'web > istio-egressgateway: 403'],
    ['shop/web', 'GET', 'http://bank.example.com/rates', 'web > istio-egressgateway: upstream'],
    ['blog/web', 'GET', 'http://bank.example.com/rates', 'web: 502'],
    ['shop/payments', 'GET', 'tcp://redis.example.com:6379', 'payments > istio-egressgateway: upstream'],
    ['shop/web', 'GET', 'tcp://redis.example.com:6379', 'web > istio-egressgateway: closed'],
    ['shop/payments', 'GET', 'https://tls.example.com/', 'payments > istio-egressgateway: upstream'],
    ['shop/web', 'GET', 'https://tls.example.com/', 'web > istio-egressgateway: closed'],
  ] as const)
    assert.equal(ends(files, from, url, method), end, `${from} ${method} ${url}`);
});

test('what has ended is refused and says so, and nothing else is', () => {
  const text =
    policy('old', '{to: [{hosts: [api.example.com]}], expires: "2026-06-15T12:00:00Z"}') +
    policy('new', '{to: [{hosts: [www.example.com]}], expires: 2026-06-15}');
  const before = mesh(text, NOW - 1);
  assert.equal(before.mesh.snapshot.until, NOW);
  assert.equal(ends(before, 'shop/web', 'http://api.example.com/'), 'web: upstream');
  const files = mesh(text);
  assert.equal(files.mesh.snapshot.until, Date.parse('2026-06-16'));
  assert.equal(ends(files, 'shop/web', 'http://api.example.com/'), 'web: 403');
  assert.equal(ends(files, 'shop/web', 'https://api.example.com/'), 'web: closed');
  assert.equal(ends(files, 'shop/web', 'http://www.example.com/'), 'web: upstream');
  const { trace } = explain(files, parseTarget('https://api.example.com/'), { from: 'shop/web' });
  assert.match(trace.hops[0]!.cluster, /ended\.egress-policy\.internal/);
  assert.match(JSON.stringify(trace), /"kind":"EgressPolicy","namespace":"shop","name":"old"/);
  const [finding] = files.mesh.snapshot.findings.filter(({ code }) => code === 'SP0019');
  assert.match(finding!.message, /ended at 2026-06-15T12:00:00Z/);
});

test('the younger of two that do not go together is not in force, and says so', () => {
  const files = mesh(
    policy('a', '{to: [{hosts: [api.example.com]}]}') +
      policy('b', '{through: gateway, to: [{hosts: [api.example.com, www.example.com]}]}', 'blog'),
  );
  assert.match(errors(files).join(), /SP0018 .*EgressPolicy shop\/a.*through direct there, gateway here/);
  assert.equal(ends(files, 'shop/web', 'http://api.example.com/'), 'web: upstream');
  assert.equal(ends(files, 'blog/web', 'http://www.example.com/'), 'web: closed');
});

test('what nothing could hold to is refused when it is read', () => {
  for (const [spec, why] of [
    ['{from: [{serviceAccounts: [a]}], to: [{hosts: [a.example]}]}', /identities are seen at a gateway alone/],
    ['{from: [{serviceAccounts: [a]}, {labels: {a: b}}], through: gateway, to: [{hosts: [a.example]}]}', /must not stand beside labels/],
    ['{through: proxy, to: [{hosts: [a.example]}]}', /names no forward proxy/],
    ['{through: gateway, to: [{hosts: ["*.a.example"]}]}', /name of one host/],
    ['{to: [{hosts: [a.example], ports: [443], protocol: TLS, methods: [GET]}]}', /methods and paths are seen in plain HTTP/],
    ['{to: [{hosts: [a.example]}], expires: 2026-02-30}', /neither a day/],
    ['{to: [{hosts: [a.example], ports: [443]}], tls: {originate: true}}', /write protocol: HTTP/],
    ['{to: [{hosts: ["https://a.example"]}]}', /without a scheme/],
  ] as const)
    assert.match(errors(mesh(policy('a', spec))).join(), why, spec);
});

test('a name without a dot is allowed to whole namespaces alone, as nothing could hold others off it', () => {
  for (const [spec, why] of [
    ['{from: [{labels: {app: payments}}], to: [{hosts: [db], ports: [5432]}]}', /labels of callers need a name with a dot/],
    ['{to: [{hosts: [localhost], ports: [8080], methods: [GET]}]}', /methods and paths need a name with a dot/],
    ['{to: [{hosts: [api.], ports: [8080], paths: [/v1]}]}', /methods and paths need a name with a dot/],
    ['{to: [{hosts: [api], protocol: HTTP}], tls: {originate: true}}', /full name of one host/],
  ] as const) {
    const files = mesh(policy('a', spec));
    assert.match(errors(files).join(), why, spec);
    for (const url of ['tcp://db:5432', 'http://localhost:8080/', 'http://api:8080/v1', 'http://api/'])
      assert.doesNotMatch(ends(files, 'shop/web', url), /upstream/, `${spec} ${url}`);
  }
  const all = policy('all', '{to: [{hosts: [localhost], ports: [3000, 443]}]}');
  const files = mesh(all);
  assert.deepEqual(errors(files), []);
  for (const url of ['tcp://localhost:3000', 'tls://localhost:443']) assert.equal(ends(files, 'shop/web', url), 'web: upstream', url);
  const both = mesh(all + policy('other', '{to: [{hosts: [localhost], ports: [4000]}]}', 'blog'));
  assert.match(errors(both).join(), /SP0018 localhost is a name without a dot/);
  assert.equal(ends(both, 'shop/web', 'tcp://localhost:3000'), 'web: upstream');
  assert.equal(ends(both, 'blog/web', 'tcp://localhost:3000'), 'web: closed');
});

test('a name without a dot is closed when what allowed it has ended, also beside others of it', () => {
  const old = policy('old', '{to: [{hosts: [localhost], ports: [3000]}], expires: "2026-06-15T12:00:00Z"}');
  assert.equal(ends(mesh(old, NOW - 1), 'shop/web', 'tcp://localhost:3000'), 'web: upstream');
  assert.equal(ends(mesh(old), 'shop/web', 'tcp://localhost:3000'), 'web: closed');
  const files = mesh(old + policy('new', '{to: [{hosts: [localhost], ports: [4000]}]}'));
  assert.equal(ends(files, 'shop/web', 'tcp://localhost:3000'), 'web: closed');
  assert.equal(ends(files, 'shop/web', 'tcp://localhost:4000'), 'web: upstream');
});

test('TLS that is originated takes no certificate but one for the name of the host, bound or not', () => {
  for (const bind of ['', ', bind: enforce']) {
    const files = mesh(policy('a', `{to: [{hosts: [api.example.com], protocol: HTTP}], tls: {originate: true}${bind}}`));
    assert.equal(ends(files, 'shop/web', 'http://api.example.com/'), 'web: upstream', bind);
    const { outcome } = explain(files, parseTarget('http://api.example.com/'), { from: 'shop/web' }).trace;
    assert.ok(outcome.kind === 'upstream' && outcome.originates);
    assert.deepEqual([outcome.originates.verifies, outcome.originates.names], ['name', [['api.example.com']]], bind);
  }
});

test('an address is one host, however it is written', () => {
  const files = mesh(
    policy('a', '{from: [{labels: {app: payments}}], to: [{hosts: ["2001:DB8:0::1", 192.0.2.5], ports: [443]}]}') +
      policy('b', '{from: [{labels: {app: web}}], to: [{hosts: ["2001:db8::1", "::ffff:192.0.2.5"], ports: [443]}]}'),
  );
  assert.deepEqual(errors(files), []);
  assert.equal(files.mesh.snapshot.list('ServiceEntry').filter(({ spec }) => spec.location === 'MESH_EXTERNAL').length, 3);
  for (const from of ['shop/payments', 'shop/web'])
    for (const url of ['tcp://[2001:db8::1]:443', 'tcp://192.0.2.5:443'])
      assert.match(ends(files, from, url), /upstream/, `${from} ${url}`);
  assert.doesNotMatch(ends(files, 'blog/web', 'tcp://192.0.2.5:443'), /upstream/);
});

test('of more hosts than can be planned the policies that name them first are in force, and the others say so', () => {
  const many = (count: number, prefix: string) =>
    Array.from({ length: Math.ceil(count / 1000) }, (_, part) => ({
      hosts: Array.from({ length: Math.min(1000, count - part * 1000) }, (__, i) => `${prefix}${part}-${i}.example`),
      ports: [443],
    }));
  const spec = (count: number, prefix: string, more = {}) => JSON.stringify({ to: many(count, prefix), ...more });
  const files = mesh(
    policy('first', '{to: [{hosts: [first.example], ports: [443]}]}') +
      policy('many', spec(5000, 'h')) +
      policy('ended', spec(100, 'o', { expires: '2026-01-01' })),
  );
  assert.match(errors(files).join(), /SP0018 it names 5000 hosts beside 1 of older policies/);
  assert.equal(files.mesh.snapshot.list('ServiceEntry').length, 101 + 1);
  assert.equal(ends(files, 'shop/web', 'https://first.example/'), 'web: upstream');
  assert.equal(ends(files, 'shop/web', 'https://h0-0.example/'), 'web: closed');
});

test('through: direct goes round the proxy of the mesh, which nothing written does not; both for one host is an error', () => {
  const proxy = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: proxy, namespace: istio-system}
spec: {hosts: [proxy.example], addresses: [240.200.0.1], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 3128, name: tcp, protocol: TCP}]}
---`;
  const defaultConfig = { proxyMetadata: { SALLYPORT_THROUGH: 'proxy.example:3128' } };
  const asked = (spec: string, url = 'https://api.example.com/') => {
    const files = mesh(`${proxy}${policy('api', spec)}`, NOW, { defaultConfig });
    assert.deepEqual(errors(files), []);
    const { outcome, hops } = explain(files, parseTarget(url), { from: 'shop/web' }).trace;
    return outcome.kind === 'upstream' ? (hops.at(-1)?.next?.through ?? 'direct') : outcome.kind;
  };
  assert.equal(asked('{to: [{hosts: [api.example.com]}]}'), 'proxy.example:3128');
  assert.equal(asked('{through: direct, to: [{hosts: [api.example.com]}]}'), 'direct');
  assert.equal(asked('{to: [{hosts: ["*.example.com"]}]}'), 'closed');
  assert.equal(asked('{through: direct, to: [{hosts: ["*.example.com"]}]}'), 'direct');
  for (const host of ['api.example.com', '*.example.com']) {
    const both = policy('b', '{to: [{hosts: [api.example.com]}]}') + policy('a', `{through: direct, to: [{hosts: ["${host}"]}]}`, 'blog');
    assert.match(errors(mesh(`${proxy}${both}`)).join(), /SP0018 .*EgressPolicy shop\/b.*\(proxy unset there, through direct here\)/);
  }
});

test('through: proxy leads to the company’s forward proxy by name, and what cannot be led there is an error', () => {
  const proxy = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: proxy, namespace: istio-system}
spec: {hosts: [proxy.example], addresses: [240.200.0.1], resolution: DNS, ports: [{number: 3128, name: tcp, protocol: TCP}]}
---`;
  const files = mesh(`${proxy}${policy('api', '{through: proxy, proxy: "proxy.example:3128", to: [{hosts: [api.example.com]}]}')}`);
  assert.deepEqual(errors(files), []);
  for (const url of ['http://api.example.com/', 'https://api.example.com/']) {
    const { trace } = explain(files, parseTarget(url), { from: 'shop/web' });
    assert.equal(trace.hops.at(-1)?.next?.through, 'proxy.example:3128', url);
  }
  const problems = (spec: string) => errors(mesh(policy('api', spec))).join();
  assert.match(problems('{through: proxy, to: [{hosts: [api.example.com]}]}'), /names no forward proxy: write proxy: HOST:PORT/);
  assert.match(problems('{through: proxy, proxy: "http://p", to: [{hosts: [api.example.com]}]}'), /is not HOST:PORT of a ServiceEntry/);
  assert.match(problems('{proxy: "p.example:1", to: [{hosts: [api.example.com]}]}'), /needs through: proxy, or gateway/);
  assert.match(
    problems('{through: proxy, proxy: "p.example:1", to: [{hosts: ["*.example.com"]}]}'),
    /hosts that are declared: write it in full/,
  );
});

test('a credential is said where the call gets it, and a missing Secret answers 503', () => {
  const pays = policy(
    'pays',
    '{through: gateway, tls: {originate: true}, to: [{hosts: [api.example.com], credentials: [{bearer: true, from: {secret: {name: api, key: token}}}]}]}',
  );
  const secret = '\napiVersion: v1\nkind: Secret\nmetadata: {name: api, namespace: shop}\nstringData: {token: s3cret}\n---';
  const told = (files: ReturnType<typeof mesh>) =>
    JSON.stringify(explain(files, parseTarget('http://api.example.com/', { method: 'GET' }), { from: 'shop/web' }).trace);
  const there = mesh(pays + secret);
  assert.equal(ends(there, 'shop/web', 'http://api.example.com/'), 'web > istio-egressgateway: upstream');
  assert.match(told(there), /puts credential shop\/api\/token into header authorization \(Bearer\)/);
  assert.doesNotMatch(told(there), /s3cret/);
  const missing = mesh(pays);
  assert.equal(ends(missing, 'shop/web', 'http://api.example.com/'), 'web > istio-egressgateway: 503');
  assert.match(told(missing), /no Secret gives the value of credential shop\/api\/token/);
});
