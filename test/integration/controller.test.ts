/** `sallyport controller` and a stock Envoy: calls, changes, what Envoy refuses, and a controller that is killed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { CONTROL_PLANE_HOST } from '../../src/lib/spiffe.ts';
import { type EnvoyTls, envoyBootstrap } from '../../src/xds/envoy-bootstrap.ts';
import { nodeJson } from '../../src/xds/node.ts';
import { PROGRAM, Program } from './cli/program.ts';
import { call, mutualWorld, until, world } from './controller-world.ts';
import { bootEnvoy } from './envoy-process.ts';

const envoy = findEnvoy();
const skip = envoy === undefined && 'no Envoy here: set ENVOY';

/** The bootstrap of an Envoy that has everything from the controller; its admin server is where `bootEnvoy` has it. */
function bootstrapOf(protocol: 'delta' | 'sotw', port: number, tls?: EnvoyTls): JsonObject {
  const address = '127.0.0.1';
  const identity = { type: 'router', name: 'egress-1', namespace: 'shop', addresses: [address], labels: { app: 'egress' } } as const;
  const node = nodeJson({ ...identity, locality: '', serviceAccount: 'default' });
  return envoyBootstrap({ node, admin: { address, port: 0 }, xds: { address, port }, protocol, tls });
}

async function counter(admin: string, name: string): Promise<number> {
  const text = await (await fetch(`http://${admin}/stats?filter=${name}`)).text();
  return Number(/: (\d+)/.exec(text)?.[1]);
}

for (const [protocol, ...options] of [['delta'], ['sotw'], ['delta', '--no-vhds']] as const) {
  test(`an Envoy runs what the files say, follows them, and outlives the controller (${[protocol, ...options]})`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const place = await world(t);
    place.write('1');
    const first = await place.control(...options);
    const proxy = await bootEnvoy(envoy!, bootstrapOf(protocol, place.xds));
    t.after(() => proxy.stop());
    await until(async () => (await call(place.gateway)) === '1');
    const { streams, code } = await place.states();
    assert.deepEqual([code, streams.map(({ proxy, protocol }) => `${proxy} ${protocol}`)], [0, [`egress-1.shop ${protocol}`]]);
    const byHost = protocol === 'delta' && options.length === 0;
    assert.equal(streams[0]!.xds.VHDS?.state, byHost ? 'SYNCED' : undefined);

    place.write('2');
    await until(async () => (await call(place.gateway)) === '2');

    // The port is somebody else's: Envoy refuses the listener, and the rest stays as it is.
    const other = createTcpServer().listen({ port: 0, host: '0.0.0.0' });
    await once(other, 'listening');
    t.after(() => other.close());
    const taken = (other.address() as AddressInfo).port;
    place.write('3', taken);
    const [said] = await first.says(/SP0017.*\n(?:.*\n)*?.*would not take .*\n/);
    assert.match(said, /Gateway shop\/egress/);
    assert.match(said, new RegExp(`router shop/egress-1 would not take listener 0.0.0.0_${taken}: .*[Aa]ddress already in use`));
    const refused = await place.states();
    assert.equal(refused.code, 1);
    assert.equal(refused.streams[0]!.xds.LDS!.state, 'NACK');
    assert.match(refused.streams[0]!.xds.LDS!.message!, /already in use/);
    assert.equal(await until(() => call(place.gateway)), '3', 'routes that Envoy took are in force');
    place.write('4');
    await until(async () => (await place.states()).streams[0]?.xds.LDS?.state === 'SYNCED');
    assert.equal(await until(() => call(place.gateway)), '4');

    // Nothing was pushed again to an Envoy that comes back with what there is.
    const pushes = async () =>
      Promise.all(
        ['cluster_manager.cds.update_success', 'listener_manager.lds.update_success', 'rds.*update_success'].map((name) =>
          counter(proxy.admin, name),
        ),
      );
    const before = await pushes();
    first.child.kill('SIGKILL');
    await first.exit;
    const calls: (string | undefined)[] = [];
    for (let i = 0; i < 50; i += 1) calls.push(await call(place.gateway));
    assert.deepEqual(new Set(calls), new Set(['4']));
    const second = await place.control(...options);
    await until(async () => {
      const { streams } = await place.states();
      return ['CDS', 'EDS', 'LDS', 'RDS'].every((type) => streams[0]?.xds[type]?.state === 'SYNCED');
    });
    assert.deepEqual(await pushes(), before);
    place.write('5');
    await until(async () => (await call(place.gateway)) === '5');
    assert.equal(await second.end(), 0);
    assert.equal(await call(place.gateway), '5');
  });
}

test('over mutual TLS an Envoy gets the identity by which it serves mutual TLS itself', { skip, timeout: 120_000 }, async (t) => {
  const place = await mutualWorld(t);
  const proof: EnvoyTls = { ...place.proofOf('default'), serverName: CONTROL_PLANE_HOST };
  const proxy = await bootEnvoy(envoy!, bootstrapOf('delta', place.xdsTls, proof));
  t.after(() => proxy.stop());
  const names = await until(() => place.identityBehind(place.second));
  assert.equal(names, 'URI:spiffe://cluster.local/ns/shop/sa/default');
  const { streams } = await place.states();
  assert.equal(streams[0]!.xds.SDS!.state, 'SYNCED');
});

test('plaintext is served to this machine alone', async () => {
  const usage = new Program(['controller', '/dev/null', '--xds', '0.0.0.0:15010'], [process.execPath, PROGRAM]);
  assert.equal(await usage.exit, 2);
  assert.match(usage.errors, /without TLS only clients on this machine are served/);
});
