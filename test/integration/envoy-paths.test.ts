/**
 * Paths that are written so that a policy and a server may read them differently (overlong UTF-8, escapes, dot segments, backslashes, raw bytes), held to
 * AuthorizationPolicies by a stock Envoy and by the embedded data plane with the same configuration, at each of Istio's levels of path normalization.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { create, type JsonObject, toJson } from '@bufbuild/protobuf';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import type { AuthorizationRule } from '../../src/api/authorization-policy.ts';
import { rbacPolicy } from '../../src/translate/authorization/rule.ts';
import { RBAC_Action, RBACSchema } from '../../src/xds/gen/envoy/config/rbac/v3/rbac_pb.js';
import { typeRegistry } from '../../src/xds/type-registry.ts';
import { dataPlane } from './dataplane/support.ts';
import { startEnvoy } from './envoy-process.ts';

const ENVOY = findEnvoy();

const POLICIES: readonly (readonly [action: 'ALLOW' | 'DENY', ...paths: string[]])[] = [
  ['ALLOW', '/public*'],
  ['ALLOW', '/public/a'],
  ['ALLOW', '*/a'],
  ['ALLOW', '/public/{*}'],
  ['ALLOW', '/public/{**}'],
  ['DENY', '/admin*'],
  ['DENY', '/admin/a'],
  ['DENY', '*/a'],
  ['DENY', '/admin/{*}'],
  ['DENY', '/{**}/a'],
];

/** Between `/public` and `admin/a`: what some server undoes to `/`, `..` or nothing. */
const TRICKS = [
  '/..',
  '/%2e%2e',
  '/.%2E',
  '/%2e%2e%2f',
  '/..%2f',
  '%2f..%2f',
  '/..%5c',
  '/..\\',
  '\\..\\',
  '/..;/',
  '/%2e%2e;/',
  '/..%3b',
  '//..//',
  '/./../',
  '/%252e%252e%252f',
  '/..%252f',
  '/%c0%ae%c0%ae/',
  '/..%c0%af',
  '/..%e0%80%af',
  '/..%f0%80%80%af',
  '/%c0%2e%c0%2e/',
  '/..%c1%9c',
  '/%e0%80%ae%e0%80%ae/',
  '/..%u2215',
  '/..%uff0f',
  '/..%ef%bc%8f',
  '/..%00/',
  '/..%0d%0a/',
  '/..%20/',
  '/..%09/',
  '/..%',
  '/..%2',
  '/..%zz/',
  '/..#/',
  '/..?/',
  '%3f/../',
  '%23/../',
  '/..\xc0\xaf',
  '/\xc0\xae\xc0\xae/',
  '/..\xef\xbc\x8f',
  '/..\x7f/',
  '/..\x01/',
  '/..\t/',
];
const PATHS = [
  ...TRICKS.flatMap((trick) => [`/public${trick}admin/a`, `/public${trick}/admin/a`]),
  ...TRICKS.flatMap((trick) => [`/x${trick}admin/a`, `/admin${trick}`]),
  '/public/a',
  '/public/a/',
  '/public//a',
  '/PUBLIC/a',
  '/admin/a',
  '/%61dmin/a',
  '/admin%2fa',
  '/admin\\a',
  '/admin%5ca',
  '//admin/a',
  '/admin;x/a',
  '/admin/a;x',
  '/admin/a?x',
  '/admin/a%3fx',
  '/admin/a#x',
  '/admin/a%23x',
  '/ADMIN/a',
  '/admin/%61',
  '/a%c0%80dmin/a',
  '/%c1%a1dmin/a',
  '/admin/%c1%a1',
  '/admin/a%00',
  '/admin/a%20',
  '/admin/a.',
  '/admin/./a',
  '/admin/b/../a',
  '/admin/b/%2e%2e/a',
  'admin/a',
  '*',
  'http://h.example/admin/a',
  'http://h.example//admin/a',
  'http://h.example',
  'HTTP://h.example/admin/a',
  'https://h.example/admin/a',
  '/http://h.example/admin/a',
  '/admin\xc3\xa9/a',
  '/%',
];

function listener(level: JsonObject): JsonObject {
  const routes = POLICIES.map(([action, ...paths], index): JsonObject => {
    const rule = { from: [], to: [{ operation: { ...EMPTY, paths } }], when: [] } as unknown as AuthorizationRule;
    const context = { namespace: 'default', trustDomains: ['cluster.local'], tcp: false, widens: action === 'DENY' };
    const policy = rbacPolicy(rule, context)!;
    const rules = toJson(RBACSchema, create(RBACSchema, { action: RBAC_Action[action], policies: { p: policy } }), {
      registry: typeRegistry,
    });
    return {
      match: { prefix: '/', headers: [{ name: 'x-policy', stringMatch: { exact: String(index) } }] },
      directResponse: { status: 200 },
      typedPerFilterConfig: {
        rbac: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute', rbac: { rules } },
      },
    };
  });
  const config = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    statPrefix: 'x',
    delayedCloseTimeout: '0s',
    ...level,
    httpFilters: [
      { name: 'rbac', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC' } },
      { name: 'router', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } },
    ],
    routeConfig: { name: 'rc', virtualHosts: [{ name: 'v', domains: ['*'], routes }] },
  };
  return {
    name: 'l',
    address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
    filterChains: [{ filters: [{ name: 'hcm', typedConfig: config }] }],
  };
}

const EMPTY = Object.fromEntries(
  ['hosts', 'notHosts', 'methods', 'notMethods', 'paths', 'notPaths', 'ports', 'notPorts'].map((name) => [name, []]),
);

/** As translation writes them (`translate/listeners/hcm.ts`). */
const LEVELS: Readonly<Record<string, JsonObject>> = {
  NONE: { normalizePath: false },
  BASE: { normalizePath: true },
  MERGE_SLASHES: { normalizePath: true, mergeSlashes: true },
  DECODE_AND_MERGE_SLASHES: { normalizePath: true, mergeSlashes: true, pathWithEscapedSlashesAction: 'UNESCAPE_AND_FORWARD' },
};

/** The status, 0 where the connection is closed without one. */
async function status(port: number, policy: number, path: string): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(`GET ${path} HTTP/1.1\r\nhost: h.example\r\nx-policy: ${policy}\r\nconnection: close\r\n\r\n`, 'latin1');
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  await once(socket, 'close');
  return Number(Buffer.concat(parts).toString('latin1').slice(9, 12));
}

/** By policy, path and status. */
async function statuses(port: number): Promise<readonly string[]> {
  const all: string[] = [];
  for (const path of PATHS) {
    const each = await Promise.all(POLICIES.map((_, policy) => status(port, policy, path)));
    all.push(`${JSON.stringify(path)} ${each.join(' ')}`);
  }
  return all;
}

describe('paths beside Envoy', { skip: ENVOY ? false : 'there is no Envoy' }, () => {
  for (const [level, settings] of Object.entries(LEVELS))
    test(`policies of paths give each the same answer (${level})`, async (t) => {
      const config = listener(settings);
      const envoy = await startEnvoy(ENVOY!, config);
      t.after(() => envoy.stop());
      const own = await dataPlane(t);
      assert.deepEqual((await own.set({ listeners: [config] })).rejected, []);
      const [expected, given] = [await statuses(envoy.port), await statuses(own.port('l'))];
      // Envoy leaves these to a server that may read them as `..`; we refuse them.
      const stricter = (line: string) => settings.normalizePath === true && /%2e;/i.test(line);
      const refused = (line: string) => line.replaceAll(/ \d{3}/g, ' 400');
      assert.deepEqual(
        given,
        expected.map((line) => (stricter(line) ? refused(line) : line)),
      );
      // Each answer is given: the comparison says something.
      for (const answer of [' 200', ' 403', ' 400'])
        assert.ok(
          expected.some((line) => line.includes(answer)),
          answer,
        );
    });
});
