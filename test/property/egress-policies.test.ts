/** EgressPolicies compiled and simulated, held against their own meaning: generated policies, every call of a small world. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { snapshotFromText } from '../../src/config/memory.ts';
import { type AskedCall, permitting } from '../../src/policy/meaning.ts';
import { explain } from '../../src/prove/explain.ts';
import { simulateFiles } from '../../src/prove/simulated.ts';
import { parseTarget } from '../../src/simulate/call.ts';
import { meshConfigOf } from '../support/mesh.ts';

const NOW = Date.parse('2026-06-15T12:00:00Z');
const RUNS = Number(process.env.POLICY_RUNS ?? 8);

const PODS = [
  ['payments', 'shop', 'payments', '10.0.0.1'],
  ['web', 'shop', 'web', '10.0.0.2'],
  ['web', 'blog', 'default', '10.0.0.3'],
] as const;

const CALLS: readonly { readonly call: AskedCall; readonly url: string }[] = ['a.example.com', 'b.example.com'].flatMap((host) => [
  ...[80, 8080].flatMap((port) =>
    ['GET', 'POST'].flatMap((method) =>
      ['/', '/v1/x'].map((path) => ({ call: { host, port, speaks: 'HTTP' as const, method, path }, url: `http://${host}:${port}${path}` })),
    ),
  ),
  ...[443, 8443].map((port) => ({ call: { host, port, speaks: 'TLS' as const }, url: `tls://${host}:${port}` })),
  { call: { host, port: 6379, speaks: 'bytes' as const }, url: `tcp://${host}:6379` },
]);

const caller = fc.record(
  {
    namespace: fc.constantFrom('shop', 'blog'),
    labels: fc.constantFrom({ app: 'web' }, { app: 'payments' }, {}),
    serviceAccounts: fc.constantFrom(['payments'], ['default'], ['payments', 'web'], []),
  },
  { requiredKeys: [] },
);
const requests = fc.oneof(
  fc.constantFrom(
    {},
    { ports: [80], protocol: 'HTTP' },
    { ports: [80, 8080], protocol: 'HTTP' },
    { ports: [443, 8443], protocol: 'TLS' },
    { ports: [6379] },
  ),
  fc.record({ methods: fc.constantFrom([], ['GET'], ['GET', 'POST']), paths: fc.constantFrom([], ['/'], ['/v1/*']) }),
);
const destination = fc
  .record({ hosts: fc.constantFrom(['a.example.com'], ['b.example.com', 'a.example.com'], ['*.example.com']), requests })
  .map(({ hosts, requests }) => ({ hosts, ...requests }));
const written = fc.record({
  from: fc.array(caller, { maxLength: 2 }),
  to: fc.array(destination, { minLength: 1, maxLength: 2 }),
  through: fc.constantFrom('direct', 'gateway'),
  originate: fc.boolean(),
  starts: fc.constantFrom(undefined, undefined, undefined, '2026-06-15T11:00:00Z', '2026-06-15T13:00:00Z'),
  expires: fc.constantFrom(undefined, undefined, '2026-06-14', '2026-06-15', '2026-06-15T12:00:00Z', '2026-06-15T12:00:01Z'),
});
/** Most of them are valid: what only one of the two ways can hold to is left out of the other. */
const policy = written.map(({ from, to, through, originate, ...times }) => {
  const led = through === 'gateway';
  const http = to.every((one) => 'methods' in one || ('protocol' in one && one.protocol === 'HTTP'));
  return {
    from: from.map(({ labels, serviceAccounts, ...rest }) => ({ ...rest, ...(led ? { serviceAccounts } : { labels }) })),
    to: to.map(({ hosts, ...rest }) => ({ ...rest, hosts: led || originate ? hosts.map((host) => host.replace('*', 'b')) : hosts })),
    through,
    ...(originate && http && { tls: { originate } }),
    ...times,
  };
});

function documents(specs: readonly object[]): string {
  const pods = PODS.map(([name, namespace, serviceAccountName, podIP]) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name, 'security.istio.io/tlsMode': 'istio' } },
    spec: { serviceAccountName, containers: [{ name: 'app', image: 'x' }] },
    status: { phase: 'Running', podIP },
  }));
  const policies = specs.map((spec, i) => ({
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'EgressPolicy',
    metadata: { name: `policy-${i}`, namespace: i % 3 === 2 ? 'blog' : 'shop' },
    spec,
  }));
  return [...pods, ...policies].map((each) => JSON.stringify(each)).join('\n---\n');
}

test('what generated policies are compiled to lets out what they mean, and nothing else', () => {
  const seen = { allowed: 0, refused: 0, gateway: 0 };
  fc.assert(
    fc.property(fc.array(policy, { minLength: 1, maxLength: 3 }), (specs) => {
      const snapshot = snapshotFromText(documents(specs), { now: () => NOW });
      const refused = new Set(snapshot.findings.filter(({ level }) => level === 'Error').map(({ origin }) => origin.name));
      const policies = snapshot.list('EgressPolicy').filter(({ metadata }) => !refused.has(metadata.name));
      const files = simulateFiles(snapshot, meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
      for (const [name, namespace, serviceAccount] of PODS) {
        for (const { call, url } of CALLS) {
          const by = permitting(
            policies,
            NOW,
            { namespace, labels: { app: name, 'security.istio.io/tlsMode': 'istio' }, serviceAccount },
            call,
          );
          const { trace } = explain(files, parseTarget(url, { ...(call.method && { method: call.method }) }), {
            from: `${namespace}/${name}`,
          });
          const about = `${namespace}/${name} ${call.method ?? ''} ${url}: ${JSON.stringify(trace.outcome)}`;
          assert.equal(trace.outcome.kind === 'upstream', by.length > 0, about);
          const led = by.some(({ spec }) => spec.through === 'gateway');
          if (by.length > 0) assert.equal(trace.hops.length, led ? 2 : 1, about);
          seen[by.length > 0 ? 'allowed' : 'refused']++;
          if (led) seen.gateway++;
        }
      }
    }),
    { seed: 14, numRuns: RUNS },
  );
  assert.ok(seen.allowed > 20 && seen.gateway > 0, JSON.stringify(seen));
});
