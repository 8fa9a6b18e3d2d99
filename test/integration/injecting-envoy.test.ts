/** A stock Envoy as the egress gateway of a policy with credentials: it gets no value, and refuses the calls with the reason. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { requestCertificate } from '../../src/agent/ca-client.ts';
import { newKey } from '../../src/ca/certificates.ts';
import { createLocalToken } from '../../src/ca/local-tokens.ts';
import { freePort, start } from './cli/program.ts';
import { until } from './controller-world.ts';

const envoy = findEnvoy();
const SECRET = 'canary-Xw3Kq8Zt5Lm1Rb7Yd';
const HOST = 'api.example';
const mesh = (gateway: number) => `
apiVersion: v1
kind: Pod
metadata: { name: egress, namespace: istio-system, labels: { istio: egressgateway } }
spec: { serviceAccountName: egress, containers: [{ name: istio-proxy, image: proxy }] }
status: { phase: Running, podIP: 10.244.0.10, conditions: [{ type: Ready, status: "True" }] }
---
apiVersion: v1
kind: Secret
metadata: { name: api, namespace: shop }
stringData: { token: ${SECRET} }
---
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: { name: pays, namespace: shop }
spec:
  through: gateway
  tls: { originate: true }
  to: [{ hosts: [${HOST}], ports: [${gateway - 20_000}], protocol: HTTP, credentials: [{ bearer: true, from: { secret: { name: api, key: token } } }] }]
`;

test('a stock Envoy gets no credential and refuses the calls that need one, with the reason', {
  skip: envoy === undefined && 'no Envoy here: set ENVOY',
  timeout: 120_000,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-injecting-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string) => join(folder, name);
  const [xds, admin, gateway] = [await freePort(), await freePort(), await freePort()];
  writeFileSync(at('mesh.yaml'), mesh(gateway));
  const ports = ['--xds', '0', '--xds-tls', `127.0.0.1:${xds}`, '--status-address', '127.0.0.1:0'];
  const controller = start(t, ['controller', at('mesh.yaml'), '--ca', at('ca'), ...ports]);
  await controller.says(/: ready/);
  const tokenOf = (serviceAccount: string, namespace: string) =>
    createLocalToken({ ca: at('ca'), namespace, serviceAccount, audience: 'istio-ca', lifeMs: 3_600_000 }, Date.now());
  writeFileSync(at('token'), tokenOf('egress', 'istio-system'));
  const who = ['--role', 'router', '--workload', 'istio-system/egress', '--service-account', 'egress', '--label', 'istio=egressgateway'];
  const roots = at('ca/root-cert.pem');
  // One that is ours was there before it, as the same workload.
  const ours = ['--xds', `127.0.0.1:${xds}`, '--xds-ca', roots, '--xds-token-file', at('token'), '--admin-address', '0'];
  const proxy = start(t, ['proxy', ...ours, ...who, '--concurrency', '1']);
  await proxy.says(/: ready/);
  await proxy.end();
  const from = ['--controller', `127.0.0.1:${xds}`, '--root-cert', roots, '--token-file', at('token'), '--envoy', envoy!];
  const ends = ['--admin-address', `127.0.0.1:${admin}`, '--status-address', '127.0.0.1:0', '--metrics-address', '127.0.0.1:0'];
  const agent = start(t, ['agent', ...who, ...from, ...ends, '--concurrency', '1', '--drain-duration', '1s']);
  await agent.says(/: ready/);

  const key = newKey();
  const target = { address: '127.0.0.1', port: xds };
  const proof = { token: tokenOf('web', 'shop') };
  const { chain, roots: ca } = await requestCertificate({ target, roots: readFileSync(roots, 'utf8'), proof, key, lifeMs: 3_600_000 });
  const own = {
    cert: chain,
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    ca,
    servername: HOST,
    checkServerIdentity: () => undefined,
  };
  const call = () =>
    new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      const asked = request(
        { host: '127.0.0.1', port: gateway, path: '/v1', ...own, agent: false, headers: { host: HOST } },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part) => (text += part));
          response.on('end', () => resolve({ status: response.statusCode, text }));
        },
      );
      asked.on('error', reject).end();
    });
  const { status, text } = await until(() => call().catch(() => undefined));
  assert.equal(status, 403);
  assert.match(text, /EgressPolicy shop\/pays has credentials put into these calls, and Envoy cannot as it is stated/);
  const dump = await (await fetch(`http://127.0.0.1:${admin}/config_dump`)).text();
  assert.match(dump, /refused: EgressPolicy shop\/pays/);
  const texts = [dump, agent.output, agent.errors, controller.output, controller.errors].join('\n');
  for (const form of ['credential:shop', SECRET, btoa(SECRET)]) assert.ok(!texts.includes(form), form);
});
