/** Generators of policies, most of which this version refuses, and of workloads outside Kubernetes. */
import fc, { type Arbitrary } from 'fast-check';
import { maybe, resources, some } from './generators.ts';

export const workloadEntries = resources(
  'WorkloadEntry',
  fc
    .record({
      namespace: fc.constantFrom('default', 'istio-system'),
      address: fc.constantFrom('198.51.100.10', '198.51.100.11', '198.51.100.77'),
      labels: fc.constantFrom<object>({ app: 'entry' }, { app: 'entry', version: 'v1' }),
      ports: maybe(fc.constantFrom<object>({ http: 8080 }, { tls: 8443 }), 1),
    })
    .map(({ namespace, ...spec }) => ({ namespace, spec: some(spec) })),
  { minLength: 1, maxLength: 2 },
);
export const policy: Arbitrary<object> = fc
  .oneof(
    fc
      .record({
        action: fc.constantFrom('ALLOW', 'DENY'),
        rules: fc.constantFrom<object[]>(
          [{ to: [{ operation: { paths: ['/a*'], notMethods: ['POST'] } }], when: [{ key: 'request.headers[x-a]', values: ['1'] }] }],
          [{ from: [{ source: { notIpBlocks: ['10.0.0.0/8'] } }] }],
        ),
      })
      .map((spec) => ({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', spec })),
    fc.constant({
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      spec: { jwtRules: [{ issuer: 'a', jwks: '{"keys":[]}' }] },
    }),
    fc.constant({ apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', spec: { mtls: { mode: 'STRICT' } } }),
  )
  .chain((object) =>
    fc.constantFrom('default', 'istio-system').map((namespace) => ({ ...object, metadata: { name: 'policy', namespace } })),
  );
