/** Istio's own agent with a controller and a CA of ours, and as the provider of an identity for an agent of ours. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { agentWorld, call } from './agent-world.ts';
import { freePort } from './cli/program.ts';
import { until } from './controller-world.ts';
import { needsPilotAgent, SDS_SOCKET, startPilotAgent } from './pilot-agent.ts';

const envoy = findEnvoy();
const skip = envoy === undefined ? 'no Envoy here: set ENVOY' : needsPilotAgent();

test('Istio’s agent gets its certificate and its Envoy’s configuration from a controller of ours, and gives its identity to others', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const place = await agentWorld(t);
  const controller = await place.control();
  for (const name of ['front', 'back']) place.token(name);
  const { ca, xdsTls } = place;
  const folder = join(place.folder, 'pilot');
  mkdirSync(folder);
  const [status, admin] = [await freePort(), await freePort()];
  const rootCert = join(ca, 'root-cert.pem');
  const tokenFile = join(place.folder, 'back.token');
  const pilot = startPilotAgent({ folder, envoy: envoy!, name: 'back', controller: xdsTls, status, admin, rootCert, tokenFile });
  t.after(() => pilot.end());
  await pilot.says(/generated new workload certificate/, 'output');
  await until(async () => (await fetch(`http://127.0.0.1:${status}/healthz/ready`)).status === 200);

  const front = await place.agent(envoy!, 'front');
  await front.program.says(/: ready/);
  const through = await until(async () => {
    const answer = await call(place.front);
    return answer.status === 200 && answer;
  });
  assert.match(through.from, /URI=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/front/);

  // As any provider's, its socket comes before the CA: no token is needed.
  const socket = join(folder, SDS_SOCKET);
  const second = await place.agent(envoy!, 'second', '--service-account', 'back', '--workload-socket', socket);
  await second.program.says(/identities come from the provider at /);
  await second.program.says(/: ready/);
  assert.doesNotMatch(second.program.errors, /got the certificate/);
  assert.doesNotMatch(controller.errors + pilot.output + front.program.errors, new RegExp(readFileSync(tokenFile, 'utf8').trim()));
});
