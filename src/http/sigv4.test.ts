import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeaderMap } from './header-map.ts';
import { hashed, leavesSigning, payloadOf, sign } from './sigv4.ts';

const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const NOW = Date.parse('2015-08-30T12:36:00Z');
const AUTHORITY = 'example.amazonaws.com';

/**
 * Service, region, method, target, fields, body, whether with the session token `session/token+=`, signed fields, signature: made by botocore 1.44.8. The first, second
 * and sixth are in AWS's published test suite (get-vanilla, get-vanilla-query-order-key-case, post-x-www-form-urlencoded).
 */
const VECTORS = [
  [
    'service',
    'us-east-1',
    'GET',
    '/',
    [],
    '',
    false,
    'host;x-amz-date',
    '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  ],
  [
    'service',
    'us-east-1',
    'GET',
    '/?Param2=value2&Param1=value1',
    [],
    '',
    false,
    'host;x-amz-date',
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  ],
  [
    'service',
    'us-east-1',
    'GET',
    '/?Param1=value2&Param1=Value1&empty=&flag',
    [],
    '',
    false,
    'host;x-amz-date',
    '29d32ae5abb8d2d1a8f0da21ad2a553d683899f55e353421ca328e24576e67ff',
  ],
  [
    'service',
    'us-east-1',
    'GET',
    '/a%20b/%E1%88%B4/x*y',
    [],
    '',
    false,
    'host;x-amz-date',
    '0d4d5e33927ee4708b34d7ca11adfe2b8ecba613adce0328d0f9c95fc6fb1035',
  ],
  [
    'service',
    'us-east-1',
    'GET',
    '/a/./b/../c//d/',
    [],
    '',
    false,
    'host;x-amz-date',
    '07fc47830311f547240f25f97c1565bd7a705059e39e5d0c3e0c5287c2c4bcfc',
  ],
  [
    'service',
    'us-east-1',
    'POST',
    '/',
    ['content-type', 'application/x-www-form-urlencoded; charset=utf8'],
    'Param1=value1',
    false,
    'content-type;host;x-amz-date',
    '1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe',
  ],
  [
    'dynamodb',
    'eu-central-1',
    'POST',
    '/',
    ['content-type', 'application/x-amz-json-1.0', 'x-amz-target', 'DynamoDB_20120810.ListTables'],
    '{}',
    true,
    'content-type;host;x-amz-date;x-amz-security-token;x-amz-target',
    '69dc1ca427ff9ed9ce24ca47171ac5092bfd038da54ba39c61a43692cbecdeba',
  ],
  [
    's3',
    'eu-west-1',
    'GET',
    '/bucket/a%20key%2Bplus//x~y?list-type=2&prefix=a%2Fb',
    [],
    '',
    false,
    'host;x-amz-content-sha256;x-amz-date',
    '50e25a76bcf6bd4f6bfc15061ea9b117988f187f4b970cdd39a897c5ada3364c',
  ],
  [
    's3',
    'eu-west-1',
    'PUT',
    '/bucket/key',
    ['content-type', 'text/plain', 'x-amz-acl', 'private', 'x-amz-meta-note', '  two   words '],
    'body',
    true,
    'content-type;host;x-amz-acl;x-amz-content-sha256;x-amz-date;x-amz-meta-note;x-amz-security-token',
    '75bd4b001060c3d431d59110250a5af17e9838299531c2de6413c4a9e8deb5da',
  ],
  [
    'execute-api',
    'ap-southeast-2',
    'DELETE',
    '/stage/things/1%2F2?b=2&a=1&a=0',
    ['x-amz-meta-z', '1', 'x-amz-meta-a', '2'],
    '',
    true,
    'host;x-amz-date;x-amz-meta-a;x-amz-meta-z;x-amz-security-token',
    '92f44735dbbf9719bae2efa0abd2d90f509ec226ff9b442690c81c5908455218',
  ],
] as const;

test('signatures are those that AWS has published, and that botocore makes', () => {
  for (const [service, region, method, path, fields, body, token, names, signature] of VECTORS) {
    const headers = new HeaderMap([...fields]);
    const keys = { ...KEYS, ...(token && { sessionToken: 'session/token+=' }) };
    sign({ method, path, authority: AUTHORITY, headers }, { region, service, unsigned: false }, keys, hashed(body), NOW);
    const expected = `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/${region}/${service}/aws4_request, SignedHeaders=${names}, Signature=${signature}`;
    assert.equal(headers.get('authorization'), expected, path);
  }
});

interface Aws4Request {
  readonly headers: Record<string, string>;
}
const aws4 = createRequire(import.meta.url)('aws4') as { sign(request: object, keys: object): Aws4Request };

test('whatever is asked for, another implementation signs it the same way', () => {
  const piece = fc.string({
    unit: fc.constantFrom('a', 'B', '~', '.', '-', '%20', '%2F', '%2B', '=', ';', ':', '@', '%E1%88%B4', '%27', '*'),
    maxLength: 6,
  });
  const request = fc.record({
    service: fc.constantFrom('s3', 'sqs', 'execute-api'),
    method: fc.constantFrom('GET', 'PUT', 'DELETE'),
    path: fc.array(piece, { maxLength: 4 }).map((pieces) => `/${pieces.join('/')}`),
    query: fc.array(
      fc.tuple(
        piece.filter((text) => !/[=;]/.test(text) && text !== ''),
        piece,
      ),
      { maxLength: 4 },
    ),
    meta: fc.dictionary(fc.constantFrom('x-amz-meta-a', 'x-amz-acl', 'x-amz-target'), fc.constantFrom('v', ' two  words ', 'A,b')),
    token: fc.option(fc.constant('T/+='), { nil: undefined }),
    body: fc.constantFrom('', 'body'),
  });
  fc.assert(
    fc.property(request, ({ service, method, path, query, meta, token, body }) => {
      const names = new Set(query.map(([name]) => decodeURIComponent(name)));
      // The other one signs one value of a name of S3's.
      fc.pre(service !== 's3' || names.size === query.length);
      const target = query.length > 0 ? `${path}?${query.map((pair) => pair.join('=')).join('&')}` : path;
      const headers = new HeaderMap(Object.entries({ ...meta, 'content-type': 'text/plain' }).flat());
      const keys = { ...KEYS, ...(token && { sessionToken: token }) };
      sign(
        { method, path: target, authority: AUTHORITY, headers },
        { region: 'us-west-2', service, unsigned: false },
        keys,
        hashed(body),
        NOW,
      );
      const given = {
        ...meta,
        'Content-Type': 'text/plain',
        'X-Amz-Date': '20150830T123600Z',
        ...(service === 's3' && { 'X-Amz-Content-Sha256': hashed(body) }),
      };
      const extra = { extraHeadersToIgnore: { 'content-length': true } };
      const other = aws4.sign(
        { service, region: 'us-west-2', method, host: AUTHORITY, path: target, headers: given, body, ...extra },
        keys,
      );
      assert.equal(headers.get('authorization'), other.headers.Authorization);
    }),
    { seed: 1, numRuns: 500 },
  );
});

test('a body is stood for by what the client says of it, is left unsigned in TLS where the service takes that, or is read', () => {
  const of = (service: string, unsigned: boolean, hasBody: boolean, ...flat: string[]) =>
    payloadOf({ region: 'r', service, unsigned }, { headers: new HeaderMap(flat), hasBody, upgrade: '' });
  const hash = 'ab'.repeat(32);
  const field = 'x-amz-content-sha256';
  assert.deepEqual(
    [of('s3', true, true), of('s3', false, true), of('sqs', true, true), of('sqs', true, false), of('s3', true, true, field, hash)],
    [{ hash: 'UNSIGNED-PAYLOAD' }, 'body', 'body', { hash: hashed('') }, { hash }],
  );
  const trailer = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
  assert.deepEqual([of('s3', true, true, field, trailer), of('s3', false, true, field, 'UNSIGNED-PAYLOAD')], [{ hash: trailer }, 'body']);
  for (const refused of [of('s3', false, true, field, trailer), of('s3', true, true, field, 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD')])
    assert.ok(typeof refused === 'object' && 'refused' in refused);
});

test('a request that is signed by other keys than the placeholder’s is the client’s own, in its URL too', () => {
  const leaves = (placeholder: string | undefined, path: string, ...flat: string[]) =>
    leavesSigning(placeholder, { path, headers: new HeaderMap(flat) });
  const by = (id: string) => [
    'authorization',
    `AWS4-HMAC-SHA256 Credential=${id}/20150830/r/s/aws4_request, SignedHeaders=host, Signature=00`,
  ];
  assert.deepEqual(
    [leaves('P', '/'), leaves('P', '/', ...by('P')), leaves('P', '/', ...by('PP')), leaves(undefined, '/', ...by('P'))],
    [true, true, false, false],
  );
  assert.ok(!leaves('P', '/', ...by('P'), ...by('Q')) && !leaves('P', '/?a=1&X-Amz-Signature=00'));
});

test('what the client signed with is gone, and nothing of the keys is in the request', () => {
  const headers = new HeaderMap(['authorization', 'old', 'x-amz-date', 'old', 'x-amz-security-token', 'old', 'other', 'stays']);
  sign({ method: 'GET', path: '/', authority: AUTHORITY, headers }, { region: 'r', service: 's3', unsigned: true }, KEYS, hashed(''), NOW);
  assert.deepEqual(
    headers.flat.filter((_, i) => i % 2 === 0),
    ['other', 'x-amz-date', 'x-amz-content-sha256', 'authorization'],
  );
  assert.ok(!headers.flat.join(' ').includes(KEYS.secretAccessKey));
});
