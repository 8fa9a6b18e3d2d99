/** Generators of policies, and of workloads outside Kubernetes. */
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
        action: fc.constantFrom('ALLOW', 'ALLOW', 'DENY', 'AUDIT'),
        rules: fc.constantFrom<object[]>(
          [{ to: [{ operation: { paths: ['/a*'], notMethods: ['POST'] } }], when: [{ key: 'request.headers[x-a]', values: ['1'] }] }],
          [{ from: [{ source: { notIpBlocks: ['10.0.0.0/8'] } }] }],
          [{ from: [{ source: { principals: ['cluster.local/ns/default/sa/sleep'] } }] }],
          [{ from: [{ source: { notPrincipals: ['*/sa/sleep'] } }], to: [{ operation: { methods: ['GET', 'P*'] } }] }],
          [{ from: [{ source: { namespaces: ['other'] } }], to: [{ operation: { paths: ['/{*}/b', '*c'] } }] }],
          [{ to: [{ operation: { hosts: ['www.example.com', '*.example.org'], notPorts: ['8443'] } }] }],
          [{ when: [{ key: 'connection.sni', values: ['www.*', '*.example.org'] }] }],
          [],
        ),
      })
      .map((spec) => ({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', spec })),
    fc.constant({
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      spec: { jwtRules: [{ issuer: 'a', jwks: '{"keys":[]}' }] },
    }),
    fc
      .constantFrom('STRICT', 'PERMISSIVE', 'DISABLE')
      .map((mode) => ({ apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', spec: { mtls: { mode } } })),
  )
  .chain((object) =>
    fc.constantFrom('default', 'istio-system').map((namespace) => ({ ...object, metadata: { name: 'policy', namespace } })),
  );
