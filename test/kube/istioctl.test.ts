/** Istio's own command line asks a controller of ours which proxies are at the newest configuration. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { envoyBootstrap } from '../../src/xds/envoy-bootstrap.ts';
import { nodeJson } from '../../src/xds/node.ts';
import { until, world } from '../integration/controller-world.ts';
import { bootEnvoy } from '../integration/envoy-process.ts';
import { ApiServer, labBinary, needsApiServer } from './api-server.ts';

const istioctl = process.env.ISTIOCTL ?? labBinary('istioctl');
const envoy = findEnvoy();
const skip =
  needsApiServer() ||
  (!(istioctl && existsSync(istioctl)) && 'there is no istioctl: set ISTIOCTL, or build it with ../shared/kube/build.sh istio') ||
  (!envoy && 'no Envoy here: set ENVOY');

let server: ApiServer;

before(
  async () => {
    if (!skip) server = await ApiServer.start();
  },
  { timeout: 240_000 },
);
after(() => server?.stop());

test('istioctl proxy-status tells of the Envoys that are connected', { skip, timeout: 120_000 }, async (t) => {
  const place = await world(t);
  place.write('1');
  await place.control();
  const address = '127.0.0.1';
  const identity = { type: 'router', name: 'egress-1', namespace: 'shop', addresses: [address], labels: { app: 'egress' } } as const;
  const node = nodeJson({ ...identity, locality: '', serviceAccount: 'default' });
  const bootstrap = envoyBootstrap({
    node,
    admin: { address, port: 0 },
    xds: { address, port: place.xds },
    protocol: 'delta',
    tls: undefined,
  });
  const proxy = await bootEnvoy(envoy!, bootstrap);
  t.after(() => proxy.stop());
  await until(async () => (await place.states()).streams[0]?.xds.LDS?.state === 'SYNCED');
  const args = ['proxy-status', '--kubeconfig', server.kubeconfig(), '--xds-address', `${address}:${place.xds}`, '--plaintext'];
  const { stdout } = await promisify(execFile)(istioctl!, [...args, '-v', '1'], { env: { ...process.env, HOME: join(server.folder) } });
  const [head, row] = stdout.split('\n').map((line) => line.split(/ {2,}/));
  const told = Object.fromEntries(head!.map((name, column) => [name, row![column]]));
  assert.equal(told.NAME, 'router~127.0.0.1~egress-1.shop~shop.svc.cluster.local');
  for (const type of ['CDS', 'LDS', 'EDS', 'RDS']) assert.equal(told[type], 'SYNCED', type);
});
