/** `sallyport controller` and a stock Envoy: calls, changes, what Envoy refuses, and a controller that is killed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get as ask, createServer } from 'node:http';
import { get as askTls } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { authorityIn } from '../../src/ca/folder.ts';
import { CONTROL_PLANE_HOST } from '../../src/lib/spiffe.ts';
import { type EnvoyTls, envoyBootstrap } from '../../src/xds/envoy-bootstrap.ts';
import { nodeJson } from '../../src/xds/node.ts';
import { freePort, PROGRAM, Program } from './cli/program.ts';
import { bootEnvoy } from './envoy-process.ts';

const envoy = findEnvoy();
const skip = envoy === undefined && 'no Envoy here: set ENVOY';

interface Mesh {
  /** Of the server behind the gateway. */
  readonly upstream: number;
  readonly gateway: number;
  readonly version: string;
  /** Of a second server of the Gateway. */
  readonly second?: number | undefined;
  /** Its settings; without them it serves plaintext. */
  readonly tls?: string | undefined;
}

function filesOf({ upstream, gateway, version, second, tls }: Mesh): string {
  const settings = tls === undefined ? '' : `tls: ${tls}, `;
  const port = `port: { number: ${second}, name: second, protocol: ${tls === undefined ? 'HTTP' : 'HTTPS'} }`;
  const more = second === undefined ? '' : `\n  - { ${port}, ${settings}hosts: [www.example.com] }`;
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: www, namespace: shop }
spec:
  hosts: [www.example.com]
  resolution: STATIC
  location: MESH_EXTERNAL
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${upstream} } }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: shop }
spec:
  selector: { app: egress }
  servers:
  - { port: { number: ${gateway}, name: http, protocol: HTTP }, hosts: [www.example.com] }${more}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: www, namespace: shop }
spec:
  hosts: [www.example.com]
  gateways: [egress]
  http:
  - headers: { response: { set: { x-version: "${version}" } } }
    route: [{ destination: { host: www.example.com, port: { number: 80 } } }]
`;
}

/** The bootstrap of an Envoy that has everything from the controller; its admin server is where `bootEnvoy` has it. */
function bootstrapOf(protocol: 'delta' | 'sotw', port: number, tls?: EnvoyTls): JsonObject {
  const address = '127.0.0.1';
  const identity = { type: 'router', name: 'egress-1', namespace: 'shop', addresses: [address], labels: { app: 'egress' } } as const;
  const node = nodeJson({ ...identity, locality: '', serviceAccount: 'default' });
  return envoyBootstrap({ node, admin: { address, port: 0 }, xds: { address, port }, protocol, tls });
}

/** What nobody tells of is asked for until it is so; the test's own timeout ends it. */
async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found) return found;
    await delay(20);
  }
}

/** The version that a call through the gateway meets. */
function call(port: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const request = ask({ host: '127.0.0.1', port, headers: { host: 'www.example.com' }, agent: false }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode === 200 ? String(answer.headers['x-version']) : undefined));
    });
    request.on('error', reject);
  });
}

async function world(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-controller-'));
  const file = join(folder, 'mesh.yaml');
  const server = createServer((_request, answer) => answer.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const [gateway, xds, status] = [await freePort('0.0.0.0'), await freePort(), await freePort()];
  const mesh = { upstream: (server.address() as AddressInfo).port, gateway };
  const programs: Program[] = [];
  t.after(async () => {
    for (const program of programs) await program.end();
    server.close();
    rmSync(folder, { recursive: true });
  });
  const run = (...args: string[]) => {
    const program = new Program(args, [process.execPath, PROGRAM]);
    programs.push(program);
    return program;
  };
  return {
    ...mesh,
    xds,
    /** @param second port of a second server of the Gateway @param tls its settings */
    write: (version: string, second?: number, tls?: string) => writeFileSync(file, filesOf({ ...mesh, version, second, tls })),
    folder,
    async control(...args: string[]) {
      const program = run('controller', file, '--xds', String(xds), '--status-address', String(status), ...args);
      await program.says(/ready/);
      return program;
    },
    async states() {
      const program = run('proxy-status', '--controller', String(status), '-o', 'json');
      await program.exit;
      const streams = JSON.parse(program.output) as {
        proxy: string;
        protocol: string;
        xds: Record<string, { state: string; message?: string }>;
      }[];
      return { code: program.child.exitCode, text: program.output, streams };
    },
  };
}

async function counter(admin: string, name: string): Promise<number> {
  const text = await (await fetch(`http://${admin}/stats?filter=${name}`)).text();
  return Number(/: (\d+)/.exec(text)?.[1]);
}

for (const protocol of ['delta', 'sotw'] as const) {
  test(`an Envoy runs what the files say, follows them, and outlives the controller (${protocol})`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const place = await world(t);
    place.write('1');
    const first = await place.control();
    const proxy = await bootEnvoy(envoy!, bootstrapOf(protocol, place.xds));
    t.after(() => proxy.stop());
    await until(async () => (await call(place.gateway)) === '1');
    const { streams, code } = await place.states();
    assert.deepEqual([code, streams.map(({ proxy, protocol }) => `${proxy} ${protocol}`)], [0, [`egress-1.shop ${protocol}`]]);

    place.write('2');
    await until(async () => (await call(place.gateway)) === '2');

    // The port is somebody else's: Envoy refuses the listener, and the rest stays as it is.
    const other = createTcpServer().listen({ port: 0, host: '0.0.0.0' });
    await once(other, 'listening');
    t.after(() => other.close());
    const taken = (other.address() as AddressInfo).port;
    place.write('3', taken);
    const [said] = await first.says(new RegExp(`router shop/egress-1: listener 0.0.0.0_${taken} .*\n`));
    assert.match(said, /\(of Gateway shop\/egress .*\): .*[Aa]ddress already in use/);
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
    const second = await place.control();
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
  const place = await world(t);
  const [tls, second] = [await freePort(), await freePort('0.0.0.0')];
  place.write('1', second, '{ mode: ISTIO_MUTUAL }');
  const ca = join(place.folder, 'ca');
  await place.control('--ca', ca, '--xds-tls', `127.0.0.1:${tls}`);
  const authority = authorityIn(ca, 'cluster.local', Date.now());
  const certificateOf = (account: string) => {
    const { chain, key } = authority.issue(`spiffe://cluster.local/ns/shop/sa/${account}`, Date.now());
    return { chain, key: key.revealText(), trusted: authority.trusted };
  };
  const own = certificateOf('default');
  const fileOf = (name: string, text: string) => {
    const file = join(place.folder, name);
    writeFileSync(file, text);
    return file;
  };
  const proof: EnvoyTls = {
    ca: fileOf('trusted.pem', own.trusted),
    serverName: CONTROL_PLANE_HOST,
    own: { certificate: fileOf('chain.pem', own.chain), key: fileOf('key.pem', own.key) },
  };
  const proxy = await bootEnvoy(envoy!, bootstrapOf('delta', tls, proof));
  t.after(() => proxy.stop());
  const { chain: cert, key, trusted } = certificateOf('cart');
  const names = await until(
    () =>
      new Promise<string | undefined>((resolve, reject) => {
        const options = { host: '127.0.0.1', port: second, cert, key, ca: trusted, headers: { host: 'www.example.com' }, agent: false };
        const request = askTls({ ...options, checkServerIdentity: () => undefined }, (answer) => {
          const { subjectaltname } = (answer.socket as TLSSocket).getPeerCertificate();
          answer.resume();
          answer.on('end', () => resolve(answer.statusCode === 200 ? subjectaltname : undefined));
        });
        request.on('error', reject);
      }),
  );
  assert.equal(names, 'URI:spiffe://cluster.local/ns/shop/sa/default');
  const { streams } = await place.states();
  assert.equal(streams[0]!.xds.SDS!.state, 'SYNCED');
});

test('plaintext is served to this machine alone', async () => {
  const usage = new Program(['controller', '/dev/null', '--xds', '0.0.0.0:15010'], [process.execPath, PROGRAM]);
  assert.equal(await usage.exit, 2);
  assert.match(usage.errors, /without TLS only clients on this machine are served/);
});
