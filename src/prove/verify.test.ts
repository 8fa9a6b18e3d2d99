import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { type Call, parseTarget } from '../simulate/call.ts';
import { waysOf } from '../simulate/explore.ts';
import type { Statement } from '../simulate/verify.ts';
import { callersOf } from './callers.ts';
import { describeCall } from './describe-call.ts';
import { equivalence } from './equivalence.ts';
import { gatewaysOf, insideAddresses } from './inside.ts';
import { policiesFor } from './netpol.ts';
import { type SimulatedFiles, simulateFiles } from './simulated.ts';
import { parseStatements } from './statement-file.ts';
import { onlyThroughGateways, type StatementFile, statementOf } from './statements.ts';
import { verifyFiles, verifyMesh } from './verify.ts';

const MODE = (mode: string) => ({ outboundTrafficPolicy: { mode } });

const files = (text: string, mode = 'REGISTRY_ONLY') => simulateFiles(snapshotFromText(text), meshConfigOf(MODE(mode)));

const SERVICE_ENTRY = (ports: string, extra = '') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: default}
spec: {hosts: [www.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [${ports}]${extra}}
---`;
const HTTP = '{number: 80, name: http, protocol: HTTP}';
const TLS = '{number: 443, name: tls, protocol: TLS}';
const GATEWAY = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: default}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [www.example.com]}]
---`;
const ROUTES = (gateways = '[mesh, egress]', extra = '') => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: default}
spec:
  hosts: [www.example.com]
  gateways: ${gateways}${extra}
  http:
  - match: [{gateways: [mesh], port: 80}]
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 80}}}]
  - match: [{gateways: [egress], port: 80}]
    route: [{destination: {host: www.example.com, port: {number: 80}}}]
---`;
const PATTERN = SERVICE_ENTRY(HTTP) + GATEWAY + ROUTES();
const OPTIONS = { maxCells: 100_000, adversary: 'captured' } as const;

const verdictOf = (text: string, mode?: string) => verifyMesh(files(text, mode), OPTIONS)[0]!;
const callsOf = ({ counterexamples }: { counterexamples: readonly { call: Call }[] }) =>
  counterexamples.map(({ call }) => describeCall(call));

test('the egress pattern is proved under REGISTRY_ONLY, and refuted under ALLOW_ANY by a call to an undeclared host', () => {
  assert.equal(verdictOf(PATTERN).result, 'proved');
  const open = verdictOf(PATTERN, 'ALLOW_ANY');
  assert.equal(open.result, 'refuted');
  assert.ok(callsOf(open).includes('tcp://203.0.113.1:49151'), callsOf(open).join('\n'));
});

test('a port left out bypasses the gateway', () => {
  const verdict = verdictOf(SERVICE_ENTRY(`${HTTP}, ${TLS}`) + GATEWAY + ROUTES());
  assert.equal(verdict.result, 'refuted');
  assert.ok(callsOf(verdict).some((call) => call.startsWith('tls://www.example.com:443')));
  assert.ok(!callsOf(verdict).some((call) => call.includes(':80')));
  const [origin] = verdict.counterexamples[0]!.trace.hops.at(-1)!.steps.flatMap(({ origins }) => origins);
  assert.deepEqual([origin?.kind, origin?.name, origin?.line], ['ServiceEntry', 'www', 2]);
});

test('without mesh among the gateways traffic leaves from the sidecar', () => {
  assert.equal(verdictOf(SERVICE_ENTRY(HTTP) + GATEWAY + ROUTES('[egress]')).result, 'refuted');
});

test('exportTo hides the routes from another namespace, whose workloads leave directly', () => {
  const pod = (namespace: string, ip: string) => `
apiVersion: v1
kind: Pod
metadata: {name: app, namespace: ${namespace}, labels: {app: app}}
spec: {containers: [{name: app, image: x}]}
status: {podIP: ${ip}, phase: Running}
---`;
  const text =
    pod('default', '10.0.0.1') + pod('other', '10.0.0.2') + SERVICE_ENTRY(HTTP) + GATEWAY + ROUTES(undefined, "\n  exportTo: ['.']");
  const verdict = verdictOf(text);
  assert.deepEqual(
    verdict.counterexamples.map(({ workloads }) => workloads),
    [['other/app']],
  );
});

test('a route that an exact one precedes is looked at as well', () => {
  const leak = ROUTES().replace(
    'http:\n',
    `http:
  - match: [{gateways: [mesh], port: 80, uri: {exact: /}}]
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 80}}}]
  - match: [{gateways: [mesh], port: 80, uri: {prefix: /}}]
    route: [{destination: {host: www.example.com, port: {number: 80}}}]
`,
  );
  assert.equal(verdictOf(SERVICE_ENTRY(HTTP) + GATEWAY + leak).result, 'refuted');
});

test('of weights, the smaller one counts too', () => {
  const weighted = ROUTES().replace(
    'route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 80}}}]',
    `route:
    - {destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 80}}, weight: 99}
    - {destination: {host: www.example.com, port: {number: 80}}, weight: 1}`,
  );
  assert.equal(verdictOf(SERVICE_ENTRY(HTTP) + GATEWAY + weighted).result, 'refuted');
});

test('cells beyond the bound are undecided, not proved', () => {
  const [verdict] = verifyMesh(files(PATTERN), { ...OPTIONS, maxCells: 3 });
  assert.equal(verdict?.result, 'undecided');
  assert.equal(verdict?.cells, 3);
});

test('an application that goes round its sidecar needs a NetworkPolicy against it', () => {
  const options = { ...OPTIONS, adversary: 'bypassing' } as const;
  const [open] = verifyMesh(files(PATTERN), options);
  assert.equal(open?.result, 'refuted');
  const policy = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: default}
spec: {podSelector: {}, policyTypes: [Egress]}
---`;
  const [closed] = verifyMesh(files(PATTERN + policy), options);
  assert.equal(closed?.result, 'proved');
});

test('TLS that a gateway originates: with the name verified, with the chain alone, with nothing', () => {
  const rule = (tls: string) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: www, namespace: istio-system}
spec: {host: www.example.com, exportTo: ['.'], trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, ${tls}}}]}}
---`;
  const results = (text: string) => {
    const mesh = files(text);
    const statements = [false, true].map((verified) =>
      statementOf({ onlyTls: { host: 'www.example.com', verified } }, '', gatewaysOf(mesh)),
    );
    return verifyFiles(mesh, statements, 100_000).map(({ result }) => result);
  };
  const originating = (tls: string) => results(SERVICE_ENTRY(HTTP.replace('}', ', targetPort: 443}')) + GATEWAY + rule(tls) + ROUTES());
  assert.deepEqual(results(PATTERN), ['refuted', 'refuted']);
  assert.deepEqual(originating('subjectAltNames: [www.example.com]'), ['proved', 'proved']);
  assert.deepEqual(originating('subjectAltNames: [other.example.com]'), ['proved', 'refuted']);
  assert.deepEqual(originating('sni: www.example.com'), ['proved', 'refuted']);
  assert.deepEqual(originating('sni: www.example.com, insecureSkipVerify: true'), ['proved', 'refuted']);
});

test('a statement about what there is not says so', () => {
  const mesh = files(PATTERN);
  const notes = (entry: StatementFile) => verifyFiles(mesh, [statementOf(entry, '', gatewaysOf(mesh))], 100_000)[0]!.notes;
  const [caller] = callersOf(mesh);
  const workloads = [`${caller!.namespace}/${caller!.name}`];
  assert.deepEqual(notes({ onlyWorkloads: { host: 'www.example.com', workloads } }), []);
  assert.deepEqual(notes({ onlyWorkloads: { host: 'wwww.example.com', workloads: ['default/ap'] } }), [
    'no call reaches wwww.example.com, whoever calls',
    'no workload default/ap is known',
  ]);
  assert.deepEqual(notes({ onlyTls: { host: 'wwww.example.com' } }), ['no call reaches wwww.example.com, whoever calls']);
  assert.deepEqual(notes({ onlyThroughGateways: true }), []);
});

test('two policies are equivalent, or a call tells them apart', () => {
  const byPrefix = PATTERN.replace('{gateways: [egress], port: 80}', '{gateways: [egress], port: 80, uri: {prefix: /}}');
  assert.equal(equivalence(files(PATTERN), files(byPrefix), 'the other').result, 'proved');
  const narrower = PATTERN.replace('{gateways: [egress], port: 80}', '{gateways: [egress], port: 80, uri: {prefix: /v1}}');
  const { result, counterexamples } = equivalence(files(narrower), files(PATTERN), 'the other');
  assert.equal(result, 'refuted');
  const [example] = counterexamples;
  assert.equal(example?.trace.outcome.kind === 'reply' && example.trace.outcome.status, 404);
});

test('a host that a statement speaks of is told apart from others of a wildcard that declares it', () => {
  const mesh = files(SERVICE_ENTRY(HTTP).replaceAll('www.example.com', "'*.example.com'").replace('DNS', 'NONE'));
  const statement = statementOf({ onlyTls: { host: 'www.example.com' } }, '', gatewaysOf(mesh));
  const [verdict] = verifyFiles(mesh, [statement], 100_000);
  assert.equal(verdict?.result, 'refuted');
  assert.match(callsOf(verdict!)[0]!, /^GET http:\/\/www\.example\.com:80\//);
});

test('bytes to an address of the own choice may reach any host, bytes to a declared address only its own', () => {
  const results = (addresses: string) => {
    const entry = SERVICE_ENTRY('{number: 6379, name: tcp, protocol: TCP}', addresses).replace('DNS', 'NONE');
    const mesh = files(entry);
    const statement = statementOf({ onlyTls: { host: 'api.example.com' } }, '', gatewaysOf(mesh));
    return verifyFiles(mesh, [statement], 100_000).map(({ result }) => result);
  };
  assert.deepEqual(results(''), ['refuted']);
  assert.deepEqual(results(', addresses: [198.51.100.7]'), ['proved']);
});

test('a file of statements: each form, and what is none', () => {
  const read = (text: string) => parseStatements(text, 'statements.yaml', () => false);
  const { statements, equivalentTo } = read(
    '- onlyThroughGateways: true\n- onlyWorkloads: {host: a, workloads: [d/w]}\n- onlyTls: {host: a}\n- nothingLeaves: {namespace: d}\n- equivalentTo: git:HEAD\n',
  );
  assert.equal(statements.length, 4);
  assert.deepEqual(equivalentTo, ['git:HEAD']);
  for (const text of ['', '[]', 'onlyTls: {host: a}', '- onlyTls: {}', '- nothing: true', '- {', '- null']) {
    assert.throws(() => read(text), { code: 'statements-invalid' }, text);
  }
});

test('a file of statements: what would not be read is refused, so that nothing counts as proved that nobody looked at', () => {
  const refused = (text: string, message: RegExp) =>
    assert.throws(() => parseStatements(text, 's.yaml', () => false), { code: 'statements-invalid', message }, text);
  refused('- onlyTls: {host: a, verifed: true}', /^s\.yaml: statement 1: onlyTls has no field verifed: it has host and verified$/);
  refused("- onlyTls: {host: a, verified: 'yes'}", /verified is true or false/);
  refused('- onlyTls: {host: a}\n  onlyWorkloads: {host: a, workloads: [d/w]}', /onlyTls and onlyWorkloads: write one statement an entry/);
  refused('- equivalentTo: git:HEAD\n  onlyThroughGateways: true', /equivalentTo and onlyThroughGateways/);
  refused('- egressPolicies: true\n  nothingLeaves: {namespace: d}', /egressPolicies and nothingLeaves/);
  refused(
    '- onlyThroughGateways: true\n- nothingLeaves: {namespaces: [d]}',
    /^s\.yaml: statement 2: nothingLeaves has no field namespaces/,
  );
});

test('what netpol writes closes the way round the sidecar', () => {
  const policies = policiesFor(files(PATTERN)).policies.map((policy) => stringify(policy));
  const verdicts = verifyMesh(files(`${PATTERN}\n${policies.join('---\n')}`), { ...OPTIONS, adversary: 'both' });
  assert.deepEqual(
    verdicts.map(({ result }) => result),
    ['proved', 'proved'],
  );
});

test('what a Deployment makes may go round its sidecar, and netpol holds it', () => {
  const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: app, image: x}]}}}
---`;
  const judged = (text: string) => verifyMesh(files(text), { ...OPTIONS, adversary: 'bypassing' })[0]!;
  const closed = (namespace: string) => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: ${namespace}}
spec: {podSelector: {}, policyTypes: [Egress]}
---`;
  const open = judged(deployment + closed('default'));
  assert.equal(open.result, 'refuted');
  assert.deepEqual(open.openings[0]!.workloads, ['shop/web']);
  assert.equal(judged(deployment + closed('default') + closed('shop')).result, 'proved');
  const written = policiesFor(files(deployment)).policies.map((policy) => stringify(policy));
  assert.equal(judged(`${deployment}\n${written.join('---\n')}`).result, 'proved');
});

test('what goes round sidecars is undecided where a policy or workload of the cluster is not valid', () => {
  const policies = policiesFor(files(PATTERN)).policies.map((policy) => stringify(policy));
  const verdict = (more: string) =>
    verifyMesh(files(`${PATTERN}\n${policies.join('---\n')}---\n${more}`), { ...OPTIONS, adversary: 'bypassing' })[0]!;
  const policy = (spec: string) => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: more, namespace: default}
spec: ${spec}`;
  assert.equal(verdict(policy('{podSelector: {}, policyTypes: [Egress]}')).result, 'proved');
  const broken = verdict(policy('{podSelector: {}, policyTypes: [Egress, Other], egress: [{}]}'));
  assert.equal(broken.result, 'undecided');
  assert.match(broken.undecided.join(), /^NetworkPolicy default\/more .*is not valid: what it would do is not known$/);
  // What is wrong with routing concerns nobody who goes round it.
  const route = '\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\nspec: {hosts: 5}';
  assert.equal(verdict(route).result, 'proved');
});

/** A configuration of the egress pattern, right or broken in some way, with paths and SNI that the gateway tells apart. */
const configuration = fc.record({
  mode: fc.constantFrom('REGISTRY_ONLY', 'ALLOW_ANY'),
  resolution: fc.constantFrom('DNS', 'NONE'),
  ports: fc.subarray(
    [
      ['www', HTTP],
      ['www', TLS],
      ['tcp', '{number: 6379, name: tcp, protocol: TCP}'],
      ['wild', TLS],
      ['wild', HTTP],
    ] as const,
    { minLength: 1 },
  ),
  addresses: fc.constantFrom('', ', addresses: [198.51.100.0/24]', ', addresses: [198.51.0.0/16, 198.51.100.0/28]'),
  gateways: fc.constantFrom('[mesh, egress]', '[egress]', '[mesh]'),
  meshMatch: fc.constantFrom(
    '',
    ', uri: {prefix: /a}',
    ', uri: {exact: /}',
    ", headers: {x-team: {exact: '1'}}",
    ', method: {exact: POST}',
  ),
  fallThrough: fc.boolean(),
  gatewayMatch: fc.constantFrom('', ', uri: {prefix: /a}', ', uri: {exact: /}', ", headers: {x-team: {exact: '1'}}"),
  tlsRoutes: fc.subarray(['www.example.com', '*.wild.example', 'x.wild.example'] as const),
});

type Configuration = typeof configuration extends fc.Arbitrary<infer T> ? T : never;

function yamlOf({ ports, resolution, addresses, gateways, meshMatch, fallThrough, gatewayMatch, tlsRoutes }: Configuration): string {
  const gateway = '{host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 80}}';
  const hosts = { www: 'www.example.com', tcp: 'tcp.example.com', wild: "'*.wild.example'" };
  const entries = (Object.keys(hosts) as (keyof typeof hosts)[]).flatMap((name) => {
    const own = ports.filter(([host]) => host === name).map(([, port]) => port);
    if (own.length === 0) return [];
    return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: default}
spec: {hosts: [${hosts[name]}], location: MESH_EXTERNAL, resolution: ${name === 'www' ? resolution : 'NONE'}, ports: [${own.join(', ')}]${name === 'tcp' ? addresses : ''}}
---`;
  });
  const http = `  http:
  - match: [{gateways: [mesh], port: 80${meshMatch}}]
    route: [{destination: ${gateway}}]
${fallThrough ? '  - match: [{gateways: [mesh], port: 80}]\n    route: [{destination: {host: www.example.com, port: {number: 80}}}]\n' : ''}\
  - match: [{gateways: [egress], port: 80${gatewayMatch}}]
    route: [{destination: {host: www.example.com, port: {number: 80}}}]
  - match: [{gateways: [egress], port: 80}]
    route: [{destination: {host: www.example.com, port: {number: 443}}}]`;
  const tls = tlsRoutes.map(
    (host) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tls-${host.replace(/[^a-z]/g, '')}, namespace: default}
spec:
  hosts: ['${host}']
  tls:
  - match: [{port: 443, sniHosts: ['${host}']}]
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 443}}}]
---`,
  );
  const server = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: default}
spec:
  selector: {istio: egressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [www.example.com]}
  - {port: {number: 443, name: tls, protocol: TLS}, tls: {mode: PASSTHROUGH}, hosts: ['*']}
---`;
  return `${entries.join('')}${server}${tls.join('')}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: default}
spec:
  hosts: [www.example.com]
  gateways: ${gateways}
${http}
`;
}

/** A small space of calls, whole. */
function* everyCall(mesh: SimulatedFiles): Generator<Call> {
  const source = { ip: '10.0.0.1', port: 0 };
  const own = mesh.mesh.registry.services.flatMap(({ addresses, autoAddresses }) => [...addresses, ...autoAddresses]);
  const ips = ['203.0.113.9', '198.51.100.3', '198.51.100.77', '198.51.7.7', ...own.filter((ip) => !/[:/]/.test(ip))];
  const targets = [80, 443, 6379, 8080].flatMap((port) => [
    ...['www.example.com', 'x.wild.example', 'y.wild.example', 'other.example'].map((host) => parseTarget(`tls://${host}:${port}`)),
    ...['www.example.com', 'x.wild.example', 'other.example'].flatMap((host) =>
      ['/', '/a', '/b'].flatMap((path) =>
        [['x-team: 1'], []].flatMap((headers) =>
          ['GET', 'POST'].map((method) => parseTarget(`http://${host}:${port}${path}`, { headers: [...headers, `host: ${host}`], method })),
        ),
      ),
    ),
    parseTarget(`tcp://192.0.2.1:${port}`),
  ]);
  for (const ip of new Set(ips)) {
    for (const { port, payload } of targets) yield { source, destination: { ip, port }, payload };
  }
}

test('proofs hold for every call of a small space, and counterexamples are calls that leave', { timeout: 120_000 }, () => {
  const results = { proved: 0, refuted: 0, undecided: 0 };
  fc.assert(
    fc.property(configuration, (generated) => {
      const mesh = files(yamlOf(generated), generated.mode);
      const statements: Statement[] = [
        onlyThroughGateways(gatewaysOf(mesh)),
        statementOf({ onlyTls: { host: 'www.example.com' } }, '', gatewaysOf(mesh)),
        statementOf({ onlyTls: { host: '*.wild.example' } }, '', gatewaysOf(mesh)),
      ];
      const verdicts = verifyFiles(mesh, statements, 100_000);
      const inside = insideAddresses(mesh);
      const sidecar = mesh.proxy('default/local');
      /** The statements that a call breaks. */
      const broken = (call: Call) =>
        [...waysOf(mesh.simulated, sidecar, call)].flatMap((trace) => {
          const { outcome } = trace;
          if (outcome.kind !== 'upstream' || (outcome.endpoint && inside.has(outcome.endpoint.ip))) return [];
          const arrival = { host: outcome.host, endpoint: outcome.endpoint, through: trace.hops.at(-1)?.proxy ?? '', trace };
          return statements.filter((statement) => !statement.allows(arrival, ['default/local']));
        });
      for (const [i, { result, counterexamples, undecided }] of verdicts.entries()) {
        results[result]++;
        assert.notEqual(result, 'undecided', undecided.join('\n'));
        for (const { call } of counterexamples)
          assert.ok(broken(call).includes(statements[i]!), `no counterexample: ${describeCall(call)}`);
      }
      for (const call of everyCall(mesh)) {
        for (const statement of broken(call)) {
          const { result } = verdicts[statements.indexOf(statement)]!;
          assert.equal(result, 'refuted', `"${statement.text}" is broken by ${describeCall(call)}`);
        }
      }
    }),
    { numRuns: 30, seed: 1 },
  );
  assert.ok(results.proved > 0 && results.refuted > 0, `both verdicts occur: ${JSON.stringify(results)}`);
});

test('a DestinationRule’s tunnel leaves through the forward proxy by the name that declares it, whatever its address', () => {
  for (const proxy of ['resolution: DNS', 'resolution: STATIC, endpoints: [{address: 192.0.2.9, ports: {tcp: 13128}}]']) {
    const text = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: proxy, namespace: default}
spec: {hosts: [proxy.example], addresses: [240.200.0.1], location: MESH_EXTERNAL, ports: [{number: 3128, name: tcp, protocol: TCP}], ${proxy}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: proxy, namespace: default}
spec: {host: proxy.example, trafficPolicy: {tunnel: {protocol: CONNECT, targetHost: www.example.com, targetPort: 443}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: default}
spec: {hosts: [www.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: default}
spec: {hosts: [www.example.com], tls: [{match: [{port: 443, sniHosts: [www.example.com]}], route: [{destination: {host: proxy.example, port: {number: 3128}}}]}]}
---`;
    const files = simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
    const result = (onlyThroughProxy: string) =>
      verifyFiles(files, [statementOf({ onlyThroughProxy }, 'test', () => false)], 100_000)[0]!.result;
    assert.equal(result('proxy.example:3128'), 'proved', proxy);
    assert.equal(result('other.example:3128'), 'refuted', proxy);
  }
});
