import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { HttpConnectionManagerSchema } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { SEEN } from './fields.ts';
import { believesConnection, identifyClient, sanitizeEnvoyHeaders } from './forwarded.ts';
import { HeaderMap } from './header-map.ts';
import { readOptions } from './options.ts';

interface Identified {
  readonly config?: JsonObject;
  readonly fields?: readonly (readonly [name: string, value: string])[];
  readonly from?: string;
  readonly tls?: boolean;
}

function identified({ config = {}, fields = [], from = '192.0.2.7', tls = false }: Identified) {
  const options = readOptions(fromJson(HttpConnectionManagerSchema, { stat_prefix: 'x', route_config: {}, ...config }));
  const headers = new HeaderMap(fields.flat());
  const connection = {
    remoteAddress: { ip: from, port: 5000 },
    localAddress: { ip: '10.0.0.1', port: 8443 },
    tls: tls ? { peer: undefined } : undefined,
  };
  const seen = headers.has('x-forwarded-for') ? SEEN.forwardedFor : 0;
  const { trusted, internal, edge } = identifyClient(headers, seen, connection, options);
  return { client: trusted?.ip, internal, edge, get: (name: string) => headers.get(name) };
}

const XFF = 'x-forwarded-for';
const EDGE = { use_remote_address: true };
const WITHIN = { internal_address_config: { cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] } };

/** Inside of the mesh (`use_remote_address: false`): the field says who the client is, and goes on as it came. */
const INSIDE: readonly (readonly [name: string, given: Identified, client: string | undefined, internal: boolean])[] = [
  ['nothing is said', {}, undefined, false],
  ['one address', { fields: [[XFF, '203.0.113.9']] }, '203.0.113.9', false],
  ['the last of several', { fields: [[XFF, '198.51.100.1, 203.0.113.9']] }, '203.0.113.9', false],
  ['the last but one', { config: { xff_num_trusted_hops: 1 }, fields: [[XFF, '198.51.100.1, 203.0.113.9']] }, '198.51.100.1', false],
  ['more hops than addresses', { config: { xff_num_trusted_hops: 2 }, fields: [[XFF, '198.51.100.1, 203.0.113.9']] }, undefined, false],
  ['no address', { fields: [[XFF, 'unknown']] }, undefined, false],
  [
    'two fields are one list',
    {
      fields: [
        [XFF, '198.51.100.1'],
        [XFF, ''],
        [XFF, '203.0.113.9'],
      ],
    },
    '203.0.113.9',
    false,
  ],
  ['an internal address alone', { config: WITHIN, fields: [[XFF, '10.1.1.1']] }, '10.1.1.1', true],
  ['an internal address behind others', { config: WITHIN, fields: [[XFF, '10.2.2.2, 10.1.1.1']] }, '10.1.1.1', false],
  ['an internal address, where none is declared', { fields: [[XFF, '10.1.1.1']] }, '10.1.1.1', false],
];

for (const [name, given, client, internal] of INSIDE) {
  test(`inside of the mesh: ${name}`, () => {
    const found = identified(given);
    assert.deepEqual([found.client, found.internal, found.edge], [client, internal, false]);
    assert.equal(found.get(XFF), given.fields?.[0]?.[1]);
    assert.equal(found.get('x-forwarded-proto'), undefined);
  });
}

/** At the edge, with what the server sees of x-forwarded-for and x-envoy-external-address. */
const AT_THE_EDGE: readonly (readonly [
  name: string,
  given: Identified,
  client: string | undefined,
  internal: boolean,
  forwarded: string | undefined,
  external: string | undefined,
])[] = [
  ['the connection is the client', {}, undefined, false, '192.0.2.7', '192.0.2.7'],
  ['what it says is not believed', { fields: [[XFF, '10.1.1.1']] }, undefined, false, '10.1.1.1,192.0.2.7', '192.0.2.7'],
  ['the address is not told', { config: { skip_xff_append: true } }, undefined, false, undefined, '192.0.2.7'],
  ['a client on this machine', { from: '127.0.0.1' }, undefined, false, '10.0.0.1', '127.0.0.1'],
  ['an internal client', { config: WITHIN, from: '10.1.1.1' }, undefined, true, '10.1.1.1', undefined],
  [
    'an internal client for somebody else',
    { config: WITHIN, from: '10.1.1.1', fields: [[XFF, '203.0.113.9']] },
    undefined,
    false,
    '203.0.113.9,10.1.1.1',
    '10.1.1.1',
  ],
  [
    'behind a proxy',
    { config: { xff_num_trusted_hops: 1 }, fields: [[XFF, '6.6.6.6, 203.0.113.9']] },
    '203.0.113.9',
    false,
    '6.6.6.6, 203.0.113.9,192.0.2.7',
    '203.0.113.9',
  ],
  ['behind a proxy that says nothing', { config: { xff_num_trusted_hops: 1 } }, undefined, false, '192.0.2.7', '192.0.2.7'],
];

for (const [name, given, client, internal, forwarded, external] of AT_THE_EDGE) {
  test(`at the edge: ${name}`, () => {
    const found = identified({ ...given, config: { ...EDGE, ...given.config } });
    assert.deepEqual([found.client, found.internal, found.edge], [client, internal, !internal]);
    assert.deepEqual([found.get(XFF), found.get('x-envoy-external-address')], [forwarded, external]);
  });
}

test('the scheme: of the connection at the edge, of what a trusted proxy says behind it', () => {
  const said = [['x-forwarded-proto', 'https']] as const;
  const proto = (given: Identified) => identified({ ...given, config: { ...EDGE, ...given.config } }).get('x-forwarded-proto');
  assert.deepEqual([proto({}), proto({ tls: true }), proto({ fields: said })], ['http', 'https', 'http']);
  const behind = { config: { xff_num_trusted_hops: 1 } };
  assert.deepEqual([proto({ ...behind, fields: said }), proto({ ...behind, tls: true })], ['https', 'https']);
  assert.deepEqual(
    [
      [true, 0],
      [true, 1],
      [false, 0],
    ].map(([useRemoteAddress, trustedHops]) =>
      believesConnection({ useRemoteAddress: useRemoteAddress as boolean, trustedHops: trustedHops as number }),
    ),
    [true, false, false],
  );
});

test('the port that was called, where that is asked for; a trusted proxy may have told another', () => {
  const port = (config: JsonObject, ...fields: [string, string][]) =>
    identified({ config: { ...EDGE, ...config }, fields }).get('x-forwarded-port');
  assert.equal(port({}), undefined);
  assert.equal(port({ append_x_forwarded_port: true }, ['x-forwarded-port', '1']), '8443');
  assert.equal(port({ append_x_forwarded_port: true, xff_num_trusted_hops: 1 }, ['x-forwarded-port', '1']), '1');
  assert.equal(port({ append_x_forwarded_port: true, xff_num_trusted_hops: 1 }), '8443');
});

const ENDS_AT_THE_EDGE = ['decorator-operation', 'downstream-service-cluster', 'downstream-service-node', 'original-path', 'original-host'];
const FOR_INTERNAL = [
  'retriable-status-codes',
  'retriable-header-names',
  'retry-on',
  'retry-grpc-on',
  'max-retries',
  'upstream-alt-stat-name',
  'upstream-rq-timeout-ms',
  'upstream-rq-per-try-timeout-ms',
  'upstream-rq-timeout-alt-response',
  'expected-rq-timeout-ms',
  'upstream-stream-duration-ms',
  'hedge-on-per-try-timeout',
  'force-trace',
  'ip-tags',
];

test('what of x-envoy-* a client may say: all but that it is internal, less from outside, least at the edge', () => {
  const left = (client: { internal: boolean; edge: boolean }) => {
    const names = [...ENDS_AT_THE_EDGE, ...FOR_INTERNAL, 'internal', 'other'].map((name) => `x-envoy-${name}`);
    const headers = new HeaderMap(names.flatMap((name) => [name, '1']));
    sanitizeEnvoyHeaders(headers, { trusted: undefined, ...client });
    return names.filter((name) => headers.has(name)).map((name) => name.slice('x-envoy-'.length));
  };
  assert.deepEqual(left({ internal: true, edge: false }), [...ENDS_AT_THE_EDGE, ...FOR_INTERNAL, 'other']);
  assert.deepEqual(left({ internal: false, edge: false }), [...ENDS_AT_THE_EDGE, 'other']);
  assert.deepEqual(left({ internal: false, edge: true }), ['other']);
});
