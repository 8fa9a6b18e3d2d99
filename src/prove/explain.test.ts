import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { analysisErrors } from '../inputs/analysis-errors.ts';
import { explanationText } from '../report/explanation.ts';
import { plain } from '../report/paint.ts';
import { parseTarget, type TargetOptions } from '../simulate/call.ts';
import { callersOf } from './callers.ts';
import { explain } from './explain.ts';
import { type SimulatedFiles, simulateFiles } from './simulated.ts';
import { hopsOf, podText, WWW_ENTRY, WWW_THROUGH_GATEWAY } from './testing.ts';

const REGISTRY_ONLY = meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } });
const files = (text: string) => simulateFiles(snapshotFromText(text), REGISTRY_ONLY);

const ENTRY = WWW_ENTRY;
const THROUGH_GATEWAY = `${WWW_ENTRY}${WWW_THROUGH_GATEWAY}`;

const explained = (text: string, url: string, options: TargetOptions = {}) =>
  explain(files(text), parseTarget(url, options), { from: 'default/local' });

test('through the gateway, hop by hop, each step with its resource and line', () => {
  const explanation = explained(THROUGH_GATEWAY, 'http://www.example.com/v1');
  assert.deepEqual(hopsOf(explanation), [
    'default/local outbound|80||istio-egressgateway.istio-system.svc.cluster.local',
    'istio-system/istio-egressgateway outbound|80||www.example.com',
  ]);
  const text = explanationText(explanation, plain);
  assert.match(text, /\[VirtualService default\/www inline\.yaml:14\]/);
  assert.match(text, /Reaches www\.example\.com \(HTTP/);
});

test('a route that is missing at the gateway: 404 NR, and the VirtualService that nearly matched', () => {
  const explanation = explained(THROUGH_GATEWAY, 'http://www.example.com/v2');
  assert.deepEqual(explanation.trace.outcome, { kind: 'reply', status: 404, location: undefined, details: 'route_not_found' });
  assert.equal(explanation.trace.hops[1]?.flag, 'NR');
  assert.match(explanation.advice?.nearMisses.join() ?? '', /VirtualService default\/www is bound to egress/);
  // What is proposed leads the rest of the host's paths there, too.
  assert.doesNotMatch(explanation.advice?.allow ?? 'kind: ServiceEntry', /kind: ServiceEntry/);
  const allowed = explained(`${THROUGH_GATEWAY}\n${explanation.advice!.allow}`, 'http://www.example.com/v2');
  assert.equal(hopsOf(allowed)[1], 'istio-system/istio-egressgateway outbound|80||www.example.com');
});

test('an undeclared host is refused by 502, and what would allow it allows it', () => {
  const explanation = explained(ENTRY, 'http://api.example.com/');
  assert.equal(explanation.trace.outcome.kind === 'reply' && explanation.trace.outcome.status, 502);
  assert.ok(explanation.advice?.allow);
  const allowed = explained(`${ENTRY}\n${explanation.advice.allow}`, 'http://api.example.com/');
  assert.equal(allowed.trace.outcome.kind, 'upstream');
});

test('where a gateway is in use what is proposed goes through it, and only what analysis finds no error in', () => {
  const target = parseTarget('http://api.example.com/');
  const { advice } = explain(files(THROUGH_GATEWAY), target, {});
  assert.match(advice?.allow ?? '', /kind: Gateway\n[\s\S]*kind: ServiceEntry\n[\s\S]*kind: VirtualService\n/);
  const allowed = explained(`${THROUGH_GATEWAY}\n${advice!.allow}`, 'http://api.example.com/');
  assert.equal(hopsOf(allowed)[1], 'istio-system/istio-egressgateway outbound|80||api.example.com');
  const errors = ({ mesh }: SimulatedFiles) => mesh.snapshot.list('Gateway').map(({ metadata }) => metadata.name);
  const without = explain(files(THROUGH_GATEWAY), target, {}, errors).advice;
  assert.equal(without?.allow, undefined);
  assert.match(without?.whyNot.join() ?? '', /analyze would find an error: egress-api-example-com/);
});

test('a port that would open with it for another host is not proposed, and the reason is said', () => {
  const two = ENTRY.replace('[www.example.com]', '[www.example.com, other.example.com]');
  const { advice } = explained(two, 'http://www.example.com:8080/');
  assert.equal(advice?.allow, undefined);
  assert.match(
    advice?.whyNot[0] ?? '',
    /port 8080 in ServiceEntry default\/www it would be allowed, but .* calling other\.example\.com:8080 reaches/,
  );
  const one = explained(ENTRY, 'http://www.example.com:8080/').advice;
  assert.match(
    one?.allow ?? '',
    /^# To spec\.ports of ServiceEntry default\/www .*\n# {3}- \{ number: 8080, name: http-8080, protocol: HTTP \}\n$/,
  );
});

test('where a route answers itself, it is named with what it does', () => {
  const faulty = `${ENTRY}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: stop, namespace: default}
spec: {hosts: [www.example.com], http: [{directResponse: {status: 403}}]}
---`;
  const { advice } = explain(files(faulty), parseTarget('http://www.example.com/'), {}, analysisErrors(0));
  assert.equal(advice?.allow, undefined);
  assert.match(advice?.whyNot.join('\n') ?? '', /What decides is VirtualService default\/stop .*answers 403 itself/);
});

test('an IPv6 address is proposed as an address', () => {
  const { advice } = explained(ENTRY, 'http://[2001:db8::7]/');
  assert.match(advice?.allow ?? '', /addresses:\n {4}- 2001:db8::7\n/);
  assert.equal(explained(`${ENTRY}\n${advice!.allow}`, 'http://[2001:db8::7]/').trace.outcome.kind, 'upstream');
});

test('a misspelt host names the one that is declared; another port as well', () => {
  assert.match(explained(ENTRY, 'http://www.exmaple.com/').advice?.nearMisses.join() ?? '', /declares www\.example\.com/);
  assert.match(explained(ENTRY, 'tls://www.example.com:443').advice?.nearMisses.join() ?? '', /for port 80, and the call is to port 443/);
});

test('a call that is not HTTP/1 as Envoy knows it: a method in lower case is 400, a NUL in the path too', () => {
  for (const [url, method] of [
    ['http://www.example.com/', 'put'],
    ['http://www.example.com/a%00', 'GET'],
  ] as const) {
    const { trace } = explained(ENTRY, url, { method });
    assert.equal(trace.outcome.kind === 'reply' && trace.outcome.status, 400, url);
  }
});

test('from a gateway: what it does with a call that has come to it', () => {
  const at = (url: string) => explain(files(THROUGH_GATEWAY), parseTarget(url), { from: 'istio-system/istio-egressgateway' });
  assert.deepEqual(hopsOf(at('http://www.example.com/v1')), ['istio-system/istio-egressgateway outbound|80||www.example.com']);
  assert.deepEqual(at('http://other.example.com/').trace.hops[0]?.flag, 'NR');
});

test('nobody says who calls where there are several workloads', () => {
  const two = files(podText('a', '10.0.0.1') + podText('b', '10.0.0.2') + ENTRY);
  assert.throws(() => explain(two, parseTarget('http://www.example.com/'), {}), /--from default\/a or --from default\/b/);
  assert.throws(() => explain(two, parseTarget('http://www.example.com/'), { from: 'default/aa' }), /did you mean default\/a\?/);
});

test('what applies besides, where a copy goes, and what is changed of the response', () => {
  const rule = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: default}
spec:
  hosts: [www.example.com]
  http:
  - route: [{destination: {host: www.example.com}, headers: {response: {add: {x-a: '1'}, remove: [x-gone]}}}]
    headers: {response: {set: {x-b: '%RESPONSE_CODE%'}}}
    timeout: 5s
    retries: {attempts: 3, perTryTimeout: 2s, retryOn: '5xx,503'}
    fault: {delay: {fixedDelay: 2s, percentage: {value: 10}}}
    mirror: {host: www.example.com}
    mirrorPercentage: {value: 20}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: www, namespace: default}
spec:
  host: www.example.com
  trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}, outlierDetection: {consecutive5xxErrors: 3, baseEjectionTime: 1m}}
---`;
  const mesh = simulateFiles(snapshotFromText(WWW_ENTRY + rule), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
  const { trace, copies } = explain(mesh, parseTarget('http://www.example.com/'), {});
  const policies = trace.hops[0]!.steps.filter(({ kind }) => kind === 'policy');
  assert.deepEqual(
    policies.map(({ text }) => text),
    [
      'a fault delays 10% of requests by 2s; timeout 5s; up to 3 retries on 5xx, status 503, each try at most 2s',
      'connect timeout 10s; at most 5 connections; an endpoint that fails 3 times in a row is left out for 60s',
    ],
  );
  assert.deepEqual(
    policies.map(({ origins }) => origins.map(({ kind }) => kind)),
    [['VirtualService'], ['ServiceEntry', 'DestinationRule']],
  );
  assert.deepEqual(trace.response, {
    status: undefined,
    headers: [
      { name: 'x-b', value: '200', how: 'set' },
      { name: 'x-a', value: '1', how: 'added' },
    ],
    removed: ['x-gone'],
  });
  assert.deepEqual(
    copies.map((copy) => hopsOf({ trace: copy })[0]),
    ['default/local outbound|80||www.example.com'],
  );
  assert.match(
    explanationText({ from: '', destination: '', resolved: '', trace, copies, advice: undefined }, plain),
    /A copy of the request/,
  );
});

test('a caller that verify makes up for workloads which the files do not name', () => {
  const mesh = files(ENTRY);
  for (const { namespace, name } of callersOf(mesh)) {
    const { from, trace } = explain(mesh, parseTarget('http://www.example.com/'), { from: `${namespace}/${name}` });
    assert.equal(from, `${namespace}/${name}`);
    assert.equal(trace.outcome.kind, 'upstream', from);
  }
});

test('a client without a sidecar: its own address, and what the cluster answers', () => {
  const service = `
apiVersion: v1
kind: Service
metadata: {name: app, namespace: default}
spec: {clusterIP: 10.96.0.7, selector: {app: app}, ports: [{port: 80, targetPort: 8080, name: http}]}
---`;
  const text = `${podText('app', '10.0.0.1', { labels: '{app: app}' })}${podText('bare', '10.0.0.2', { labels: "{sidecar.istio.io/inject: 'false'}" })}${service}`;
  const target = parseTarget('http://app.default.svc.cluster.local/');
  for (const from of ['plain', 'default/bare']) {
    const { destination, resolved } = explain(files(text), target, { from });
    assert.deepEqual([destination, resolved], ['10.96.0.7:80', "the cluster's DNS"], from);
  }
  const bare = explain(files(text), target, { from: 'default/bare' });
  assert.equal(bare.from, 'default/bare');
  assert.match(bare.withoutSidecar!, /^says/);
});

test('in a cluster the DNS of the mesh answers pods whose DNS is captured, and nobody else', () => {
  const entry = (name: string, more = '') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: default}
spec: {hosts: [${name}.example.com], resolution: DNS, ports: [{number: 5432, name: tcp, protocol: TCP}]${more}}
---`;
  const pod = (name: string, ip: string, env: string) =>
    podText(name, ip).replace('image: x}', `image: x}, {name: istio-proxy, image: x, env: [${env}]}`);
  const captured = '{name: ISTIO_META_DNS_CAPTURE, value: "true"}';
  const text = [
    entry('one'),
    entry('two', ', addresses: [198.51.100.7]'),
    pod('captured', '10.0.0.1', captured),
    pod('other', '10.0.0.2', ''),
    pod('uncaptured', '10.0.0.3', `${captured}, {name: ISTIO_META_INTERCEPTION_MODE, value: NONE}`),
  ].join('');
  const cluster = simulateFiles(snapshotFromText(text, { complete: true }), REGISTRY_ONLY);
  const answer = (from: string, name: string) =>
    explain(cluster, parseTarget(`tcp://${name}.example.com:5432`), { from: `default/${from}` });
  assert.equal(answer('captured', 'one').resolved, "the mesh's DNS");
  assert.equal(answer('captured', 'two').destination, '198.51.100.7:5432');
  for (const from of ['other', 'uncaptured']) {
    assert.equal(answer(from, 'one').resolved, 'real DNS (any address outside the mesh)', from);
    const { destination, resolved } = answer(from, 'two');
    assert.deepEqual([destination, resolved], ['198.51.100.7:5432', 'as it is declared'], from);
  }
});

test('a host that a Sidecar does not import: the Sidecar and what it lacks', () => {
  const hiding = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: narrow, namespace: default}
spec: {egress: [{hosts: ['./*']}]}
---`;
  const text = `${podText('app', '10.0.0.1')}${ENTRY.replace('namespace: default', 'namespace: shared')}${hiding}`;
  const { advice } = explain(files(text), parseTarget('http://www.example.com/'), { from: 'default/app' });
  assert.match(
    advice!.nearMisses.join(),
    /ServiceEntry shared\/www declares www\.example\.com, but Sidecar default\/narrow \(.+:\d+:\d+\) does not import it: add shared\/www\.example\.com/,
  );
});

test("TLS of an application's own to a port of bytes: nobody looks at it where the mesh's TLS is off, and it passes where that is permissive", () => {
  const text = (mode: string) => `${podText('client', '10.0.0.1')}${podText('db', '10.0.0.2', { labels: '{app: db}' })}
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {clusterIP: 10.96.0.7, selector: {app: db}, ports: [{port: 9000, name: tcp}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: mode, namespace: default}
spec: {mtls: {mode: ${mode}}}
---`;
  const ends = (mode: string) => {
    const { trace } = explain(files(text(mode)), parseTarget('tls://db.default.svc.cluster.local:9000'), { from: 'default/client' });
    return trace.outcome.kind;
  };
  assert.deepEqual(['DISABLE', 'PERMISSIVE', 'STRICT'].map(ends), ['upstream', 'upstream', 'closed']);
});

test('a token that fetched keys would judge is undecided; without one, or with one that is wrong anyway, the answer is known', () => {
  const rule = (more: string) => `${THROUGH_GATEWAY}
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: r, namespace: istio-system}
spec: {selector: {matchLabels: {istio: egressgateway}}, jwtRules: [{issuer: one, ${more}}]}
---`;
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const tokenOf = (issuer: string) => `${part({ alg: 'RS256' })}.${part({ iss: issuer, sub: 'x' })}.AAAA`;
  const outcome = (text: string, token?: string) => {
    const headers = token === undefined ? [] : [`authorization: Bearer ${token}`];
    const { trace } = explained(text, 'http://www.example.com/v1', { headers });
    return trace.outcome.kind === 'undecided'
      ? trace.outcome.details
      : trace.outcome.kind === 'reply'
        ? trace.outcome.status
        : trace.outcome.kind;
  };
  for (const text of [rule(''), rule('jwksUri: "https://keys.example.com/"')]) {
    assert.equal(outcome(text), 'upstream');
    assert.match(String(outcome(text, tokenOf('one'))), /keys that its issuer \(one\) publishes/);
    assert.equal(outcome(text, tokenOf('two')), 401);
  }
});

test('a gateway chooses the route by a claim once the token is verified, not by what a caller claims beside it', () => {
  const rules = `${THROUGH_GATEWAY}
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: r, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: egressgateway}}
  jwtRules:
  - issuer: one
    jwks: '{"keys":[{"kty":"oct","alg":"HS256","k":"${Buffer.from('secret').toString('base64url')}"}]}'
    outputClaimToHeaders: [{header: x-group, claim: group}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: groups, namespace: default, creationTimestamp: '2020-01-01T00:00:00Z'}
spec:
  hosts: [www.example.com]
  gateways: [egress]
  http:
  - match: [{headers: {x-group: {exact: eng}}}]
    directResponse: {status: 418}
---`;
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const tokenOf = (group: string) => {
    const text = `${part({ alg: 'HS256' })}.${part({ iss: 'one', sub: 'x', group })}`;
    return `${text}.${createHmac('sha256', 'secret').update(text).digest('base64url')}`;
  };
  const outcome = (...headers: string[]) => {
    const { trace } = explained(rules, 'http://www.example.com/v1', { headers });
    return trace.outcome.kind === 'reply' ? trace.outcome.status : trace.outcome.kind;
  };
  assert.equal(outcome(), 'upstream');
  assert.equal(outcome(`authorization: Bearer ${tokenOf('eng')}`), 418);
  assert.equal(outcome(`authorization: Bearer ${tokenOf('ops')}`, 'x-group: eng'), 'upstream');
});

test('a forward proxy that cannot be asked leads nowhere, and the explanation says why', () => {
  const entry = (name: string, more: string, namespace = 'default') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: ${namespace}, annotations: {sallyport.dev/through: ${name === 'proxy' ? 'direct' : '"proxy.example:3128"'}}}
spec: {hosts: [${name}.example], location: MESH_EXTERNAL, resolution: DNS, ${more}}
---`;
  const proxy = (more = '') => entry('proxy', `ports: [{number: 3128, name: tcp, protocol: TCP}]${more}`, 'istio-system');
  const hosts = entry('www', 'ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]');
  const sidecar = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: default}
spec: {egress: [{hosts: ["./*"]}]}
---`;
  for (const [text, why] of [
    [hosts, /proxy\.example:3128, a forward proxy, is no ServiceEntry that this proxy sees/],
    [`${proxy()}${hosts}${sidecar}`, /is no ServiceEntry that this proxy sees/],
    [`${proxy(', exportTo: ["."]')}${hosts}`, /is no ServiceEntry that this proxy sees/],
    [`${proxy().replace('3128, name', '3129, name')}${hosts}`, /does not declare port 3128/],
    [`${proxy().replace('DNS', 'STATIC')}${hosts}`, /cannot be reached: the cluster has no endpoint/],
  ] as const) {
    const { outcome, hops } = explained(text, 'http://www.example/').trace;
    assert.equal(outcome.kind === 'reply' && outcome.status, 503, text);
    assert.match(hops[0]!.steps.map((step) => step.text).join('\n'), why);
    assert.equal(explained(text, 'https://www.example/').trace.outcome.kind, 'closed');
  }
  assert.equal(explained(`${proxy()}${hosts}`, 'http://www.example/').trace.outcome.kind, 'upstream');
});

test('calls that a pod keeps from its sidecar go straight to where they are dialled', () => {
  const ends = (annotation: string, url: string, to = '203.0.113.9') => {
    const kept = podText('app', '10.0.0.9').replace('labels:', `annotations: {${annotation}}, labels:`);
    return explain(files(`${ENTRY}${kept}`), parseTarget(url), { from: 'default/app', to });
  };
  const past = (annotation: string, url: string, to?: string) =>
    ends(`traffic.sidecar.istio.io/${annotation}`, url, to).pastSidecar !== undefined;
  assert.ok(past("excludeOutboundPorts: '80, 5432'", 'tcp://db.example.com:5432'));
  assert.ok(!past("excludeOutboundPorts: '80, 5432'", 'tcp://db.example.com:543'));
  assert.ok(past('excludeOutboundIPRanges: 203.0.113.0/24', 'https://www.example.com/'));
  assert.ok(!past('excludeOutboundIPRanges: 203.0.113.0/24', 'https://www.example.com/', '198.51.100.1'));
  assert.ok(past('includeOutboundIPRanges: 10.0.0.0/8', 'https://www.example.com/'));
  assert.ok(!past('includeOutboundIPRanges: 10.0.0.0/8', 'https://www.example.com/', '10.1.1.1'));
  assert.ok(past("includeOutboundIPRanges: ''", 'https://www.example.com/'));
  assert.ok(!past("includeOutboundIPRanges: 10.0.0.0/8, traffic.sidecar.istio.io/includeOutboundPorts: '443'", 'https://www.example.com/'));
  assert.ok(!past("includeOutboundPorts: '8443'", 'https://www.example.com/'));
  assert.ok(ends('sidecar.istio.io/interceptionMode: NONE', 'http://api.example.com/').pastSidecar);
  const explanation = ends("traffic.sidecar.istio.io/excludeOutboundPorts: '443'", 'https://api.example.com/');
  assert.deepEqual(explanation.trace.hops, []);
  const text = explanationText(explanation, plain);
  assert.match(
    text,
    /default\/app \(past its sidecar: traffic\.sidecar\.istio\.io\/excludeOutboundPorts: 443\) connects to 203\.0\.113\.9:443/,
  );
  assert.match(text, /Reaches 203\.0\.113\.9:443/);
});

test('a call goes past a sidecar that does not take it, by the annotations of its Pod', () => {
  const way = (annotations: string, url: string) => {
    const pod = podText('app', '10.0.0.1').replace('labels:', `annotations: {${annotations}}, labels:`);
    const explanation = explain(files(pod), parseTarget(url, {}), { from: 'default/app' });
    return { text: explanationText(explanation, plain), outcome: explanation.trace.outcome.kind };
  };
  const excluded = "traffic.sidecar.istio.io/excludeOutboundPorts: '443'";
  const past = way(excluded, 'tls://evil.example:443');
  assert.match(past.text, /^default\/app \(past its sidecar: traffic\.sidecar\.istio\.io\/excludeOutboundPorts: 443\) connects to/);
  assert.equal(past.outcome, 'upstream');
  assert.equal(way(excluded, 'tls://evil.example:8443').outcome, 'closed');
  const range = 'traffic.sidecar.istio.io/includeOutboundIPRanges: 10.0.0.0/8';
  assert.equal(way(range, 'tcp://9.9.9.9:443').outcome, 'upstream');
  assert.equal(way(range, 'tcp://10.9.9.9:443').outcome, 'closed');
  assert.equal(way(`${range}, traffic.sidecar.istio.io/includeOutboundPorts: '443'`, 'tcp://9.9.9.9:443').outcome, 'closed');
  assert.equal(way('sidecar.istio.io/interceptionMode: NONE', 'tcp://9.9.9.9:443').outcome, 'upstream');
});

test("and past the server's", () => {
  const denied = '\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: none, namespace: default}\nspec: {}\n---';
  const ends = (annotations: string, port: number) => {
    const pod = podText('db', '10.0.0.2').replace('labels:', `annotations: {${annotations}}, labels:`);
    return explain(files(pod + denied), parseTarget(`tcp://10.0.0.2:${port}`, {}), { from: 'plain' }).trace.outcome.kind;
  };
  const excluded = "traffic.sidecar.istio.io/excludeInboundPorts: '6379'";
  assert.equal(ends(excluded, 6379), 'upstream');
  assert.equal(ends(excluded, 6380), 'closed');
  assert.equal(ends("traffic.sidecar.istio.io/includeInboundPorts: '80,6380'", 6379), 'upstream');
  assert.equal(ends("traffic.sidecar.istio.io/includeInboundPorts: '80,6380'", 6380), 'closed');
});

test('of routes whose settings this product does not have, nothing is said of where calls go; limits that no filter reads are none', () => {
  const ends = (patch: string) => {
    const filter = `\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: f, namespace: istio-system}\nspec: {configPatches: [{${patch}}]}\n---`;
    const mesh = files(`${ENTRY}${podText('app', '10.0.0.1')}${filter}`);
    const { outcome } = explain(mesh, parseTarget('http://www.example.com/', {}), { from: 'default/app' }).trace;
    return outcome.kind === 'undecided' ? outcome.details : outcome.kind;
  };
  const route = (fields: string) => ends(`applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {${fields}}}`);
  assert.match(route('route: {internal_redirect_policy: {}}'), /internal_redirect_policy is not supported$/);
  assert.match(route('match: {dynamic_metadata: [{filter: x}]}'), /dynamic_metadata/);
  assert.match(
    ends('applyTo: VIRTUAL_HOST, patch: {operation: MERGE, value: {hedge_policy: {hedge_on_per_try_timeout: true}}}'),
    /hedge_policy/,
  );
  assert.equal(route('route: {rate_limits: [{actions: [{remote_address: {}}]}]}'), 'upstream');
  assert.equal(
    ends('applyTo: VIRTUAL_HOST, patch: {operation: MERGE, value: {rate_limits: [{actions: [{remote_address: {}}]}]}}'),
    'upstream',
  );
});
