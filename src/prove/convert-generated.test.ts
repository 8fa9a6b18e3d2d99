/** Whatever VirtualServices say, what is converted of them does the same, or is left alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { documentsOf } from '../convert/documents.ts';
import { convertDocuments } from './convert.ts';

type Json = Record<string, unknown>;

const HOSTS = ['www.example.com', 'api.example.com'];
const GATEWAYS = ['mesh', 'egress'];
const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';

const object = (kind: string, name: string, spec: Json): Json => ({
  apiVersion: 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace: 'default' },
  spec,
});

const entries = HOSTS.map((host, index) =>
  object('ServiceEntry', `entry-${index}`, {
    hosts: [host],
    location: 'MESH_EXTERNAL',
    resolution: 'DNS',
    ports: [
      { number: 80, name: 'http', protocol: 'HTTP' },
      { number: 443, name: 'tls', protocol: 'TLS' },
    ],
  }),
);

const path = fc.constantFrom('/', '/a', '/a/', '/a/b', '/b', '/a.b');
const text = (value: fc.Arbitrary<string>) =>
  fc.oneof(
    value.map((exact) => ({ exact })),
    value.map((prefix) => ({ prefix })),
    value.map((regex) => ({ regex: `${regex}.*` })),
  );
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });
const named = fc.subarray(GATEWAYS, { minLength: 1 });
const match = fc.record(
  {
    uri: text(path),
    method: fc.constantFrom({ exact: 'GET' }, { exact: 'POST' }),
    headers: text(fc.constantFrom('1', '2')).map((value) => ({ 'x-a': value })),
    queryParams: fc.constant({ q: { exact: '1' } }),
    port: fc.constantFrom(80, 443),
    gateways: named,
    ignoreUriCase: fc.constant(true),
  },
  { requiredKeys: [] },
);
const destination = fc.record({ host: fc.constantFrom(...HOSTS, EGRESS), port: fc.constant({ number: 80 }) });
const targets = fc.oneof(
  destination.map((to) => [{ destination: to }]),
  fc.tuple(destination, destination, fc.constantFrom(0, 1, 9)).map(([a, b, weight]) => [
    { destination: a, weight: 1 },
    { destination: b, weight },
  ]),
);
const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ route: targets, rewrite: optional(fc.constantFrom({ uri: '/n' }, { authority: 'other.example.com' })) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      redirect: fc.constantFrom({ uri: '/r' }, { scheme: 'https' }, { authority: 'r.example.com', redirectCode: 302 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ directResponse: { status: 418 } }) },
);
const rule = fc
  .tuple(fc.array(match, { maxLength: 2 }), action)
  .map(([matches, done]) => ({ ...(matches.length > 0 && { match: matches }), ...done }));
const sni = fc.subarray(HOSTS, { minLength: 1 });
const tlsRule = fc.tuple(sni, optional(named), targets).map(([sniHosts, gateways, route]) => ({
  match: [{ sniHosts, port: 443, ...(gateways && { gateways }) }],
  route: (route as readonly Json[]).map((each) => ({ ...each, destination: { ...(each.destination as Json), port: { number: 443 } } })),
}));
const virtualService = fc.record({
  hosts: fc.subarray(HOSTS, { minLength: 1 }),
  gateways: named,
  http: fc.array(rule, { minLength: 1, maxLength: 4 }),
  tls: fc.array(tlsRule, { maxLength: 2 }),
});
const servers = fc.subarray(
  [
    { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: HOSTS },
    { port: { number: 443, name: 'tls', protocol: 'TLS' }, hosts: ['*.example.com'], tls: { mode: 'PASSTHROUGH' } },
  ],
  { minLength: 1 },
);

test('generated VirtualServices', async () => {
  const config = meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } });
  let converted = 0;
  const property = fc.asyncProperty(fc.array(virtualService, { minLength: 1, maxLength: 2 }), servers, async (services, served) => {
    const gateway = object('Gateway', 'egress', { selector: { istio: 'egressgateway' }, servers: served });
    const objects = [...entries, gateway, ...services.map((spec, index) => object('VirtualService', `v-${index}`, spec))];
    const input = objects.map((each) => JSON.stringify(each)).join('\n---\n');
    const snapshot = snapshotFromText(input);
    // Istio refuses some of what is generated.
    fc.pre(snapshot.findings.every(({ level }) => level !== 'Error'));
    const output = convertDocuments({ snapshot, documents: documentsOf(input, 'default') }, config, 'default');
    converted += output.converted;
    assert.deepEqual(
      snapshotFromText(output.text)
        .findings.filter(({ level }) => level === 'Error')
        .map(({ message }) => message),
      [],
    );
    assert.deepEqual(output.difference?.changes ?? [], []);
  });
  await fc.assert(property, { numRuns: Number(process.env.CONVERT_RUNS ?? 120), seed: Number(process.env.CONVERT_SEED ?? 20_261_121) });
  assert.ok(converted > 20, `only ${converted} objects were converted at all`);
});
