import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { prefixOf } from '../../lib/grpc/messages.ts';
import {
  type ExtAuthzPerRoute,
  ExtAuthzPerRouteSchema,
  ExtAuthzSchema,
} from '../../xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import { CheckResponseSchema } from '../../xds/gen/envoy/service/auth/v3/external_auth_pb.js';
import { Head } from '../head.ts';
import { HeaderMap } from '../header-map.ts';
import type { LocalReply } from '../local-reply.ts';
import type { DynamicMetadata } from '../rbac/subject.ts';
import type { SideAnswer } from '../side-call.ts';
import { ExtAuthzFilter } from './ext-authz.ts';
import type { FilterStream } from './filter.ts';

const SERVICE: JsonObject = { grpcService: { envoyGrpc: { clusterName: 'authz' } } };
const filterOf = (config: JsonObject) => new ExtAuthzFilter('ext_authz', fromJson(ExtAuthzSchema, { ...SERVICE, ...config }), 'here');

function answered(response: JsonObject): SideAnswer {
  const message = toBinary(CheckResponseSchema, fromJson(CheckResponseSchema, response));
  return {
    status: 200,
    headers: new HeaderMap(),
    body: Buffer.concat([prefixOf(message), message]),
    trailers: new HeaderMap(['grpc-status', '0']),
  };
}

const ALLOWED = answered({});
const DENIED = answered({ status: { code: 7 }, deniedResponse: { status: { code: 'Unauthorized' }, body: 'who?' } });

interface Asked {
  /** What the authorizer answers; none for none. */
  readonly answer?: SideAnswer | undefined;
  readonly metadata?: DynamicMetadata;
  readonly route?: ExtAuthzPerRoute | 'disabled';
  readonly random?: number;
  readonly body?: string;
}

/** What is done with one request, in order. */
function runAt(config: JsonObject, { answer, metadata, route, random = 0, body }: Asked = {}): string[] {
  const done: string[] = [];
  const head = new Head('HTTP/1.1', 'GET', 'a.test', '/', 'http', new HeaderMap(), 0, '', body !== undefined, random, undefined);
  const end = { ip: '127.0.0.1', port: 1 };
  const stream = {
    head,
    metadata,
    now: 0,
    client: { directRemoteAddress: end, remoteAddress: end, localAddress: end, serverName: '', tls: undefined },
    record: { bytesReceived: 0 },
    route: { filterConfig: () => route },
    ask: (_call: unknown, heard: (answer: SideAnswer | undefined) => void) => {
      done.push('asked');
      heard(answer);
    },
    readBody: (most: number, partial: boolean, read: (first: Buffer, more: boolean) => void) => {
      done.push(`body of ${most}${partial ? ', or a part' : ''}`);
      read(Buffer.from(body ?? ''), false);
    },
    reply: ({ status, body: text, details }: LocalReply) => done.push(`${status} ${details} ${text}`.trim()),
    proceed: () => done.push('on'),
    reroute: () => done.push('rerouted'),
    note: (noted: DynamicMetadata) => done.push(`noted ${JSON.stringify(noted)}`),
    onResponse: () => done.push('marks the response'),
  } as unknown as FilterStream;
  const status = filterOf(config).run(stream);
  if (status === 'continue') done.push('not asked');
  return [...done, ...[...head.headers].map(([name, value]) => `${name}: ${value}`)];
}

test('every request is asked about, and goes on or is answered as the authorizer says', () => {
  assert.deepEqual(runAt({}, { answer: ALLOWED }), ['asked', 'on']);
  assert.deepEqual(runAt({}, { answer: DENIED }), ['asked', '401 ext_authz_denied who?']);
});

test('without an answer a request is refused, unless that is to let it pass', () => {
  assert.deepEqual(runAt({}), ['asked', '403 ext_authz_error']);
  assert.deepEqual(runAt({ statusOnError: { code: 'ServiceUnavailable' } }), ['asked', '503 ext_authz_error']);
  assert.deepEqual(runAt({ failureModeAllow: true }), ['asked', 'on']);
  assert.deepEqual(runAt({ failureModeAllow: true, failureModeAllowHeaderAdd: true }), [
    'asked',
    'on',
    'x-envoy-auth-failure-mode-allowed: true',
  ]);
  assert.deepEqual(
    runAt({ failureModeAllow: true }, { answer: DENIED }),
    ['asked', '401 ext_authz_denied who?'],
    'an answer counts all the same',
  );
});

test('it asks about those alone that its settings name', () => {
  const half = { filterEnabled: { defaultValue: { numerator: 50 } } };
  assert.deepEqual(runAt(half, { answer: ALLOWED, random: 49 }), ['asked', 'on']);
  assert.deepEqual(runAt(half, { answer: ALLOWED, random: 50 }), ['not asked']);
  const noted = {
    filterEnabledMetadata: { filter: 'rbac', path: [{ key: 'asks' }], value: { stringMatch: { exact: 'yes' } } },
  };
  assert.deepEqual(runAt(noted, { answer: ALLOWED, metadata: { rbac: { asks: 'yes' } } }), ['asked', 'on']);
  const others: readonly DynamicMetadata[] = [{ rbac: { asks: 'no' } }, {}];
  for (const metadata of others) assert.deepEqual(runAt(noted, { answer: ALLOWED, metadata }), ['not asked']);
});

test('a route may have nobody asked, and nothing else', () => {
  const perRoute = (config: JsonObject) => fromJson(ExtAuthzPerRouteSchema, config);
  assert.deepEqual(runAt({}, { answer: DENIED, route: perRoute({ disabled: true }) }), ['not asked']);
  assert.deepEqual(runAt({}, { answer: DENIED, route: 'disabled' }), ['not asked']);
  assert.deepEqual(runAt({}, { answer: ALLOWED, route: perRoute({}) }), ['asked', 'on']);
  assert.throws(() => runAt({}, { route: perRoute({ checkSettings: {} }) }), { code: 'xds-unsupported', message: /check_settings/ });
});

test('a body is read first where it is to be told, of requests that have one', () => {
  const withBody = { withRequestBody: { maxRequestBytes: 9, allowPartialMessage: true } };
  assert.deepEqual(runAt(withBody, { answer: ALLOWED, body: 'hello' }), ['body of 9, or a part', 'asked', 'on']);
  assert.deepEqual(runAt(withBody, { answer: ALLOWED }), ['asked', 'on']);
  assert.deepEqual(runAt({}, { answer: ALLOWED, body: 'hello' }), ['asked', 'on']);
});

test('what the authorizer changes is changed, noted and, where it says so, routed anew', () => {
  const header = { header: { key: 'x-user', value: 'me' } };
  const answer = answered({
    okResponse: { headers: [header], responseHeadersToAdd: [header] },
    dynamicMetadata: { user: 'me' },
  });
  const noted = 'noted {"envoy.filters.http.ext_authz":{"user":"me"}}';
  assert.deepEqual(runAt({}, { answer }), ['asked', noted, 'marks the response', 'on', 'x-user: me']);
  assert.deepEqual(runAt({ clearRouteCache: true }, { answer }), ['asked', noted, 'marks the response', 'rerouted', 'on', 'x-user: me']);
  assert.deepEqual(runAt({ clearRouteCache: true }, { answer: ALLOWED }), ['asked', 'on']);
});

test('what it does not do is refused by name', () => {
  for (const [config, field] of [
    [{ validateMutations: true }, 'validate_mutations'],
    [{ metadataContextNamespaces: ['a'] }, 'metadata_context_namespaces'],
    [{ includePeerCertificate: true }, 'include_peer_certificate'],
    [{ denyAtDisable: { defaultValue: true, runtimeKey: 'x' } }, 'deny_at_disable'],
  ] as const)
    assert.throws(() => filterOf(config as unknown as JsonObject), { code: 'xds-unsupported', message: new RegExp(`here\\.${field}`) });
  assert.throws(() => new ExtAuthzFilter('f', fromJson(ExtAuthzSchema, {}), 'here'), { code: 'xds-invalid', message: /names no service/ });
});
