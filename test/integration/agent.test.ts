/** `sallyport agent` and stock Envoys: identities from the CA service, renewal and rotation under calls, and what is refused. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { newAuthorityFiles } from '../../src/ca/authority.ts';
import type { Flow } from '../../src/flows/flow.ts';
import type { Redacted } from '../../src/lib/redacted.ts';
import { agentWorld, call, callAllTheTime } from './agent-world.ts';
import { freePort } from './cli/program.ts';
import { until } from './controller-world.ts';

const envoy = findEnvoy();
const skip = envoy === undefined && 'no Envoy here: set ENVOY';

/** A controller, and both gateways ready. */
async function started(t: TestContext, ...options: string[]) {
  const place = await agentWorld(t);
  const controller = await place.control();
  for (const name of ['front', 'back']) place.token(name);
  const front = await place.agent(envoy!, 'front', ...options);
  const back = await place.agent(envoy!, 'back', ...options);
  for (const { program } of [front, back]) await program.says(/: ready/);
  const answer = await until(async () => {
    const given = await call(place.front);
    return given.status === 200 && given;
  });
  return { ...place, controller, front, back, port: place.front, answer };
}

test('two Envoys speak mutual TLS by certificates of the CA service, which are renewed under calls', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const { front, back, port, answer, write } = await started(t, '--ttl', '6s');
  assert.match(answer.from, /URI=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/front/);
  const stop = callAllTheTime(port);
  for (const { program } of [front, back]) await program.says(/(renewed the certificate[\s\S]*){2}/);
  write('2');
  await until(async () => (await call(port)).version === '2');
  const { failed, count } = await stop();
  assert.deepEqual(failed, []);
  assert.ok(count > 20);
});

test('the calls of an Envoy with an agent can be watched', { skip, timeout: 120_000 }, async (t) => {
  const { front, back, run, port } = await started(t, '--flows');
  const flows = await Promise.all(
    [front, back].map(async ({ program }) => {
      const watching = run('flows', '--run', String(program.child.pid), '-o', 'json');
      await watching.says(/watching sallyport agent/);
      return watching;
    }),
  );
  assert.equal((await call(port)).status, 200);
  const [first, second] = await Promise.all(
    flows.map(async (watching) => {
      const [line] = await watching.says(/^.*"kind":"end".*\n/m, 'output');
      return JSON.parse(line) as Flow;
    }),
  );
  assert.deepEqual(
    [first?.proxy, first?.role, first?.host, first?.verdict, first?.status],
    ['shop/front-1', 'router', 'www.example.com', 'allowed', 200],
  );
  assert.match(first?.origins?.map(({ kind }) => kind).join() ?? '', /VirtualService/);
  assert.equal(second?.workload, 'spiffe://cluster.local/ns/shop/sa/front');
});

test('calls go on without a controller, which is found again', { skip, timeout: 120_000 }, async (t) => {
  const { front, back, port, controller, control, write } = await started(t);
  const stop = callAllTheTime(port);
  controller.child.kill('SIGKILL');
  await controller.exit;
  await front.program.says(/cannot be had/);
  await control();
  await front.program.says(/is back/);
  write('2');
  await until(async () => (await call(port)).version === '2');
  assert.deepEqual((await stop()).failed, []);
  const ended = await Promise.all([front.program.end(), back.program.end()]);
  assert.deepEqual(ended, [0, 0]);
});

test('the agent says when Envoy is ready, drains it, and gives the metrics of both it and the application', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const app = createServer((_request, answer) => answer.end('app_requests_total 5\n')).listen(0, '127.0.0.1');
  await once(app, 'listening');
  t.after(() => app.close());
  const place = await agentWorld(t);
  await place.control();
  place.token('front');
  const { program, status, metrics } = await place.agent(
    envoy!,
    'front',
    '--app-metrics',
    `http://127.0.0.1:${(app.address() as AddressInfo).port}/`,
  );
  const readiness = async () => (await fetch(`http://127.0.0.1:${status}/healthz/ready`)).status;
  await program.says(/: ready/);
  assert.equal(await readiness(), 200);
  const text = await (await fetch(`http://127.0.0.1:${metrics}/stats/prometheus`)).text();
  for (const one of [/^app_requests_total 5$/m, /^envoy_server_live\S* 1$/m, /^sallyport_agent_certificate_expiry_timestamp_seconds \d+$/m])
    assert.match(text, one);
  program.child.kill('SIGTERM');
  await program.says(/draining/);
  await until(async () => (await readiness()) === 503);
  // Whoever has not heard of it is still served, and hears of it.
  const kept = new Agent({ keepAlive: true });
  const [answer] = (await once(get({ host: '127.0.0.1', port: place.front, agent: kept }), 'response')) as [IncomingMessage];
  kept.destroy();
  assert.deepEqual([answer.statusCode, answer.headers.connection], [503, 'close']);
  assert.equal(await program.exit, 0);
});

test('an Envoy with an agent has Istio’s metrics, and Telemetry changes them', { skip, timeout: 120_000 }, async (t) => {
  const { front, back, port, write, telemetry } = await started(t);
  const metricsOf = async ({ metrics }: { readonly metrics: number }) =>
    (await fetch(`http://127.0.0.1:${metrics}/stats/prometheus`)).text();
  const calls = (text: string) => text.split('\n').filter((line) => line.startsWith('istio_requests_total{'));
  const text = await until(async () => {
    const given = await metricsOf(front);
    return calls(given).some((line) => line.includes('response_code="200"')) && given;
  });
  const of = (line: string) => new Map([...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label!, value!]));
  const labels = of(calls(text).find((line) => line.includes('response_code="200"'))!);
  assert.deepEqual(
    [
      'reporter',
      'source_workload',
      'source_workload_namespace',
      'destination_service',
      'destination_service_name',
      'request_protocol',
      'response_flags',
    ].map((label) => labels.get(label)),
    ['source', 'front', 'shop', 'back.example.com', 'back.example.com', 'http', '-'],
  );
  assert.match(text, /^# TYPE istio_request_duration_milliseconds histogram$/m);
  assert.match(text, /^istio_request_bytes_count\{reporter="source",.*\} \d+$/m);
  assert.doesNotMatch(text, /envoy_istio/);

  // A host that nobody declared is no label.
  await fetch(`http://127.0.0.1:${port}/`, { headers: { host: 'made-up.example' } }).catch(() => undefined);
  assert.doesNotMatch(await metricsOf(front), /made-up/);

  telemetry(`{ metrics: [{ providers: [{ name: prometheus }], overrides: [
    { match: { metric: REQUEST_SIZE }, disabled: true },
    { match: { metric: REQUEST_COUNT }, tagOverrides: { source_app: { operation: REMOVE }, team: { value: "'red'" }, method: { value: request.method } } }] }] }`);
  write('2');
  await until(async () => (await call(port)).version === '2');
  const changed = await until(async () => {
    await call(port);
    const line = calls(await metricsOf(back)).find((each) => each.includes('team="red"'));
    return line !== undefined && of(line);
  });
  assert.equal(changed.get('method'), 'GET');
  assert.equal(changed.has('source_app'), false);
});

test('without a token that is taken there is no Envoy, and the reason is said', { skip, timeout: 120_000 }, async (t) => {
  const place = await agentWorld(t);
  const controller = await place.control();
  place.token('front', { audience: 'vault' });
  const front = await place.agent(envoy!, 'front');
  await front.program.says(
    /gives no certificate \(the token is refused: it is not for the audience "istio-ca"\): trying again; Envoy starts when/,
  );
  await controller.says(/a client at 127\.0\.0\.1:\d+ is refused: the token is refused: it is not for the audience/);
  assert.equal((await fetch(`http://127.0.0.1:${front.status}/healthz/ready`)).status, 503);
  // The file is read again each time.
  place.token('front');
  await front.program.says(/got the certificate/);
  await front.program.says(/: ready/);

  // A token of another workload gives that one's identity, by which nobody may be this one.
  place.token('other');
  const other = await place.agent(envoy!, 'other', '--service-account', 'back');
  await other.program.says(
    /cannot be had \(the client proved that it is spiffe:\/\/cluster\.local\/ns\/shop\/sa\/other, but its node claims to be .*\/back\)/,
  );
});

test('a root is replaced under calls, with both trusted for a while, and no call fails', { skip, timeout: 180_000 }, async (t) => {
  const { front, back, port, ca, controllerStatus, xdsTls } = await started(t, '--ttl', '12s');
  const [old, next] = [readFileSync(join(ca, 'root-cert.pem'), 'utf8'), newAuthorityFiles('cluster.local', Date.now())];
  const reload = async () => assert.equal((await fetch(`http://127.0.0.1:${controllerStatus}/reload`, { method: 'POST' })).status, 200);
  const leafAt = () =>
    new Promise<X509Certificate | undefined>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: xdsTls, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
      const socket = connect(options, () => {
        resolve(socket.getPeerX509Certificate());
        socket.destroy();
      });
      socket.on('error', reject);
    });
  const signedBy = async (root: string) => (await leafAt())?.verify(new X509Certificate(root).publicKey) ?? false;
  const stop = callAllTheTime(port);

  writeFileSync(join(ca, 'root-cert.pem'), old + next['root-cert.pem']);
  await reload();
  for (const name of ['ca-cert.pem', 'ca-key.pem', 'cert-chain.pem'] as const) writeFileSync(join(ca, name), textOf(next[name]));
  // Files that change are followed; the new key signs once the root is known everywhere.
  await until(() => signedBy(next['root-cert.pem']));
  for (const { program } of [front, back]) {
    const seen = program.errors.length;
    await until(async () => /renewed the certificate/.test(program.errors.slice(seen)));
  }
  writeFileSync(join(ca, 'root-cert.pem'), next['root-cert.pem']);
  await reload();
  for (const { program } of [front, back]) {
    const seen = program.errors.length;
    await until(async () => /renewed the certificate/.test(program.errors.slice(seen)));
  }
  const { failed } = await stop();
  assert.deepEqual(failed, []);
  assert.equal((await call(port)).status, 200);
});

const textOf = (content: string | Redacted) => (typeof content === 'string' ? content : content.revealText());

test('the application has the names of the mesh from the agent', { skip, timeout: 120_000 }, async (t) => {
  const place = await agentWorld(t);
  await place.control();
  place.token('front');
  const port = await freePort();
  const { program } = await place.agent(envoy!, 'front', '--dns-address', String(port));
  await program.says(/: ready/);
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${port}`]);
  assert.match((await resolver.resolve4('www.example.com'))[0]!, /^240\.240\./);
  await assert.rejects(resolver.resolve4('other.example.com'), { code: 'ENOTFOUND' });
});
