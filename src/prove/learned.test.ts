import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { findingsOf } from '../analysis/testing.ts';
import { snapshotFromText } from '../config/memory.ts';
import { type Observed, Observer } from '../learn/observed.ts';
import { parseLine } from '../learn/records.ts';
import { originText } from '../lib/origin.ts';
import { parseTarget } from '../simulate/call.ts';
import { explain } from './explain.ts';
import { gatewaysOf } from './inside.ts';
import { learn } from './learned.ts';
import { checkLines, proposalText } from './learned-text.ts';
import { deniedBy } from './replay.ts';
import { simulateFiles } from './simulated.ts';
import { onlyThroughGateways } from './statements.ts';
import { verifyFiles } from './verify.ts';

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

const observedIn = (...lines: string[]) => {
  const observer = new Observer();
  for (const line of lines) {
    const parsed = parseLine(line);
    assert.equal(parsed.kind, 'record', line);
    if (parsed.kind === 'record') observer.add(parsed.record);
  }
  return observer.observation();
};
const brief = ({ host, port, protocol, count }: Observed) => `${host}:${port} ${protocol} ${count}`;
const learned = (...lines: string[]) => {
  const proposal = learn(observedIn(...lines), OPTIONS);
  return { ...proposal, text: proposalText(proposal.proposed, proposal.remarks), summary: checkLines(proposal) };
};

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
  // As a user has it: the file that was written, read and verified.
  const files = simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
  const [verdict] = verifyFiles(files, [onlyThroughGateways(gatewaysOf(files))], 100_000);
  assert.deepEqual([verdict?.result, verdict?.counterexamples], ['proved', []]);
});

test('analyze finds nothing wrong with a proposal', () => {
  assert.deepEqual(
    findingsOf(learned(...ALL).text).map(({ code, origin }) => `${code} ${originText(origin)}`),
    // Which file has the system's CAs is for the gateway's machine to say.
    ['IST0129 DestinationRule istio-system/old-example-com-tls'],
  );
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

test('no wildcard where the suffix belongs to everybody, and it says what it lets through', () => {
  const hosts = (...names: string[]) => {
    const { text, proved, broken } = learned(
      ...names.map((name) => istio('GET / HTTP/1.1', name, '198.51.100.8:80', 'PassthroughCluster', '198.51.100.8:80')),
    );
    assert.ok(proved && broken.length === 0, text);
    return {
      text,
      declared: snapshotFromText(text)
        .list('ServiceEntry')
        .flatMap(({ spec }) => spec.hosts),
    };
  };
  assert.deepEqual(hosts('a.co.uk', 'b.co.uk', 'c.co.uk', 'd.com', 'e.com', 'f.com').declared.length, 6);
  const { text, declared } = hosts('a.shop.co.uk', 'b.shop.co.uk', 'c.shop.co.uk');
  assert.deepEqual(declared, ['*.shop.co.uk']);
  assert.match(
    text,
    /# \*\.shop\.co\.uk:80 HTTP stands for 3 names, and lets through every other name under it:\n# {3}a\.shop\.co\.uk:80 HTTP: 1 call/,
  );
});

test('one name of a wildcard with a port of its own, and names that differ by a dot and a dash', () => {
  const tls = (name: string, port = 443) =>
    istio('- - -', '-', `198.51.100.8:${port}`, 'PassthroughCluster', `198.51.100.8:${port}`, { sni: name });
  const web = (name: string, port: number) =>
    istio('GET / HTTP/1.1', `${name}:${port}`, `198.51.100.8:${port}`, 'PassthroughCluster', `198.51.100.8:${port}`);
  const { broken, proved, summary } = learned(
    ...['a.x.example', 'b.x.example', 'c.x.example'].flatMap((name) => [tls(name), web(name, 80)]),
    tls('a.x.example', 8443),
    web('a.x.example', 8080),
    web('a-x.example', 80),
    web('a.x-example.org', 80),
    web('a-x.example.org', 80),
  );
  assert.deepEqual([broken, proved], [[], true], summary.join('\n'));
});

test('an address is let through by HTTP with the Host that was called, and said to be private', () => {
  const { broken, proved, text } = learned(
    istio('GET / HTTP/1.1', '10.1.2.3:8080', '10.1.2.3:8080', 'PassthroughCluster', '10.1.2.3:8080'),
    istio('GET / HTTP/1.1', '10.1.2.3', '10.1.2.3:80', 'PassthroughCluster', '10.1.2.3:80'),
    istio('GET / HTTP/1.1', '169.254.169.254', '169.254.169.254:80', 'PassthroughCluster', '169.254.169.254:80'),
    istio('GET / HTTP/1.1', '[2001:db8::1]:8080', '[2001:db8::1]:8080', 'PassthroughCluster', '[2001:db8::1]:8080'),
  );
  assert.deepEqual([broken, proved], [[], true]);
  assert.match(text, /# 10\.1\.2\.3 is a private address/);
  assert.match(text, /# 169\.254\.169\.254 is the metadata service of cloud machines/);
  const files = simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
  for (const authority of ['10.1.2.3:8080', '10.1.2.3', '[2001:db8::1]:8080']) {
    const { outcome } = explain(files, parseTarget(`http://${authority}/`), {}).trace;
    assert.ok(outcome.kind === 'upstream' && outcome.payload.http?.authority === authority, JSON.stringify(outcome));
  }
});

test('two protocols on one port: bytes are passed on, to the name and to the addresses that were called', () => {
  const { broken, proved, text } = learned(
    istio('GET / HTTP/1.1', 'www.example.com:443', '198.51.100.7:443', 'PassthroughCluster', '198.51.100.7:443'),
    istio('- - -', '-', '198.51.100.7:443', 'PassthroughCluster', '198.51.100.7:443', { sni: 'www.example.com' }),
  );
  assert.deepEqual([broken, proved], [[], true]);
  assert.match(text, /# HTTP and TLS on one port: passed on as bytes/);
  assert.deepEqual(
    snapshotFromText(text)
      .list('ServiceEntry')
      .map(({ spec }) => [spec.hosts, spec.addresses]),
    [[['www.example.com'], ['198.51.100.7']]],
  );
  const shared = learned(
    istio('GET / HTTP/1.1', 'www.example.com:443', '198.51.100.7:443', 'PassthroughCluster', '198.51.100.7:443'),
    istio('- - -', '-', '198.51.100.7:443', 'PassthroughCluster', '198.51.100.7:443', { sni: 'www.example.com' }),
    istio('- - -', '-', '198.51.100.7:8443', 'PassthroughCluster', '198.51.100.7:8443', { sni: 'www.example.com' }),
  );
  assert.deepEqual([shared.broken, shared.proved], [[], true]);
  assert.match(shared.text, /# 198\.51\.100\.7:443 is www\.example\.com/);
});

test('names that no resource can declare are told, and a Service of the cluster is none of the outside', () => {
  const { unplaced, observed } = observedIn(
    istio('GET / HTTP/1.1', 'jira', '10.0.0.4:80', 'PassthroughCluster', '10.0.0.4:80'),
    istio('GET / HTTP/1.1', 'a_b.example.com', '10.0.0.4:80', 'PassthroughCluster', '10.0.0.4:80'),
    istio('GET / HTTP/1.1', 'x.default.svc.cluster.local', '10.0.0.4:80', 'PassthroughCluster', '10.0.0.4:80'),
  );
  assert.deepEqual(observed, []);
  assert.deepEqual(
    unplaced.map(({ host, why }) => `${host}: ${why}`),
    [
      'jira: a name without a domain is one of the machine or the cluster',
      'a_b.example.com: it is no host name',
      'x.default.svc.cluster.local: it is a Service of the cluster',
    ],
  );
});

test('what a proxy answers itself or refuses by REGISTRY_ONLY did not leave', () => {
  const json = (fields: object) =>
    JSON.stringify({ method: 'GET', path: '/', authority: 'www.example.com', downstream_local_address: '198.51.100.7:80', ...fields });
  const { observed, inside, refused } = observedIn(
    json({ route_name: 'block_all', response_code_details: 'direct_response' }),
    json({ response_code_details: 'direct_response' }),
    json({ upstream_cluster: 'outbound|80||www.example.com', response_flags: 'FI' }),
    json({ upstream_cluster: 'outbound|80||www.example.com', response_flags: 'DI' }),
  );
  assert.deepEqual([observed.map(brief), inside, refused], [['www.example.com:80 HTTP 1'], 1, 2]);
});

test('a log that was recorded under a proposal gives the same proposal: addresses stay addresses', () => {
  const line = istio('- - -', '-', '198.51.100.9:6379', 'PassthroughCluster', '198.51.100.9:6379');
  const again = istio('- - -', '-', '198.51.100.9:6379', 'outbound|6379||address-198-51-100-9.external', '127.0.100.1:17000');
  const relayed = istio(
    '- - -',
    '-',
    '127.0.100.1:17000',
    'outbound|17000||istio-egressgateway-learned.istio-system.svc.cluster.local',
    '198.51.100.9:6379',
  );
  assert.equal(learned(relayed, again).text, learned(line).text);
});

test('beyond a bound calls are not kept apart by path, and all are counted', () => {
  const lines = Array.from({ length: 21_000 }, (_, i) =>
    istio(`GET /${i} HTTP/1.1`, 'www.example.com', '198.51.100.7:80', 'PassthroughCluster', '198.51.100.7:80'),
  );
  const { calls, folded, observed } = observedIn(...lines);
  assert.deepEqual([calls.length, folded, observed[0]?.count], [20_001, 1000, 21_000]);
  assert.equal(
    calls.reduce((sum, { count }) => sum + count, 0),
    21_000,
  );
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
    fc.constantFrom('a.example.com', 'b.example.com', 'c.example.com', 'c-example.com', 'example.org', '198.51.100.3', '2001:db8::3'),
    fc.constantFrom(80, 443, 8443, 6379),
    fc.constantFrom('198.51.100.1', '198.51.100.2'),
  )
  .map(([protocol, host, port, resolved]) => {
    const isName = /[a-z]\./.test(host);
    const named = host.includes(':') ? `[${host}]` : host;
    const to = `${isName ? resolved : named}:${port}`;
    const request = protocol === 'HTTP' ? 'GET /x HTTP/1.1' : '- - -';
    const authority = protocol === 'HTTP' ? (port === 80 ? named : `${named}:${port}`) : '-';
    return istio(request, authority, to, 'PassthroughCluster', to, { sni: protocol === 'TLS' && isName ? host : '-' });
  });

test('whatever was recorded: no call breaks, and nothing more is allowed', { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), (lines) => {
      const { broken, proved, summary } = learned(...lines);
      assert.deepEqual(broken, []);
      assert.ok(proved, summary.join('\n'));
    }),
    { numRuns: 40, seed: 4 },
  );
});
