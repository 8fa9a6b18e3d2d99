/** A stock Envoy that has its virtual hosts one by one (VHDS): what it is sent, unknown hosts, changes under calls, its dump, and a controller that serves the other way. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { Agent, get as ask } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { envoyBootstrap } from '../../src/xds/envoy-bootstrap.ts';
import { nodeJson } from '../../src/xds/node.ts';
import { hostHere } from '../support/egress-text.ts';
import { freePort } from './cli/program.ts';
import { until } from './controller-world.ts';
import { bootEnvoy } from './envoy-process.ts';
import { programWorld } from './program-world.ts';

const envoy = findEnvoy();
const skip = envoy === undefined && 'no Envoy here: set ENVOY';

const HOSTS = 40;
const hostOf = (index: number) => `h${index}.example.com`;
/** So many names that nobody declared. */
const MADE_UP = 300;

/** Hosts behind a gateway; each answer says to which cluster's server it went and by which version of the routes. */
function filesOf(upstream: number, gateway: number, versions: readonly { readonly to: string; readonly version: string }[]): string {
  const entries = versions.map(({ to }) => hostHere(to.split('.')[0]!, to, upstream, 'shop'));
  const rules = versions.map(
    ({ to, version }, index) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: v${index}, namespace: shop }
spec:
  hosts: [${hostOf(index)}]
  gateways: [egress]
  http:
  - headers: { response: { set: { x-version: "${to} ${version}" } } }
    route: [{ destination: { host: ${to}, port: { number: 80 } } }]
`,
  );
  const gatewayText = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: shop }
spec:
  selector: { app: egress }
  servers:
  - { port: { number: ${gateway}, name: http, protocol: HTTP }, hosts: ['*.example.com'] }
`;
  return [...new Map(entries.map((entry) => [entry, entry])).values(), ...rules, gatewayText].join('\n---\n');
}

async function world(t: TestContext) {
  const { folder, upstream, run } = await programWorld(t, 'virtual-hosts', (_request, answer) => answer.end('hello'));
  const [gateway, xds] = [await freePort('0.0.0.0'), await freePort()];
  const file = join(folder, 'mesh.yaml');
  const address = '127.0.0.1';
  const identity = { type: 'router', name: 'egress-1', namespace: 'shop', addresses: [address], labels: { app: 'egress' } } as const;
  const node = nodeJson({ ...identity, locality: '', serviceAccount: 'default' });
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  t.after(() => agent.destroy());
  return {
    run,
    folder,
    gateway,
    write: (versions: readonly { readonly to: string; readonly version: string }[]) =>
      writeFileSync(file, filesOf(upstream, gateway, versions)),
    async control(...args: string[]) {
      const program = run('controller', file, '--xds', String(xds), '--status-address', '0', ...args);
      await program.says(/: ready/);
      return program;
    },
    async envoy() {
      const proxy = await bootEnvoy(
        envoy!,
        envoyBootstrap({ node, admin: { address, port: 0 }, xds: { address, port: xds }, protocol: 'delta', tls: undefined }),
      );
      t.after(() => proxy.stop());
      return {
        ...proxy,
        /** Whether it has its hosts one by one. */
        byHost: async () =>
          (await (await fetch(`http://${proxy.admin}/config_dump?resource=dynamic_route_configs`)).text()).includes('"vhds"'),
        page: async (path: string) => (await fetch(`http://${proxy.admin}${path}`)).text(),
        async stat(name: string): Promise<number> {
          return Number(/: (\d+)/.exec(await this.page(`/stats?filter=^${name}$`))?.[1]);
        },
      };
    },
    /** What a call to a host meets: the version, or else the status. */
    call: (host: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const request = ask({ host: address, port: gateway, headers: { host }, agent }, (answer) => {
          answer.resume();
          answer.on('end', () => resolve(answer.statusCode === 200 ? String(answer.headers['x-version']) : String(answer.statusCode)));
        });
        request.on('error', reject);
      }),
  };
}

const all = (to: string, version: string) => Array.from({ length: HOSTS }, () => ({ to, version }));
const RECEIVED = 'cluster.xds.upstream_cx_rx_bytes_total';
const SENT = 'cluster.xds.upstream_cx_tx_bytes_total';

test('an Envoy gets the hosts that changed, and asks nothing about names that nobody declared', { skip, timeout: 120_000 }, async (t) => {
  const place = await world(t);
  const versions = all('one.example.net', '1');
  place.write(versions);
  await place.control();
  const proxy = await place.envoy();
  await until(async () => (await place.call(hostOf(HOSTS - 1))) === 'one.example.net 1');
  assert.ok(await proxy.byHost());

  const asked = await proxy.stat(SENT);
  const unknown = await Promise.all(Array.from({ length: MADE_UP }, (_, index) => place.call(`made-up-${index}.example.com`)));
  assert.deepEqual([...new Set(unknown)], ['404']);
  assert.equal(await proxy.stat(SENT), asked, 'Envoy asks nobody about them');

  const whole = await proxy.stat(RECEIVED);
  versions[7] = { to: 'one.example.net', version: '2' };
  place.write(versions);
  await until(async () => (await place.call(hostOf(7))) === 'one.example.net 2');
  const sent = (await proxy.stat(RECEIVED)) - whole;
  assert.ok(sent < whole / 10, `a change of one host of ${HOSTS} sent ${sent} bytes, all that there is ${whole}`);
  assert.equal(await place.call(hostOf(8)), 'one.example.net 1');

  // What explains the files explains the Envoy's own dump.
  const dump = join(place.folder, 'dump.json');
  writeFileSync(dump, await proxy.page('/config_dump?include_eds'));
  const explained = place.run('explain', '--config-dump', dump, '-H', `host: ${hostOf(7)}`, `http://127.0.0.1:${place.gateway}/`);
  await explained.exit;
  assert.match(explained.output, /VirtualService shop\/v7/, explained.errors);
});

test('calls go on while a host moves to a new cluster, goes, and comes', { skip, timeout: 120_000 }, async (t) => {
  const place = await world(t);
  const versions = all('one.example.net', '1');
  place.write(versions);
  await place.control();
  await place.envoy();
  await until(async () => (await place.call(hostOf(0))) === 'one.example.net 1');
  const seen = new Set<string>();
  for (const [to, version] of [
    ['two.example.net', '2'],
    ['three.example.net', '3'],
    ['one.example.net', '4'],
  ] as const) {
    versions[0] = { to, version };
    place.write(versions);
    for (let met = ''; met !== `${to} ${version}`; seen.add(met)) met = await place.call(hostOf(0));
  }
  assert.deepEqual([...seen], ['one.example.net 1', 'two.example.net 2', 'three.example.net 3', 'one.example.net 4']);
  place.write(versions.slice(0, -1));
  await until(async () => (await place.call(hostOf(HOSTS - 1))) === '404');
  place.write(versions);
  await until(async () => (await place.call(hostOf(HOSTS - 1))) === 'one.example.net 1');
});

for (const [first, second] of [
  [['--no-vhds'], []],
  [[], ['--no-vhds']],
] as const) {
  test(`no call fails while a controller${first.map((option) => ` ${option}`).join('')} is replaced by one with the other way, and back`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const place = await world(t);
    const versions = all('one.example.net', '1');
    const seen = new Set<string>();
    let going = true;
    t.after(() => {
      going = false;
    });
    let calls: Promise<void> | undefined;
    let proxy: Awaited<ReturnType<typeof place.envoy>> | undefined;
    for (const [turn, options] of [first, second, first].entries()) {
      const version = `one.example.net ${turn + 1}`;
      versions[0] = { to: 'one.example.net', version: String(turn + 1) };
      place.write(versions);
      const controller = await place.control(...options);
      if (!calls) {
        proxy = await place.envoy();
        await until(async () => (await place.call(hostOf(0))) === version);
        assert.equal(await proxy.byHost(), first.length === 0);
        calls = (async () => {
          while (going) seen.add(await place.call(hostOf(0)));
        })();
      }
      await until(async () => seen.has(version));
      if (turn < 2) await controller.end();
    }
    going = false;
    await calls;
    assert.deepEqual(
      [...seen],
      ['1', '2', '3'].map((version) => `one.example.net ${version}`),
    );
    assert.equal(await proxy!.byHost(), false, 'what the Envoy has whole stays so');
  });
}
