/**
 * What `analyze` says of calls that go round the gateway (SP1001–SP1006, SP1008), held against what `verify` proves, on generated configurations: a leak
 * that one finds to a declared host is one that the other finds. Left out: hosts that are declared MESH_INTERNAL, whose word `analyze` takes and `verify`
 * does not; and unknown hosts under ALLOW_ANY, of which `verify` speaks alone.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { originText } from '../../src/lib/origin.ts';
import { maybe, some, weighted } from '../property/generators.ts';
import { findingsIn, type Leak, type Read, read, verified } from './questions.ts';

const RUNS = Number(process.env.RUNS ?? 120);
const SEED = Number(process.env.SEED ?? 1);

const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';
const HOSTS = ['alpha.example.com', 'payments.example.com'] as const;

const object = (kind: string, name: string, namespace: string, spec: object, more: object = {}) => ({
  apiVersion: 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace },
  spec,
  ...more,
});

const exportTo = maybe(fc.constantFrom(['.'], ['*'], ['default'], ['shop'], ['default', 'istio-system']), 1);
const namespace = weighted([5, 'default'], [2, 'shop'], [1, 'istio-system']);
const port = fc.constantFrom(
  { number: 80, name: 'http', protocol: 'HTTP' },
  { number: 443, name: 'tls', protocol: 'TLS' },
  { number: 6379, name: 'tcp', protocol: 'TCP' },
  { number: 8080, name: 'any', protocol: '' },
);

const entry = fc
  .record({
    name: fc.constantFrom(...HOSTS),
    namespace,
    ports: fc.uniqueArray(port, { minLength: 1, maxLength: 2, selector: ({ number }) => number }),
    address: maybe(fc.constantFrom('203.0.113.10', '203.0.113.20/32', '203.0.113.0/24'), 2),
    location: fc.constant('MESH_EXTERNAL'),
    exportTo,
  })
  .map(({ name, namespace: where, ports, address, ...spec }) =>
    object(
      'ServiceEntry',
      name[0]!,
      where,
      some({
        hosts: [name],
        resolution: address?.endsWith('/24') ? 'NONE' : 'DNS',
        ports,
        ...(address && { addresses: [address] }),
        ...spec,
      }),
    ),
  );

const source = fc
  .record({
    sourceLabels: maybe(fc.constantFrom({ app: 'one' }, { app: 'none' }), 0),
    sourceNamespace: maybe(fc.constantFrom('default', 'shop'), 0),
  })
  .map(some);
const gateways = maybe(fc.constantFrom(['mesh'], ['istio-system/out'], ['mesh', 'istio-system/out']), 2);
const destination = (host: string) =>
  fc
    .record({
      to: weighted([9, EGRESS], [3, host], [1, 'nowhere.example.com'], [1, 'web.default.svc.cluster.local']),
      number: fc.constantFrom(80, 443, 6379, 8080),
    })
    .map(({ to, number }) => ({
      destination: { host: to, port: { number: to === EGRESS ? Math.min(number, 443) : to.startsWith('web') ? 80 : number } },
    }));
const portMatch = maybe(fc.constantFrom(80, 443, 6379, 8080), 1);
const rules = <M extends object>(match: fc.Arbitrary<M>, host: string, mayTakeAll: boolean) =>
  fc.array(
    fc
      .record({ match: fc.array(match, { minLength: mayTakeAll ? 0 : 1, maxLength: 2 }), route: destination(host).map((each) => [each]) })
      .map((rule) => (rule.match.length === 0 ? { route: rule.route } : rule)),
    { maxLength: 2 },
  );
const httpMatch = fc
  .tuple(fc.record({ gateways, port: portMatch, uri: maybe(fc.constantFrom({ prefix: '/a' }, { prefix: '/' }), 1) }).map(some), source)
  .map(([match, from]) => ({ ...match, ...from }));
const tlsMatch = (host: string) =>
  fc
    .tuple(fc.record({ gateways, port: portMatch, sniHosts: fc.constant([host]) }).map(some), source)
    .map(([match, from]) => ({ ...match, ...from }));
const tcpMatch = fc
  .tuple(
    fc
      .record({ gateways, port: portMatch, destinationSubnets: maybe(fc.constantFrom(['203.0.113.10/32'], ['203.0.113.0/24']), 0) })
      .map(some),
    source,
  )
  .map(([match, from]) => ({ ...match, ...from }));

const virtualService = fc.constantFrom(...HOSTS).chain((host) =>
  fc
    .record({
      namespace,
      hosts: weighted([7, [host]], [1, ['*.example.com']], [1, ['203.0.113.10']]),
      gateways: weighted([5, ['mesh', 'istio-system/out']], [2, ['mesh']], [1, ['istio-system/out']]),
      http: rules(httpMatch, host, true),
      tls: rules(tlsMatch(host), host, false),
      tcp: rules(tcpMatch, host, true),
      exportTo,
    })
    .map(({ namespace: where, hosts, ...spec }) => {
      // An address is no server name.
      const isName = !/^\d/.test(hosts[0]!);
      return object('VirtualService', `to-${host[0]}`, where, some({ hosts, ...spec, tls: isName ? spec.tls : [] }));
    })
    .filter(({ spec }) => ['http', 'tls', 'tcp'].some((kind) => (spec as Record<string, unknown[]>)[kind]!.length > 0)),
);

const sidecar = fc
  .record({
    namespace: fc.constantFrom('default', 'shop'),
    hosts: fc.uniqueArray(
      fc.constantFrom('./*', '*/*', 'default/*', 'shop/*', 'istio-system/*', '*/alpha.example.com', 'shop/payments.example.com'),
      {
        minLength: 1,
        maxLength: 3,
      },
    ),
    app: maybe(fc.constantFrom('one', 'two'), 1),
  })
  .map(({ namespace: where, hosts, app }) =>
    object('Sidecar', `for-${app ?? 'all'}`, where, some({ egress: [{ hosts }], ...(app && { workloadSelector: { labels: { app } } }) })),
  );

const pod = (name: string, where: string, ip: string, labels: object) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: where, labels },
  spec: { containers: [...(name === 'egress' ? [] : [{ name: 'app' }]), { name: 'istio-proxy' }] },
  status: { podIP: ip, phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
});
const service = (name: string, where: string, clusterIP: string, selector: object, ports: readonly number[]) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: where },
  spec: { clusterIP, selector, ports: ports.map((number) => ({ name: number === 443 ? 'tls' : 'http', port: number })) },
});
const FIXED = [
  pod('one', 'default', '10.0.0.1', { app: 'one' }),
  pod('two', 'default', '10.0.0.2', { app: 'two' }),
  pod('three', 'shop', '10.0.0.3', { app: 'one' }),
  pod('egress', 'istio-system', '10.0.1.1', { istio: 'egressgateway' }),
  service('istio-egressgateway', 'istio-system', '10.96.0.1', { istio: 'egressgateway' }, [80, 443]),
  service('web', 'default', '10.96.0.2', { app: 'two' }, [80]),
  object('Gateway', 'out', 'istio-system', {
    selector: { istio: 'egressgateway' },
    servers: [
      { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] },
      { port: { number: 443, name: 'tls', protocol: 'TLS' }, hosts: ['*'], tls: { mode: 'PASSTHROUGH' } },
    ],
  }),
  // Says that calls are meant to go through the gateway.
  object('VirtualService', 'usual', 'default', {
    hosts: ['way.example.org'],
    http: [{ route: [{ destination: { host: EGRESS, port: { number: 80 } } }] }],
  }),
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace: 'istio-system' },
    data: { mesh: 'outboundTrafficPolicy: { mode: REGISTRY_ONLY }' },
  },
];

/** Objects of one name are one. */
const named = <T extends { readonly metadata: { readonly name: string; readonly namespace: string } }>(
  arbitrary: fc.Arbitrary<T>,
  maxLength: number,
  minLength = 0,
) => fc.uniqueArray(arbitrary, { minLength, maxLength, selector: ({ metadata }) => `${metadata.namespace}/${metadata.name}` });

const configurations = fc
  .record({ entries: named(entry, 2, 1), virtualServices: named(virtualService, 3), sidecars: named(sidecar, 2) })
  .map(({ entries, virtualServices, sidecars }) => [...entries, ...virtualServices, ...sidecars]);

const LEAK_CODE = /^SP100[1234568]$/;
/** A Sidecar or a VirtualService is named in place of the host: which hosts it concerns is not in the origin. */
const hostsOf = (message: string) => HOSTS.filter((host) => message.includes(host));

/** The hosts of each call that `verify` shows to leave at a sidecar: the one that is called, and the one that is reached. */
function leaked({ files }: Read, leaks: readonly Leak[]): string[][] {
  const external = new Set(files.mesh.registry.services.filter(({ meshExternal }) => meshExternal).map(({ hostname }) => hostname));
  return leaks.flatMap(({ called, cluster }) => {
    const reached = cluster.split('|')[3] ?? '';
    return external.has(reached) ? [[...new Set([called, reached])]] : [];
  });
}

function textOf(objects: readonly object[]): string {
  return [...FIXED, ...objects].map((each) => JSON.stringify(each)).join('\n---\n');
}

describe('analyze and verify on calls that go round the gateway', () => {
  test(`agree on ${RUNS} generated configurations (seed ${SEED})`, (t) => {
    const tally = { leaking: 0, tight: 0, invalid: 0 };
    fc.assert(
      fc.property(configurations, (objects) => {
        const text = textOf(objects);
        const all = read(text);
        if (all.snapshot.findings.some(({ level }) => level === 'Error')) {
          tally.invalid++;
          return;
        }
        const { leaks, result } = verified(all);
        const shown = leaked(all, leaks);
        tally[shown.length > 0 ? 'leaking' : 'tight']++;
        const everything = findingsIn(all);
        // Bytes to one address and port are those of the older host: a leak of the younger shows as its.
        const untold = new Set(everything.filter(({ code }) => code === 'SP1011').flatMap(({ message }) => hostsOf(message)));
        const findings = everything.filter(({ code }) => LEAK_CODE.test(code));
        const found: string[] = [...new Set(findings.flatMap(({ message }) => hostsOf(message)))].sort();
        const said = findings.map(({ code, origin, message }) => `${code} ${originText(origin)} ${message}`).join('\n');
        const where = `verify: ${result} ${shown.join(' ')}\n${said}\n${objects.map((each) => JSON.stringify(each)).join('\n---\n')}`;
        for (const hosts of shown)
          assert.ok(
            hosts.some((host) => found.includes(host)),
            `a leak to ${hosts.join()} is no finding\n${where}`,
          );
        for (const host of found)
          if (!untold.has(host as (typeof HOSTS)[number]))
            assert.ok(shown.flat().includes(host), `a finding of a leak to ${host} is none\n${where}`);
      }),
      { seed: SEED, numRuns: RUNS },
    );
    t.diagnostic(JSON.stringify(tally));
    assert.ok(tally.leaking > RUNS / 20 && tally.tight > RUNS / 20, 'both occur');
    assert.ok(tally.invalid < RUNS / 4, 'most are valid');
  });
});
