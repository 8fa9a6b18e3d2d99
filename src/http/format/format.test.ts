import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SallyportError } from '../../lib/errors.ts';
import { HeaderMap } from '../header-map.ts';
import { ENVOY_DEFAULT_FORMAT } from './default.ts';
import { compileJson } from './json.ts';
import { parseFormat } from './parse.ts';
import type { FormatRecord } from './record.ts';
import { SAMPLE_RECORD } from './testing.ts';
import { compileText } from './text.ts';
import { compileTimeFormat } from './time.ts';

const context = { hostname: 'node-1', environment: { ZONE: 'a' } };
const text = (format: string, record: Partial<FormatRecord> = {}) => compileText(format, context, false)({ ...SAMPLE_RECORD, ...record });

test('a format splits into literals and commands', () => {
  assert.deepEqual(parseFormat('a%%b %REQ(X?Y):3% %START_TIME(%Y/%m %H(x) %s)%|%PROTOCOL%'), [
    'a%b ',
    { name: 'REQ', args: 'X?Y', maxLength: 3 },
    ' ',
    { name: 'START_TIME', args: '%Y/%m %H(x) %s', maxLength: undefined },
    '|',
    { name: 'PROTOCOL', args: undefined, maxLength: undefined },
  ]);
});

test('formats that do not parse are refused with the place', () => {
  for (const format of ['100%', '% %', '%REQ(X%', '%REQ(X)', '%req(x)%', '%REQ(X):%']) {
    assert.throws(() => parseFormat(format), { code: 'xds-invalid', message: /"%" at character \d+/ }, format);
  }
  for (const [format, at] of [
    ['100%', 4],
    ['% %', 1],
    ['a %REQ(X%', 3],
    ['%PROTOCOL% %req(x)%', 12],
    ['ab%REQ(X):%', 3],
  ] as const)
    assert.throws(() => parseFormat(format), { message: new RegExp(`"%" at character ${at} `) }, format);
  assert.throws(() => text('%NO_SUCH_THING%'), { code: 'xds-unsupported', message: /%NO_SUCH_THING%/ });
  assert.throws(() => text('%REQ%'), { code: 'xds-invalid' });
  for (const operator of ['DYNAMIC_METADATA', 'CLUSTER_METADATA'])
    assert.throws(() => text(`%${operator}%`), { code: 'xds-invalid', message: /needs the name of a filter/ });
  assert.throws(() => text('%PROTOCOL(x)%'), { code: 'xds-invalid' });
  assert.throws(() => text('%REQ(A?B?C)%'), { code: 'xds-invalid' });
});

test("Envoy's default line", () => {
  assert.equal(
    text(ENVOY_DEFAULT_FORMAT),
    '[2026-11-21T13:05:52.123Z] "GET /a?b=c HTTP/1.1" 200 - 0 256 12 10 "-" "curl/8" "id-1" "www.example.com" "192.0.2.7:80"\n',
  );
});

test('no text makes the parser fail otherwise than by a refusal', () => {
  const piece = fc.constantFrom('%', '(', ')', ':', '?', 'REQ', 'START_TIME', 'PROTOCOL', 'DYNAMIC_METADATA', '3', 'x', ' ', '%%');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        text(pieces.join(''));
      } catch (error) {
        assert.ok(error instanceof SallyportError && error.code.startsWith('xds-'), String(error));
      }
    }),
    { numRuns: 2000, seed: 1 },
  );
});

test('what has no value prints as a dash, or as nothing', () => {
  assert.equal(text('%RESPONSE_FLAGS% %REQUESTED_SERVER_NAME% %TRAILER(X)% %GRPC_STATUS%'), '- - - -');
  assert.equal(compileText('a%REQUESTED_SERVER_NAME%b', context, true)(SAMPLE_RECORD), 'ab');
});

test('operators', () => {
  const cases: readonly (readonly [format: string, expected: string, record?: Partial<FormatRecord>])[] = [
    ['%REQ(X-NONE?USER-AGENT):4%', 'curl'],
    ['%REQ(x-many)%', 'one'],
    ['%REQ(:AUTHORITY)% %REQ(HOST)% %REQ(:METHOD)% %REQ(:PATH)% %REQ(:SCHEME)%', 'www.example.com www.example.com GET /a?b=c http'],
    ['%RESP(:STATUS)% %RESPONSE_CODE%', '200 200'],
    ['%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%', 'UF,URX UpstreamConnectionFailure,UpstreamRetryLimitExceeded', { flags: ['UF', 'URX'] }],
    ['%RESPONSE_CODE_DETAILS%', 'upstream_reset{connection_refused}', { responseCodeDetails: 'upstream_reset{connection refused}' }],
    ['%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%', 'a b', { responseCodeDetails: 'a b' }],
    ['%DURATION% %REQUEST_DURATION% %REQUEST_TX_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%', '12 1 1 11 1'],
    ['%DURATION%', '-', { ended: 0 }],
    ['%COMMON_DURATION(DS_RX_BEG:DS_RX_END:us)%', '1500'],
    ['%BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %CONNECTION_ID%', '0 256 1 7'],
    ['%UPSTREAM_CLUSTER% %UPSTREAM_HOST% %UPSTREAM_LOCAL_ADDRESS%', 'outbound|80||www.example.com 192.0.2.7:80 10.0.0.2:50000'],
    ['%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT% %UPSTREAM_HOST_NAME%', '192.0.2.7 80 www.example.com'],
    ['%UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS%', '- -', { upstreamHost: undefined }],
    ['%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_PORT%', '[2001:db8::1]:9 9', withRemote('2001:db8::1', 9)],
    ['%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS%', '10.0.0.2 127.0.0.1:15001'],
    ['%ROUTE_NAME% %FILTER_CHAIN_NAME% %PROTOCOL%', 'default 0.0.0.0_80 HTTP/1.1'],
    ['%HOSTNAME% %ENVIRONMENT(ZONE)% %ENVIRONMENT(NONE)%', 'node-1 a -'],
    ['%PATH(NQ)% %REQ_WITHOUT_QUERY(:PATH)% %QUERY_PARAM(b)% %QUERY_PARAMS%', '/a /a c b=c'],
    ['%RESPONSE_HEADERS_BYTES% %TRACE_ID% %UPSTREAM_WIRE_BYTES_SENT%', '31 - -'],
    ['%UPSTREAM_TRANSPORT_FAILURE_REASON%', 'TLS_error:_no', { upstreamTransportFailureReason: 'TLS_error: no' }],
    [
      '%METADATA(ROUTE:istio:config)% %DYNAMIC_METADATA(a:b)% %CLUSTER_METADATA(a:b)%',
      '/x 3 -',
      { routeMetadata: { istio: { config: '/x' } }, dynamicMetadata: { a: { b: 3 } } },
    ],
    [
      '%DYNAMIC_METADATA(a)% %FILTER_STATE(k:PLAIN)%',
      '{"b":3} v',
      { dynamicMetadata: { a: { b: 3 } }, filterState: new Map([['k', 'v']]) },
    ],
    [
      '%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_PEER_ISSUER%',
      'spiffe://a,spiffe://b TLSv1.3 CN=x -',
      withTls(),
    ],
    ['%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%', 'DeadlineExceeded DEADLINE_EXCEEDED 4', grpc('4')],
  ];
  for (const [format, expected, record] of cases) assert.equal(text(format, record), expected, format);
});

test('START_TIME in the notation of strftime', () => {
  const time = Date.UTC(2026, 0, 5, 3, 4, 9, 56);
  const cases = {
    '%Y/%m/%dT%H:%M:%S%z %s': '2026/01/05T03:04:09+0000 1767582249',
    '%s.%3f %6f %f %E3S %E0S %ES': undefined,
    '%3f %6f %9f %f %1f': '056 056000 056000000 056000000 0',
    '%E3S %E6S': '09.056 09.056000',
    '%a %A %b %B %e %j %u %w %y %C %I %p %l|%k': 'Mon Monday Jan January  5 005 1 1 26 20 03 AM  3| 3',
    '%F %T %D %R 100%%': '2026-01-05 03:04:09 01/05/26 03:04 100%',
  };
  for (const [format, expected] of Object.entries(cases)) {
    if (expected === undefined) assert.throws(() => compileTimeFormat(format), { code: 'xds-invalid' }, format);
    else assert.equal(compileTimeFormat(format)(time), expected, format);
  }
  assert.equal(text('%START_TIME(%H:%M)%'), '13:05');
});

test('JSON keeps types; a missing value is null, or left out', () => {
  const format = {
    code: '%RESPONSE_CODE%',
    took: '%DURATION%',
    flags: '%RESPONSE_FLAGS%',
    line: '%REQ(:METHOD)% %RESPONSE_FLAGS%',
    quote: '%REQ(USER-AGENT)%',
    nested: { metadata: '%DYNAMIC_METADATA(a)%', list: ['%PROTOCOL%', 7, true] },
  };
  const record = { ...SAMPLE_RECORD, requestHeaders: new HeaderMap(['user-agent', 'a "b"\\']), dynamicMetadata: { a: { b: [1] } } };
  const line = compileJson(format, context, { omitEmpty: false, sortProperties: false })(record);
  assert.deepEqual(JSON.parse(line), {
    code: 200,
    took: 12,
    flags: '-',
    line: 'GET -',
    quote: 'a "b"\\',
    nested: { metadata: { b: [1] }, list: ['HTTP/1.1', 7, true] },
  });
  const sorted = compileJson({ b: '%PROTOCOL%', a: '%REQUESTED_SERVER_NAME%', aa: ['x', null, '%TRACE_ID%'], c: null }, context, {
    omitEmpty: true,
    sortProperties: true,
  })(record);
  assert.equal(sorted, '{"aa":["x"],"b":"HTTP/1.1"}');
});

function withRemote(ip: string, port: number): Partial<FormatRecord> {
  return { downstream: { ...SAMPLE_RECORD.downstream, remoteAddress: { ip, port } } };
}

function withTls(): Partial<FormatRecord> {
  const peer = { uriSans: ['spiffe://a', 'spiffe://b'], dnsSans: [], subject: 'CN=x', sha256: 'ab' };
  return { downstream: { ...SAMPLE_RECORD.downstream, tls: { version: 'TLSv1.3', cipher: 'X', peer } } };
}

function grpc(status: string): Partial<FormatRecord> {
  return { requestHeaders: new HeaderMap(['content-type', 'application/grpc']), responseTrailers: new HeaderMap(['grpc-status', status]) };
}
