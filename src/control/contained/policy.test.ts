import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readPolicies } from './policy.ts';

const TODAY = Date.parse('2026-06-15');

function read(t: TestContext, text: string | Uint8Array) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-policy-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, text);
  return readPolicies([file], TODAY);
}

test('a list of hosts, with why and until', (t) => {
  const { allowed, ended } = read(
    t,
    `allow:
  - host: Registry.example.com
    why: packages
  - { host: "*.example.org", ports: [443] }
  - { host: 10.0.0.5, ports: [6379], protocol: TCP }
  - { host: api.example.com, ports: [8080, 8081], protocol: HTTP, until: 2026-06-15 }
  - { host: 2001:db8::1, ports: [443] }
  - { host: old.example.com, until: "2026-06-14" }
`,
  );
  assert.deepEqual(
    allowed.map(({ host, ports, why }) => [host, ports.map(({ port, protocol }) => `${port}/${protocol}`).join(' '), why]),
    [
      ['registry.example.com', '80/HTTP 443/TLS', 'packages'],
      ['*.example.org', '443/TLS', undefined],
      ['10.0.0.5', '6379/TCP', undefined],
      ['api.example.com', '8080/HTTP 8081/HTTP', undefined],
      ['2001:db8::1', '443/TCP', undefined],
    ],
  );
  assert.equal(ended.length, 1);
  assert.match(ended[0]!, /old\.example\.com is not allowed any more: it was until 2026-06-14/);
});

test('requests by method and path, and files that are included', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-policy-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write('main.yaml', 'include: [shared/packages.yaml]\nallow: [{ host: api.example.com, methods: [GET, HEAD], paths: [/v1/*] }]\n');
  mkdirSync(join(folder, 'shared'));
  write('shared/packages.yaml', 'include: [more.yaml]\n');
  write('shared/more.yaml', 'allow: [{ host: registry.example.com, ports: [443] }]\n');
  const { allowed } = readPolicies([join(folder, 'main.yaml')], TODAY);
  assert.deepEqual(allowed, [
    { host: 'registry.example.com', ports: [{ port: 443, protocol: 'TLS' }] },
    { host: 'api.example.com', ports: [{ port: 80, protocol: 'HTTP', only: [{ methods: ['GET', 'HEAD'], paths: ['/v1/*'] }] }] },
  ]);
  write('shared/more.yaml', 'include: [../main.yaml]\n');
  assert.throws(() => readPolicies([join(folder, 'main.yaml')], TODAY), { code: 'policy-unreadable', message: /includes itself/ });
  write('shared/more.yaml', 'include: [none.yaml]\n');
  assert.throws(() => readPolicies([join(folder, 'main.yaml')], TODAY), { code: 'path-not-found', message: /shared\/none\.yaml/ });
});

test('a list that many lists include is read once, by whichever names: files that include one another many times over cost nothing more', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-policy-'));
  t.after(() => rmSync(folder, { recursive: true }));
  symlinkSync('.', join(folder, 'again'));
  const names = Array.from({ length: 9 }, (_, level) => `${level}.yaml`);
  for (const [level, name] of names.entries()) {
    const next = names[level + 1];
    const include = next === undefined ? [] : Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? next : `again/${next}`));
    writeFileSync(join(folder, name), JSON.stringify({ include, allow: [{ host: `h${level}.example.com`, ports: [443] }] }));
  }
  const { allowed } = readPolicies([join(folder, '0.yaml'), join(folder, 'again/0.yaml')], TODAY);
  assert.deepEqual(
    allowed.map(({ host }) => host),
    names.map((_, level) => `h${8 - level}.example.com`),
  );
});

test('what does not read completely allows nothing', (t) => {
  for (const [text, why] of [
    ['', /has 0/],
    ['{}', /allow/],
    ['allow: [{ host: a.example }]\n---\nallow: []', /has 2/],
    ['allow: [', /policy\.yaml:1/],
    ['allow: [{ hots: a.example }]', /did you mean host/],
    ['allow: [{ host: a.example, ports: [0] }]', /ports/],
    ['allow: [{ host: a.example, protocol: UDP }]', /UDP/],
    ['allow: [{ host: a.example:443 }]', /ports stand in ports/],
    ['allow: [{ host: "https://a.example" }]', /without a scheme/],
    ['allow: [{ host: "*" }]', /all hosts can not be allowed at once: write the names, or the suffixes/],
    ['allow: [{ host: a.example, protocol: TCP }]', /needs ports/],
    ['allow: [{ host: "*.a.example", ports: [22], protocol: TCP }]', /wildcard/],
    ['allow: [{ host: a.example, until: 2026-13-45 }]', /no day|until/],
    ['include: shared.yaml', /include/],
    ['allow: [{ host: a.example, protocol: TLS, paths: [/a] }]', /plain HTTP alone/],
    ['allow: [{ host: "*.a.example", methods: [GET] }]', /the name of one host/],
    ['allow: [{ host: 10.0.0.5, methods: [GET] }]', /the name of one host/],
    ['allow: [{ host: a.example, methods: [get] }]', /methods/],
    ['allow: [{ host: a.example, paths: [a] }]', /paths/],
    ['allow: [{ host: a.example, paths: ["/a*b"] }]', /paths/],
    [new Uint8Array([0xff, 0xfe, 0x41]), /policy\.yaml/],
  ] as const)
    assert.throws(() => read(t, text), { code: 'policy-unreadable', message: why }, String(text));
  assert.throws(() => readPolicies(['/nowhere/policy.yaml'], TODAY), { code: 'path-not-found' });
});

test('the list of the examples reads, and names what goes where', () => {
  const { allowed } = readPolicies([join(import.meta.dirname, '../../../examples/agent-with-credentials.list.yaml')], TODAY);
  assert.deepEqual(
    allowed.map(({ host, ports, injections = [] }) => [
      host,
      ports.map(({ port, originate, intercept }) => `${port} to ${originate}${intercept ? ' intercepted' : ''}`),
      ...injections.map(({ name, rule }) => [name, rule.header, rule.scheme]),
    ]),
    [
      ['api.example.com', ['443 to 443 intercepted'], ['api.example.com#1', 'authorization', 'Bearer']],
      ['registry.example.com', ['443 to 443 intercepted'], ['registry.example.com#1', 'authorization', 'Basic']],
      ['metrics.example.com', ['80 to 443'], ['metrics.example.com#1', 'x-api-key', undefined]],
      ['orders.example.com', ['443 to 443 intercepted'], ['orders.example.com#1', 'authorization', 'Bearer']],
      ['s3.eu-central-1.amazonaws.com', ['443 to 443 intercepted'], ['s3.eu-central-1.amazonaws.com#1', undefined, undefined]],
    ],
  );
});

/** An entry with a token by OAuth 2.0, and one field otherwise than it should be. */
function oauth2(wrong: string): string {
  const fields = ['tokenEndpoint: https://auth.example/token', 'clientId: me', 'clientSecret: { file: secret }'];
  const right = fields.filter((field) => !field.startsWith(wrong.split(':')[0]!));
  return `tls: { intercept: true }, credentials: [{ bearer: true, from: { oauth2: { ${[...right, wrong].join(', ')} } } }]`;
}

test('files of a token endpoint are from the folder of the list', (t) => {
  const { allowed } = read(t, `allow: [{ host: api.example.com, ${oauth2('ca: ca.pem')} }]`);
  const { oauth2: placed } = allowed[0]!.injections![0]!.from;
  for (const path of [placed!.ca, placed!.clientSecret.file]) assert.match(path!, /sallyport-policy-.*\/(?:ca\.pem|secret)$/);
});

test('entries whose credentials or TLS can not be what they say are refused', (t) => {
  const from = '{ file: token }';
  for (const [entry, expected] of [
    [`tls: { intercept: true, originate: true }`, /write one of the two/],
    ['tls: {}', /neither originate: true nor intercept: true/],
    ['tls: { intercept: true, port: 8443 }', /tls\.port is where originated TLS goes/],
    ['protocol: TCP, ports: [443], tls: { intercept: true }', /TLS is what is intercepted, not TCP/],
    ['bind: audit, tls: { intercept: true }', /what is intercepted is bound/],
    [`tls: { intercept: true }, credentials: [{ from: ${from} }]`, /credentials\[0\]: say once where it goes/],
    [`tls: { intercept: true }, credentials: [{ bearer: true, header: x, from: ${from} }]`, /say once where it goes/],
    [`tls: { intercept: true }, credentials: [{ header: Content-Length, from: ${from} }]`, /is not a place for a credential/],
    ['tls: { intercept: true }, credentials: [{ bearer: true, from: {} }]', /say once where the value comes from/],
    ['tls: { intercept: true }, credentials: [{ bearer: true, from: { file: a, environment: B } }]', /say once where the value comes from/],
    ['tls: { intercept: true }, credentials: [{ bearer: true, from: { file: a, ttl: 5m } }]', /ttl is for commands/],
    [oauth2('tokenEndpoint: http://auth.example/token'), /tokenEndpoint: the secret goes there, and over https alone/],
    [oauth2('tokenEndpoint: https://me:pw@auth.example/token'), /tokenEndpoint: it is no URL/],
    [oauth2('clientSecret: { file: a, environment: B }'), /clientSecret: say once where it comes from/],
    [oauth2('parameters: { grant_type: password }'), /parameters: grant_type is not one of them/],
    [oauth2('scopes: ["a b"]'), /scopes/],
    [oauth2('clientId: me').replace('bearer: true', 'sigv4: { region: r, service: s }'), /gives a token, and sigv4 signs with keys/],
    [`tls: { intercept: true }, credentials: [{ sigv4: { region: a/b, service: s }, from: ${from} }]`, /region/],
    ['tls: { intercept: true, clientCertificate: a.pem }', /belong together: write both/],
    ['bind: audit, tls: { originate: true, clientCertificate: a, privateKey: b }', /shown to a bound destination alone/],
    [`protocol: TCP, ports: [9000], credentials: [{ bearer: true, from: ${from} }]`, /calls to port 9000 are TCP/],
  ] as const)
    assert.throws(() => read(t, `allow: [{ host: api.example.com, ${entry} }]`), { code: 'policy-unreadable', message: expected }, entry);
});
