/** What EgressPolicies say of themselves in a cluster: a real API server, with the CRD of the chart. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { freePort, start } from '../integration/cli/program.ts';
import { ApiServer, needsApiServer } from './api-server.ts';

const skip = needsApiServer();
const CRD = join(import.meta.dirname, '../../deploy/chart/crds/egresspolicies.yaml');
const GROUP = '/apis/sallyport.dev/v1alpha1';

let server: ApiServer;

before(
  async () => {
    if (skip) return;
    server = await ApiServer.start();
    await server.apply(CRD, 'apiVersion: v1\nkind: Namespace\nmetadata: { name: istio-system }\n');
    await server.until(GROUP, ({ resources }) => resources?.some(({ name }: { name: string }) => name === 'egresspolicies/status'));
  },
  { timeout: 240_000 },
);
after(() => server?.stop());

const policy = (name: string, spec: string) => `
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: { name: ${name}, namespace: default }
spec: { ${spec} }
`;

async function controller(t: TestContext): Promise<void> {
  const ports = ['--xds', `127.0.0.1:${await freePort()}`, '--status-address', '127.0.0.1:0', '--grace', '1s'];
  const program = start(t, ['controller', '--kube', '--kubeconfig', server.kubeconfig(), '--gateways', '--engine', 'embedded', ...ports]);
  await program.says(/: ready/);
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}

/** Once the policy says so, its conditions by type. */
async function told(name: string, expected: Readonly<Record<string, string>>): Promise<Readonly<Record<string, Condition>>> {
  const path = `${GROUP}/namespaces/default/egresspolicies/${name}`;
  await server.until(path, (found) => {
    const said = (found.status?.conditions ?? []).map(({ type, status, reason }: Condition) => [type, `${status} ${reason}`]);
    const all = Object.fromEntries(said);
    return Object.entries(expected).every(([type, text]) => all[type] === text);
  });
  const { status } = await server.must('GET', path);
  return Object.fromEntries(status.conditions.map((condition: Condition) => [condition.type, condition]));
}

test('policies say what becomes of them, of which generation, and when that changes', { skip, timeout: 240_000 }, async (t) => {
  const ends = new Date(Date.now() + 20_000).toISOString().replace(/\.\d+Z$/, 'Z');
  await server.apply(
    policy('works', 'to: [{ hosts: [api.example], ports: [443] }]'),
    policy('ends', `to: [{ hosts: [soon.example], ports: [443] }], expires: "${ends}"`),
    policy('wrong', 'to: [{ hosts: ["https://api.example"] }]'),
  );
  await controller(t);
  const works = await told('works', { Accepted: 'True Accepted', Expired: 'False NoEnd', Compiled: 'True Compiled' });
  assert.equal(works.Compiled!.message, 'The mesh is made to allow its calls to api.example (443).');
  await told('ends', { Expired: 'False InTime', Compiled: 'True Compiled' });
  const wrong = await told('wrong', { Accepted: 'False Invalid', Compiled: 'False NotAccepted' });
  assert.match(wrong.Accepted!.message, /a host is written without a scheme/);

  await server.apply(policy('conflicting', 'to: [{ hosts: [api.example], ports: [443], protocol: TCP }]'));
  const conflicting = await told('conflicting', {
    Accepted: 'False Conflict',
    Compiled: 'False NotAccepted',
    PassedAnalysis: 'False errorsFound',
  });
  assert.match(conflicting.Accepted!.message, /EgressPolicy default\/works .*says something else/);

  await server.apply(policy('works', 'to: [{ hosts: [api.example, more.example], ports: [443] }]'));
  await server.until(`${GROUP}/namespaces/default/egresspolicies/works`, ({ status }) =>
    status.conditions.every((each: Condition) => each.observedGeneration === 2),
  );
  await server.apply(policy('works', 'to: [{ hosts: [api.example, "more.example:1"], ports: [443] }]'));
  const changed = await told('works', { Accepted: 'False Invalid', Compiled: 'True Compiled' });
  assert.deepEqual([changed.Accepted!.observedGeneration, changed.Compiled!.observedGeneration], [3, 2]);
  assert.match(changed.Compiled!.message, /api\.example \(443\), more\.example \(443\)/);

  await told('ends', { Accepted: 'True Accepted', Expired: 'True Expired', Compiled: 'False Expired' });
  const events = '/apis/events.k8s.io/v1/namespaces/default/events';
  const about = (name: string) => (each: { regarding: { kind: string; name: string; uid?: string }; note: string }) =>
    each.regarding.kind === 'EgressPolicy' && each.regarding.name === name && each.regarding.uid !== undefined;
  await server.until(events, (found) => ['ends', 'conflicting'].every((name) => found.items.some(about(name))));
  const { items } = await server.must('GET', events);
  assert.match(items.find(about('ends')).note, /^\[SP0019\] it ended at /);
});
