/**
 * AuthorizationPolicies as a stock Envoy judges what they are translated to, beside our own engine, over generated pairs of a policy and a request. Envoy is
 * the one that `scripts/fetch-envoy.ts` finds (SALLYPORT_ENVOY, PATH or its cache). SALLYPORT_RBAC_PAIRS says how many pairs, SALLYPORT_RBAC_SEED which.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { create, type JsonObject, toJson } from '@bufbuild/protobuf';
import fc, { type Arbitrary } from 'fast-check';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import type { AuthorizationRule } from '../../src/api/authorization-policy.ts';
import { SEEN } from '../../src/http/fields.ts';
import { Head } from '../../src/http/head.ts';
import { HeaderMap } from '../../src/http/header-map.ts';
import { readOptions } from '../../src/http/options.ts';
import { prepareRequest } from '../../src/http/prepare.ts';
import { compileRbac, deniedDetails, type RbacEngine } from '../../src/http/rbac/engine.ts';
import { rbacPolicy } from '../../src/translate/authorization/rule.ts';
import { type RBAC, RBAC_Action, RBACSchema } from '../../src/xds/gen/envoy/config/rbac/v3/rbac_pb.js';
import { HttpConnectionManagerSchema } from '../../src/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { policyName } from '../../src/xds/policy-names.ts';
import { typeRegistry } from '../../src/xds/type-registry.ts';
import { type RunningEnvoy, startEnvoy } from './envoy-process.ts';

const ENVOY = findEnvoy();
const PAIRS = Number(process.env.SALLYPORT_RBAC_PAIRS ?? 2000);
const POLICIES = Math.ceil(PAIRS / 50);
const SEED = Number(process.env.SALLYPORT_RBAC_SEED ?? 7);

const list = <T>(value: Arbitrary<T>, odds = 3) =>
  fc.oneof({ arbitrary: fc.constant<T[]>([]), weight: odds }, { arbitrary: fc.array(value, { minLength: 1, maxLength: 3 }), weight: 2 });
const from = (...values: string[]) => fc.constantFrom(...values);

const HOSTS = from('a.example', 'A.example', '*.example', 'a.*', '*', 'b.example', 'a.example:81');
const METHODS = from('GET', 'P*', '*T', '*', 'get');
const PATHS = from('/', '/a', '/a/b', '/a*', '*/b', '*', '/{*}', '/a/{*}', '/{**}', '/a/{**}', '/{*}/b', '/a/{**}/c');
const BLOCKS = from('127.0.0.1', '127.0.0.0/8', '10.0.0.0/8', '::1', '::/0', '192.0.2.7', '0.0.0.0/0');
const PORTS = from('80', '8080', '1');
const VALUES = from('one', 'o*', '*e', '*', 'a.c', 'one,two', '(', 'tw+o');

const operation = fc.record({
  hosts: list(HOSTS),
  notHosts: list(HOSTS, 8),
  methods: list(METHODS),
  notMethods: list(METHODS, 8),
  paths: list(PATHS),
  notPaths: list(PATHS, 8),
  ports: list(PORTS, 10),
  notPorts: list(PORTS, 10),
});
const source = fc
  .record({ ipBlocks: list(BLOCKS), notIpBlocks: list(BLOCKS, 8), remoteIpBlocks: list(BLOCKS), notRemoteIpBlocks: list(BLOCKS, 8) })
  .map((blocks) => ({
    ...Object.fromEntries(
      ['principals', 'requestPrincipals', 'namespaces', 'serviceAccounts', 'trustDomains'].flatMap((name) => [
        [name, []],
        [`not${name[0]!.toUpperCase()}${name.slice(1)}`, []],
      ]),
    ),
    ...blocks,
  }));
const condition = fc.record({
  key: from('request.headers[x-a]', 'request.headers[X-B]', 'request.headers[:path]', 'request.headers[host]'),
  values: list(VALUES, 1),
  notValues: list(VALUES, 4),
});
const rule = fc.record({
  from: fc.array(fc.record({ source }), { maxLength: 2 }),
  to: fc.array(fc.record({ operation }), { maxLength: 2 }),
  when: fc.array(condition, { maxLength: 2 }),
}) as unknown as Arbitrary<AuthorizationRule>;

const policies: readonly RBAC[] = fc
  .sample(fc.record({ action: fc.constantFrom(RBAC_Action.ALLOW, RBAC_Action.DENY), rules: fc.array(rule, { maxLength: 3 }) }), {
    numRuns: POLICIES,
    seed: SEED,
  })
  .map(({ action, rules }) => {
    const context = { namespace: 'default', trustDomains: ['cluster.local'], tcp: false, widens: action === RBAC_Action.DENY };
    const made = rules.flatMap((each, index) => {
      const policy = rbacPolicy(each, context);
      return policy ? [[policyName('default', 'p', index), policy] as const] : [];
    });
    return create(RBACSchema, { action, policies: Object.fromEntries(made) });
  });

interface Request {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: readonly (readonly [string, string])[];
}

const request: Arbitrary<Request> = fc.record({
  method: from('GET', 'POST', 'PUT', 'DELETE'),
  path: from(
    '/',
    '/a',
    '/A',
    '/a/',
    '/a/b',
    '/a/b?q=/x',
    '/b',
    '/a/x/c',
    '/a/x/y/c',
    '/a/x1',
    '/a/%20',
    '/a/b=c',
    '/a/*',
    '/a/[',
    '//',
    '/a//c',
  ),
  host: from('a.example', 'A.EXAMPLE', 'b.example', 'a.example:81', 'x.a.example', 'a.', 'c'),
  headers: fc.array(
    fc.tuple(
      from('x-a', 'x-b', 'x-forwarded-for'),
      from('one', 'two', 'one,two', 'two,one', 'two, one', 'xone', 'a.c', 'abc', '10.1.2.3', '(', ''),
    ),
    { maxLength: 4 },
  ),
});

const OPTIONS = readOptions(
  create(HttpConnectionManagerSchema, { useRemoteAddress: false, routeSpecifier: { case: 'routeConfig', value: {} } }),
);
const HCM = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTE_RBAC = 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute';

function listener(): JsonObject {
  const routes = policies.map((rules, index): JsonObject => {
    const rbac = { rules: toJson(RBACSchema, rules, { registry: typeRegistry }) };
    return {
      match: { prefix: '/', headers: [{ name: 'x-policy', stringMatch: { exact: String(index) } }] },
      directResponse: { status: 200 },
      typedPerFilterConfig: { rbac: { '@type': ROUTE_RBAC, rbac } },
    };
  });
  const config = {
    '@type': HCM,
    statPrefix: 'x',
    useRemoteAddress: false,
    delayedCloseTimeout: '0s',
    localReplyConfig: { bodyFormat: { textFormatSource: { inlineString: '%RESPONSE_CODE_DETAILS%' } } },
    httpFilters: [
      { name: 'rbac', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC' } },
      { name: 'router', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } },
    ],
    routeConfig: {
      name: 'rc',
      virtualHosts: [{ name: 'v', domains: ['*'], routes }],
    },
  };
  return {
    name: 'l',
    address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
    filterChains: [{ filters: [{ name: 'hcm', typedConfig: config }] }],
  };
}

/** `STATUS DETAILS` */
async function answer(port: number, policy: number, { method, path, host, headers }: Request): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `host: ${host}`,
    `x-policy: ${policy}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  socket.write(`${[...lines, 'connection: close'].join('\r\n')}\r\n\r\n`);
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  await once(socket, 'close');
  const text = Buffer.concat(parts).toString('latin1');
  return `${text.slice(9, 12)} ${text.slice(text.indexOf('\r\n\r\n') + 4)}`;
}

function about(rules: RBAC, each: Request): string {
  return `${JSON.stringify(each)}\n${JSON.stringify(toJson(RBACSchema, rules, { registry: typeRegistry }))}`;
}

describe('AuthorizationPolicies beside Envoy', { skip: ENVOY ? false : 'there is no Envoy' }, () => {
  const engines = policies.map((rules) => compileRbac(rules, 'test'));
  let envoy: RunningEnvoy;
  before(async () => {
    envoy = await startEnvoy(ENVOY!, listener());
  });
  after(() => envoy.stop());

  test(`each of ${PAIRS} requests is allowed or refused by the same policy (seed ${SEED})`, async () => {
    const requests = fc.sample(request, { numRuns: PAIRS, seed: SEED }).map((each, index) => [index % policies.length, each] as const);
    const seen = new Map<string, number>();
    for (let start = 0; start < requests.length; start += 50) {
      const batch = requests.slice(start, start + 50);
      const given = await Promise.all(batch.map(([policy, each]) => answer(envoy.port, policy, each)));
      for (const [index, [policy, each]] of batch.entries()) {
        const expected = own(engines[policy]!, each);
        if (given[index] !== expected) assert.equal(given[index], expected, about(policies[policy]!, each));
        const kind = given[index]!.slice(0, 3);
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
      }
    }
    // Neither answer is rare: the comparison says something.
    assert.ok([...seen.values()].filter((count) => count > PAIRS / 10).length === 2, JSON.stringify([...seen]));
  });

  function own(engine: RbacEngine, { method, path, host, headers }: Request): string {
    const map = new HeaderMap();
    for (const [name, value] of headers) map.append(name, value);
    const seen = map.has('x-forwarded-for') ? SEEN.forwardedFor : 0;
    const head = new Head('HTTP/1.1', method, host, path, 'http', map, seen, '', false, 0, undefined);
    const socket = { remoteAddress: { ip: '127.0.0.1', port: 0 }, localAddress: { ip: '127.0.0.1', port: envoy.port }, tls: undefined };
    prepareRequest(head, socket, OPTIONS, () => 0);
    const remoteAddress = head.client ?? socket.remoteAddress;
    const connection = { ...socket, remoteAddress, directRemoteAddress: socket.remoteAddress, serverName: '' };
    const verdict = engine.judge({ connection, head, metadata: undefined });
    return verdict.allowed ? '200 direct_response' : `403 ${deniedDetails(verdict)}`;
  }
});
