/** The calls of the table, and some that fail, as they are watched: both engines tell the same of them. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { z } from 'zod';
import type { Flow } from '../../src/flows/flow.ts';
import { flowSchema } from '../../src/flows/schema.ts';
import { PROGRAM, Program } from '../integration/cli/program.ts';
import { CALLS, type Call, DIFFERENCES } from './table.ts';
import { APPLICATIONS, asUser, client, DNS, ON_ENVOY, results, skip, startUp, world } from './world.ts';

const ENGINES = ['embedded', 'envoy'] as const;

const external = (name: string, protocol: string, port: number, endpoints: string) => `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${name}.test]
  resolution: STATIC
  location: MESH_EXTERNAL
  ports: [{ number: ${port}, name: one, protocol: ${protocol} }]
  ${endpoints}
`;
const NOBODY = 'endpoints: [{ address: 127.0.0.1, ports: { one: 9 } }]';
const denied = (name: string, operation: string) => `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: istio-system }
spec:
  selector: { matchLabels: { istio: egressgateway } }
  action: DENY
  rules: [{ to: [{ operation: { ${operation} } }] }]
`;

const MORE = [
  external('down', 'HTTP', 80, NOBODY),
  external('down-tcp', 'TCP', 5434, NOBODY),
  external('nowhere', 'HTTP', 80, ''),
  external('nowhere-tcp', 'TCP', 5435, ''),
  external('refusing', 'HTTP', 80, NOBODY),
  external('refusing-tcp', 'TCP', 5436, NOBODY),
  ...['refusing', 'refusing-tcp'].map(
    (name) => `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name}, namespace: default }
spec: { host: ${name}.test, trafficPolicy: { proxyProtocol: { version: V1 } } }
`,
  ),
  denied('denied', 'paths: [/v1/denied]'),
  denied('denied-port', 'ports: ["20443"]'),
].join('');

const call = (name: string, kind: Call['kind'], port: number, more: Partial<Call> = {}): Call => ({
  name,
  kind,
  host: `${name}.test`,
  port,
  verdict: 'refused',
  ...more,
});
const FAILING: readonly Call[] = [
  call('down', 'http', 80, { path: '/a?b=c' }),
  call('down-tcp', 'tcp', 5434),
  call('nowhere', 'http', 80),
  call('nowhere-tcp', 'tcp', 5435),
  call('refusing', 'http', 80),
  call('refusing-tcp', 'tcp', 5436),
  call('denied', 'http', 80, { host: 'gated.example', path: '/v1/denied' }),
];
/** By role, port and path. */
const VERDICTS = {
  'sidecar 80/a': 'failed',
  'sidecar 5434': 'failed',
  'sidecar 5435': 'failed',
  'sidecar 5436': 'refused',
  'router 443/v1/denied': 'refused',
  'router 20443': 'refused',
};
/** Refused by both, by the sidecar that binds calls to their destination or by the gateway. */
const ELSEWHERE = 'past the gateway, Host of one that goes through it';
/** On which the engines decide alike. */
const ALIKE = CALLS.filter(({ name }) => name !== ELSEWHERE && !DIFFERENCES.some(({ calls }) => calls.includes(name)));
const MADE = [...ALIKE, ...FAILING];

async function watching(t: TestContext, up: Program, ...options: readonly string[]): Promise<Program> {
  const flows = new Program(['flows', '--run', String(up.child.pid), '-o', 'json', ...options], [process.execPath, PROGRAM]);
  t.after(() => flows.end());
  await flows.says(/watching/);
  return flows;
}

const flowsIn = ({ output }: Program) =>
  output
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Flow);

/** Without what differs from run to run. */
function alike({ id: _, time: _t, duration: _d, source: _s, process: _p, upstream, destination, ...flow }: Flow): string {
  const { bytesSent, bytesReceived, ...others } = flow;
  // Signatures of elliptic curves differ in length.
  const bytes = flow.protocol === 'http' ? { bytesSent, bytesReceived } : {};
  const shared = (address: string | undefined) => address?.replace('127.0.110.1', '127.0.100.1');
  return JSON.stringify({
    ...others,
    ...bytes,
    // Envoy's TCP proxy calls the server before RBAC has seen what the client says.
    upstream: flow.verdict === 'refused' ? undefined : shared(upstream),
    destination: shared(destination),
  });
}

test('both engines tell the same of the same calls', { skip, timeout: 200_000 }, async (t) => {
  const given = await world(t);
  const { inside } = given;
  const more = join(given.folder, 'more.yaml');
  writeFileSync(more, MORE);
  const ups = { embedded: await startUp(t, given, more), envoy: await startUp(t, given, more, ...ON_ENVOY) };
  const told = { embedded: await watching(t, ups.embedded), envoy: await watching(t, ups.envoy) };
  const made = { embedded: {}, envoy: {} };
  for (const engine of ENGINES)
    made[engine] = await results([...inside, ...asUser(APPLICATIONS[engine]), ...client({ resolver: DNS }, MADE)]);
  assert.deepEqual(made.envoy, made.embedded);

  // What there was before somebody watched is remembered by both.
  const last = await watching(t, ups.envoy, '--last', '200', '--verdict', 'failed');
  for (const engine of ENGINES) assert.equal(await ups[engine].end(), 0);
  await Promise.all([last, told.embedded, told.envoy].map((each) => each.exit));
  const flows = { embedded: flowsIn(told.embedded), envoy: flowsIn(told.envoy) };
  const ends = (engine: (typeof ENGINES)[number]) => flows[engine].filter(({ kind }) => kind === 'end');
  assert.deepEqual(ends('envoy').map(alike).sort(), ends('embedded').map(alike).sort());
  assert.ok(ends('envoy').length >= 40);
  const verdicts = Object.fromEntries(ends('envoy').map(({ role, port, path = '', verdict }) => [`${role} ${port}${path}`, verdict]));
  for (const [key, verdict] of Object.entries(VERDICTS)) assert.equal(verdicts[key], verdict, key);
  for (const flow of flows.envoy) z.fromJSONSchema(flowSchema() as Parameters<typeof z.fromJSONSchema>[0]).parse(flow);
  for (const { id } of flows.envoy)
    assert.deepEqual(
      flows.envoy.filter((flow) => flow.id === id).map(({ kind }) => kind),
      ['begin', 'end'],
    );
  assert.deepEqual(
    new Set(flowsIn(last).map(({ host, verdict }) => `${host} ${verdict}`)),
    new Set(
      ends('envoy')
        .filter(({ verdict }) => verdict === 'failed')
        .map(({ host }) => `${host} failed`),
    ),
  );
});
