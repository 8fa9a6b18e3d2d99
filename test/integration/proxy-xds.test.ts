/** `sallyport proxy --xds` at a `sallyport controller`: calls, changes, a controller that is killed and comes back, and mutual TLS. */
import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLocalToken } from '../../src/ca/local-tokens.ts';
import { freePort, PROGRAM, Program } from './cli/program.ts';
import { call, mutualWorld, until, world } from './controller-world.ts';

/** Passes connections on to a port of this machine, and counts what comes back from there. */
async function relay(t: TestContext, to: number) {
  let bytes = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const target = connect(to, '127.0.0.1');
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const) {
      open.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
    target.on('data', ({ length }) => {
      bytes += length;
    });
    client.pipe(target);
    target.pipe(client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return {
    port: (server.address() as AddressInfo).port,
    /** Since it was asked last. */
    take: () => {
      const taken = bytes;
      bytes = 0;
      return taken;
    },
  };
}

const WHO = ['--role', 'router', '--workload', 'shop/egress-1', '--label', 'app=egress', '--concurrency', '1'];

for (const protocol of ['delta', 'sotw']) {
  test(`a proxy runs what the control plane says, follows it, and outlives it (${protocol})`, { timeout: 120_000 }, async (t) => {
    const place = await world(t);
    const between = await relay(t, place.xds);
    const admin = await freePort();
    place.write('1');
    const from = ['--xds', String(between.port), '--xds-protocol', protocol, '--admin-address', String(admin)];
    const proxy = place.run('proxy', ...from, ...WHO);
    await proxy.says(/the control plane at 127\.0\.0\.1:\d+ cannot be had \(.*\): trying again\n/);
    const first = await place.control();
    await proxy.says(/: ready/);
    assert.equal(await call(place.gateway), '1');
    const { code, streams } = await place.states();
    assert.deepEqual([code, streams.map(({ proxy, protocol }) => `${proxy} ${protocol}`)], [0, [`egress-1.shop ${protocol}`]]);
    const whole = between.take();

    place.write('2');
    await until(async () => (await call(place.gateway)) === '2');

    // The port of the admin server is taken: the listener is refused, and the rest stays as it is.
    place.write('3', admin);
    const [said] = await first.says(/SP0017.*\n(?:.*\n)*?.*would not take .*\n/);
    assert.match(said, /Gateway shop\/egress/);
    assert.match(said, new RegExp(`router shop/egress-1 would not take listener 0.0.0.0_${admin}: .*already in use`));
    assert.equal((await place.states()).streams[0]!.xds.LDS!.state, 'NACK');
    await until(async () => (await call(place.gateway)) === '3');
    place.write('4');
    await until(async () => (await place.states()).streams[0]?.xds.LDS?.state === 'SYNCED');
    await until(async () => (await call(place.gateway)) === '4');

    first.child.kill('SIGKILL');
    await first.exit;
    await proxy.says(/cannot be had \(.*\): trying again; what is in force stays\n/);
    for (let i = 0; i < 50; i += 1) assert.equal(await call(place.gateway), '4');
    between.take();
    const { length } = proxy.errors;
    const second = await place.control();
    while (!/is back\n/.test(proxy.errors.slice(length))) await once(proxy.child.stderr!, 'data');
    const back = await place.states();
    assert.deepEqual(
      ['CDS', 'EDS', 'LDS', 'RDS', 'NDS'].map((type) => back.streams[0]!.xds[type]!.state),
      ['SYNCED', 'SYNCED', 'SYNCED', 'SYNCED', 'SYNCED'],
    );
    const again = between.take();
    assert.ok(again < 500 && whole > 3000, `${again} bytes came where the whole configuration was ${whole}`);
    place.write('5');
    await until(async () => (await call(place.gateway)) === '5');
    assert.equal(await second.end(), 0);
    assert.equal(await call(place.gateway), '5');
    assert.equal(await proxy.end(), 0);
  });
}

test('over mutual TLS a proxy gets the identity by which it serves mutual TLS itself', { timeout: 120_000 }, async (t) => {
  const place = await mutualWorld(t);
  const run = (proof: ReturnType<typeof place.proofOf>) =>
    place.run(
      ...['proxy', '--xds', `127.0.0.1:${place.xdsTls}`, '--admin-address', '0', ...WHO],
      ...['--xds-ca', proof.ca, '--xds-cert', proof.own.certificate, '--xds-key', proof.own.key],
    );
  const other = run(place.proofOf('other'));
  await other.says(/cannot be had \(the client proved that it is spiffe:\/\/cluster\.local\/ns\/shop\/sa\/other, but .*\): trying again/);
  await other.end();
  const proxy = run(place.proofOf('default'));
  await proxy.says(/: ready/);
  assert.equal(await place.identityBehind(place.second), 'URI:spiffe://cluster.local/ns/shop/sa/default');
  assert.equal((await place.states()).streams[0]!.xds.SDS!.state, 'SYNCED');
});

test('a token does in place of a certificate, and whoever waits is told of readiness', { timeout: 120_000 }, async (t) => {
  const place = await mutualWorld(t);
  const ca = join(place.folder, 'ca');
  const { ca: trusted } = place.proofOf('default');
  const status = `127.0.0.1:${await freePort()}`;
  const token = join(place.folder, 'token');
  const write = (serviceAccount: string) =>
    writeFileSync(token, createLocalToken({ ca, namespace: 'shop', serviceAccount, audience: 'istio-ca', lifeMs: 60_000 }, Date.now()));
  write('other');
  const proxy = place.run(
    ...['proxy', '--xds', `127.0.0.1:${place.xdsTls}`, '--admin-address', '0', '--status-address', status, ...WHO],
    ...['--xds-ca', trusted, '--xds-token-file', token],
  );
  await proxy.says(/cannot be had \(the client proved that it is spiffe:\/\/cluster\.local\/ns\/shop\/sa\/other, but .*\): trying again/);
  const early = place.run('wait', '--status-address', status, '--timeout', '1ms');
  assert.equal(await early.exit, 3);
  assert.match(early.errors, /is not ready after .*: it answers 503/);
  write('default');
  const waiting = place.run('wait', '--status-address', status);
  await proxy.says(/: ready/);
  assert.equal(await waiting.exit, 0);
  assert.equal(await place.identityBehind(place.second), 'URI:spiffe://cluster.local/ns/shop/sa/default');
});

test('the application has the names of the mesh from the proxy', { timeout: 120_000 }, async (t) => {
  const place = await world(t);
  place.write('1');
  await place.control();
  const dns = await freePort();
  await place.run('proxy', '--xds', String(place.xds), '--admin-address', '0', '--dns-address', String(dns), ...WHO).says(/: ready/);
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${dns}`]);
  assert.match((await resolver.resolve4('www.example.com'))[0]!, /^240\.240\./);
  await assert.rejects(resolver.resolve4('other.example.com'), { code: 'ENOTFOUND' });
});

test('what a start waits for is said, and a signal ends it', { timeout: 60_000 }, async (t) => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const proxy = new Program(['proxy', '--xds', String((silent.address() as AddressInfo).port), '--admin-address', '0', ...WHO]);
  await proxy.says(/waiting for the first configuration from 127\.0\.0\.1:\d+: clusters, listeners\n/);
  assert.equal(await proxy.end(), 0);
});

const REFUSED: readonly (readonly [readonly string[], RegExp])[] = [
  [['proxy', '--xds', '192.0.2.1:15010', ...WHO], /without TLS a control plane is asked only at a loopback address/],
  [['proxy', '--xds', 'controller:15010', ...WHO], /without TLS a control plane is asked only at a loopback address/],
  [['proxy', '--xds', '15010', '--xds-cert', 'a.pem', ...WHO], /--xds-cert and --xds-key go together/],
  [['proxy', '--xds', '15010', '--xds-cert', 'a.pem', '--xds-key', 'b.pem', ...WHO], /--xds-cert needs --xds-ca/],
  [['proxy', '--xds', '15010', '--role', 'router'], /say who the proxy is/],
  [['proxy', '--xds', '15010', ...WHO, 'mesh/'], /leave PATH out/],
  [['proxy', '--xds', '15010', ...WHO, '--ca', 'ca/'], /leave --mesh-config and --ca out/],
  [['proxy', '--xds', '0', ...WHO], /needs the port of the control plane/],
  [['proxy', '--xds-ca', 'ca.pem', ...WHO, 'mesh/'], /are for a control plane/],
  [['proxy', '--dns-address', '15053', ...WHO, 'mesh/'], /for a control plane, which has the names/],
  [['proxy', '--xds', '15010', ...WHO, '--dns-address', '0.0.0.0:53'], /answers the application beside it alone/],
  [['proxy', '--xds', '15010', ...WHO, '--engine', 'envoy'], /sallyport bootstrap/],
  [['bootstrap', '--xds', '192.0.2.1:15010', '--role', 'router', '--workload', 'a/b'], /without TLS a control plane is asked only/],
  [['bootstrap', '--xds', '15010', '--role', 'router', '--workload', 'a/b', '--admin', '0.0.0.0:15000'], /choose a loopback address/],
];

test('what would leave the machine in plaintext, and what does not fit together, is refused', { timeout: 120_000 }, async () => {
  for (const [args, message] of REFUSED) {
    const program = new Program(args, [process.execPath, PROGRAM]);
    assert.equal(await program.exit, 2, program.errors);
    assert.match(program.errors, message);
  }
});

test('a proxy starts with what it kept while the control plane is gone, and says that it is stale', { timeout: 120_000 }, async (t) => {
  const place = await world(t);
  place.write('1');
  const controller = await place.control();
  const [admin, status, keep] = [await freePort(), await freePort(), join(place.folder, 'kept')];
  const from = ['--xds', String(place.xds), '--admin-address', String(admin), '--status-address', `127.0.0.1:${status}`, '--keep', keep];
  const readiness = async () => {
    const answer = await fetch(`http://127.0.0.1:${status}/healthz/ready`);
    return `${answer.status} ${await answer.text()}`;
  };
  const first = place.run('proxy', ...from, ...WHO);
  await first.says(/: ready/);
  assert.equal(await until(() => call(place.gateway)), '1');
  assert.equal(await readiness(), '200 ');
  place.write('2');
  await until(async () => (await call(place.gateway)) === '2');
  await first.end();
  await controller.end();
  assert.equal(statSync(keep).mode & 0o777, 0o700);
  assert.equal(statSync(join(keep, 'configuration.json')).mode & 0o777, 0o600);

  const second = place.run('proxy', ...from, ...WHO);
  await second.says(/: stale: what the control plane said last/);
  assert.equal(await until(() => call(place.gateway)), '2');
  assert.match(await readiness(), /^200 stale/);

  // Back with something else: nothing of the kept one is left.
  place.write('3');
  await place.control();
  await second.says(/: ready/);
  assert.equal(await until(() => call(place.gateway)), '3');
  assert.equal(await readiness(), '200 ');
  await second.end();

  // Another workload's is not taken.
  const other = place.run('proxy', ...from, '--role', 'router', '--workload', 'shop/other-1', '--xds', '1');
  await other.says(/is not kept: .*it is of the node router~127\.0\.0\.1~egress-1\.shop/);
});
