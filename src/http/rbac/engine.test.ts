import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { RBACSchema } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.js';
import { HeaderMap } from '../header-map.ts';
import { compileRbac, deniedDetails } from './engine.ts';
import type { OpenCall, RbacSubject } from './subject.ts';

const ANY: JsonObject = { any: true };

interface Asked {
  readonly path?: string;
  readonly fields?: readonly string[];
  readonly from?: string;
  readonly port?: number;
  readonly sni?: string;
  /** URI of the client's certificate; empty for one without. Undefined: no TLS. */
  readonly peer?: string;
  readonly noRequest?: boolean;
  readonly open?: OpenCall;
}

function subject(asked: Asked): RbacSubject {
  const { path = '/', fields = [], from = '10.0.0.9', port = 80, sni = '', peer, open } = asked;
  const certificate = peer ? { uriSans: [peer], dnsSans: ['client.example'], subject: 'CN=client', sha256: '' } : undefined;
  return {
    connection: {
      remoteAddress: { ip: '203.0.113.9', port: 1 },
      directRemoteAddress: { ip: from, port: 1 },
      localAddress: { ip: '10.0.0.1', port },
      serverName: sni,
      tls: peer === undefined ? undefined : { peer: certificate },
    },
    head: asked.noRequest
      ? undefined
      : { method: 'GET', authority: 'a.example', path, scheme: 'http', headers: new HeaderMap([...fields]) },
    metadata: undefined,
    ...(open && { open }),
  };
}

const engine = (action: 'ALLOW' | 'DENY' | 'LOG', policies: JsonObject) =>
  compileRbac(fromJson(RBACSchema, { action, policies }), 'filter');
/** Whether a call is allowed by a policy of this permission or principal alone. */
const permits = (permission: JsonObject, asked: Asked = {}) =>
  engine('ALLOW', { p: { permissions: [permission], principals: [ANY] } }).judge(subject(asked)).allowed;
const isOf = (principal: JsonObject, asked: Asked = {}) =>
  engine('ALLOW', { p: { permissions: [ANY], principals: [principal] } }).judge(subject(asked)).allowed;

const pathIs = (exact: string): JsonObject => ({ url_path: { path: { exact } } });
const range = (address_prefix: string, prefix_len: number): JsonObject => ({ address_prefix, prefix_len });
const header = (name: string, match: JsonObject): JsonObject => ({ header: { name, ...match } });

const PERMISSIONS: readonly (readonly [JsonObject, Asked, boolean])[] = [
  [ANY, {}, true],
  [{ not_rule: ANY }, {}, false],
  [pathIs('/a'), { path: '/a' }, true],
  [pathIs('/a'), { path: '/a?b=c' }, true],
  [pathIs('/a'), { path: '/b' }, false],
  [pathIs('/a'), { noRequest: true }, false],
  [{ and_rules: { rules: [pathIs('/a'), { destination_port: 80 }] } }, { path: '/a' }, true],
  [{ and_rules: { rules: [pathIs('/a'), { destination_port: 81 }] } }, { path: '/a' }, false],
  [{ or_rules: { rules: [pathIs('/a'), { destination_port: 81 }] } }, { path: '/a' }, true],
  [{ or_rules: { rules: [pathIs('/b'), { destination_port: 81 }] } }, { path: '/a' }, false],
  [{ destination_ip: range('10.0.0.0', 24) }, {}, true],
  [{ destination_ip: range('10.0.1.0', 24) }, {}, false],
  [{ destination_port_range: { start: 80, end: 82 } }, { port: 79 }, false],
  [{ destination_port_range: { start: 80, end: 82 } }, { port: 80 }, true],
  [{ destination_port_range: { start: 80, end: 82 } }, { port: 81 }, true],
  [{ destination_port_range: { start: 80, end: 82 } }, { port: 82 }, false],
  [{ requested_server_name: { exact: 'a.example' } }, { sni: 'a.example' }, true],
  [{ requested_server_name: { exact: 'a.example' } }, {}, false],
  [header('x', { present_match: true }), { fields: ['x', '1'] }, true],
  [header('x', { present_match: true }), {}, false],
];

for (const [permission, asked, allowed] of PERMISSIONS) {
  test(`permission ${JSON.stringify(permission)} of ${JSON.stringify(asked)}`, () => assert.equal(permits(permission, asked), allowed));
}

const SPIFFE = 'spiffe://td/ns/default/sa/a';
const authenticated = (exact: string): JsonObject => ({ authenticated: { principal_name: { exact } } });
const PRINCIPALS: readonly (readonly [JsonObject, Asked, boolean])[] = [
  [{ not_id: ANY }, {}, false],
  [{ and_ids: { ids: [ANY, authenticated(SPIFFE)] } }, { peer: SPIFFE }, true],
  [{ and_ids: { ids: [ANY, authenticated(SPIFFE)] } }, { peer: 'spiffe://td/ns/default/sa/b' }, false],
  [{ or_ids: { ids: [{ not_id: ANY }, authenticated(SPIFFE)] } }, { peer: SPIFFE }, true],
  [authenticated('client.example'), { peer: SPIFFE }, true],
  [authenticated('CN=client'), { peer: SPIFFE }, true],
  [authenticated(SPIFFE), {}, false],
  [authenticated(''), {}, false],
  [authenticated(''), { peer: '' }, true],
  [{ authenticated: {} }, { peer: '' }, true],
  [{ authenticated: {} }, {}, false],
  [{ source_ip: range('10.0.0.0', 8) }, {}, true],
  [{ source_ip: range('203.0.113.0', 24) }, {}, false],
  [{ direct_remote_ip: range('10.0.0.9', 32) }, {}, true],
  [{ direct_remote_ip: range('203.0.113.9', 32) }, {}, false],
  [{ remote_ip: range('203.0.113.9', 32) }, {}, true],
  [{ remote_ip: range('10.0.0.9', 32) }, {}, false],
  [{ source_ip: range('10.0.0.0', 8) }, { from: '/run/socket' }, false],
  [header('x', { string_match: { exact: '1' } }), { fields: ['x', '1'] }, true],
  [pathIs('/a'), { path: '/b' }, false],
];

for (const [principal, asked, allowed] of PRINCIPALS) {
  test(`principal ${JSON.stringify(principal)} of ${JSON.stringify(asked)}`, () => assert.equal(isOf(principal, asked), allowed));
}

const policy = (permission: JsonObject): JsonObject => ({ permissions: [permission], principals: [ANY] });

test('a policy takes any of its permissions and any of its principals', () => {
  const both = engine('ALLOW', { p: { permissions: [pathIs('/a'), pathIs('/b')], principals: [{ not_id: ANY }, ANY] } });
  assert.deepEqual(
    ['/a', '/b', '/c'].map((path) => both.judge(subject({ path })).allowed),
    [true, true, false],
  );
  const nobody = engine('ALLOW', { p: { permissions: [ANY], principals: [{ not_id: ANY }] } });
  assert.equal(nobody.judge(subject({})).allowed, false);
});

test('what the action makes of it, and which policy is named: the first by its name', () => {
  const policies = { z: policy(ANY), b: policy(pathIs('/a')), a: policy(pathIs('/b')) };
  const judged = (action: 'ALLOW' | 'DENY' | 'LOG', path: string) => engine(action, policies).judge(subject({ path }));
  assert.deepEqual(engine('ALLOW', policies).policies, ['a', 'b', 'z']);
  assert.deepEqual(judged('ALLOW', '/a'), { allowed: true, policy: 'b', logs: undefined });
  assert.deepEqual(judged('DENY', '/b'), { allowed: false, policy: 'a', logs: undefined });
  assert.deepEqual(judged('LOG', '/c'), { allowed: true, policy: 'z', logs: true });
  const none = (action: 'ALLOW' | 'DENY' | 'LOG') => engine(action, { a: policy(pathIs('/b')) }).judge(subject({ path: '/a' }));
  assert.deepEqual(none('ALLOW'), { allowed: false, policy: '', logs: undefined });
  assert.deepEqual(none('DENY'), { allowed: true, policy: '', logs: undefined });
  assert.deepEqual(none('LOG'), { allowed: true, policy: '', logs: false });
  assert.equal(deniedDetails(none('ALLOW')), 'rbac_access_denied_matched_policy[none]');
  assert.equal(deniedDetails({ ...none('ALLOW'), policy: 'a b' }), 'rbac_access_denied_matched_policy[a_b]');
});

test('of a call that stands for others only what holds for all of them is said', () => {
  const open: OpenCall = { hosts: ['a.example', 'b.example'], peer: true };
  const host = (exact: string) => header(':authority', { string_match: { exact } });
  const ask = (permission: JsonObject, hosts: readonly string[] | undefined = open.hosts) =>
    permits(permission, { open: { peer: false, hosts }, path: '/a' });
  assert.equal(ask(ANY), true);
  assert.equal(ask(pathIs('/a')), undefined, 'others may ask for other paths');
  assert.equal(ask(host('c.example')), false);
  assert.equal(ask(host('a.example')), undefined, 'of one of the hosts alone');
  assert.equal(ask(host('a.example'), ['a.example']), true);
  assert.equal(ask(host('a.example'), undefined), undefined);
  assert.equal(ask(host('a.example'), ['*.other.example']), false);
  assert.equal(ask(host('x.other.example'), ['*.other.example']), undefined);
  assert.equal(ask(header(':method', { present_match: true })), true);
  assert.equal(ask(header('x', { present_match: true })), undefined);
  assert.equal(isOf({ source_ip: range('10.0.0.0', 8) }, { open }), undefined);
  assert.equal(isOf(authenticated(SPIFFE), { open, peer: SPIFFE }), undefined);
  assert.equal(isOf(authenticated(SPIFFE), { open: { ...open, peer: false }, peer: SPIFFE }), true);
});

test('of a denial that is not known, the call is not known either, unless another policy denies it for sure', () => {
  const open: OpenCall = { hosts: undefined, peer: false };
  const judged = (action: 'ALLOW' | 'DENY', policies: JsonObject) => engine(action, policies).judge(subject({ open }));
  const unknown = { a: policy(pathIs('/a')) };
  assert.deepEqual(judged('DENY', unknown), { allowed: undefined, policy: 'a', logs: undefined });
  assert.deepEqual(judged('ALLOW', unknown), { allowed: undefined, policy: 'a', logs: undefined });
  assert.deepEqual(judged('DENY', { ...unknown, b: policy(ANY) }), { allowed: false, policy: 'b', logs: undefined });
  assert.deepEqual(judged('ALLOW', { ...unknown, b: policy(ANY) }), { allowed: true, policy: 'b', logs: undefined });
  assert.equal(judged('DENY', { ...unknown, b: policy({ not_rule: ANY }) }).allowed, undefined);
});

for (const [name, json] of Object.entries<JsonObject>({
  'conditions in CEL': { ...policy(ANY), condition: { const_expr: { bool_value: true } } },
  'a permission that is not known': policy({ matcher: { name: 'x' } }),
  'a principal that is not known': { permissions: [ANY], principals: [{ filter_state: { key: 'x', string_match: { exact: 'x' } } }] },
  'a permission of nothing': policy({}),
}))
  test(`refused, not ignored: ${name}`, () => assert.throws(() => engine('ALLOW', { p: json }), { code: 'xds-unsupported' }));
