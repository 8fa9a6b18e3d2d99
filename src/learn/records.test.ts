import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type LogRecord, parseLine } from './records.ts';

function recordOf(line: string): LogRecord {
  const parsed = parseLine(line);
  assert.equal(parsed.kind, 'record', JSON.stringify(parsed));
  return (parsed as { record: LogRecord }).record;
}
const kindOf = (line: string) => parseLine(line).kind;

const ENVOY = '[2026-11-21T10:00:00.000Z] "GET /v1 HTTP/1.1" 200 - 0 10 5 4 "-" "curl/8" "id" "www.example.com" "198.51.100.7:80"';
const ISTIO =
  '[2026-11-21T10:00:00.000Z] "GET /v1?a=b HTTP/2" 200 - via_upstream - "-" 0 10 5 4 "-" "curl/8 (x y)" "id" "www.example.com" "198.51.100.7:80" PassthroughCluster 10.0.0.1:1 198.51.100.7:80 10.0.0.1:5000 - allow_any';

test("Envoy's default text", () => {
  assert.deepEqual(recordOf(ENVOY), {
    time: '2026-11-21T10:00:00.000Z',
    method: 'GET',
    path: '/v1',
    protocol: 'HTTP/1.1',
    flags: '',
    details: '',
    authority: 'www.example.com',
    serverName: '',
    cluster: '',
    route: '',
    upstream: '198.51.100.7:80',
    local: '',
    remote: '',
  });
});

test("Istio's default text, of a request and of a connection", () => {
  const request = recordOf(ISTIO);
  assert.deepEqual(
    [request.path, request.protocol, request.details, request.cluster],
    ['/v1?a=b', 'HTTP/2', 'via_upstream', 'PassthroughCluster'],
  );
  assert.deepEqual([request.local, request.remote, request.route], ['198.51.100.7:80', '10.0.0.1:5000', 'allow_any']);
  const connection = recordOf(
    '[2026-11-21T10:00:00.000Z] "- - -" 0 UF - - "delayed connect error: 111" 0 10 5 - "-" "-" "-" "-" "198.51.100.8:443" PassthroughCluster 10.0.0.1:1 198.51.100.8:443 10.0.0.1:5000 api.example.com -',
  );
  assert.deepEqual([connection.method, connection.flags, connection.serverName, connection.authority], ['', 'UF', 'api.example.com', '']);
});

test('JSON with Istio’s keys, with names of operators and seconds since the epoch, and as a container runtime keeps it', () => {
  const istio =
    '{"start_time":"2026-11-21T10:00:00.000Z","method":"GET","authority":"www.example.com","upstream_host":"198.51.100.7:80","upstream_cluster":"c","requested_server_name":null,"route_name":"-"}';
  assert.deepEqual([recordOf(istio).authority, recordOf(istio).cluster, recordOf(istio).route], ['www.example.com', 'c', '']);
  const own = recordOf('{"t":"1795255200.5","method":"GET","authority":"www.example.com","upstream":"198.51.100.7:80","flags":null}');
  assert.deepEqual([own.time, own.flags], ['2026-11-21T10:00:00.500Z', '']);
  assert.deepEqual(recordOf(JSON.stringify({ log: `${ENVOY}\n`, stream: 'stdout' })), recordOf(ENVOY));
  assert.deepEqual(recordOf(JSON.stringify({ log: `${istio}\n` })), recordOf(istio));
});

test('what a collector puts before the record', () => {
  for (const prefix of ['pod/gw-1 ', '[pod/gw-1/istio-proxy] ', '2026-11-21T10:00:00.1Z stdout F '])
    assert.deepEqual(recordOf(prefix + ISTIO), recordOf(ISTIO), prefix);
});

test('quotes and spaces in what clients send change nothing else', () => {
  const awkward = recordOf(ISTIO.replace('curl/8 (x y)', 'a" "evil.example.com" "1.2.3.4:1" 200 - x {"a":1}'));
  assert.deepEqual({ ...awkward }, { ...recordOf(ISTIO) });
});

test('lines that look like records and cannot be read are damaged; others are foreign', () => {
  for (const line of [
    '{"broken": ',
    'pod/x {"method":"GET","authority',
    ISTIO.slice(0, -20),
    `${ISTIO} one-more`,
    `${ENVOY} "one more"`,
    '[2026-11-21T10:00:00.000Z] "GET / HTTP/1.1" 200 - a custom format',
  ])
    assert.equal(kindOf(line), 'damaged', line);
  for (const line of [
    'Envoy started',
    '{"level":"info","msg":"no record"}',
    '2026-11-21T10:00:00.000Z\tinfo\tFLAG: --concurrency="0"',
    '[2026-11-21 10:00:00.000][1][info][main] [source/server/server.cc:1] "starting"',
    '[x] "a b',
  ])
    assert.equal(kindOf(line), 'foreign', line);
});

test('no line ends the reading', () => {
  fc.assert(
    fc.property(fc.string(), fc.nat({ max: ISTIO.length }), (text, at) => {
      for (const line of [text, ISTIO.slice(0, at) + text, text + ISTIO.slice(at), `{${text}}`]) parseLine(line);
    }),
    { seed: 4 },
  );
});
