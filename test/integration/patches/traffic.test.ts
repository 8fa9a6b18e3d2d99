/** Patches of EnvoyFilters, as people write them, in force at a gateway of either engine and in what explain says. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { findEnvoy } from '../../../scripts/fetch-envoy.ts';
import { fromGateway, hostHere } from '../../support/egress-text.ts';
import { freePort, PROGRAM } from '../cli/program.ts';
import { programWorld } from '../program-world.ts';
import { startRateLimitService } from '../rate-limit/service.ts';

const envoy = findEnvoy();
const MANAGER = 'envoy.filters.network.http_connection_manager';
const TYPES = 'type.googleapis.com/envoy.extensions.filters';

const ENGINES = [
  ['embedded', [], false],
  ['envoy', ['--engine', 'envoy', '--envoy', envoy ?? ''], envoy ? false : 'there is no Envoy'],
] as const;

const files = (upstream: number, port: number, patches: string) => `${hostHere('www', 'www.example.com', upstream)}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: here, namespace: default }
spec:
  hosts: [here.example.com]
  addresses: [127.0.0.1]
  resolution: STATIC
  ports: [{ number: ${upstream}, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1 }]${fromGateway('www.example.com', port)}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: patches, namespace: istio-system }
spec:
  configPatches:${patches}
`;

/** A filter of HTTP that goes in at the end, where Envoy's router is: what follows is the filter. */
const beforeRouter = (context: 'GATEWAY' | 'ANY') => `  - applyTo: HTTP_FILTER
    match: { context: ${context}, listener: { filterChain: { filter: { name: ${MANAGER}, subFilter: { name: envoy.filters.http.router } } } } }
    patch:
      operation: INSERT_BEFORE
      value:
`;

/** Settings of the connection manager, a header for one host, a route's timeout, a route that answers by itself, access by RBAC. */
const KNOWN = (port: number) => `
  - applyTo: NETWORK_FILTER
    match: { context: GATEWAY, listener: { portNumber: ${port}, filterChain: { filter: { name: ${MANAGER} } } } }
    patch:
      operation: MERGE
      value:
        typed_config:
          '@type': ${TYPES}.network.http_connection_manager.v3.HttpConnectionManager
          server_name: patched
          server_header_transformation: OVERWRITE
          max_request_headers_kb: 1
  - applyTo: VIRTUAL_HOST
    match: { context: GATEWAY, routeConfiguration: { portNumber: ${port}, vhost: { domainName: www.example.com } } }
    patch: { operation: MERGE, value: { request_headers_to_add: [{ header: { key: x-patched, value: host } }] } }
  - applyTo: HTTP_ROUTE
    match: { context: GATEWAY, routeConfiguration: { vhost: { route: { name: all } } } }
    patch: { operation: MERGE, value: { route: { timeout: 0.2s } } }
  - applyTo: HTTP_ROUTE
    match: { context: GATEWAY }
    patch: { operation: INSERT_FIRST, value: { name: own, match: { path: /teapot }, direct_response: { status: 418 } } }
${beforeRouter('GATEWAY')}        name: own.rbac
        typed_config:
          '@type': ${TYPES}.http.rbac.v3.RBAC
          rules:
            action: DENY
            policies: { secret: { principals: [{ any: true }], permissions: [{ url_path: { path: { prefix: /secret } } }] } }
`;

/** Three requests, and one more each minute; of one route another number. */
const LIMIT = () => `
${beforeRouter('GATEWAY')}        name: envoy.filters.http.local_ratelimit
        typed_config:
          '@type': type.googleapis.com/udpa.type.v1.TypedStruct
          type_url: ${TYPES}.http.local_ratelimit.v3.LocalRateLimit
          value:
            stat_prefix: limit
            token_bucket: { max_tokens: 3, tokens_per_fill: 1, fill_interval: 60s }
            filter_enabled: { default_value: { numerator: 100 } }
            filter_enforced: { default_value: { numerator: 100 } }
            response_headers_to_add: [{ header: { key: x-limited, value: 'yes' } }]
  - applyTo: HTTP_ROUTE
    match: { context: GATEWAY }
    patch:
      operation: INSERT_FIRST
      value:
        name: once
        match: { path: /once }
        direct_response: { status: 200 }
        typed_per_filter_config:
          envoy.filters.http.local_ratelimit:
            '@type': ${TYPES}.http.local_ratelimit.v3.LocalRateLimit
            stat_prefix: limit
            status: { code: 503 }
            token_bucket: { max_tokens: 1, fill_interval: 60s }
            filter_enabled: { default_value: { numerator: 100 } }
            filter_enforced: { default_value: { numerator: 100 } }
`;

/** A service says what is too much, by the path and by what a route adds; on one route by something else. */
const SERVICE = (service: number) => `
  - applyTo: CLUSTER
    match: { context: GATEWAY }
    patch:
      operation: ADD
      value:
        name: limits
        type: STATIC
        connect_timeout: 5s
        http2_protocol_options: {}
        load_assignment:
          cluster_name: limits
          endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${service} } } } }] }]
${beforeRouter('GATEWAY')}        name: envoy.filters.http.ratelimit
        typed_config:
          '@type': ${TYPES}.http.ratelimit.v3.RateLimit
          domain: shop
          timeout: 10s
          failure_mode_deny: true
          enable_x_ratelimit_headers: DRAFT_VERSION_03
          rate_limit_service: { grpc_service: { envoy_grpc: { cluster_name: limits } }, transport_api_version: V3 }
  - applyTo: VIRTUAL_HOST
    match: { context: GATEWAY }
    patch:
      operation: MERGE
      value: { rate_limits: [{ actions: [{ request_headers: { header_name: ':path', descriptor_key: PATH } }] }] }
  - applyTo: HTTP_ROUTE
    match: { context: GATEWAY, routeConfiguration: { vhost: { route: { name: all } } } }
    patch:
      operation: MERGE
      value: { route: { include_vh_rate_limits: true, rate_limits: [{ actions: [{ generic_key: { descriptor_value: all } }] }] } }
`;

const COMPRESSOR = `
${beforeRouter('GATEWAY')}        name: envoy.filters.http.compressor
        typed_config:
          '@type': ${TYPES}.http.compressor.v3.Compressor
          response_direction_config: { common_config: { min_content_length: 10, content_type: [application/json] }, remove_accept_encoding_header: true }
          compressor_library:
            name: text_optimized
            typed_config: { '@type': type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip, memory_level: 3, window_bits: 10 }
`;

const LUA = `
${beforeRouter('ANY')}        name: envoy.filters.http.lua
        typed_config:
          '@type': ${TYPES}.http.lua.v3.Lua
          default_source_code: { inline_string: "function envoy_on_request(r) r:respond({[':status'] = '418'}, 'lua') end" }
`;

interface Answered {
  readonly status: number;
  readonly server: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function world(t: TestContext, engine: readonly string[], patches: (port: number) => string) {
  const { folder, upstream, run } = await programWorld(t, 'patches', (incoming, response) => {
    // Nobody waits for it.
    if (incoming.url === '/slow') return;
    response.setHeader('content-type', 'application/json').end(JSON.stringify(incoming.headers));
  });
  const [port, admin, proxy, file] = [await freePort(), await freePort(), await freePort(), join(folder, 'mesh.yaml')];
  writeFileSync(file, files(upstream, port, patches(port)));
  const address = `127.${20 + (process.pid % 200)}.77.1`;
  const places = [
    '--proxy-address',
    `127.0.0.1:${proxy}`,
    '--admin-address',
    `127.0.0.1:${admin}`,
    '--dns-address',
    '0',
    '--status-address',
    '0',
  ];
  const up = run('up', file, '--router-address', address, '--grace', '0s', ...places, ...engine);
  const ask = (at: { readonly host: string; readonly port: number }, path: string, headers: Record<string, string>) =>
    new Promise<Answered>((resolve, reject) => {
      const sent = request({ ...at, path, agent: false, headers: { host: 'www.example.com', ...headers } }, (response) => {
        let body = '';
        response.setEncoding('latin1').on('data', (text) => {
          body += text;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, server: String(response.headers.server), headers: response.headers, body }),
        );
      });
      sent.on('error', reject).end();
    });
  const explain = (path: string) =>
    spawnSync(
      process.execPath,
      [PROGRAM, 'explain', '-f', file, '--from', 'istio-system/istio-egressgateway', `http://www.example.com:${port}${path}`],
      { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } },
    ).stdout;
  return {
    up,
    explain,
    /** At the gateway. */
    call: (path: string, headers: Record<string, string> = {}) => ask({ host: address, port }, path, headers),
    /** At the sidecar, as an explicit proxy. */
    callSidecar: () => ask({ host: '127.0.0.1', port: proxy }, `http://127.0.0.1:${upstream}/`, { host: `127.0.0.1:${upstream}` }),
  };
}

for (const [name, engine, skip] of ENGINES) {
  test(`settings, headers, routes and filters that both engines have (${name})`, { skip }, async (t) => {
    const { up, call, explain } = await world(t, engine, KNOWN);
    await up.says(/: ready/);
    const fine = await call('/');
    assert.equal(fine.status, 200);
    assert.equal(fine.server, 'patched');
    assert.equal(JSON.parse(fine.body)['x-patched'], 'host');
    assert.equal((await call('/teapot')).status, 418);
    assert.equal((await call('/secret/x')).status, 403);
    assert.equal((await call('/slow')).status, 504);
    assert.equal((await call('/', { 'x-large': 'x'.repeat(2000) })).status, 431);
    assert.match(explain('/'), /route +all: .*EnvoyFilter istio-system\/patches/);
    assert.match(explain('/'), /policy +timeout 200ms/);
    assert.match(explain('/teapot'), /answers? .*418/);
    assert.match(explain('/secret/x'), /403/);
  });

  test(`a local rate limit, and another one on a route (${name})`, { skip }, async (t) => {
    const { up, call, explain } = await world(t, engine, LIMIT);
    await up.says(/: ready/);
    const many = async (path: string, times: number) => {
      const all: Answered[] = [];
      for (let i = 0; i < times; i++) all.push(await call(path));
      return all;
    };
    const answers = await many('/', 5);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 429, 429],
    );
    const last = answers.at(-1)!;
    assert.equal(last.body, 'local_rate_limited');
    assert.deepEqual(Object.keys(last.headers).sort(), ['connection', 'content-length', 'content-type', 'date', 'server', 'x-limited']);
    assert.deepEqual(
      (await many('/once', 2)).map(({ status }) => status),
      [200, 503],
    );
    assert.match(explain('/'), /a limit answers 429 beyond 3 requests, and one more each 60s/);
  });
}

for (const [name, engine, skip] of ENGINES)
  test(`compressed responses (${name})`, { skip }, async (t) => {
    const { up, call, explain } = await world(t, engine, () => COMPRESSOR);
    await up.says(/: ready/);
    const { headers, body } = await call('/', { 'accept-encoding': 'gzip' });
    assert.equal(headers['content-encoding'], 'gzip');
    assert.equal(headers.vary, 'Accept-Encoding');
    assert.equal(JSON.parse(gunzipSync(Buffer.from(body, 'latin1')).toString())['accept-encoding'], undefined);
    assert.equal((await call('/')).headers['content-encoding'], undefined);
    assert.doesNotMatch(explain('/'), /not simulated/);
  });

for (const [name, engine, skip] of ENGINES)
  test(`a global rate limit (${name})`, { skip }, async (t) => {
    const service = await startRateLimitService();
    t.after(() => service.stop());
    service.answers = ({ descriptors }) =>
      descriptors.some(({ entries }) => entries.some(({ value }) => value === '/much'))
        ? { overallCode: 2, statuses: [{ code: 2, currentLimit: { requestsPerUnit: 1, unit: 2 }, limitRemaining: 0 }] }
        : { overallCode: 1 };
    const { up, call, explain } = await world(t, engine, () => SERVICE(service.port));
    await up.says(/: ready/);
    assert.equal((await call('/little')).status, 200);
    const { status, headers } = await call('/much');
    assert.equal(status, 429);
    assert.equal(headers['x-envoy-ratelimited'], 'true');
    assert.equal(headers['x-ratelimit-limit'], '1, 1;w=60');
    assert.deepEqual(service.asked, ['shop: generic_key=all; PATH=/little', 'shop: generic_key=all; PATH=/much']);
    assert.match(explain('/much'), /a limit of domain shop answers 429 to what the rate limit service limits says is too much/);
    service.stop();
    assert.equal((await call('/little')).status, 500);
  });

test('a filter that Envoy alone has answers there', { skip: ENGINES[1][2] }, async (t) => {
  const { up, call } = await world(t, ENGINES[1][1], () => LUA);
  await up.says(/: ready/);
  assert.deepEqual(await call('/').then(({ status, body }) => [status, body]), [418, 'lua']);
});

test('the embedded data plane refuses what has such a filter, says which, and lets nothing past it', async (t) => {
  const { up, call, callSidecar, explain } = await world(t, ENGINES[0][1], () => LUA);
  await up.says(/envoy\.extensions\.filters\.http\.lua\.v3\.Lua is not supported/);
  await up.says(/: ready/);
  await assert.rejects(call('/'));
  // Not even where what is not declared may go anywhere.
  await assert.rejects(callSidecar(), { code: 'ECONNRESET' });
  assert.match(explain('/'), /envoy\.filters\.http\.lua \(.*\) is not simulated/);
});

test('so it does where a filter that it has is configured in a way that it does not know', async (t) => {
  const typed = `{ '@type': ${TYPES}.http.rbac.v3.RBAC, newer_field: {} }`;
  const { up, call } = await world(
    t,
    ENGINES[0][1],
    () => `
  - { applyTo: HTTP_FILTER, match: { context: GATEWAY }, patch: { operation: INSERT_FIRST, value: { name: own.rbac, typed_config: ${typed} } } }`,
  );
  await up.says(/filter "own\.rbac": .*newer_field/);
  await up.says(/: ready/);
  await assert.rejects(call('/'));
});

test('without one the same call goes through', async (t) => {
  const { up, callSidecar } = await world(t, ENGINES[0][1], () => ' []');
  await up.says(/: ready/);
  assert.equal((await callSidecar()).status, 200);
});
