import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { type Observed, observe } from '../learn/observed.ts';
import { parseLog } from '../learn/records.ts';
import { deniedBy, learn } from './learn.ts';
import { simulateFiles } from './simulated.ts';

/** A line as Istio writes it by default. */
const istio = (
  request: string,
  authority: string,
  upstream: string,
  cluster: string,
  local: string,
  { sni = '-', flags = '-', time = '10:00:00' } = {},
) =>
  `[2026-11-21T${time}.000Z] "${request}" 200 ${flags} via_upstream - "-" 0 10 5 4 "-" "curl/8 (x y)" "id" "${authority}" "${upstream}" ${cluster} 10.0.0.1:1 ${local} 10.0.0.1:5000 ${sni} default`;
const GATEWAY = 'outbound|80||istio-egressgateway.istio-system.svc.cluster.local';
const OPTIONS = { namespace: 'default', wildcardAfter: 3 };

const observedIn = (...lines: string[]) => observe(parseLog(lines.join('\n')).records);
const brief = ({ host, port, protocol, count }: Observed) => `${host}:${port} ${protocol} ${count}`;
const learned = (...lines: string[]) => learn(observedIn(...lines), OPTIONS);

test('a call through sidecar and gateway counts once, at the port that the application called', () => {
  const { observed } = observedIn(
    istio('GET / HTTP/1.1', 'www.example.com', '10.0.0.9:8080', GATEWAY, '240.240.0.1:80'),
    istio('GET / HTTP/2', 'www.example.com', '198.51.100.7:443', 'outbound|443||www.example.com', '10.0.0.9:8080'),
  );
  assert.deepEqual(observed.map(brief), ['www.example.com:80 HTTP 1']);
  assert.equal(observed[0]?.originatedAt, 443);
});

test('TLS by its SNI, bytes by their address, at the last time seen', () => {
  const { observed } = observedIn(
    istio('- - -', '-', '198.51.100.8:443', 'PassthroughCluster', '198.51.100.8:443', { sni: 'API.example.com', time: '11:00:00' }),
    istio('- - -', '-', '198.51.100.8:443', 'PassthroughCluster', '198.51.100.8:443', { sni: 'api.example.com', time: '09:00:00' }),
    istio('- - -', '-', '198.51.100.9:6379', 'PassthroughCluster', '198.51.100.9:6379'),
  );
  assert.deepEqual(observed.map(brief), ['198.51.100.9:6379 TCP 1', 'api.example.com:443 TLS 2']);
  assert.equal(observed[1]?.lastSeen, '2026-11-21T11:00:00.000Z');
});

test('what stayed inside, came in or was refused is counted, not learned', () => {
  const { observed, inside, refused } = observedIn(
    istio('GET / HTTP/1.1', 'reviews:9080', '10.0.0.3:9080', 'outbound|9080||reviews.default.svc.cluster.local', '10.96.0.3:9080'),
    istio('GET / HTTP/1.1', 'reviews:9080', '10.0.0.3:9080', 'inbound|9080||', '10.0.0.3:9080'),
    istio('GET / HTTP/1.1', 'bad.example.com', '-', '-', '198.51.100.7:80', { flags: 'NR' }),
    istio('- - -', '-', '-', 'BlackHoleCluster', '198.51.100.7:9999', { flags: 'UH' }),
  );
  assert.deepEqual({ observed, inside, refused }, { observed: [], inside: 2, refused: 2 });
});

test("Envoy's default line, Istio's JSON, other keys, a prefix before the record; what is none is named", () => {
  const log = parseLog(
    [
      'pod/gw-1 [2026-11-21T10:00:00.000Z] "GET /v1 HTTP/1.1" 200 - 0 10 5 4 "-" "curl/8" "id" "www.example.com" "198.51.100.7:80"',
      '',
      '{"start_time":"2026-11-21T10:00:00.000Z","method":"GET","path":"/","protocol":"HTTP/1.1","authority":"www.example.com","upstream_host":"198.51.100.7:80"}',
      '{"t":"1795255200.5","method":"GET","authority":"www.example.com","upstream":"198.51.100.7:80","flags":null}',
      'Envoy started',
      '{"level":"info","msg":"no record"}',
      '{"broken": ',
    ].join('\n'),
  );
  assert.deepEqual(log.unread, [5, 6, 7]);
  assert.deepEqual(
    log.records.map(({ time }) => time),
    ['2026-11-21T10:00:00.000Z', '2026-11-21T10:00:00.000Z', '2026-11-21T10:00:00.500Z'],
  );
  assert.deepEqual(observe(log.records).observed.map(brief), ['www.example.com:80 HTTP 3']);
});

const ALL = [
  istio('GET /a HTTP/1.1', 'www.example.com', '198.51.100.7:80', 'PassthroughCluster', '198.51.100.7:80'),
  istio('POST /b?c=d HTTP/1.1', 'www.example.com:8080', '198.51.100.7:8080', 'PassthroughCluster', '198.51.100.7:8080'),
  istio('GET / HTTP/1.1', 'old.example.com', '10.0.0.9:8080', GATEWAY, '240.240.0.1:80'),
  istio('GET / HTTP/2', 'old.example.com', '198.51.100.7:443', 'outbound|443||old.example.com', '10.0.0.9:8080'),
  istio('- - -', '-', '198.51.100.8:443', 'PassthroughCluster', '198.51.100.8:443', { sni: 'api.example.com' }),
  istio('- - -', '-', '198.51.100.8:8443', 'PassthroughCluster', '198.51.100.8:8443', { sni: 'api.example.com' }),
  istio('- - -', '-', '198.51.100.9:6379', 'PassthroughCluster', '198.51.100.9:6379'),
  istio('- - -', '-', '198.51.100.10:6379', 'PassthroughCluster', '198.51.100.10:6379'),
  istio('- - -', '-', '198.51.100.11:5671', 'outbound|5671||queue.example.com', '198.51.100.11:5671'),
];

test('what is proposed lets every recorded call through the gateway, and nothing else', () => {
  const { broken, proved, summary, text } = learned(...ALL);
  assert.deepEqual(broken, []);
  assert.ok(proved, summary.join('\n'));
  assert.match(text, /# www\.example\.com:8080 HTTP: 1 call, last 2026-11-21T10:00:00\.000Z/);
  assert.match(text, /kind: DestinationRule/);
});

test('the proposal does not depend on the order of the records', () => {
  assert.equal(learned(...ALL).text, learned(...[...ALL].reverse()).text);
});

test('a wildcard stands for names from the given number on', () => {
  const tls = (name: string) =>
    istio('- - -', '-', '198.51.100.8:443', 'PassthroughCluster', '198.51.100.8:443', { sni: `${name}.partner.example` });
  const names = (...prefixes: string[]) => {
    const result = learned(...prefixes.map(tls));
    assert.ok(result.proved && result.broken.length === 0, result.summary.join('\n'));
    return snapshotFromText(result.text)
      .list('ServiceEntry')
      .flatMap(({ spec }) => spec.hosts);
  };
  assert.deepEqual(names('a', 'b'), ['a.partner.example', 'b.partner.example']);
  assert.deepEqual(names('a', 'b', 'c'), ['*.partner.example']);
});

test('nothing recorded, nothing proposed', () => {
  const { broken, proved, text } = learned();
  assert.deepEqual([broken, proved], [[], true]);
  assert.deepEqual(snapshotFromText(text).all(), []);
});

test('would-deny: the calls that a configuration refuses, once each, with the reason', () => {
  const text = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: default}
spec: {hosts: [www.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
`;
  const files = simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
  const denied = deniedBy(files, observedIn(...ALL.slice(0, 2), ALL[1]!, ALL[4]!).calls, undefined);
  assert.deepEqual(
    denied.map(({ call, why }) => `${call.host}:${call.port} ${call.count} ${why}`),
    ['www.example.com:8080 2 closed (the cluster has no endpoint)', 'api.example.com:443 1 closed (the cluster has no endpoint)'],
  );
});

const record = fc
  .tuple(
    fc.constantFrom('HTTP', 'TLS', 'TCP'),
    fc.constantFrom('a.example.com', 'b.example.com', 'c.example.com', 'example.org'),
    fc.constantFrom(80, 443, 8443, 6379),
    fc.constantFrom('198.51.100.1', '198.51.100.2'),
  )
  .map(([protocol, host, port, ip]) => {
    const request = protocol === 'HTTP' ? 'GET /x HTTP/1.1' : '- - -';
    const authority = protocol === 'HTTP' ? (port === 80 ? host : `${host}:${port}`) : '-';
    return istio(request, authority, `${ip}:${port}`, 'PassthroughCluster', `${ip}:${port}`, { sni: protocol === 'TLS' ? host : '-' });
  });

test('whatever was recorded: no call breaks, and nothing more is allowed', { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), (lines) => {
      const { broken, proved, summary } = learned(...lines);
      assert.deepEqual(broken, []);
      assert.ok(proved, summary.join('\n'));
    }),
    { numRuns: 30 },
  );
});
