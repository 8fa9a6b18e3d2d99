import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { explain } from '../prove/explain.ts';
import { simulateFiles } from '../prove/simulated.ts';
import { parseTarget } from '../simulate/call.ts';
import { allowedResources, parseAllowed } from './allow.ts';

const short = (text: string) => {
  const { host, ports } = parseAllowed(text);
  return `${host} ${ports.map(({ port, protocol }) => `${port}/${protocol}`).join(' ')}`;
};

test('what an allowed host is short for', () => {
  for (const [text, meant] of [
    ['registry.example.com', 'registry.example.com 80/HTTP 443/TLS'],
    ['Registry.Example.COM.', 'registry.example.com 80/HTTP 443/TLS'],
    ['registry.example.com:443', 'registry.example.com 443/TLS'],
    ['db.example.com:5432', 'db.example.com 5432/TCP'],
    ['*.example.com:443', '*.example.com 443/TLS'],
    ['*.example.com:8443', '*.example.com 8443/TLS'],
    ['http://api.example.com:8080', 'api.example.com 8080/HTTP'],
    ['https://api.example.com', 'api.example.com 443/TLS'],
    ['https://api.example.com/', 'api.example.com 443/TLS'],
    ['tcp://10.0.0.5:6379', '10.0.0.5 6379/TCP'],
    ['10.0.0.5', '10.0.0.5 80/TCP 443/TCP'],
    ['[2001:db8::1]:443', '2001:db8::1 443/TCP'],
    ['localhost:3000', 'localhost 3000/TCP'],
  ])
    assert.equal(short(text!), meant);
});

test('what is no host is refused, and says why', () => {
  for (const [text, why] of [
    ['', /names no host/],
    ['*', /neither a name nor an address/],
    ['a b', /neither/],
    ['ftp://a.example', /scheme ftp/],
    ['tcp://a.example', /needs a port/],
    ['tcp://*.example.com:22', /wildcard/],
    ['a.example:0', /ports are/],
    ['a.example:70000', /ports are/],
    ['1.2.3', /neither/],
    ['1.2.3.4.5', /neither/],
    ['a.example/path', /names no host/],
    ['*.*.example', /neither/],
    // No resource may have these hosts, so what allowed them would be in force nowhere.
    ['a_b.example', /neither/],
    ['0x7f.1', /neither/],
    [`${'a.'.repeat(127)}example`, /neither/],
    ['[1.2.3.4]', /names no host|neither/],
  ] as const)
    assert.throws(() => parseAllowed(text), { code: 'usage', message: why }, text);
});

test('a name is not taken for a wildcard: each has resources of its own', () => {
  const names = allowedResources(['*.b.example', 'any.b.example', '[1::2:3]:80', '[1:2::3]:80', '[1::]:80'].map(parseAllowed)).map(
    (one) => `${(one as { kind: string }).kind} ${(one as { metadata: { name: string } }).metadata.name}`,
  );
  assert.equal(new Set(names).size, names.length, names.join());
});

test('the resources are valid, one for each host with all its ports, and read as they are printed', () => {
  const texts = [
    'a.example',
    'a.example:8443',
    '*.b.example',
    'tcp://10.0.0.5:6379',
    '[2001:db8::1]:443',
    'tcp://c.example:5432',
    'd-e.example',
    'd.e.example',
  ];
  const entries = allowedResources(texts.map(parseAllowed));
  const snapshot = snapshotFromText(entries.map((entry) => JSON.stringify(entry)).join('\n---\n'));
  assert.deepEqual(
    snapshot.findings.filter(({ level }) => level === 'Error'),
    [],
  );
  const written = snapshot.list('ServiceEntry');
  assert.deepEqual(
    written.map(({ spec }) => spec.hosts[0]),
    ['a.example', '*.b.example', 'allow-10-0-0-5.internal', 'allow-2001-db8--1.internal', 'c.example', 'd-e.example', 'd.e.example'],
  );
  assert.deepEqual(
    written[0]!.spec.ports.map(({ number }) => number),
    [80, 443, 8443],
  );
  assert.deepEqual(
    snapshot.list('VirtualService').flatMap(({ spec }) => spec.hosts),
    ['a.example', '*.b.example', 'd-e.example', 'd.e.example'],
  );
  const addresses = written.flatMap(({ spec }) => spec.addresses ?? []);
  assert.equal(new Set(addresses).size, addresses.length);
});

test('requests by method and path: what is allowed leads on, all else is answered 403, other ports are as they were', () => {
  const only = [{ methods: ['GET', 'HEAD'], paths: ['/v1/*', '/status'] }];
  const resources = allowedResources([
    { host: 'a.example', ports: [{ port: 80, protocol: 'HTTP', only }] },
    { host: 'a.example', ports: [{ port: 8080, protocol: 'HTTP' }] },
  ]);
  const files = simulateFiles(
    snapshotFromText(resources.map((one) => JSON.stringify(one)).join('\n---\n')),
    meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }),
  );
  const ends = (method: string, url: string) => {
    const { outcome } = explain(files, parseTarget(url, { method }), {}).trace;
    return outcome.kind === 'reply' ? outcome.status : outcome.kind;
  };
  for (const [method, url, end] of [
    ['GET', 'http://a.example/v1/x?q=1', 'upstream'],
    ['HEAD', 'http://a.example/status', 'upstream'],
    ['POST', 'http://a.example/v1/x', 403],
    ['GET', 'http://a.example/v1', 403],
    ['GET', 'http://a.example/v1/../admin', 403],
    ['GET', 'http://a.example/status/', 403],
    ['DELETE', 'http://a.example:8080/anything', 'upstream'],
  ] as const)
    assert.equal(ends(method, url), end, `${method} ${url}`);
  const both = allowedResources([
    { host: 'a.example', ports: [{ port: 80, protocol: 'HTTP', only }] },
    { host: 'a.example', ports: [{ port: 80, protocol: 'HTTP' }] },
  ]);
  assert.equal(both.length, 1, 'who allows all of a host allows all of it');
});

test('at the address of a wildcard TLS for other names is refused: whoever knows it would reach any host by it', () => {
  const resources = allowedResources(['*.b.example:443', 'a.example:443'].map(parseAllowed));
  const files = simulateFiles(
    snapshotFromText(resources.map((one) => JSON.stringify(one)).join('\n---\n')),
    meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }),
  );
  const [entry] = files.mesh.snapshot.list('ServiceEntry');
  const end = (url: string) => explain(files, parseTarget(url), { to: entry!.spec.addresses[0]! }).trace.outcome.kind;
  assert.equal(end('https://any.b.example/'), 'upstream');
  assert.equal(end('https://evil.example/'), 'closed');
});
